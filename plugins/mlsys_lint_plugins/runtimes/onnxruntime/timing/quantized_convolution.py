"""Terms of QLinearConv with channels last.

Sources: microsoft/onnxruntime, core/providers/cpu/quantization/qlinearconv.cc (which of four ways:
TryConvSymPrepack; tasks of output positions: ComputeOutputStride), core/mlas/lib/convsym.cpp and
x86_64/ConvSymKernelAvx512Core.S (blocks of 64 channels by 6 positions; AVX2: 16 by 4), qgemm.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import Final

from mlsys_lint.records import Kernel, NodeView
from mlsys_lint.records.calibration import Terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine
from mlsys_lint_plugins.runtimes.onnxruntime.timing.quantized_product import (
    PRODUCT,
    IntegerProduct,
    group_of,
)

_WEIGHT: Final = 3
_GROUP: Final = 4
"""Channels that one instruction multiplies and adds."""
_LANES: Final = 16
"""Channels of a filter block in memory, and of a vector of AVX-512."""
_HALF: Final = 8
"""Channels that the kernel without whole vectors takes at a time."""
_WIDE: Final = (64, 6)
_NARROW: Final = (16, 4)
"""(channels, positions) of a register block with AVX-512, and with AVX2."""
_TASKS: Final = 5
"""Tasks for each thread, at most."""
_TASK_WORK: Final = 65536
"""Multiply-accumulates that are worth a task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """Sizes: `outputs` positions of one image; `depth` input channels of a group."""

    batch: int
    groups: int
    depth: int
    filters: int
    outputs: int
    taps: int
    direct: bool

    @property
    def channels(self) -> int:
        return self.filters * self.groups


def terms(kernel: Kernel, machine: Machine) -> Terms | None:
    """(class, terms) of a QLinearConv; None for other operators."""
    view = kernel.view
    if view is None or view.op_type != "QLinearConv":
        return None
    layer = _layer(view)
    block = _WIDE if machine.lanes >= _LANES else _NARROW
    stride = _stride(layer, machine, block[1])
    tasks = ceil(layer.outputs / stride)
    threads = min(machine.threads, tasks)
    positions = layer.batch * min(layer.outputs, ceil(tasks / threads) * stride)
    group = group_of(view.input(0), view.input(_WEIGHT))
    symmetric = group == _GROUP
    if layer.depth == 1 and layer.filters == 1:
        found = _depthwise(layer, positions, symmetric=symmetric)
        name = "integer_depthwise"
    elif symmetric and _is_aligned(layer):
        name, found = "integer_conv", _aligned(layer, positions, block, machine)
    else:
        name, found = PRODUCT, _expanded(layer, positions, stride, group)
    if not view.integer("channels_last", 0):
        found["transposed"] = view.input(0).numel + view.output().numel
    forked = {"fork": 1} if threads > 1 else {}
    return name, {**found, **machine.far(kernel.touches), "kernel": 1, **forked}


def _layer(view: NodeView) -> _Layer:
    weight, y = view.input(_WEIGHT).dims, view.output().dims
    groups = view.integer("group", 1)
    spatial = y[1:-1] if view.integer("channels_last", 0) else y[2:]
    moved = any(view.integers("pads")) or prod(view.integers("strides") or (1,)) != 1
    return _Layer(
        batch=y[0],
        groups=groups,
        depth=weight[1],
        filters=weight[0] // groups,
        outputs=prod(spatial),
        taps=prod(weight[2:]),
        direct=prod(weight[2:]) == 1 and not moved,
    )


def _is_aligned(layer: _Layer) -> bool:
    whole = layer.depth % _GROUP == 0 and layer.filters % _GROUP == 0
    return layer.groups == 1 and whole and layer.filters >= _LANES


def _stride(layer: _Layer, machine: Machine, step: int) -> int:
    """Positions of a task: as many as make it worth while, and at most 5 tasks a thread.

    Filters of one channel each count as if they read all channels.
    """
    alone = layer.depth == layer.filters == 1
    work = (layer.groups**2 if alone else layer.filters * layer.depth) * layer.taps
    stride = max(step, ceil(ceil(_TASK_WORK / work) / step) * step)
    most = machine.threads * _TASKS
    if ceil(layer.outputs / stride) > most:
        stride = ceil(ceil(layer.outputs / most) / step) * step
    return stride


def _aligned(
    layer: _Layer, positions: int, block: tuple[int, int], machine: Machine
) -> dict[str, float]:
    """All taps and channels of a block are added up in registers, then requantized."""
    channels, run = block
    vectors = ceil(layer.filters / _LANES)
    steps = layer.taps * layer.depth // _GROUP
    blocks = ceil(positions / run)
    held = min(layer.filters, channels) * layer.depth * layer.taps
    far = 1 - machine.shares(held)["l1"]
    found = {
        "dot4": float(blocks * run * vectors * steps),
        "broadcast": blocks * run * ceil(layer.filters / channels) * steps,
        "filter_l2": far * blocks * layer.filters * layer.depth * layer.taps,
        "requantized": positions * vectors,
        "block": blocks * ceil(layer.filters / channels),
    }
    if not layer.direct:
        found["pointer"] = positions * layer.taps
    return found


def _depthwise(layer: _Layer, positions: int, *, symmetric: bool) -> dict[str, float]:
    """A vector of channels at a time; without whole vectors or int8 sums go through memory."""
    pointers = {"pointer": positions * layer.taps}
    if symmetric and layer.groups % _LANES == 0:
        vectors = positions * layer.groups // _LANES
        return {"tap": vectors * layer.taps, "requantized": vectors, **pointers}
    halves, left = divmod(layer.groups, _HALF)
    return {
        "plain_tap": positions * halves * layer.taps,
        "single_tap": positions * left * layer.taps,
        "plain_output": positions * layer.groups,
        **pointers,
    }


def _expanded(layer: _Layer, positions: int, stride: int, group: int) -> dict[str, float]:
    """Patches are copied, then multiplied group by group; sums are requantized from memory."""
    product = IntegerProduct(
        times=layer.groups,
        rows=positions,
        columns=layer.filters,
        depth=layer.depth * layer.taps,
        group=group,
    )
    found = {**product.terms(), "scaled": positions * layer.channels}
    calls = ceil(positions / stride)
    found["product"] = layer.groups * calls
    if group == 1:
        found["scalar_pack"] *= calls
    if not layer.direct:
        found["patch"] = positions * layer.groups * layer.taps * layer.depth
        found["patch_run"] = positions * layer.groups * layer.taps
    return found
