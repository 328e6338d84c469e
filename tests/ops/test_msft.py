"""com.microsoft's operators: counts derived by hand."""

from __future__ import annotations

import pytest

from mlsys_lint import Contraction, NodeCost, NodeStatus, OpCost
from mlsys_lint.testing import check_text, estimate_text


def node_of(text: str) -> NodeCost:
    """The only node, its com.microsoft calls written with a leading dot."""
    (found,) = estimate_text(microsoft(text))
    assert found.status is NodeStatus.EXACT, found.reason
    return found


def microsoft(text: str) -> str:
    return f"g {text}".replace(" .", " com.microsoft.")


def cost_of(text: str) -> OpCost:
    cost = node_of(text).cost
    assert cost is not None
    return cost


# -- products --------------------------------------------------------------------------------------


def test_fused_matmul_turns_its_operands() -> None:
    # [2,4,3] x [2,5,4] turned: 2 * (3 x 4)(4 x 5), alpha once per result.
    text = "(float[2,4,3] a, float[2,5,4] b) => (float[?,?,?] y) { y = .FusedMatMul<transA=1, transB=1, alpha=0.5>(a, b) }"
    cost = cost_of(text)
    assert cost.contractions == (Contraction(batch=2, m=3, n=5, k=4, dtype="float"),)
    assert cost.vector_ops == 30
    # Rows that are stored as columns cannot join the rows of other products.
    text = "(float[2,4,3] a, float[4,5] b) => (float[?,?,?] y) { y = .FusedMatMul<transA=1>(a, b) }"
    assert cost_of(text).contractions == (Contraction(batch=2, m=3, n=5, k=4, dtype="float"),)


def test_fused_gemm_and_conv_apply_their_activation() -> None:
    # 15 results: C 1, LeakyRelu 3; Tanh a transcendental each.
    head = "(float[3,4] a, float[4,5] b, float[5] c) => (float[?,?] y)"
    leaky = cost_of(f'{head} {{ y = .FusedGemm<activation="LeakyRelu">(a, b, c) }}')
    tanh = cost_of(f'{head} {{ y = .FusedGemm<activation="Tanh">(a, b, c) }}')
    assert (leaky.vector_ops, leaky.transcendentals) == (60, 0)
    assert (tanh.vector_ops, tanh.transcendentals) == (15, 15)
    # 4 * 16 results: bias, residual, Relu.
    text = '(float[1,3,6,6] x, float[4,3,3,3] w, float[4] b, float[1,4,4,4] z) => (float[?,?,?,?] y) { y = .FusedConv<activation="Relu">(x, w, b, z) }'
    conv = cost_of(text)
    assert (conv.macs, conv.vector_ops) == (64 * 27, 64 * 3)


def test_an_unknown_activation_is_declined() -> None:
    text = (
        '(float[3,4] a, float[4,5] b) => (float[?,?] y) { y = .FusedGemm<activation="Sine">(a, b) }'
    )
    (found,) = estimate_text(microsoft(text))
    assert found.status is NodeStatus.DECLINED


def test_low_bit_weights_count_logically_and_move_packed() -> None:
    # K = 40 in blocks of 32: 5 * 40 weights in 5 * 2 * 16 bytes, 10 scales, 10 zero points in 5 bytes.
    text = "(float[2,3,40] x) => (float[?,?,?] y) <uint8[5,2,16] w, float[10] s, uint8[5] z> { y = .MatMulNBits<K=40, N=5, bits=4, block_size=32>(x, w, s, z) }"
    cost = cost_of(text)
    assert cost.contractions == (Contraction(m=6, n=5, k=40, dtype="float"),)
    assert cost.vector_ops == 2 * 200
    assert cost.weight_bytes == 160 + 40 + 5
    model = check_text(microsoft(text)).model
    assert (model.parameters, model.parameter_bytes) == (200 + 10 + 10, 205)
    assert "4 bits" in cost.assumptions[0]


SCALES = ", ".join(f"float {side}s, uint8 {side}z" for side in "aby")


def test_quantized_products() -> None:
    # 12 and 20 elements are shifted; 15 results: bias 1, requantization 5, or conversion and scale 2.
    head = f"(uint8[3,4] a, uint8[4,5] b, int32[5] c, {SCALES})"
    full = cost_of(f"{head} => (uint8[?,?] y) {{ y = .QGemm(a, as, az, b, bs, bz, c, ys, yz) }}")
    scaled = cost_of(f"{head} => (float[?,?] y) {{ y = .QGemm(a, as, az, b, bs, bz) }}")
    floats = cost_of(f"{head} => (float[?,?] y) {{ y = .MatMulIntegerToFloat(a, b, as, bs) }}")
    assert full.macs == scaled.macs == floats.macs == 60
    assert full.vector_ops == 32 + 15 * 6
    assert scaled.vector_ops == 32 + 15 * 2
    assert floats.vector_ops == 15 * 2
    assert full.contractions[0].dtype == "uint8"


def test_dynamically_quantized_products() -> None:
    # 12 activations as DynamicQuantizeLinear (11 + 11 comparisons, 10 once, 5 each), then their zero
    # point; 15 results: 2. Activations become uint8 whatever the weights are.
    text = "(float[3,4] a, int8[4,5] b, float s) => (float[?,?] y) { y = .DynamicQuantizeMatMul(a, b, s) }"
    cost = cost_of(text)
    assert cost.vector_ops == 22 + 10 + 60 + 12 + 15 * 2
    assert cost.contractions == (Contraction(m=3, n=5, k=4, dtype="uint8"),)


