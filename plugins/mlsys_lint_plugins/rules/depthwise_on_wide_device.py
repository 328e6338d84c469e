"""MLS205 depthwise-on-wide-device: depthwise convolutions save FLOPs there, but not their time.

## What it does

Reports, once per device, the depthwise convolutions on accelerators, and on CPUs with a ridge
above 20 FLOP/byte, that are far below the ridge and take a larger share of the time than of the
FLOPs.

## Why it matters

A K x K depthwise convolution does 2 K^2 FLOPs per output element and moves at least one input and
one output element for it: 2.25 FLOP/byte for 3 x 3 in fp32. Where the ridge is ten or a hundred
times higher, its time is that of moving the data, however few FLOPs are left: 9 times fewer FLOPs
may be no more than 2 to 3 times less time.

## Example

`y = Conv <group = 144> (x, w)` with w float[144,1,3,3] on an A100.

## Use instead

Blocks with dense convolutions in the early, large stages (fused inverted bottlenecks), groups of
16 or more channels, or a runtime that fuses the depthwise convolution with its neighbours. Compare
designs by the predicted time, not by their FLOPs.

## Limits

There is no saving in the finding: a replacement changes the model, and its time has to be
predicted by checking the changed model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mlsys_lint import Hit, KernelReport, ModelReport, Rule, Severity, formatting
from mlsys_lint.records import DeviceReport
from mlsys_lint_plugins.rules import times

WIDE_RIDGE: Final = 20.0
"""FLOP/byte: from here on the usual depthwise kernels (2 to 6 FLOP/byte in fp32 for 3 x 3 and
5 x 5) reach at most about a third of the peak."""

FAR_BELOW: Final = 0.25
"""Of the ridge: the roofline then caps the kernel at a quarter of the peak."""

MIN_SHARE: Final = 0.01
"""Of the latency: less is within the 1 to 3 % by which runs on a quiet machine differ."""


def check(report: ModelReport) -> Iterator[Hit]:
    """A hit for each wide device on which depthwise kernels take noticeable time."""
    for device in report.devices:
        found = [
            entry
            for entry in device.kernels
            if entry.kernel.kernel_class == "conv_depthwise" and times.below_ridge(entry, FAR_BELOW)
        ]
        flops = times.flops(found) / max(1, times.flops(device.kernels))
        part = times.share(device, found)
        if found and _is_wide(device) and (part is None or part >= max(MIN_SHARE, flops)):
            yield _hit(device, found, flops, part)


def _is_wide(device: DeviceReport) -> bool:
    return device.profile.kind != "cpu" or (device.ridge or 0.0) > WIDE_RIDGE


def _hit(
    device: DeviceReport, found: Sequence[KernelReport], flops: float, part: float | None
) -> Hit:
    top = times.largest(found)
    kernels = (
        "1 depthwise convolution" if len(found) == 1 else f"{len(found)} depthwise convolutions"
    )
    place = top.placement
    return Hit(
        message=f"{kernels}: {formatting.percent(flops)} of the FLOPs"
        f"{times.share_words(part)}; {formatting.significant(place.intensity or 0)} F/B where the "
        f"ridge is {formatting.significant(place.ridge or 0)}",
        node=top.kernel.nodes[0],
        device=device.profile.id,
        help="fewer FLOPs are not less time here; compare designs by the predicted time",
    )


RULE: Final = Rule(
    code="MLS205",
    name="depthwise-on-wide-device",
    severity=Severity.INFO,
    check=check,
    doc=__doc__ or "",
)
