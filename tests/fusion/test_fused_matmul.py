"""FusedMatMul: transposed operands and scaled products."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members, operators

FUSED = "com.microsoft::FusedMatMul"


def _batched(perm: str, source: str, other: str, result: str) -> str:
    return f"""g (float[{source}] x, float[{other}] w) => (float[{result}] y) {{
        t = Transpose<perm = [{perm}]>(x) a = MatMul(t, w) y = Sin(a) }}"""


@pytest.mark.parametrize(
    ("perm", "source", "other", "result"),
    [
        ("1, 0", "4,3", "4,5", "3,5"),
        ("0, 2, 1", "2,4,3", "2,4,5", "2,3,5"),
        ("1, 0, 2", "2,3,4", "3,4,5", "3,2,5"),
        ("1, 2, 0", "4,2,3", "2,4,5", None),
        ("0, 1, 3, 2", "2,6,4,3", "2,6,4,5", "2,6,3,5"),
        ("0, 2, 1", "2,4,3", "4,5", "2,3,5"),  # rows and columns: whatever is on the right
    ],
)
def test_a_product_reads_its_operand_transposed(
    perm: str, source: str, other: str, result: str | None
) -> None:
    if result is None:  # [4,2,3] by (1,2,0) is [2,3,4]
        result = "2,3,5"
    program = assert_same(_batched(perm, source, other, result))
    assert members(program) == [("FusedMatMul", [0, 1]), ("Sin", [2])]


@pytest.mark.parametrize(
    ("perm", "source", "other", "result"),
    [
        ("0, 2, 1, 3", "2,3,6,4", "2,6,4,5", "2,6,3,5"),
        ("0, 2, 3, 1", "2,4,6,3", "2,6,4,5", None),
        ("1, 0, 2", "2,3,4", "4,5", "3,2,5"),  # a batch axis moves, and the right has none
    ],
)
def test_permutations_that_a_product_can_not_do(
    perm: str, source: str, other: str, result: str | None
) -> None:
    if result is None:  # [2,4,6,3] by (0,2,3,1) is [2,6,3,4]
        result = "2,6,3,5"
    assert FUSED not in operators(assert_same(_batched(perm, source, other, result)))


def test_a_transpose_that_is_read_twice_stays_for_the_other() -> None:
    text = """g (float[4,3] x, float[4,5] w) => (float[3,5] y, float[3,4] z) {
        t = Transpose<perm = [1, 0]>(x) a = MatMul(t, w) y = Sin(a) z = Sin(t) }"""
    assert sorted(operators(assert_same(text))) == sorted([FUSED, "Sin", "Sin", "Transpose"])


def _scaled(body: str, weights: str = "float s = {0.5}") -> str:
    return f"""g (float[2,3,4] x, float[2,4,5] w) => (float[2,3,5] y)
        <{weights}> {{ {body} y = Sin(a) }}"""


@pytest.mark.parametrize(
    ("body", "weights"),
    [
        ("c = Mul(x, s) a = MatMul(c, w)", "float s = {0.5}"),
        ("c = Mul(s, x) a = MatMul(c, w)", "float[1] s = {0.5}"),
        ("c = Div(w, s) a = MatMul(x, c)", "float s = {0.5}"),
        ("m = MatMul(x, w) a = Mul(m, s)", "float s = {0.5}"),
        ("m = MatMul(x, w) a = Div(m, s)", "float s = {8}"),
    ],
)
def test_a_scale_goes_into_the_product(body: str, weights: str) -> None:
    program = assert_same(_scaled(body, weights))
    assert members(program) == [("FusedMatMul", [0, 1]), ("Sin", [2])]


@pytest.mark.parametrize(
    ("body", "weights"),
    [
        ("m = MatMul(x, w) a = Div(s, m)", "float s = {0.5}"),
        ("m = MatMul(x, w) a = Mul(m, s)", "float[5] s = {1, 2, 3, 4, 5}"),
        ("m = MatMul(x, w) a = Add(m, s)", "float s = {0.5}"),
        ("m = MatMul(x, w) n = Mul(m, s) a = Add(n, m)", "float s = {0.5}"),
    ],
)
def test_scales_that_stay(body: str, weights: str) -> None:
    assert FUSED not in operators(assert_same(_scaled(body, weights)))


def test_a_scale_that_is_read_twice_stays_for_the_other() -> None:
    body = "c = Mul(x, s) m = MatMul(c, w) d = ReduceSum<keepdims = 0>(c) a = Add(m, d)"
    assert "Mul" in operators(assert_same(_scaled(body)))
