"""MLS203 channels-off-block: a convolution's channels do not fill the blocks of the CPU's kernel.

## What it does

Reports convolutions on a CPU under ONNX Runtime whose channels are padded by more than 5 % to
whole blocks of 8 (AVX2) or 16 (AVX-512), or that are kept out of the blocked layout because their
input channels are no multiple of 4. It stays silent where that costs less than 1 % of the latency.

## Why it matters

ONNX Runtime stores channels in blocks as wide as a vector register (NCHWc). Dense convolutions pad
input channels (from one block on) and output channels to whole blocks and compute the padding too:
20 -> 100 channels in blocks of 16 are computed as 32 -> 112, and 44 % of the work is for nothing.

## Example

`y = Conv (x, w)` with w float[100,20,3,3] on an AVX-512 machine.

## Use instead

The multiple below, which saves the padded work, or the multiple above, which costs no time and
adds capacity: 16 -> 96 or 32 -> 112.

## Limits

The saving is padded share x predicted time, claimed only for kernels that are bound by their work;
it is what the same useful work would save if it came in whole blocks. Nothing is claimed for
convolutions outside the blocked layout. Grouped convolutions, other data types than fp32, weights
that are no constants, and CPUs with another block (Arm) are not judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mlsys_lint import Hit, KernelReport, ModelReport, NodeView, Rule, Severity, formatting
from mlsys_lint.records import DeviceReport
from mlsys_lint_plugins.rules import times

# onnxruntime/core/optimizer/nchwc_transformer.cc: the layout is used where the kernel's block is
# 8 or 16; fewer input channels than a block are read unblocked; else they must be a multiple of 4.
BLOCKS: Final = frozenset({8, 16})
INPUT_MULTIPLE: Final = 4
RUNTIME: Final = "onnxruntime-cpu"

MIN_PADDED: Final = 0.05
"""Share of the work: predictions of a convolution's time are off by 3 to 4 % themselves."""

MIN_SHARE: Final = 0.01
"""Of the latency: less is within the 1 to 3 % by which runs on a quiet machine differ."""


@dataclass(frozen=True, slots=True)
class _Misfit:
    """What is wrong, and the share of the work that is padding (None: outside the layout)."""

    words: str
    padded: float | None


def check(report: ModelReport) -> Iterator[Hit]:
    """A hit for each convolution that loses noticeable time to padding."""
    for device in report.devices:
        block = device.profile.vector_lanes
        if device.profile.kind == "cpu" and device.runtime == RUNTIME and block in BLOCKS:
            for entry in device.kernels:
                yield from _hits(report, device, entry, block)


def _hits(
    report: ModelReport, device: DeviceReport, entry: KernelReport, block: int
) -> Iterator[Hit]:
    for index in entry.kernel.nodes:
        node = report.nodes[index].node
        misfit = _misfit(node, block) if node.op_type in {"Conv", "FusedConv"} else None
        if misfit is not None and _noticeable(device, entry, misfit):
            yield Hit(
                message=misfit.words,
                node=index,
                device=device.profile.id,
                saving_s=_saving_s(entry, misfit),
                help=f"choose channels that are a multiple of {block}",
            )


def _noticeable(device: DeviceReport, entry: KernelReport, misfit: _Misfit) -> bool:
    part = times.share(device, [entry])
    return part is None or part * (misfit.padded or 1.0) >= MIN_SHARE


def _saving_s(entry: KernelReport, misfit: _Misfit) -> float | None:
    time = times.of_run(entry)
    if misfit.padded is None or time is None or entry.bound not in {"matrix", "vector"}:
        return None
    return misfit.padded * time


def _misfit(node: NodeView, block: int) -> _Misfit | None:
    weight = node.optional_input(1)
    shape = weight.shape if weight and weight.constant and weight.dtype == "float" else None
    if shape is None or len(shape) != 4 or not shape[0] or not shape[1]:
        return None
    outputs, inputs, group = shape[0], shape[1], node.integer("group", 1)
    if group == 1:
        return _dense(inputs, outputs, block)
    if inputs == 1 and outputs == group:
        return _depthwise(outputs, block)
    return None


def _dense(inputs: int, outputs: int, block: int) -> _Misfit | None:
    unblocked = inputs < block
    if not unblocked and inputs % INPUT_MULTIPLE:
        return _outside(f"{inputs} input channels")
    computed = (inputs if unblocked else _whole(inputs, block)) * _whole(outputs, block)
    return _padding(f"{inputs} -> {outputs} channels", 1 - inputs * outputs / computed, block)


def _depthwise(channels: int, block: int) -> _Misfit | None:
    if channels % INPUT_MULTIPLE:
        return _outside(f"depthwise, {channels} channels")
    padded = 1 - channels / _whole(channels, block)
    return _padding(f"depthwise, {channels} channels", padded, block)


def _whole(channels: int, block: int) -> int:
    """Channels rounded up to whole blocks."""
    return -(-channels // block) * block


def _padding(words: str, padded: float, block: int) -> _Misfit | None:
    if padded <= MIN_PADDED:
        return None
    share = formatting.percent(padded)
    return _Misfit(
        f"{words}; in blocks of {block}, {share} of the computed work is padding", padded
    )


def _outside(words: str) -> _Misfit:
    return _Misfit(
        f"{words}, no multiple of {INPUT_MULTIPLE}: kept out of the blocked layout", None
    )


RULE: Final = Rule(
    code="MLS203",
    name="channels-off-block",
    severity=Severity.WARNING,
    check=check,
    doc=__doc__ or "",
)
