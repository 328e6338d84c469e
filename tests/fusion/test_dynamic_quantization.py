"""Matrix products whose data is quantized in every run."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members, operators

WEIGHTS = "int8[16,8] w, float ws = {0.1}, int8 wz = {0}, float[8] b"
# 0 DynamicQuantizeLinear, 1 MatMulInteger, 2 Cast, 3 Mul of scales, 4 Mul
QUANTIZE = "q, s, z = DynamicQuantizeLinear(x)"


def product(end: str = "y", *, zeros: str = "z, wz") -> str:
    zeros = zeros and f", {zeros}"
    return f"p = MatMulInteger(q, w{zeros}) c = Cast<to = 1>(p) k = Mul(s, ws) {end} = Mul(c, k)"


def graph(body: str, *, outputs: str = "float[4,8] y", inputs: str = "float[4,16] x") -> str:
    return f"g ({inputs}) => ({outputs}) <{WEIGHTS}, int8[16,8] v, float vs = {{0.2}}> {{ {body} }}"


@pytest.mark.parametrize("zeros", ["z, wz", "z"])
def test_all_becomes_one_product(zeros: str) -> None:
    program = assert_same(graph(f"{QUANTIZE} {product(zeros=zeros)}"))
    assert members(program) == [("DynamicQuantizeMatMul", [0, 1, 2, 3, 4])]


@pytest.mark.parametrize("add", ["y = Add(m, b)", "y = Add(b, m)"])
def test_with_its_bias(add: str) -> None:
    program = assert_same(graph(f"{QUANTIZE} {product('m')} {add}"))
    assert members(program) == [("DynamicQuantizeMatMul", [0, 1, 2, 3, 4, 5])]


def test_a_bias_that_is_no_constant_stays() -> None:
    text = graph(f"{QUANTIZE} {product('m')} y = Add(m, t)", inputs="float[4,16] x, float[8] t")
    assert operators(assert_same(text)) == ["com.microsoft::DynamicQuantizeMatMul", "Add"]


@pytest.mark.parametrize("shape", ["[1]", "[4,8]"])
def test_a_bias_that_is_no_row_stays(shape: str) -> None:
    text = graph(f"{QUANTIZE} {product('m')} y = Add(m, b)").replace(
        "float[8] b", f"float{shape} b"
    )
    assert operators(assert_same(text)) == ["com.microsoft::DynamicQuantizeMatMul", "Add"]


def test_data_of_two_products_is_quantized_once() -> None:
    # 5 MatMulInteger, 6 Cast, 7 Mul of scales, 8 Mul
    second = "p2 = MatMulInteger(q, v, z, wz) c2 = Cast<to = 1>(p2) k2 = Mul(s, vs) u = Mul(c2, k2)"
    text = graph(f"{QUANTIZE} {product()} {second}", outputs="float[4,8] y, float[4,8] u")
    # the branch that ran first is replaced first; the younger operator then runs first
    assert members(assert_same(text)) == [
        *(("DynamicQuantizeLinear", [0]), ("MatMulIntegerToFloat", [1, 2, 3, 4])),
        ("MatMulIntegerToFloat", [5, 6, 7, 8]),
    ]


def test_weights_may_be_those_of_the_run() -> None:
    text = graph(f"{QUANTIZE} {product()}", inputs="float[4,16] x, int8[16,8] w")
    text = text.replace("<int8[16,8] w, ", "<")
    assert members(assert_same(text)) == [("DynamicQuantizeMatMul", [0, 1, 2, 3, 4])]


def test_the_scale_of_the_data_stands_first() -> None:
    text = graph(f"{QUANTIZE} {product()}").replace("Mul(s, ws)", "Mul(ws, s)")
    assert members(assert_same(text)) == [
        *(("DynamicQuantizeLinear", [0]), ("MatMulIntegerToFloat", [1, 2, 3, 4])),
    ]


@pytest.mark.parametrize("name", ["p", "c", "k"])
def test_what_is_a_result_stays(name: str) -> None:
    kinds = {"p": "int32[4,8] p", "c": "float[4,8] c", "k": "float k"}
    text = graph(f"{QUANTIZE} {product()}", outputs=f"float[4,8] y, {kinds[name]}")
    assert "MatMulInteger" in operators(assert_same(text))


def test_convolutions_of_integers_stay() -> None:
    body = (
        f"{QUANTIZE} p = ConvInteger(q, w, z, wz) c = Cast<to = 1>(p) k = Mul(s, ws) y = Mul(c, k)"
    )
    text = (
        "g (float[1,8,6,6] x) => (float[1,4,4,4] y) "
        f"<uint8[4,8,3,3] w, float ws = {{0.1}}, uint8 wz = {{0}}> {{ {body} }}"
    )
    assert len(assert_same(text).ops) == 5
