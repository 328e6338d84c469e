"""Shapes and types of com.microsoft's attention, decoding and rotary operators, as ONNX Runtime makes them."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from mlsys_lint.testing import estimate_text, model_from_text

QKV: Final = "float[2,5,8] q, float[2,5,8] k, float[2,5,8] v"
STEP: Final = "float[2,1,8] q, float[2,1,8] k, float[2,1,8] v"
PAST: Final = "float[2,2,6,4] pk, float[2,2,6,4] pv"
CACHES: Final = "float[?,?,?,?] c, float[?,?,?,?] d"
MANY: Final = "float[1,5,32] q, float[1,5,16] k, float[1,5,16] v"
ONE: Final = "float[2,1,32] q, float[2,1,16] k, float[2,1,16] v"
GROUPS: Final = "num_heads=4, kv_num_heads=2"
OBSERVED: Final = [
    # Attention: cross widths, each form of mask, a cache of its own size, one that is shared
    "(float[2,5,6] x, float[6,28] w, float[28] b) => (float[?,?,?] y, float[?,?,?,?,?] o) { y, o = .Attention<num_heads=2, qkv_hidden_sizes=[8,8,12]>(x, w, b) }",
    "(float[2,5,6] x, float[6,24] w, float[24] b) => (float[?,?,?] y, float[?,?,?,?,?] o) { y, o = .Attention<num_heads=2>(x, w, b) }",
    "(float[2,5,6] x, float[6,24] w, float[24] b, int32[2] i) => (float[?,?,?] y) { y = .Attention<num_heads=2>(x, w, b, i) }",
    "(float[2,5,6] x, float[6,24] w, float[24] b, int32[2,5,12] i, float[2,2,2,7,4] p) => (float[?,?,?] y, float[?,?,?,?,?] o) { y, o = .Attention<num_heads=2, unidirectional=1>(x, w, b, i, p) }",
    "(uint8[2,5,8] x, uint8[8,24] w, float[24] b, float s, uint8 z, float[2,2,2,7,4] p) => (float[?,?,?] y, float[?,?,?,?,?] o) { y, o = .QAttention<num_heads=2>(x, w, b, s, s, , z, z, p) }",
    # MultiHeadAttention: every layout of Q, K and V
    f"({QKV}) => (float[?,?,?] y, {CACHES}) {{ y, c, d = .MultiHeadAttention<num_heads=2>(q, k, v) }}",
    f"({QKV}) => (float[?,?,?] y, float[?,?,?,?] s) {{ y, , , s = .MultiHeadAttention<num_heads=2>(q, k, v) }}",
    "(float[2,5,8] q, float[2,6,8] k, float[2,6,12] v, float[28] b, int32[2,6] m) => (float[?,?,?] y) { y = .MultiHeadAttention<num_heads=2>(q, k, v, b, m) }",
    "(float[2,5,8] q, float[2,2,6,4] k, float[2,2,6,4] v) => (float[?,?,?] y, float[?,?,?,?] s) { y, , , s = .MultiHeadAttention<num_heads=2>(q, k, v) }",
    f"({QKV}, {PAST}) => (float[?,?,?] y, {CACHES}, float[?,?,?,?] s) {{ y, c, d, s = .MultiHeadAttention<num_heads=2>(q, k, v, , , , pk, pv) }}",
    f"({STEP}, {PAST}) => (float[?,?,?] y, {CACHES}, float[?,?,?,?] s) <int32[1] n = {{3}}> {{ y, c, d, s = .DecoderMaskedMultiHeadAttention<num_heads=2, past_present_share_buffer=1, output_qk=1>(q, k, v, , , pk, pv, n) }}",
    "(float[2,1,8] q, float[2,2,6,4] k, float[2,2,6,4] v) => (float[?,?,?] y, float[?,?,?,?] s) { y, , , s = .DecoderMaskedMultiHeadAttention<num_heads=2, output_qk=1>(q, k, v) }",
    # GroupQueryAttention: separate and packed, caches that grow, have room, or keep a window
    f"({MANY}, int32[1] four) => (float[?,?,?] y, {CACHES}) <int32 t = {{5}}> {{ y, c, d = .GroupQueryAttention<{GROUPS}>(q, k, v, , , four, t) }}",
    f"({MANY}, float[1,2,3,8] pk, float[1,2,3,8] pv, int32[1] seven) => (float[?,?,?] y, {CACHES}) <int32 t = {{8}}> {{ y, c, d = .GroupQueryAttention<{GROUPS}>(q, k, v, pk, pv, seven, t) }}",
    f"({ONE}, float[2,2,9,8] pk, float[2,2,9,8] pv, int32[2] four) => (float[?,?,?] y, {CACHES}, float[?,?,?,?] s) <int32 t = {{5}}> {{ y, c, d, s = .GroupQueryAttention<{GROUPS}, qk_output=1, smooth_softmax=1>(q, k, v, pk, pv, four, t) }}",
    f"({ONE}, float[2,2,4,8] pk, float[2,2,4,8] pv, int32[2] seven) => (float[?,?,?] y, {CACHES}) <int32 t = {{8}}> {{ y, c, d = .GroupQueryAttention<{GROUPS}, local_window_size=4, sliding_window_cache=1>(q, k, v, pk, pv, seven, t) }}",
    f"({MANY}, float[1,2,4,8] pk, float[1,2,4,8] pv, int32[1] seven) => (float[?,?,?] y, {CACHES}) <int32 t = {{8}}> {{ y, c, d = .GroupQueryAttention<{GROUPS}, local_window_size=3, sliding_window_cache=1>(q, k, v, pk, pv, seven, t) }}",
    f'({ONE}, int8[2,2,9,8] pk, int8[2,2,9,8] pv, int32[2] four, float[1] s) => (float[?,?,?] y, int8[?,?,?,?] c, int8[?,?,?,?] d) <int32 t = {{5}}> {{ y, c, d = .GroupQueryAttention<{GROUPS}, k_quant_type="PER_TENSOR", v_quant_type="PER_TENSOR", kv_cache_bit_width=8>(q, k, v, pk, pv, four, t, , , , , , s, s) }}',
    f'({ONE}, uint8[2,2,9,4] pk, uint8[2,2,9,4] pv, int32[2] four, float[1] s) => (float[?,?,?] y, uint8[?,?,?,?] c, uint8[?,?,?,?] d) <int32 t = {{5}}> {{ y, c, d = .GroupQueryAttention<{GROUPS}, k_quant_type="PER_TENSOR", v_quant_type="PER_TENSOR", kv_cache_bit_width=4>(q, k, v, pk, pv, four, t, , , , , , s, s) }}',
    # keys that another layer has appended: none are new
    f"(float[1,5,32] q, float[1,0,16] k, float[1,0,16] v, float[1,2,8,8] pk, float[1,2,8,8] pv, int32[1] seven) => (float[?,?,?] y, {CACHES}) <int32 t = {{8}}> {{ y, c, d = .GroupQueryAttention<{GROUPS}>(q, k, v, pk, pv, seven, t) }}",
    # decoding and recurrent operators
    "(float[6,2,5] x, float[1,12,11] w, float[1,12,3] r, float[1,24] b, float[1,3,4] qw, float[1,7,4] mw, float[1,4] v, float[2,9,7] m, float[1,10,6] aw) => (float[?,?,?,?] y, float[?,?,?] h, float[?,?,?] c) { y, h, c = .AttnLSTM<hidden_size=3>(x, w, r, b, , , , , qw, mw, v, m, , aw) }",
    '(float[6,2,5] x, float[2,12,12] w, float[2,12,3] r, float[2,3,4] qw, float[2,7,4] mw, float[2,4] v, float[2,9,7] m) => (float[?,?,?,?] y, float[?,?,?] h) { y, h = .AttnLSTM<hidden_size=3, direction="bidirectional">(x, w, r, , , , , , qw, mw, v, m) }',
    "(int64[2,5] i, float[2,9] s) => (float[?,?] y) { y = .NGramRepeatBlock<ngram_size=3>(i, s) }",
    "(float[2,3,8] x, int64[3,2,3] p, float[9,2] c, float[9,2] s) => (float[?,?,?] y) { y = .MRotaryEmbedding<mrope_section=[1,1,0], num_heads=2>(x, p, c, s) }",
    "(float[2,2,3,4] x, int64[3,2,3] p, float[9,1] c, float[9,1] s) => (float[?,?,?,?] y) { y = .MRotaryEmbedding<mrope_section=[1,0,0], num_heads=2, rotary_embedding_dim=2>(x, p, c, s) }",
    "(float[2] x) => (float[?] y) { y = .SampleOp(x) }",
    "(int32[2,5] i, float[9,8] w, float[6,8] p, float[8] g, int32[1,5] q) => (float[?,?,?] y, int32[?] n, float[?,?,?] s) { y, n, s = .EmbedLayerNormalization(i, , w, p, , g, g, , q) }",
    "(float[2,3,4] x, float[4] g) => (float[?,?,?] y, float[?,?,?] s) { y, , , s = .SkipSimplifiedLayerNormalization(x, x, g) }",
    "(float[2,3,4] x, float[3,4] g) => (float[?,?,?] y, float[?,?,?] s) { y, s = SimplifiedLayerNormalization<axis=1>(x, g) }",
]
DECLARED: Final = [
    # no kernel for CPU, or one that needs shared buffers: what ONNX Runtime infers
    "(float[1,3,64] q, float[1,1,16,16] kc, float[1,1,16,16] vc, int32[1] three) => (float[?,?,?] y, float[?,?,?,?] c, float[?,?,?,?] d) <int32[1,2] r = {0, 1}, int32[1,1] k = {0}, int32 t = {3}> { y, c, d = .SparseAttention<num_heads=2, kv_num_heads=1, sparse_block_size=16>(q, , , kc, vc, r, k, t, three) }",
    "(float[2,3,8] x, float[8] b, float[2,3,8] s) => (float[?,?,?] y) { y = .BiasAdd(x,b,s) }",
    "(float[2,3,8] x, float[8] b) => (float[?,?,?] y) { y = .BiasSplitGelu(x,b) }",
    "(float[2,3,8] x, float[8] b, float[2,3,8] r) => (float[?,?,?] y, bool[?,?,?] m) { y, m = .BiasDropout(x,b,r) }",
    "(float[2,3,8] x, float[8] b, float[2,3,8] r) => (float[?,?,?] y, uint32[?] m) { y, m = .BitmaskBiasDropout(x,b,r) }",
    "(float[2,3,8] x) => (float[?,?,?] y, uint32[?] m) { y, m = .BitmaskDropout(x) }",
    "(float[9,8] w, int64[2,3] i) => (float[?,?,?] y) { y = .TorchEmbedding(w,i) }",
    "(float[32,4] t) => (float[?,?,?,?] y) <int64[1] q = {5}, int64[1] k = {5}> { y = .RelativePositionBias<max_distance=128>(t,q,k) }",
    "(float[2,5,8] q, float[8] b, float[1,2,5,5] r, float[4,6] w, float[6] g, float[1,2,1,1] e) => (float[?,?,?,?] y) { y = .GatedRelativePositionBias<num_heads=2>(q,b,r,w,g,e) }",
    "(float[7,8] q, float[8] b, float[1,2,5,5] r, float[4,6] w, float[6] g, float[1,2,1,1] e, int32[2,5] o) => (float[?,?,?,?] y) { y = .GatedRelativePositionBias<num_heads=2>(q,b,r,w,g,e,o) }",
    "(float[2,5,4] e, float16[2,3,5,4] q, float16[2,3,5,4] k) => (float16[?,?,?,?] y, float16[?,?,?,?] z) { y,z = .GemmaRotaryEmbedding(e,q,q,k,k) }",
    "(float16[2,5,3,8] x, float[6] s, int64[1] p, float[9,2] c) => (bfloat16[?,?,?] y, float[?,?,?,?] n) { y,n = .RMSNormRotary<rotary_embedding_dim=4, input_width=6, input_start=2>(x,s,p,c,c) }",
    "(float16[2,5,3,8] x, float[6] s, int64[1] p, float[9,2] c) => (float16[?,?,?] y, float[?,?,?,?] n) { y,n = .RMSNormRotary<rotary_embedding_dim=4, input_width=6, flatten_batch=1, output_fp16=1>(x,s,p,c,c) }",
    "(int64[2,4] n, int64[2,4] i, int32[3] s, int64[2,16] c, int64[2,2] x, int64[2,16] p, int64[2] q) => (int32[?] h, int64[?,?] u, int64[?,?] v) { h,u,v = .SpeculativePrefixCommit<head_rows=4>(n,i,s,c,x,p,q) }",
    "(float[2,5,8] x, int32[2] n) => (float[?,?] y, int32[?,?] o, int32[?] c, int32[?] m) { y,o,c,m = .RemovePadding(x,n) }",
    "(float[7,8] x, int32[2,5] o) => (float[?,?,?] y) { y = .RestorePadding(x,o) }",
    "(float[5,2,8] q, float[6,2,8] k, float[8,8] w, float[8,16] v, float[24] b) => (float[?,?,?] y, float[?,?,?,?] c, float[?,?,?,?] d) <bool[1] t={1}, bool[1] f={0}> { y,c,d = .DecoderAttention<num_heads=2>(q,k,w,v,b,,,,t,f,f,f) }",
    "(float[2,8,8] x, float[8,24] w, float[24] b, float[2,8] m, int32[2,8] g) => (float[?,?,?] y) { y = .LongformerAttention<num_heads=2, window=2>(x,w,b,m,w,b,g) }",
    "(float16[7,32] q, float16[7,16] k, float16[7,16] v, float16[6,4,2,8] kc, float16[6,4,2,8] vc, int32[3] c, int32[2] p, int32[2,3] t) => (float16[?,?] y, float16[?,?,?,?] ko, float16[?,?,?,?] vo) { y,ko,vo = .PagedAttention<num_heads=4, kv_num_heads=2>(q,k,v,kc,vc,c,p,t) }",
    '(float16[7,32] q, float16[7,8] k, float16[6,4,1,8] kc, int32[3] c, int32[2] p, int32[2,3] t) => (float16[?,?] y, float16[?,?,?,?] ko) { y,ko = .PagedAttention<num_heads=4, kv_num_heads=1, kv_cache_layout="LATENT", v_head_size=6, scale=0.5>(q,k,,kc,,c,p,t) }',
    "(float16[7,64] q, float16[6,4,2,8] kc, float16[6,4,2,8] vc, int32[3] c, int32[2] p, int32[2,3] t, int32[7,5] s, int32[7] n) => (float16[?,?] y, float16[?,?,?,?] ko, float16[?,?,?,?] vo) { y,ko,vo = .SparsePagedAttention<num_heads=4, kv_num_heads=2>(q,,,kc,vc,c,p,t,,s,n) }",
    "(float16[2,3,64] q, float16[2,2,12,8] kc, float16[2,2,12,8] vc, int32[6,5] s, int32[6] n, int32[2] l) => (float16[?,?,?] y, float16[?,?,?,?] ko, float16[?,?,?,?] vo, int32[?] st) <int32 t={9}> { y,ko,vo,st = .DynamicSparseAttention<num_heads=4, kv_num_heads=2>(q,,,kc,vc,,,s,n,l,t) }",
    "(float16[2,3,64] q, float16[2,2,16,8] kc, float16[2,2,16,8] vc, int32[6,5] s, int32[6] n, int32[2] l) => (float16[?,?,?] y, float16[?,?,?,?] ko, float16[?,?,?,?] vo, int32[?] st) <int32 t={9}> { y,ko,vo,st = .DynamicSparseAttention<num_heads=4, kv_num_heads=2>(q,,,kc,vc,,,s,n,l,t) }",
    "(float16[2,3,64] q, int32[6,5] s, int32[6] n, int32[2] l) => (float16[?,?,?] y, float16[?,?,?,?] ko, float16[?,?,?,?] vo, int32[?] st) <int32 t={3}> { y,ko,vo,st = .DynamicSparseAttention<num_heads=4, kv_num_heads=2>(q,,,,,,,s,n,l,t) }",
    '(float[2,6,24] q, float[2,6,8] k, float[8] a, float[40,4] c, float[2,5,8] p) => (int32[?,?,?] i, float[?,?,?] o) { i,o = .SparseAttentionIndexer<policy_mode="qsa", compress_ratio=4, token_budget=8>(q,k,a,a,c,c,,p) }',
    '(float[2,6,24] q, float[2,6,16] k, float[8] a, float[40,2] c, float[2,5,8] p, float[2,6,16] g, float[4,16] b, float[2,6,3] h, int64[2,6] pos, float[2,2,5,16] buf) => (int32[?,?,?] i, float[?,?,?] o, float[?,?,?,?] z) { i,o,z = .SparseAttentionIndexer<policy_mode="csa", compress_ratio=4, index_topk=3>(q,k,a,a,c,c,,p,g,b,h,pos,,buf) }',
    '(float[7,24] q, float[7,8] k, float[8] a, float[40,4] c, int32[3] cu, int32[2] pl, float[2,16,8] st, float[2,7,8] kv, int32[2,2] sl) => (int32[?,?] i, int32[?] n, float[?,?,?] o, float[?,?,?] kvo, int32[?,?] slo, int32[?] sta) { i,n,o,kvo,,slo,,,sta = .PackedSparseAttentionIndexer<policy_mode="qsa", compress_ratio=4, token_budget=8, state_capacity=16>(q,k,a,a,c,c,cu,pl,,,,,st,kv,,sl) }',
    '(int32[3,5] b, int32[3] n, int32[7] r, int32[7] s, int32[7] e) => (int32[?,?] i, int32[?] c, int32[?] st) { i,c,st = .PackedSparseAttentionIndexerMerge<max_output_entries=9, policy_mode="append_range">(b,n,r,s,e) }',
]
_NUMPY: Final = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64}
_FILL: Final = {
    "three": 3,
    "four": 4,
    "seven": 7,
}  # the rest: 0 where it is int32 or int64, 1 elsewhere


@pytest.mark.ort
@pytest.mark.parametrize("text", OBSERVED)
def test_shapes_are_those_that_onnx_runtime_produces(text: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    text = "g " + text.replace(" .", " com.microsoft.")
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
    inferred = [(one.dims, one.type_name) for one in found.node.outputs if one is not None]
    names = [str(array.dtype).replace("float32", "float") for array in observed]
    assert inferred == [(array.shape, name) for array, name in zip(observed, names, strict=True)]


# Axes that ONNX Runtime leaves open, by operator.
_OPEN: Final = {
    "RelativePositionBias": {(0, 2), (0, 3)},
    "BitmaskDropout": {(1, 0)},
    "BitmaskBiasDropout": {(1, 0)},
    "DecoderAttention": {(output, axis) for output in (1, 2) for axis in range(4)},
}


@pytest.mark.ort
@pytest.mark.parametrize("text", DECLARED)
def test_shapes_are_those_that_onnx_runtime_infers(text: str) -> None:
    text = "g " + text.replace(" .", " com.microsoft.")
    (found,) = estimate_text(text, opset=17)
    model = model_from_text(text, opset=17)
    axes = []
    for at, (declared, ours) in enumerate(
        zip(model.graph.output, filter(None, found.node.outputs), strict=True)
    ):
        shape = [
            None if axis in ours.bounded else size for axis, size in enumerate(ours.shape or ())
        ]
        number = TensorProto.DataType.Value(ours.type_name.upper())
        declared.type.CopyFrom(helper.make_tensor_type_proto(number, shape))
        axes += [(at, axis) for axis, size in enumerate(shape) if size is not None]
    assert not disputed(model)
    for output, axis in set(axes) - _OPEN.get(found.node.op_type, set()):
        dim = model.graph.output[output].type.tensor_type.shape.dim[axis]
        dim.dim_value += 1
        assert disputed(model), (output, axis)
        dim.dim_value -= 1


def disputed(model: ModelProto) -> bool:
    """True when ONNX Runtime infers another type or shape than the model declares."""
    onnxruntime = pytest.importorskip("onnxruntime")
    errors = onnxruntime.capi.onnxruntime_pybind11_state
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.strict_shape_type_inference", "1")
    try:
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except errors.NotImplemented:
        return False  # no kernel: the types were agreed upon before
    except errors.Fail as error:
        return "Inference" in str(error)
    return False
