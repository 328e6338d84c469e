"""MLS304 one-tensor-dominates-peak: a single tensor is most of the activations at their peak.

## What it does

Looks at the buffers that are there when activations peak, and reports one that is half of them or
more.

## Why it matters

Nothing else that is done about memory helps while this tensor is there: the peak can't fall below
it.

## Example

Scores float[1,12,4096,4096] of an attention (805 MB) beside queries, keys and values of 12.6 MB each.

## Use instead

An operator that never holds the tensor whole: Attention (ONNX 23) or a fused attention instead of
MatMul, Softmax, MatMul; a loss on slices of the vocabulary; a convolution on tiles. Or a smaller
input, or fewer bits.

## Limits

Models whose activations peak below 1 MB are not looked at, nor are graph outputs: they are what was
asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlsys_lint import Hit, ModelReport, Rule, Severity, formatting

MIN_SHARE: Final = 0.5
MIN_BYTES: Final = 1_000_000


def check(report: ModelReport) -> Iterator[Hit]:
    """A hit for each device on which one tensor is at least half of the peak."""
    results = {tensor.name for tensor in report.model.outputs}
    for device in report.devices:
        held = device.activations
        if held is None or held.nbytes < MIN_BYTES or not held.tensors:
            continue
        largest = held.tensors[0]
        if largest.name in results or largest.nbytes < MIN_SHARE * held.nbytes:
            continue
        sizes = ",".join(map(str, largest.shape or ()))
        yield Hit(
            message=f"{largest.name} [{sizes}], {formatting.size(largest.nbytes)}, is "
            f"{formatting.percent(largest.nbytes / held.nbytes)} of the activations at their peak",
            node=largest.node,
            device=device.profile.id,
            help="use an operator that does not hold it whole, a smaller input, or fewer bits",
        )


RULE: Final = Rule(
    code="MLS304",
    name="one-tensor-dominates-peak",
    severity=Severity.INFO,
    check=check,
    doc=__doc__ or "",
)
