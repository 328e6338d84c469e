"""Composite operators count what the function bodies count by which onnx defines them."""

from __future__ import annotations

from typing import Final

import pytest

from function_bodies import composite, simple
from function_bodies.body import Body, has_formula, inlined, opsets_of, ours, theirs, versions

CASES: Final = [*simple.CASES, *composite.CASES]
RUNS: Final = [(case, opset) for case in CASES for opset in opsets_of(case)]


@pytest.mark.parametrize(
    ("case", "opset"), [run for run in RUNS if run[0].expanded is None], ids=str
)
def test_a_formula_counts_as_the_body(case: Body, opset: int) -> None:
    mine, body = ours(case, opset), theirs(case, opset)
    assert tuple(b - a for a, b in zip(mine, body, strict=True)) == case.more


@pytest.mark.parametrize(("case", "opset"), [run for run in RUNS if run[0].expanded], ids=str)
def test_without_a_formula_the_body_is_listed(case: Body, opset: int) -> None:
    assert not has_formula(case, opset)
    assert ours(case, opset) == theirs(case, opset) == case.expanded


def can_be_inlined(case: Body) -> bool:
    """Onnx's inliner asks for the type of omitted inputs, and keeps subgraphs as they are."""
    return ", ," not in case.call and "{" not in case.call


@pytest.mark.parametrize(
    ("case", "opset"), [run for run in RUNS if can_be_inlined(run[0])], ids=str
)
def test_a_body_is_what_onnx_puts_in_its_place(case: Body, opset: int) -> None:
    assert inlined(case, opset) == theirs(case, opset)


def test_every_body_of_the_installed_onnx_is_compared() -> None:
    compared = {version for case in CASES for version in opsets_of(case).values()}
    assert set(versions()) - compared == set()
