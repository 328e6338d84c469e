"""MLS501 latency-budget-broken: a run takes longer than `--max-latency` allows.

## What it does

Compares the predicted latency of one warm run with the budget, on each device. It reports
`impossible` (even the floor, which nothing can beat, is above the budget) and `exceeds` (the low
end of the 80 % interval is above it).

## Why it matters

`impossible` is settled without a measurement: no tuning of the runtime, only a smaller model or a
faster device helps. `exceeds` leaves a one in ten chance that the model is faster than that.

## Example

`mlsys-lint model.onnx --max-latency 20ms` for a model predicted to take 24.8 ms, 23.1 .. 26.9 ms.

## Use instead

The kernels at the top of the report's time table, its findings with a saving, a smaller precision
or input, another device.

## Limits

The latency is the median of warm runs, one request at a time: no tail, no first run, no queue and
no work outside the model. Without calibration the intervals are wide; `mlsys-lint calibrate`
narrows them for this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlsys_lint import Hit, ModelReport, Rule, Severity
from mlsys_lint_plugins.rules import budgets


def check(report: ModelReport) -> Iterator[Hit]:
    """A hit for each device that breaks the latency budget."""
    return budgets.hits(report, "latency", budgets.BROKEN)


RULE: Final = Rule(
    code="MLS501",
    name="latency-budget-broken",
    severity=Severity.ERROR,
    check=check,
    doc=__doc__ or "",
)
