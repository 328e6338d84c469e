"""MLS504 memory-budget-at-risk: it is not settled that a run is within `--max-memory`.

## What it does

Reports `at-risk` (the high end of the interval is above the budget, or the sizes of some tensors
are not known) and `unknown` (there is no figure).

## Why it matters

An incomplete or uncertain figure must not pass for a met budget.

## Example

`mlsys-lint model.onnx --max-memory 120MB` for a model predicted to need 112 MB, 106 .. 131 MB.

## Use instead

Sizes for assumed dimensions; formulas and shapes for the operators that MLS102 names; a budget
with room for what the runtime itself takes.

## Limits

Allocators keep more than they hand out, and how much differs between releases of a runtime; the
interval covers the release that the report names. As a warning it changes the exit status only
with `--fail-on warning`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlsys_lint import Hit, ModelReport, Rule, Severity
from mlsys_lint_plugins.rules import budgets


def check(report: ModelReport) -> Iterator[Hit]:
    """A hit for each device on which the memory budget is not settled."""
    return budgets.hits(report, "memory", budgets.AT_RISK)


RULE: Final = Rule(
    code="MLS504",
    name="memory-budget-at-risk",
    severity=Severity.WARNING,
    check=check,
    doc=__doc__ or "",
)
