"""Shapes and types of state-space, expert, gating and mathematical operators, as ONNX Runtime produces them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import pytest

from mlsys_lint.testing import estimate_text, model_from_text

QKV: Final = "float[2,5,4] q, float[2,5,4] k, float[2,5,16] v"
DELTA: Final = "float[6,2,3] q, float[6,2,3] k, float[6,4,5] v, float[6,4] d, float[6,4] b"
PADDED: Final = (
    "float[2,3,2,3] q, float[2,3,2,3] k, float[2,3,4,5] v, float[2,3,4,3] d, float[2,3,4] b"
)
EXPERTS: Final = "float[2,3,8] x, float[6,4] r, float[4,10,8] a, float[4,10] b, float[4,8,5] c"
PACKED: Final = "float[2,3,32] x, float[6,4] r, uint8[4,64,16] a, float[4,64] s, uint8[4,32,16] c, float[4,32] t"
KEYS: Final = "float[2,5,2,4] k, float[2,5,2,4] q, float[2,5,4] v, float[2,4] s"
NGRAMS: Final = "max_ngram_size=3, n_head_per_ngram=2, pad_id=0"
IDS: Final = "int64[3] m, int64[4] v, int64[2,2] p"
OBSERVED: Final = [
    # linear attention: more queries than states, and fewer
    '(float[2,5,8] q, float[2,5,4] k, float[2,5,16] v, float[2,2,2,8] p) => (float y, float s) { y, s = .LinearAttention<q_num_heads=4, kv_num_heads=2, update_rule="linear">(q, k, v, p) }',
    f"({QKV}, float[2,5,4] d, float[2,5,1] b) => (float y, float s) {{ y, s = .LinearAttention<q_num_heads=2, kv_num_heads=4>(q, k, v, , d, b) }}",
    "(float[2,5,4] a, float[4] d, float[2,5,4] b) => (float y, float z) { y, z = .LinearAttentionGate(a, d, d, b) }",
    # delta network: packed sequences, padded ones with captured transitions, packed q, k and v
    f"({DELTA}, int32[3] lengths) => (float y, float s) {{ y, s = .GatedDeltaNet(q, k, v, lengths, d, b) }}",
    f"({PADDED}, float[2,4,5,3] i, int32[2] n) => (float y, float s, float u) {{ y, s, u = .GatedDeltaNet<state_update_capacity=2>(q, k, v, , d, b, i, , , n) }}",
    "(float[6,32] q, float[6,4] d, float[6,4] b, float[2,4,5,3] i) => (float y, float s) { y, s = .GatedDeltaNet(q, , , , d, b, i) }",
    "(float[2,3,32] q, float[2,3,4] d, float[2,3,4] b, float[2,4,5,3] i) => (float y, float s) { y, s = .GatedDeltaNet(q, , , , d, b, i) }",
    # convolutions with a state
    "(float[2,6,7] x, float[6,1,4] w, float[6] b, float[2,6,6] p) => (float y, float s) { y, s = .CausalConvWithState<dilation=2>(x, w, b, p) }",
    "(float[2,7,2,3] x, float[6,1,4] w) => (float y, float s) { y, s = .CausalConvWithState<channels_last=1>(x, w) }",
    "(float[6,3] x, float[3,1,4] w, int32[3] lengths, float[2,3,3] p, int32[2] n) => (float y, float s, float u) { y, s, u = .VarlenCausalConvWithState<state_update_capacity=2>(x, w, lengths, , p, n) }",
    # gates and streams
    f"({KEYS}) => (float y, float z) {{ y, z = .EngramGate(k, q, v, s, s, s) }}",
    "(float[2,3,4,5] x, float[2,3,4] p) => (float y) { y = .HyperConnectionPreMix(x, p) }",
    "(float[2,3,20] x, float[2,3,20] p) => (float y) { y = .HyperConnectionPreMix<num_branches=4>(x, p) }",
    "(float[2,3,20] x, float[2,3,5] o, float[2,3,4] p, float[2,3,4,4] m) => (float y) { y = .HyperConnectionPostMix<num_branches=4>(x, o, p, m) }",
    "(float[2,3,20] x) => (float y) { y = .BranchwiseRMSNorm<num_branches=4>(x) }",
    "(float[2,3,5] x, float[2,3,1] g) => (float y) { y = .GatedAdd(x, x, g) }",
    "(float[2,3,8] x, float[4] s) => (float y) { y = .GatedRMSNorm(x, s, x) }",
    "(float[2,3,8] x) => (float y) { y = .ScaledSiLU(x) }",
    # experts
    f'({EXPERTS}) => (float y) {{ y = .MoE<k=2, activation_type="swiglu", swiglu_fusion=1>(x, r, a, b, c) }}',
    f'({PACKED}) => (float y) {{ y = .QMoE<k=2, activation_type="swiglu", swiglu_fusion=1>(x, r, a, s, , c, t) }}',
    "(float[2,3,8] x, float[8] b) => (float y) { y = .MoEGroupRouter<top_k=2, n_group=4, topk_group=2>(x, b) }",
    "(float[6,8] x, float[8] b) => (float y, float z) { , y, z = .MoEGroupRouter<top_k=2>(x, b) }",
    # hashes
    f"(int64[2,5] x, {IDS}) => (int64 y, int64 z) {{ y, z = .NGramHashMapping<{NGRAMS}>(x, m, v, p) }}",
    f"(int64[6] x, {IDS}, int32[3] lengths, int32[6] e, int32[2,2] q, int32[2] n) => (int64 y, int64 z, int32 f, int64 u) {{ y, z, f, u = .VarlenNGramHashMapping<{NGRAMS}, state_update_capacity=2>(x, m, v, lengths, p, , , e, q, n) }}",
    # mathematics
    "(float[2,3,3] x) => (float y) { y = .Inverse(x) }",
    "(double[2,3] x, double[5,3] z) => (double y) { y = .CDist(x, z) }",
    "(int32[3,6] s, float[7,1,2,4] w, float[7] b, float[9,4] c) => (float y) { y = .WordConvEmbedding(s, w, b, c) }",
    "(float[3,8,4] x) => (float y) { y = .UnfoldTensor<dim=1, size=3, step=2>(x) }",
]
NUMPY: Final = {1: np.float32, 2: np.uint8, 6: np.int32, 7: np.int64, 11: np.float64}
NAMES: Final = {"float": "float32", "double": "float64"}


def feed(name: str, shape: list[int], kind: int) -> np.typing.NDArray[np.generic]:
    """Zeros for token ids and counts, ones for the rest (the size of a vocabulary is none of 0)."""
    if name == "lengths":
        return np.array([0, 2, 6], NUMPY[kind])
    ones = kind not in (6, 7) or name == "v"
    return np.full(shape, 1 if ones else 0, NUMPY[kind])


def inputs_of(text: str) -> dict[str, np.typing.NDArray[np.generic]]:
    feeds = {}
    for value in model_from_text(text, opset=17).graph.input:
        kind = value.type.tensor_type
        shape = [dim.dim_value for dim in kind.shape.dim]
        feeds[value.name] = feed(value.name, shape, kind.elem_type)
    return feeds


def observed(
    text: str, feeds: Mapping[str, np.typing.NDArray[np.generic]]
) -> list[tuple[object, str]]:
    """(shape, type) of every output, by ONNX Runtime."""
    onnxruntime = pytest.importorskip("onnxruntime")
    model = model_from_text(text, opset=17).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return [(array.shape, str(array.dtype)) for array in session.run(None, dict(feeds))]


def inferred(text: str) -> list[tuple[object, str]]:
    (found,) = estimate_text(text, opset=17)
    tensors = [tensor for tensor in found.node.outputs if tensor is not None]
    return [(one.dims, NAMES.get(one.type_name, one.type_name)) for one in tensors]


@pytest.mark.ort
@pytest.mark.parametrize("text", OBSERVED)
def test_shapes_are_those_that_onnx_runtime_produces(text: str) -> None:
    text = "g " + text.replace(" .", " com.microsoft.")
    feeds = inputs_of(text)
    if ".Inverse" in text:
        feeds["x"] = np.stack([np.eye(3, dtype=np.float32)] * 2)
    assert inferred(text) == observed(text, feeds)


@pytest.mark.ort
@pytest.mark.parametrize("shape", ["4,6", "1,4,6"])
def test_the_path_of_time_warping_is_at_most_as_long_as_said(shape: str) -> None:
    text = f"g (float[{shape}] x) => (int32 y) {{ y = com.microsoft.DynamicTimeWarping(x) }}"
    (found,) = estimate_text(text, opset=17)
    assert found.node.output().dims == (2, 9)
    assert found.node.output().bounded == {1}
    # The longest path goes along two edges: other cells are dear, the corner between them pays.
    costs = np.full((4, 6), 100.0, np.float32)
    costs[0, :] = costs[:, -1] = 1.0
    costs[0, -1] = -10.0
    feeds = {"x": costs.reshape([int(one) for one in shape.split(",")])}
    ((length, kind),) = observed(text, feeds)
    assert (length, kind) == ((2, 9), "int32")


WITHOUT_KERNEL: Final = [
    # an operator that has no kernel on a CPU (or not in this form), and what its schema says
    (
        '(float[2,5,8] q, float[2,5,4] k, float[2,5,16] v, float16[3,2,2,2,8] p) => (float y, float16 s) { y, s = .LinearAttention<q_num_heads=4, kv_num_heads=2, update_rule="linear", state_window=3>(q, k, v, p) }',
        [(2, 5, 32), (3, 2, 2, 2, 8)],
    ),
    (
        "(float[2,6,7] x, float[6,1,4] w) => (float y, float s) { y, s = .CausalConvWithState<dilation=2, state_window=3>(x, w) }",
        [(2, 6, 7), (3, 2, 6, 6)],
    ),
    (
        "(float[2,7,9] x, float[6,1,4] w) => (float y, float s, float u) { y, s, u = .CausalConvWithState<channels_last=1, input_channels=6, state_length=8, state_channels_last=0, state_update_capacity=3>(x, w) }",
        [(2, 7, 6), (2, 6, 8), (2, 3, 6)],
    ),
    (
        "(float[99] a, float[50] b, float[99] c, int64[11] m) => (float y) { y = .GatedDeltaNetStateReplay(a, b, c, m) }",
        [(99,)],
    ),
    (
        "(float16[99] a, float16[50] b, float16[99] c, int64[8] m) => (float16 y) { y = .ConvStateReplay(a, b, c, m) }",
        [(99,)],
    ),
    (
        # 3 heads of 64, 1 group of 128: 3 * 64 + 2 * 128 channels
        "(bfloat16[5,643] x, bfloat16[2,448,3] c, float[2,3,128,64] s, bfloat16[448,4] w, bfloat16[448] b, float[3] h, float[192] n, int32[1] i) => (bfloat16 y, bfloat16 d, float e, bfloat16 f, float o) { y, d, e, f, o = .Mamba2Verify<n_groups=1, heads=3>(x, c, s, w, b, h, h, h, n, i) }",
        [(5, 192), (2, 448, 3), (2, 3, 128, 64), (5, 448), (5, 192)],
    ),
    (
        "(float[2,3,20] x, float[20] s, float[20,6] d, float[6,20] u, float[20,4] i) => (float y, float g, float z) { y, g, z = .HyperConnectionLowRankMix<num_branches=4>(x, s, d, u, i) }",
        [(2, 3, 5), (2, 3, 4), (2, 3, 20)],
    ),
    ("(float[2,3,8] x) => (float y) { y = .SwiGLU(x) }", [(2, 3, 4)]),
    ("(float[2,3,8] x) => (float y) { y = .SwiGLU(x, x) }", [(2, 3, 8)]),
    (
        "(float16[2,3,8] x, float[6,4] r, uint8[4,5,9] g, uint8[4,8,7] d) => (float16 y) { y = .MoEPacked<gate_type=16, up_type=16, down_type=16>(x, r, g, g, d) }",
        [(2, 3, 8)],
    ),
    (
        "(float16[2,3,8] x, float16[8,14] w) => (float16 y, float16 z) { y, z = .RouterGateUpProj<router_size=4>(x, w) }",
        [(2, 3, 4), (2, 3, 5)],
    ),
    (
        "(float[2,4,4,6] x, float[6] g) => (float y) { y = .GroupNorm<groups=2, activation=1>(x, g, g) }",
        [(2, 4, 4, 6)],
    ),
    (
        "(float[2,4,4,6] x, float[6] g, float[2,6] s) => (float y, float z) { y, z = .SkipGroupNorm<groups=2, activation=1>(x, g, g, s) }",
        [(2, 4, 4, 6), (2, 4, 4, 6)],
    ),
    ("(float[3,5,2] a, float[5,2] b) => (float y) { y = .ComplexMul(a, b) }", [(3, 5, 2)]),
    ("(float[3,5,2] a, float[5,2] b) => (float y) { y = .ComplexMulConj(a, b) }", [(3, 5, 2)]),
    ("(float[3,4,8] x) => (float y) { y = .Rfft<signal_ndim=2>(x) }", [(3, 4, 5, 2)]),
    ("(float[3,4,5,2] x) => (float y) { y = .Irfft<signal_ndim=2>(x) }", [(3, 4, 8)]),
    ("(float[3,4] x, float[5] z) => (bool y) { y = .IsAllFinite(x, z) }", [()]),
    (
        "(float[3,4] a, float[5,3] b) => (float y) { y = .SparseToDenseMatMul<transA=1, transB=1>(a, b) }",
        [(4, 5)],
    ),
]


@pytest.mark.parametrize(("text", "shapes"), WITHOUT_KERNEL)
def test_shapes_are_those_that_the_schema_says(text: str, shapes: list[tuple[int, ...]]) -> None:
    text = "g " + text.replace(" .", " com.microsoft.")
    declared = model_from_text(text, opset=17).graph.output
    (found,) = estimate_text(text, opset=17)
    assert [one.dims for one in found.node.outputs if one is not None] == shapes
    kinds = [value.type.tensor_type.elem_type for value in declared]
    names = {1: "float", 9: "bool", 10: "float16", 16: "bfloat16"}
    assert [one.dtype for one in found.node.outputs if one] == [names[kind] for kind in kinds]


@pytest.mark.ort
@pytest.mark.parametrize(
    ("text", "inside"),
    [
        (
            'g (float[2,5,4] x, float[2,5,2] d) => (float y, float s) { y, s = LinearAttention<q_num_heads=2, kv_num_heads=2, update_rule="gated">(x, x, x, , d) }',
            "Scan",
        ),
        (
            "g (float[2,6,7] x, float[6,1,4] w) => (float y, float s) { y, s = CausalConvWithState(x, w) }",
            "Conv",
        ),
    ],
)
def test_onnx_runtime_runs_the_bodies_of_onnx_node_by_node(
    text: str, inside: str, tmp_path: Path
) -> None:
    # Why these operators of ai.onnx have no formula: what is listed as `expanded` is what runs.
    onnxruntime = pytest.importorskip("onnxruntime")
    model = model_from_text(text, 27).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(tmp_path / "optimized.onnx").graph.node
    assert inside in {node.op_type for node in nodes}
    assert not {"LinearAttention", "CausalConvWithState"} & {node.op_type for node in nodes}
