"""MLS503 latency-budget-at-risk: it is not settled that a run is within `--max-latency`.

## What it does

Reports `at-risk` (the high end of the 80 % interval is above the budget, or some nodes are not
counted) and `unknown` (there is no latency, because the device has no peak for a kernel's type).

## Why it matters

An incomplete or uncertain figure must not pass for a met budget.

## Example

`mlsys-lint model.onnx --max-latency 20ms` for a model predicted to take 19.6 ms, 18.1 .. 21.9 ms.

## Use instead

A calibrated device, for a narrower interval; sizes for assumed dimensions; formulas for the
operators that MLS102 names; `mlsys-lint validate`, which measures.

## Limits

The interval speaks of the median of warm runs: single slow runs are outside it even where the
verdict is `fits`. As a warning it changes the exit status only with `--fail-on warning`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlsys_lint import Hit, ModelReport, Rule, Severity
from mlsys_lint_plugins.rules import budgets


def check(report: ModelReport) -> Iterator[Hit]:
    """A hit for each device on which the latency budget is not settled."""
    return budgets.hits(report, "latency", budgets.AT_RISK)


RULE: Final = Rule(
    code="MLS503",
    name="latency-budget-at-risk",
    severity=Severity.WARNING,
    check=check,
    doc=__doc__ or "",
)
