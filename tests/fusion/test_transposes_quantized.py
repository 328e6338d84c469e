"""Transposes among quantized operators."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members, operators
from fusion.transposing import FIRST, LAST, graph

QUANTIZED = "float s = {0.1}, uint8 z = {3}"


@pytest.mark.parametrize(
    "body",
    [
        "r = com.microsoft.QLinearSigmoid(t, s, z, s, z)",
        "r = com.microsoft.QLinearLeakyRelu(t, s, z, s, z)",
        "r = com.microsoft.QLinearAdd(t, s, z, t, s, z, s, z)",
        "r = com.microsoft.QLinearMul(t, s, z, t, s, z, s, z)",
        "r = com.microsoft.QLinearConcat<axis = 3>(s, z, t, s, z, t, s, z)",
        "r = com.microsoft.QLinearGlobalAveragePool<channels_last = 1>(t, s, z, s, z)",
    ],
)
def test_quantized_operators_let_it_through(body: str) -> None:
    text = graph(f"t = {LAST}(x) {body} y = {FIRST}(r)", QUANTIZED, "uint8 y", "uint8[2,3,4,5] x")
    program = assert_same(text)
    assert len(program.order()) == 1


def test_8_bit_pooling_reads_channels_last() -> None:
    text = graph(
        f"t = {FIRST}(x) r = MaxPool<kernel_shape = [2,2]>(t) y = {LAST}(r)",
        outputs="uint8 y",
        inputs="uint8[2,8,8,3] x",
    )
    program = assert_same(text)
    assert members(program) == [("NhwcMaxPool", [1])]


def test_dequantized_values_move_their_transpose_as_quantized_ones() -> None:
    text = graph(
        f"""q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) t = {LAST}(d)
            r = Relu(t) u = {FIRST}(r) e = QuantizeLinear(u, s, z) y = DequantizeLinear(e, s, z)""",
        QUANTIZED,
    )
    program = assert_same(text)
    assert "Transpose" not in operators(program)


AXIS = "int64 axis = {1}"
"""Of CumSum, which stops a Transpose."""


def test_a_dequantized_transpose_becomes_a_unit() -> None:
    # the Transpose moves 8-bit values: a quantizer and a dequantizer are inserted behind it
    text = graph(
        f"""q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) t = {LAST}(d)
            y = CumSum(t, axis)""",
        f"{QUANTIZED}, {AXIS}",
    )
    assert members(assert_same(text)) == [
        ("QuantizeLinear", [0]),
        ("Transpose", [1, 2]),
        ("DequantizeLinear", []),
        ("CumSum", [3]),
    ]


def test_a_transpose_before_a_quantizer_becomes_a_unit() -> None:
    text = graph(
        f"""r = Relu(x) t = {LAST}(r) q = QuantizeLinear(t, s, z)
            d = DequantizeLinear(q, s, z) y = CumSum(d, axis)""",
        f"{QUANTIZED}, {AXIS}",
    )
    program = assert_same(text)
    assert [(op, found) for op, found in members(program) if op != "Transpose"] == [
        ("Relu", [0]),
        ("QuantizeLinear", []),
        ("DequantizeLinear", [3]),
        ("CumSum", [4]),
    ]


def test_a_quantized_constant_is_transposed_behind_its_dequantizer() -> None:
    # Mul reads the same stored tensor as it was: what undoes the change is folded
    text = graph(
        f"""t = {LAST}(x) d = DequantizeLinear(c, s, z) a = Add(t, d) y = {FIRST}(a)
            e = DequantizeLinear(c, s, z) v = Mul(e, u)""",
        f"{QUANTIZED}, uint8[5,3] c",
        "float y, float v",
        "float[2,3,4,5] x, float[5,3] u",
    )
    program = assert_same(text)
    sizes = {op.output.dims for op in program.order() if op.op_type == "DequantizeLinear"}
    assert sizes == {(1, 3, 1, 5), (5, 3)}


def test_scales_follow_their_axis() -> None:
    text = graph(
        f"""t = {LAST}(x) q = QuantizeLinear<axis = 3>(t, sc, zc)
            d = DequantizeLinear<axis = -1>(q, sc, zc) y = {FIRST}(d)""",
        "float[3] sc = {0.1, 0.2, 0.3}, uint8[3] zc = {1, 2, 3}",
    )
    program = assert_same(text)
    assert members(program) == [("QuantizeLinear", [1]), ("DequantizeLinear", [2])]
    assert {op.integer("axis", 1) for op in program.order()} == {1}
