from __future__ import annotations

from dataclasses import replace

import pytest

from mlsys_lint.linting import lint
from mlsys_lint.records import BudgetVerdict, Finding
from mlsys_lint_plugins.rules import RULES
from report_values import report

VERDICTS = ("unknown", "impossible", "exceeds", "at-risk", "fits")


def _findings(name: str, unit: str, limit: float) -> list[Finding]:
    budgets = tuple(
        BudgetVerdict(
            name=name,
            limit=limit,
            unit=unit,
            device=f"on-{verdict}",
            value=None,
            verdict=verdict,
            reason="because",
        )
        for verdict in VERDICTS
    )
    return list(lint(replace(report(), budgets=budgets), RULES, {})[0])


@pytest.mark.parametrize(
    ("name", "unit", "limit", "printed", "codes"),
    [
        ("latency", "s", 0.02, "20 ms", ("MLS501", "MLS503")),
        ("memory", "bytes", 5e8, "500 MB", ("MLS502", "MLS504")),
    ],
)
def test_each_verdict_has_its_code_and_severity(
    name: str, unit: str, limit: float, printed: str, codes: tuple[str, str]
) -> None:
    broken, risky = codes
    found = {finding.device: finding for finding in _findings(name, unit, limit)}
    assert {at: (one.code, str(one.severity)) for at, one in found.items()} == {
        "on-impossible": (broken, "error"),
        "on-exceeds": (broken, "error"),
        "on-at-risk": (risky, "warning"),
        "on-unknown": (risky, "warning"),
    }
    assert found["on-exceeds"].message == f"{name} budget of {printed} is exceeded: because"
