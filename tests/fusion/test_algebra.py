"""Small rewrites of arithmetic."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members


def _graph(body: str, before: str = "float[2,4] x, float[2,4] z", weights: str = "") -> str:
    return f"g ({before}) => (float[2,4] y) {weights} {{ {body} }}"


@pytest.mark.parametrize("one", ["float o = {1}", "float[1] o = {1}"])
@pytest.mark.parametrize("product", ["Mul(a, z)", "Mul(z, a)"])
def test_a_reciprocal_times_a_value_is_a_quotient(one: str, product: str) -> None:
    text = _graph(f"a = Div(o, x) b = {product} y = Sin(b)", weights=f"<{one}>")
    assert members(assert_same(text)) == [("Div", [0, 1]), ("Sin", [2])]


@pytest.mark.parametrize(
    ("body", "weights"),
    [
        ("a = Div(o, x) b = Mul(a, z) y = Sin(b)", "float o = {2}"),
        ("a = Div(o, x) b = Mul(a, z) y = Add(b, a)", "float o = {1}"),
        ("a = Div(x, o) b = Mul(a, z) y = Sin(b)", "float o = {3}"),
    ],
)
def test_other_quotients_stay(body: str, weights: str) -> None:
    assert len(members(assert_same(_graph(body, weights=f"<{weights}>")))) == 3


@pytest.mark.parametrize("clip", ["Clip(a, o, p)", "Clip(a, , p)"])
def test_a_clip_after_relu_does_both(clip: str) -> None:
    weights = "<float o = {0}, float p = {6}>"
    text = _graph(f"q = Sin(x) a = Relu(q) b = {clip} y = Sin(b)", weights=weights)
    assert members(assert_same(text)) == [("Sin", [0]), ("Clip", [1, 2]), ("Sin", [3])]


def test_a_clip_whose_bound_is_fed_leaves_the_relu() -> None:
    text = _graph("a = Relu(x) b = Clip(a, o) y = Sin(b)", "float[2,4] x, float o")
    assert len(members(assert_same(text))) == 3


CONDITION = "bool[2,4] c, float[2,4] x, float[2,4] z"


def test_where_takes_the_negation_in() -> None:
    text = _graph("a = Not(c) b = Where(a, x, z) y = Sin(b)", CONDITION)
    assert members(assert_same(text)) == [("Where", [0, 1]), ("Sin", [2])]


def test_two_wheres_take_one_negation_in() -> None:
    body = "a = Not(c) b = Where(a, x, z) d = Where(a, z, x) e = Add(b, d) y = Sin(e)"
    program = assert_same(_graph(body, CONDITION))
    assert sorted(op for op, _ in members(program)) == ["Add", "Sin", "Where", "Where"]


def test_a_negation_that_others_read_stays() -> None:
    body = "a = Not(c) b = Where(a, x, z) w = And(a, c) y = Sin(b)"
    text = _graph(body, CONDITION).replace("(float[2,4] y)", "(float[2,4] y, bool[2,4] w)")
    assert len(members(assert_same(text))) == 4
