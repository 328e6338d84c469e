"""Operators that change nothing: what ONNX Runtime removes, and what it keeps."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members, operators

MAX = 2**63 - 1


def _around(middle: str, weights: str = "") -> str:
    """An operator `a = ...(q)` between two others."""
    return f"g (float[N,8] x) => (float[N,8] y) {weights} {{ q = Sin(x) {middle} y = Cos(a) }}"


@pytest.mark.parametrize(
    ("middle", "weights"),
    [
        ("a = Identity(q)", ""),
        ("b = Identity(q) a = Identity(b)", ""),
        ("a = Dropout(q)", ""),
        ("a = Dropout(q, r)", "<float r = {0.5}>"),
        ("a = Dropout(q, r, t)", "<float r = {0.5}, bool t = {0}>"),
        ("a = Dropout(q, r, t)", "<float r = {0.5}, bool t = {1}>"),
        (
            "a = Slice(q, s, e, i)",
            f"<int64[1] s = {{0}}, int64[1] e = {{{MAX}}}, int64[1] i = {{0}}>",
        ),
        ("a = Expand(q, s)", "<int64[2] s = {1, 1}>"),
        ("a = Expand(q, s)", "<int64[1] s = {1}>"),
        ("a = Cast<to = 1>(q)", ""),
        ("a = Add(q, z)", "<float z = {0}>"),
        ("a = Add(z, q)", "<float z = {0}>"),
        ("a = Sub(q, z)", "<float z = {0}>"),
        ("a = Mul(q, z)", "<float[1] z = {1}>"),
        ("a = Mul(q, z)", "<float[1,1] z = {1}>"),
        ("a = Div(q, z)", "<float z = {1}>"),
    ],
)
def test_it_is_gone(middle: str, weights: str) -> None:
    program = assert_same(_around(middle, weights))
    assert operators(program) == ["Sin", "Cos"]
    assert members(program)[0] == ("Sin", [0])


@pytest.mark.parametrize(
    ("middle", "weights"),
    [
        ("a = Slice(q, s, e, i)", "<int64[1] s = {0}, int64[1] e = {8}, int64[1] i = {1}>"),
        (
            "a = Slice(q, s, e, i)",
            f"<int64[1] s = {{0}}, int64[1] e = {{{2**31 - 1}}}, int64[1] i = {{1}}>",
        ),
        (
            "a = Slice(q, s, e, i)",
            f"<int64[1] s = {{1}}, int64[1] e = {{{MAX}}}, int64[1] i = {{0}}>",
        ),
        ("a = Expand(q, s)", "<int64[3] s = {1, 1, 1}>"),
        ("a = Sub(z, q)", "<float z = {0}>"),
        ("a = Div(z, q)", "<float z = {1}>"),
        ("a = Pow(q, z)", "<float z = {1}>"),
        ("a = Mul(q, z)", "<float z = {2}>"),
        ("a = Mul(q, z)", "<float[8] z = {1, 1, 1, 1, 1, 1, 1, 1}>"),
        ("a = Transpose<perm = [0, 1]>(q)", ""),
    ],
)
def test_it_stays(middle: str, weights: str) -> None:
    text = _around(middle, weights)
    if "[3]" in weights:
        text = text.replace("float[N,8] y", "float[1,N,8] y")
    assert len(operators(assert_same(text))) == 3


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("a = Identity(x) y = Sin(a)", ["Sin"]),  # a graph input is read directly
        ("a = Cast<to = 1>(x) y = Sin(a)", ["Sin"]),
        ("a = Mul(x, one) y = Sin(a)", ["Mul", "Sin"]),  # no edge between operators to keep
        ("y = Identity(x)", ["Identity"]),
        ("a = Sin(x) y = Identity(a)", ["Sin"]),
        ("a = Sin(x) y = Mul(a, one)", ["Sin", "Mul"]),
        ("a = Sin(x) y = Cast<to = 1>(a)", ["Sin", "Cast"]),
        ("a = Sin(x) y = Dropout(a)", ["Sin", "Dropout"]),
        ("a = Sin(x) y = Identity(a) b = Cos(a)", ["Sin", "Cos", "Identity"]),
    ],
)
def test_ends_of_the_graph(body: str, kept: list[str]) -> None:
    text = f"g (float[N,8] x) => (float[N,8] y) <float one = {{1}}> {{ {body} }}"
    assert operators(assert_same(text)) == kept


def test_a_result_that_is_read_elsewhere_keeps_its_identity() -> None:
    text = "g (float[8] x) => (float[8] y, float[8] z) { z = Sin(x) y = Identity(z) }"
    assert operators(assert_same(text)) == ["Sin", "Identity"]


def test_constants_behind_identities_are_seen() -> None:
    text = "g (float[8] x) => (float[8] y) <float[8] w> { a = Identity(w) y = Add(x, a) }"
    program = assert_same(text)
    assert members(program) == [("Add", [1])]
    assert program.eliminated == {0: "identity"}


def test_unsqueeze_of_a_stored_tensor_is_stored() -> None:
    body = "a = Unsqueeze(w, i) y = Add(x, a)"
    text = f"g (float[1,8] x) => (float[1,8] y) <float[8] w, int64[1] i = {{0}}> {{ {body} }}"
    assert operators(assert_same(text)) == ["Add"]
