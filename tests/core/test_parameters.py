"""Which stored tensors are parameters, once each; elements are logical, bytes as stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlsys_lint.analysis import analyse
from mlsys_lint.loading import prepare
from mlsys_lint.pipeline import CheckOptions, report
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import ModelInfo
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import check_text

HOST = PluginHost(third_party=False)


def _counts(text: str) -> tuple[int, int]:
    """Elements and bytes."""
    model = check_text(text).model
    return model.parameters, model.parameter_bytes


def _of_model(graph: onnx.GraphProto) -> ModelInfo:
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    analysis = analyse(prepare(proto, Path("built.onnx")), HOST, Bindings())
    return report(analysis, HOST, CheckOptions()).model


def _value(name: str, shape: list[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


# -- where the file keeps them -----------------------------------------------------------------------


def test_initializers() -> None:
    text = """g (float[2,8] x) => (float[2,4] y) <float[8,4] w, float[4] b> { y = Gemm(x, w, b) }"""
    assert _counts(text) == (36, 144)


def test_a_constant_node_is_as_good_as_an_initializer() -> None:
    text = """g (float[2,4] x) => (float[2,4] y) {
        c = Constant<value = float[4] {1, 2, 3, 4}>()
        y = Mul(x, c)
    }"""
    assert _counts(text) == (4, 16)


def test_a_constant_node_with_a_list_of_floats() -> None:
    text = """g (float[2,3] x) => (float[2,3] y) {
        c = Constant<value_floats = [1.0, 2.0, 3.0]>()
        y = Mul(x, c)
    }"""
    assert _counts(text) == (3, 12)


def test_a_filled_constant_is_a_parameter() -> None:
    text = """g (float[2,8] x) => (float[2,4] y) <int64[2] s = {8, 4}> {
        w = ConstantOfShape(s)
        y = MatMul(x, w)
    }"""
    assert _counts(text) == (32, 128)


def test_an_initializer_that_may_be_overridden_is_a_parameter_all_the_same() -> None:
    weights = numpy_helper.from_array(np.ones((8, 4), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [_value("x", [2, 8]), _value("w", [8, 4])],
        [_value("y", [2, 4])],
        [weights],
    )
    model = _of_model(graph)
    assert (model.parameters, model.parameter_bytes) == (32, 128)


def test_a_weight_of_an_outer_scope_that_a_body_reads() -> None:
    text = """g (float[2,8] x) => (float[2,8] y) <int64 n = {3}, bool t = {1}, float[8,8] w> {
        y = Loop (n, t, x) <body = step (int64 i, bool go, float[2,8] h)
            => (bool on, float[2,8] k) { on = Identity(go) k = MatMul(h, w) }>
    }"""
    assert _counts(text) == (64, 256)


def test_both_branches_of_an_if_bring_their_weights() -> None:
    text = """g (bool c, float[2,8] x) => (float[2,8] y) <float[8,8] w, float[8] b> {
        y = If (c) <
            then_branch = left () => (float[2,8] p) { p = MatMul(x, w) },
            else_branch = right () => (float[2,8] q) { q = Add(x, b) }
        >
    }"""
    assert _counts(text) == (72, 288)


def test_a_weight_that_starts_a_loop() -> None:
    text = """g (int64 n) => (float[2,8] y) <bool t = {1}, float[2,8] w> {
        y = Loop (n, t, w) <body = step (int64 i, bool go, float[2,8] h)
            => (bool on, float[2,8] k) { on = Identity(go) k = Relu(h) }>
    }"""
    assert _counts(text) == (16, 64)


# -- once ------------------------------------------------------------------------------------------


def test_a_shared_weight_counts_once() -> None:
    text = """g (float[2,8] x) => (float[2,8] y) <float[8,8] w> {
        t = MatMul(x, w)
        y = MatMul(t, w)
    }"""
    assert _counts(text) == (64, 256)
    first, second = check_text(text).nodes
    assert (first.parameters, second.parameters) == (64, 0)


def test_a_weight_that_is_folded_before_use_counts_once() -> None:
    text = """g (float[2,8] x) => (float[2,4] y) <float[4,8] w> {
        t = Transpose(w)
        y = MatMul(x, t)
    }"""
    assert _counts(text) == (32, 128)


def test_an_unused_initializer_is_no_parameter() -> None:
    assert _counts("g (float[4] x) => (float[4] y) <float[8,8] w> { y = Relu(x) }") == (0, 0)


def test_a_model_without_weights() -> None:
    assert _counts("g (float[4] x) => (float[4] y) { y = Relu(x) }") == (0, 0)


def test_parameters_by_node_add_up() -> None:
    text = """g (float[2,8] x) => (float[2,4] y) <float[8,8] w, float[8] b, float[8,4] v> {
        s = MatMul(x, w)
        t = Add(s, b)
        y = MatMul(t, v)
    }"""
    found = check_text(text)
    assert [one.parameters for one in found.nodes] == [64, 8, 32]
    assert found.model.parameters == 104
    assert found.model.parameter_dtypes == {"float": 104}


# -- what is none ----------------------------------------------------------------------------------


def test_scalars_are_none_and_single_elements_are() -> None:
    assert _counts("g (float[4] x) => (float[4] y) <float s = {2}> { y = Mul(x, s) }") == (0, 0)
    assert _counts("g (float[4] x) => (float[4] y) <float[1] s = {2}> { y = Mul(x, s) }") == (1, 4)


@pytest.mark.parametrize(
    "text",
    [
        "g (float[2,8] x) => (float[4,4] y) <int64[2] s = {4, 4}> { y = Reshape(x, s) }",
        "g (float[2,8] x) => (float[1,2,8] y) <int64[1] a = {0}> { y = Unsqueeze(x, a) }",
        "g (float[1,8] x) => (float[2,8] y) <int64[2] s = {2, 8}> { y = Expand(x, s) }",
        "g (float[2,8] x) => (float[4,8] y) <int64[2] r = {2, 1}> { y = Tile(x, r) }",
        "g (float[2,8] x) => (float[2] y) <int64[1] a = {1}> { y = ReduceSum<keepdims = 0>(x, a) }",
        "g (float[2,8] x) => (float[2,10] y) <int64[4] p = {0, 1, 0, 1}> { y = Pad(x, p) }",
        """g (float[2,8] x) => (float[2,4] y) <int64[1] b = {0}, int64[1] e = {4}, int64[1] a = {1}> {
            y = Slice(x, b, e, a)
        }""",
        "g (float[9,8] x) => (float[2,8] y) <int64[2] i = {3, 5}> { y = Gather(x, i) }",
        """g (float[1,1,2,2] x) => (float[1,1,4,4] y) <float[4] s = {1, 1, 2, 2}> {
            y = Resize(x, , s)
        }""",
        "g (float[2,8] x) => (float[2,3] y, int64[2,3] i) <int64[1] k = {3}> { y, i = TopK(x, k) }",
        "g (float[2,8] x) => (float[2,3] y, float[2,5] z) <int64[2] s = {3,5}> { y, z = Split<axis=1>(x, s) }",
        "g (float[2,8] x) => (float[2] y) <int64[2,2] i = {0,1,1,7}> { y = GatherND(x, i) }",
        "g (float[2,8] x) => (float[2,1] y) <int64[2,1] i = {0,7}> { y = GatherElements<axis=1>(x, i) }",
        "g (float[2,8] x, float[1,8] u) => (float[2,8] y) <int64[1,1] i = {1}> { y = ScatterND(x, i, u) }",
        "g (float[2,8] x) => (float[2,3] y) <bool[8] c = {1,0,1,0,1,0,0,0}> { y = Compress<axis=1>(x, c) }",
        "g (float[4,3] x) => (float[4,3] y) <int64[3] n = {1,2,4}> { y = ReverseSequence(x, n) }",
        "g (float[2,8] x) => (float[2,8] y) <int64[1] a = {1}> { y = CumSum(x, a) }",
        "g (float[2,8,2] x) => (float[2,8,2] y) <int64[1] a = {1}> { y = DFT(x, , a) }",
        "g (float[2,2,3] t) => (float[2,4,5,2] y) <int64[4] s = {2,3,4,5}> { y = AffineGrid(t, s) }",
        "g (float[1,5,5] x) => (float[1,1,5,5] y) <int64[2] i = {5,5}, int64[2] b = {1,5}> { y = Col2Im(x, i, b) }",
        "g (float[2,8] x) => (float[1,9] y) <int64[2] s = {1,9}> { y = CenterCropPad(x, s) }",
        "g (float[1,1,4,4] x, float[2,4] r) => (float[2,1,1,1] y) <int64[2] b = {0,0}> { y = RoiAlign(x, r, b) }",
    ],
)
def test_shapes_axes_and_indices_are_none(text: str) -> None:
    assert _counts(text) == (0, 0)


def test_addends_of_shape_arithmetic_are_none() -> None:
    text = """g (float[2,8] x) => (float[1,16] y) <int64[2] one = {1, 0}, int64[2] m = {1, 2}> {
        s = Shape(x)
        t = Mul(s, m)
        u = Sub(t, one)
        y = Reshape(x, u)
    }"""
    assert _counts(text) == (0, 0)


def test_a_table_is_a_parameter_where_the_indices_are_not() -> None:
    text = "g (int64[2] i) => (float[2,8] y) <float[100,8] w> { y = Gather(w, i) }"
    assert _counts(text) == (800, 3200)


# -- packed and sparse -----------------------------------------------------------------------------


def test_int4_weights_take_half_a_byte() -> None:
    text = """g (float[2,8] x) => (float[2,5] y) <int4[8,5] w, float[5] s> {
        d = DequantizeLinear<axis: int = 1>(w, s)
        y = MatMul(x, d)
    }"""
    assert _counts(text) == (40 + 5, 20 + 20)


def test_an_odd_number_of_int4_weights_rounds_up() -> None:
    text = """g (float[2,3] x) => (float[2,5] y) <int4[3,5] w, float[5] s> {
        d = DequantizeLinear<axis: int = 1>(w, s)
        y = MatMul(x, d)
    }"""
    assert _counts(text) == (15 + 5, 8 + 20)


def test_a_block_format_counts_logical_weights_and_stored_bytes() -> None:
    # K = 40 in blocks of 32: 2 blocks a row, 16 bytes each; 3 x 40 weights in 3 x 2 x 16 bytes.
    text = """g (float[2,40] x) => (float[2,3] y) <uint8[3,2,16] w, float[6] s> {
        y = com.microsoft.MatMulNBits<K = 40, N = 3, bits = 4, block_size = 32>(x, w, s)
    }"""
    assert _counts(text) == (120 + 6, 96 + 24)
    assert check_text(text).model.parameter_dtypes == {"uint8": 120, "float": 6}


@pytest.mark.parametrize(
    "projection",
    ["", "z = com.microsoft.MatMulNBits<K = 64, N = 50, bits = 4, block_size = 32>(y, w, s)"],
)
def test_a_packed_table_that_is_reshaped_first(projection: str) -> None:
    # An embedding of 50 x 64 weights in 4 bits, which shares its bytes with a projection, or does not:
    # 50 x 2 x 16 bytes hold 3200 weights, whoever reads them first. 100 scales.
    text = f"""g (int64[2,4] i) => (float[?,?,?] y)
        <uint8[50,2,16] w, float[50,2] s, int64[2] k = {{50, 32}}> {{
        f = Reshape(w, k)
        y = com.microsoft.GatherBlockQuantized<bits = 4, block_size = 32, quantize_axis = 1>(f, i, s)
        {projection}
    }}"""
    assert _counts(text) == (3200 + 100, 1600 + 400)
    assert check_text(text).nodes[0].parameters == 3200


def test_a_projection_that_is_left_out_has_no_weights() -> None:
    text = """g (float[3,64] a) => (float[?,?] y) <uint8[5,0,16] w, float[0] s, uint8[5,0] z, float[5] b> {
        y = com.microsoft.MatMulNBits<K = 64, N = 5, block_size = 32>(a, w, s, z, , b)
    }"""
    assert _counts(text) == (5, 20)


def test_a_sparse_initializer_counts_what_it_stores() -> None:
    values = helper.make_tensor("w", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    indices = helper.make_tensor("w_at", TensorProto.INT64, [3], [0, 9, 31])
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [_value("x", [2, 8])],
        [_value("y", [2, 4])],
    )
    graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [8, 4]))
    model = _of_model(graph)
    assert (model.parameters, model.parameter_bytes) == (3, 12)


@pytest.mark.parametrize(
    ("dtype", "size"),
    [("float", 4), ("double", 8), ("float16", 2), ("bfloat16", 2)],
)
def test_bytes_follow_the_type(dtype: str, size: int) -> None:
    text = f"g ({dtype}[2,8] x) => ({dtype}[2,4] y) <{dtype}[8,4] w> {{ y = MatMul(x, w) }}"
    assert _counts(text) == (32, 32 * size)