def test_dynamically_quantized_lstm() -> None:
    # 7 steps of 2 sequences, 3 -> 4 gates of 5; X (42) is quantized once (7 * 42 + 8), the state (10)
    # in each step (7 * 10 + 8), 1 each for their zero points; both products of 4 gates rescaled by 2;
    # LSTM's own 8 and 5 activations per element of the state.
    text = "(float[7,2,3] x, float[1] s, int8[1] z) => (float[?,?,?,?] y) <int8[1,3,20] w, int8[1,5,20] r> { y = .DynamicQuantizeLSTM<hidden_size=5>(x, w, r, , , , , , s, z, s, z) }"
    cost = cost_of(text)
    assert cost.macs == 7 * 2 * 20 * (3 + 5)
    assert cost.contractions[0].dtype == "uint8"
    quantized = 7 * 42 + 8 + 7 * (7 * 10 + 8) + 42 + 70
    assert cost.vector_ops == 70 * 8 + quantized + (60 + 100) + 70 * 16
    assert cost.transcendentals == 70 * 5


# -- normalizations and activations ----------------------------------------------------------------


def test_skip_normalization_adds_first() -> None:
    # 10 rows of 8. LayerNormalization 7 per element and 4 per row; the skip and the bias 1 each.
    inputs = "float[2,5,8] x, float[2,5,8] r, float[8] g, float[8] b"
    layer = cost_of(
        f"({inputs}) => (float[?,?,?] y) {{ y = .SkipLayerNormalization(x, r, g, b, b) }}"
    )
    assert layer.vector_ops == 80 * (7 + 2) + 10 * 4
    assert (layer.transcendentals, layer.bytes_written) == (10, 320)
    # RMS: 4 per element and 1 per row, the skip 1.
    rms = cost_of(
        f"({inputs}) => (float[?,?,?] y) {{ y = .SkipSimplifiedLayerNormalization(x, r, g) }}"
    )
    assert rms.vector_ops == 80 * 5 + 10
    plain = cost_of(
        "(float[2,5,8] x, float[8] g) => (float[?,?,?] y) { y = SimplifiedLayerNormalization(x, g) }"
    )
    assert plain.vector_ops == 80 * 4 + 10


def test_embeddings_read_rows_not_tables() -> None:
    # 10 tokens take 10 of 99 words, 5 of 9 positions, the 2 segments at most; 8 floats each.
    text = "(int32[2,5] i, int32[2,5] s) => (float[?,?,?] y) <float[99,8] w, float[9,8] p, float[2,8] q, float[8] g, float[8] b> { y = .EmbedLayerNormalization(i, s, w, p, q, g, b) }"
    cost = cost_of(text)
    rows = (10 + 5 + 2) * 32
    assert cost.bytes_read == 2 * 40 + 2 * 32 + rows
    assert cost.weight_bytes == 2 * 32 + rows
    assert cost.vector_ops == 80 * (7 + 2) + 10 * 4
    assert check_text(microsoft(text)).model.parameters == (99 + 9 + 2 + 1 + 1) * 8


@pytest.mark.parametrize(
    ("call", "vector_ops", "transcendentals"),
    [
        (".Gelu(x)", 4, 1),
        (".BiasGelu(x, b)", 5, 1),
        (".FastGelu(x)", 6, 2),
        (".FastGelu(x, b)", 7, 2),
        (".QuickGelu(x)", 2, 1),
    ],
)
def test_activations(call: str, vector_ops: int, transcendentals: int) -> None:
    cost = cost_of(f"(float[2,3] x, float[3] b) => (float[?,?] y) {{ y = {call} }}")
    assert (cost.vector_ops, cost.transcendentals) == (6 * vector_ops, 6 * transcendentals)


def test_gemm_with_gelu_and_matmul_with_activation() -> None:
    # 15 results: bias 1, FastGelu 6 and 2; Relu 1.
    head = "(float[3,4] a, float[4,5] b, float[5] c) => (float[?,?] y)"
    gelu = cost_of(f"{head} {{ y = .GemmFastGelu(a, b, c) }}")
    relu = cost_of(f'{head} {{ y = .FusedMatMulActivation<activation="Relu">(a, b) }}')
    assert (gelu.macs, gelu.vector_ops, gelu.transcendentals) == (60, 105, 30)
    assert (relu.macs, relu.vector_ops) == (60, 15)


@pytest.mark.parametrize(
    "text",
    [
        '(float[1,3,6,6] x, float[4,3,3,3] w) => (float[?,?,?,?] y) { y = .FusedConv<activation="Sine">(x, w) }',
        '(float[3,4] a, float[4,5] b) => (float[?,?] y) { y = .FusedMatMulActivation<activation="Sine">(a, b) }',
        "(float[2,40] x, uint8[5,2,16] w, float[10] s) => (float[?,?] y) { y = .MatMulNBits<bits=4>(x, w, s) }",
        "(float[] x) => (float[] y) { y = .FusedMatMul(x, x) }",
        "(float[] x) => (float[] y) { y = .FusedGemm(x, x) }",
        "(float[] x) => (float[] y) { y = .FusedConv(x, x) }",
        "(float[] x, float[8] g) => (float[] y) { y = .SkipLayerNormalization(x, x, g) }",
        "(int32[] x, float[] w, float[8] g) => (float[] y) { y = .EmbedLayerNormalization(x, , w, w, , g, g) }",
        "(uint8[] x, float s, uint8 z) => (float[] y) { y = .QGemm(x, s, z, x, s, z) }",
        "(float[] x, int8[] w, float s, int8 z) => (float[] y) { y = .DynamicQuantizeLSTM<hidden_size=5>(x, w, w, , , , , , s, z, s, z) }",
    ],
)
def test_what_lacks_a_size_or_a_formula_is_declined(text: str) -> None:
    (found,) = estimate_text(microsoft(text))
    assert found.status is NodeStatus.DECLINED
    assert found.cost is None
