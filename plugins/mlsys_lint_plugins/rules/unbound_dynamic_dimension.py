"""MLS101 unbound-dynamic-dimension: a dynamic dimension was taken as 1.

## What it does

Reports each dynamic dimension of the model's inputs that no option gave a size.

## Why it matters

Work, memory and time scale with it, often linearly, and with the sequence length of attention
quadratically. Figures for 1 are right for one request only if the dimension is the batch; for a
sequence length or an image side they are far too small, and so is every budget verdict.

## Example

An input `tokens int64[N,S]`, checked with `mlsys-lint model.onnx`: N and S are both taken as 1,
and the report is that of a single token.

## Use instead

`mlsys-lint model.onnx --dim S=128`, or `--dim INPUT:AXIS=128` for a dimension without a name, or
`--batch 8` for axis 0 of the inputs. Export with fixed sizes where deployment has fixed sizes.

## Limits

Sizes that depend on data, not on the inputs' shapes, are no dimensions of inputs: they count at
their maximum and are listed as assumptions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlsys_lint import Hit, ModelReport, Rule, Severity


def check(report: ModelReport) -> Iterator[Hit]:
    """A hit for each dimension whose size was assumed."""
    for dimension in report.model.dims:
        if dimension.source == "assumed":
            yield Hit(
                message=f"dimension {dimension.name} is dynamic and was taken as {dimension.value}; "
                "the figures hold for that size only",
                help=f"give its size with --dim {dimension.name}=SIZE",
            )


RULE: Final = Rule(
    code="MLS101",
    name="unbound-dynamic-dimension",
    severity=Severity.WARNING,
    check=check,
    doc=__doc__ or "",
)
