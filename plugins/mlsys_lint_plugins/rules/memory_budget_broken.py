"""MLS502 memory-budget-broken: a run needs more memory than `--max-memory` allows.

## What it does

Compares the predicted memory of one run with the budget, on each device. It reports `impossible`
(the weights as stored and the largest set of tensors that one kernel needs at once are above the
budget) and `exceeds` (the low end of the 80 % interval is above it).

## Why it matters

A process above its limit is killed, or the device refuses the allocation: nothing degrades
gradually.

## Example

`mlsys-lint model.onnx --max-memory 100MB` for a model with 102.2 MB of weights.

## Use instead

Weights in fewer bits, a smaller batch or input, a model whose peak activations are lower; the
report names the node at the peak.

## Limits

The figure is that of one session: not the rest of the process, not other sessions, not the host
memory beside a device's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlsys_lint import Hit, ModelReport, Rule, Severity
from mlsys_lint_plugins.rules import budgets


def check(report: ModelReport) -> Iterator[Hit]:
    """A hit for each device that breaks the memory budget."""
    return budgets.hits(report, "memory", budgets.BROKEN)


RULE: Final = Rule(
    code="MLS502",
    name="memory-budget-broken",
    severity=Severity.ERROR,
    check=check,
    doc=__doc__ or "",
)
