"""com.microsoft's operators on quantized tensors: counts derived by hand."""

from __future__ import annotations

from typing import Final

import pytest

from mlsys_lint import Contraction, NodeStatus
from mlsys_lint.testing import check_text, estimate_text
from node_costs import cost_of, counts, node_of

ROWS: Final = "uint8[4,8] x, float s, uint8 z, float t, uint8 v"


def test_a_zero_point_that_is_not_there_costs_nothing() -> None:
    # 32 elements: dequantize 1 + 1, compare, multiply, select, quantize 4 + 1
    assert counts("com.microsoft.QLinearLeakyRelu(x, s, z, t, v)", ROWS) == (320, 0)
    assert counts("com.microsoft.QLinearLeakyRelu(x, s, , t, v)", ROWS) == (288, 0)
    assert counts("com.microsoft.QLinearLeakyRelu(x, s, z, t)", ROWS) == (288, 0)
    assert counts("com.microsoft.QLinearSigmoid(x, s, z, t, v)", ROWS) == (7 * 32, 32)


def test_work_between_8_bit_tensors_is_done_in_float() -> None:
    assert cost_of("com.microsoft.QLinearSigmoid(x, s, z, t, v)", ROWS).dtype == "float"
    assert cost_of("com.microsoft.MulInteger(x, z, x, z)", ROWS).dtype is None  # int32, its output


def test_operands_that_stretch_are_dequantized_once() -> None:
    # 4 x 1 and 8: dequantize 2 (4 + 8); 32 sums; quantize 5 * 32
    inputs = "uint8[4,1] a, uint8[8] b, float s, uint8 z"
    assert counts("com.microsoft.QLinearAdd(a, s, z, b, s, z, s, z)", inputs) == (216, 0)
    # shift 4 + 8, multiply 32, quantize 160
    assert counts("com.microsoft.QLinearMul(a, s, z, b, s, z, s, z)", inputs) == (204, 0)


def test_rows_of_a_softmax_depend_on_the_opset_that_it_names() -> None:
    # Along axis 0 8 rows of 4, before opset 13 a single row of 32; 7 per element to convert.
    call = "com.microsoft.QLinearSoftmax<opset={}, axis=0>(x, s, z, t, v)"
    assert counts(call.format(13), ROWS) == (11 * 32 - 16, 32)
    assert counts(call.format(12), ROWS) == (11 * 32 - 2, 32)
    # By default the last axis, whatever the opset.
    default = "com.microsoft.QLinearSoftmax<opset=12>(x, s, z, t, v)"
    assert counts(default, ROWS) == (11 * 32 - 8, 32)


def test_an_input_with_the_scale_of_the_output_is_copied() -> None:
    # 24 elements with other parameters take 7 each, 32 with the same none.
    text = (
        "g (uint8[4,8] a, uint8[3,8] b) => (uint8[?,?] y) "
        "<float s = {{0.5}}, uint8 z = {{3}}, float t = {{{}}}, uint8 v = {{{}}}> "
        "{{ y = com.microsoft.QLinearConcat<axis=0>(s, z, a, s, z, b, t, v) }}"
    )
    for scale, zero, work in ((0.25, 3, 7 * 24), (0.5, 4, 7 * 24), (0.5, 3, 0)):
        (found,) = estimate_text(text.format(scale, zero))
        assert found.cost is not None
        assert found.cost.vector_ops == work
        assert found.node.output().dims == (7, 8)


def test_integer_products_carry_their_type() -> None:
    inputs = "uint16[2,3,4] a, uint16[4,5] b"
    found = node_of("com.microsoft.MatMulInteger16(a, b)", inputs)
    assert found.cost is not None
    assert found.cost.contractions == (Contraction(m=6, n=5, k=4, dtype="uint16"),)
    assert found.node.output().type_name == "uint32"
    signed = node_of("com.microsoft.MatMulInteger16(a, b)", inputs.replace("uint16[4", "int16[4"))
    assert signed.node.output().type_name == "int32"


@pytest.mark.parametrize(("kind", "sum_type"), [("uint8", "uint32"), ("int8", "int32")])
def test_reduced_axes(kind: str, sum_type: str) -> None:
    inputs = f"{kind}[2,3,4] x, float s, {kind} z"
    total = node_of("com.microsoft.ReduceSumInteger<axes=[0,-1], keepdims=0>(x)", inputs).node
    assert (total.output().dims, total.output().type_name) == ((3,), sum_type)
    mean = node_of(
        "com.microsoft.QLinearReduceMean<axes=[1], keepdims=1>(x, s, z, s, z)", inputs
    ).node
    assert (mean.output().dims, mean.output().type_name) == ((2, 1, 4), kind)


def test_tables_of_quantized_rows() -> None:
    # 3 of 8 columns of int4 data along axis 1, a scale for each 16 of 32 rows; no zero point: 1 per
    # element. Data 32 * 3 / 2 bytes, scales 2 * 3 * 4, indices 3 * 8.
    cost = cost_of(
        "com.microsoft.GatherBlockQuantized<gather_axis=1, quantize_axis=0, block_size=16>(d, i, s)",
        "int4[32,8] d, int64[3] i, float[2,8] s",
    )
    assert (cost.vector_ops, cost.bytes_read) == (96, 48 + 24 + 24)
    # More indices than rows: all is read once.
    many = cost_of(
        "com.microsoft.GatherBlockQuantized<block_size=16>(d, i, s)",
        "float8e4m3fn[2,16] d, int64[9] i, float16[2,1] s",
    )
    assert (many.vector_ops, many.bytes_read) == (9 * 16, 32 + 72 + 4)


def test_parameters_in_packed_tables() -> None:
    # 6 rows of 32 bytes with 4 values of 2 bits each, 8 scales a row, as many zero points in 2 bytes.
    text = (
        "g (int64[5] i) => (float[?,?] y) <uint8[6,32] d, float[6,8] s, uint8[6,2] z> "
        "{ y = com.microsoft.GatherBlockQuantized<block_size=16, bits=2>(d, i, s, z) }"
    )
    model = check_text(text).model
    assert model.parameters == 6 * 32 * 4 + 48 + 48
    assert model.parameter_bytes == 192 + 192 + 12


def test_an_embedding_without_segments() -> None:
    # 10 tokens of 8: 7 for the normalization and 1 sum an element, 4 a row; 10 words, 5 positions,
    # gamma and beta take 2 for each of 8.
    inputs = "int32[2,5] i, uint8[9,8] w, uint8[6,8] p, uint8[8] g, float s, uint8 z"
    cost = cost_of(
        "com.microsoft.QEmbedLayerNormalization(i, , w, p, , g, g, , s, s, , s, s, z, z, , z, z)",
        inputs,
    )
    assert (cost.vector_ops, cost.transcendentals) == (8 * 80 + 40 + 2 * 17 * 8, 10)
    # ids 40, all 9 words (10 tokens), 5 positions, gamma (once), a scale, a zero point
    assert cost.bytes_read == 40 + 72 + 40 + 8 + 5


def test_a_window_of_another_rank_has_no_result() -> None:
    found = node_of("com.microsoft.QLinearAveragePool<kernel_shape=[3,3]>(x, s, z, s, z)", ROWS)
    assert found.status is NodeStatus.DECLINED
