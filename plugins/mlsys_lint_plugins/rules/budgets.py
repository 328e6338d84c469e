"""What the four budget rules share: verdicts of one budget become hits."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from mlsys_lint import Hit, ModelReport, formatting

BROKEN: Final = frozenset({"impossible", "exceeds"})
"""Verdicts that are errors: the truth is above the limit, or in nine of ten cases."""

AT_RISK: Final = frozenset({"at-risk", "unknown"})
"""Verdicts that are warnings: the truth may be above the limit."""

_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "impossible": "can't be met",
        "exceeds": "is exceeded",
        "at-risk": "is at risk",
        "unknown": "can't be judged",
    }
)


def hits(report: ModelReport, name: str, verdicts: Collection[str]) -> Iterator[Hit]:
    """A hit for each verdict of a kind on the budget with a name (`latency`, `memory`)."""
    for budget in report.budgets:
        if budget.name == name and budget.verdict in verdicts:
            yield Hit(
                message=f"{name} budget of {formatting.limit(budget.limit, budget.unit)} {_WORDS[budget.verdict]}: "
                f"{budget.reason}",
                device=budget.device,
            )
