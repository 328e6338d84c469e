"""Shapes and types of com.microsoft's operators, as ONNX Runtime produces them."""

from __future__ import annotations

import numpy as np
import pytest

from mlsys_lint.testing import estimate_text, model_from_text

SCALES = ", ".join(f"float {side}s, uint8 {side}z" for side in "aby")
OBSERVED = [
    "(float[6,2,4] a, float[2,4,5] b) => (float[?,?,?] y) { y = .FusedMatMul<transBatchA=1>(a, b) }",
    "(float[4,2,6] a, float[2,4,5] b) => (float[?,?,?] y) { y = .FusedMatMul<transBatchA=1, transA=1>(a, b) }",
    "(float[4] a, float[2,4,5] b) => (float[?,?] y) { y = .FusedMatMul(a, b) }",
    '(float[4,3] a, float[5,4] b) => (float[?,?] y) { y = .FusedGemm<transA=1, transB=1, activation="Relu">(a, b) }',
    '(float[1,3,9,9] x, float[4,3,3,3] w) => (float[?,?,?,?] y) { y = .FusedConv<strides=[2,2], pads=[1,0,2,1], activation="Relu">(x, w) }',
    '(float[1,3,9,8] x, float[4,3,4,4] w) => (float[?,?,?,?] y) { y = .FusedConv<strides=[2,2], auto_pad="SAME_LOWER", activation="Relu">(x, w) }',
    '(float[1,3,9] x, float[4,3,4] w) => (float[?,?,?] y) { y = .FusedConv<strides=[2], dilations=[2], auto_pad="VALID", activation="Relu">(x, w) }',
    "(uint8[1,9,8,3] a, uint8[4,3,3,3] b, {scales}) => (uint8[?,?,?,?] y) { y = .QLinearConv<channels_last=1, strides=[2,2]>(a, as, az, b, bs, bz, ys, yz) }",
    "(float[2,5,8] x, float[8,28] w, float[28] b) => (float[?,?,?] y) { y = .Attention<num_heads=2, qkv_hidden_sizes=[8,8,12]>(x, w, b) }",
    "(float[2,5,8] x, float[8,24] w, float[24] b, float[2,2,2,7,4] p) => (float[?,?,?] y, float[?,?,?,?,?] o) { y, o = .Attention<num_heads=2>(x, w, b, , p) }",
    "(float[2,5,8] q, float[2,2,6,4] k, float[2,2,6,4] v) => (float[?,?,?] y) { y = .MultiHeadAttention<num_heads=2>(q, k, v) }",
    "(float[2,1,8] q, float[2,1,8] k, float[2,1,8] v, float[2,2,6,4] pk, float[2,2,6,4] pv) => (float[?,?,?] y, float[?,?,?,?] c, float[?,?,?,?] d) { y, c, d = .MultiHeadAttention<num_heads=2>(q, k, v, , , , pk, pv) }",
    "(float[2,5,64] q, int32[2] n) => (float[?,?,?] y, float[?,?,?,?] c, float[?,?,?,?] d) <int32 t = {5}> { y, c, d = .GroupQueryAttention<num_heads=4, kv_num_heads=2>(q, , , , , n, t) }",
    "(float[2,1,8] q, float[2,1,8] k, float[2,1,8] v) => (float[?,?,?] y) { y = .DecoderMaskedMultiHeadAttention<num_heads=2>(q, k, v) }",
    "(uint8[2,5,8] x, uint8[8,24] w, float[24] b, {scales}) => (float[?,?,?] y) { y = .QAttention<num_heads=2>(x, w, b, as, bs, , az, bz) }",
    "(float[2,5,8] x, float[2,5,8] r, float[8] g) => (float[?,?,?] y, float[?,?,?] s) { y, , , s = .SkipLayerNormalization(x, r, g) }",
    "(float[2,5,8] x, float[8] g) => (float[?,?,?] y, float[?,?,?] s) { y, s = SimplifiedLayerNormalization(x, g) }",
    "(int32[2,5] i, float[9,8] w, float[6,8] p, float[8] g, int32[2,5] m) => (float[?,?,?] y, int32[?] n, float[?,?,?] s) { y, n, s = .EmbedLayerNormalization(i, , w, p, , g, g, m) }",
    "(uint8[2,3] a, uint8[4,3] b, {scales}) => (float[?,?] y) { y = .QGemm<transB=1>(a, as, az, b, bs, bz) }",
    "(uint8[2,3] a, uint8[4,3] b, {scales}) => (uint8[?,?] y) { y = .QGemm<transB=1>(a, as, az, b, bs, bz, , ys, yz) }",
    "(float[2,6,3] a, uint8[3,4] b, {scales}) => (float[?,?,?] y) { y = .DynamicQuantizeMatMul(a, b, bs, bz) }",
    "(float[2,3,8] x, int64[2,3] p, float[9,2] c, float[9,2] s) => (float[?,?,?] y) { y = .RotaryEmbedding<num_heads=2>(x, p, c, s) }",
    "(float[2,3] x, float[3] b) => (float[?,?] y) { y = .BiasGelu(x, b) }",
]
_NUMPY = {1: np.float32, 2: np.uint8, 6: np.int32, 7: np.int64}
_FILL = {"n": 4}  # sequence lengths less one; tokens and positions are 0, everything else 1


@pytest.mark.ort
@pytest.mark.parametrize("text", OBSERVED)
def test_shapes_are_those_that_onnx_runtime_produces(text: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    text = "g " + text.replace("{scales}", SCALES).replace(" .", " com.microsoft.")
    model = model_from_text(text, opset=17)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feeds = {}
    for value in model.graph.input:
        kind = value.type.tensor_type
        fill = _FILL.get(value.name, 0 if kind.elem_type in (6, 7) else 1)
        shape = [dim.dim_value for dim in kind.shape.dim]
        feeds[value.name] = np.full(shape, fill, _NUMPY[kind.elem_type])
    observed = session.run(None, feeds)
    (found,) = estimate_text(text, opset=17)
    inferred = [tensor.dims for tensor in found.node.outputs if tensor is not None]
    assert inferred == [array.shape for array in observed]
    names = [tensor.type_name for tensor in found.node.outputs if tensor is not None]
    assert [name.replace("float", "float32") for name in names] == [
        str(one.dtype) for one in observed
    ]
