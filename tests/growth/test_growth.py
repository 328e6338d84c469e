"""A formula is a claim about growth: every operator at a size and at twice that size."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from growth.case import FIGURES, Growth, measured
from mlsys_lint.operators import normal_domain
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import Unsupported

FAMILIES: Final = sorted(
    path.stem
    for path in Path(__file__).parent.glob("*.py")
    if path.stem not in ("case", "test_growth")
)
CASES: Final[list[Growth]] = [
    case for family in FAMILIES for case in import_module(f"growth.{family}").CASES
]


ELSEWHERE: Final = {
    # A Gradient costs what the nodes between its ends do backwards: tests/training.
    ("ai.onnx.preview.training", "Gradient"),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_figures_at_two_sizes(case: Growth) -> None:
    assert set(case.figures) <= set(FIGURES)
    assert any(first != second for first, second in case.figures.values()) != bool(case.fixed)
    for position, n in enumerate((case.n, 2 * case.n)):
        cost = measured(case, n)
        found = {name: getattr(cost, name) for name in case.figures}
        assert found == {name: pair[position] for name, pair in case.figures.items()}


def test_every_formula_has_a_case() -> None:
    formulas = {
        (normal_domain(entry.spec.domain), entry.spec.op_type)
        for entry in PluginHost(third_party=False).operators
        if not isinstance(entry.spec.estimate, Unsupported)
    }
    assert formulas - {case.op for case in CASES} == ELSEWHERE
