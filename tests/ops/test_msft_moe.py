"""Mixtures of experts: against loops that ONNX Runtime confirms, and hand derivations."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

from mlsys_lint import NodeCost, NodeStatus, OpCost
from mlsys_lint.testing import estimate_text, model_from_text

Array = npt.NDArray[np.float64]


def estimated(text: str) -> NodeCost:
    (found,) = estimate_text("g " + text.replace(" .", " com.microsoft."))
    return found


def cost_of(text: str) -> OpCost:
    found = estimated(text)
    assert found.cost is not None, found.reason
    return found.cost


def mixture(
    x: Array, probabilities: Array, first: Array, second: Array, chosen: int, *, gated: bool
) -> tuple[Array, int]:
    """The definition, one multiplication at a time, and the number of multiplications in sums."""
    tokens, hidden = x.shape
    inner, count = second.shape[2], 0
    y = np.zeros_like(x)
    for token in range(tokens):
        for expert in np.argsort(-probabilities[token])[:chosen]:
            projected = np.zeros(first.shape[1])
            for i, j in product(range(first.shape[1]), range(hidden)):
                projected[i] += first[expert, i, j] * x[token, j]
                count += 1
            gate, linear = (projected[0::2], projected[1::2]) if gated else (projected, 1.0)
            inside = gate / (1 + np.exp(-gate)) * linear
            for i, j in product(range(hidden), range(inner)):
                y[token, i] += probabilities[token, expert] * (second[expert, i, j] * inside[j])
                count += 1
    return y, count


@pytest.mark.ort
@pytest.mark.parametrize(("name", "gated"), [("silu", False), ("swiglu", True)])
@pytest.mark.parametrize("chosen", [1, 2, 3])
def test_macs_are_the_multiplications_of_the_experts(
    name: str, *, gated: bool, chosen: int
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    draw = np.random.default_rng(chosen)
    x, logits = draw.uniform(-1, 1, (5, 4)), draw.uniform(-1, 1, (5, 3))
    first, second = draw.uniform(-1, 1, (3, 12 if gated else 6, 4)), draw.uniform(-1, 1, (3, 4, 6))
    weights = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected, count = mixture(x, weights, first, second, chosen, gated=gated)
    text = (
        f"(float[5,4] x, float[5,3] r, float[3,{first.shape[1]},4] a, float[3,4,6] b) => (float y)"
        f' {{ y = .MoE<k={chosen}, activation_type="{name}", swiglu_fusion={int(gated)}>(x, r, a, , b) }}'
    )
    model = model_from_text("g " + text.replace(" .", " com.microsoft."), 17)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    arrays = {"x": x, "r": logits, "a": first, "b": second}
    (found,) = session.run(None, {name: one.astype(np.float32) for name, one in arrays.items()})
    assert np.allclose(found, expected, atol=1e-5)
    assert cost_of(text).macs == count


def experts(tokens: int, chosen: int, attributes: str = "", third: str = "") -> str:
    """4 experts of 8 features and 5 inside: a first layer of 5 rows, 40 weights a layer."""
    return (
        f"(float[{tokens},8] x, float[{tokens},4] r) => (float y) <float[4,5,8] a, float[4,8,5] b,"
        f" float[4,5,8] c> {{ y = .MoE<k={chosen}{attributes}>(x, r, a, , b{third}) }}"
    )


@pytest.mark.parametrize(
    ("tokens", "chosen", "read", "sure"),
    [
        (1, 2, 2, True),  # one token: as many as it takes
        (2, 1, 2, False),  # two tokens may take the same
        (8, 1, 4, False),  # no more than there are
        (8, 4, 4, True),  # all of them for every token
    ],
)
def test_experts_that_no_token_takes_are_not_read(
    tokens: int, chosen: int, read: int, *, sure: bool
) -> None:
    found = estimated(experts(tokens, chosen))
    assert found.cost is not None
    assert found.cost.weight_bytes == read * 2 * 40 * 4
    assert found.cost.bytes_read == read * 2 * 40 * 4 + tokens * (8 + 4) * 4
    assert found.status is (NodeStatus.EXACT if sure else NodeStatus.ESTIMATED)
    assert found.cost.macs == tokens * chosen * 2 * 40
    assert found.parameters == 4 * 2 * 40


def test_rows_are_spread_over_the_experts() -> None:
    # 7 tokens by 1 of 4: three experts with two rows, one with one.
    shapes = [(one.batch, one.m, one.n, one.k) for one in cost_of(experts(7, 1)).contractions]
    assert shapes == [(3, 2, 5, 8), (1, 1, 5, 8), (3, 2, 8, 5), (1, 1, 8, 5)]
    (first, second) = cost_of(experts(1, 2)).contractions
    assert (first.batch, first.m, second.batch, second.m) == (2, 1, 2, 1)


@pytest.mark.parametrize(
    ("attributes", "third", "macs", "ops", "transcendentals"),
    [
        # 3 tokens by 2 of 4: 6 rows of 5 inside. Routing: softmax 4 * 4 - 2, selection 4 * 2, 4 exps
        # a token; weighted sum 8 * 3 a token: 3 * 46 = 138 operations, 12 exps.
        ("", "", 480, 138 + 30, 12),
        (', activation_type="identity"', "", 480, 138, 12),
        (', activation_type="gelu"', "", 480, 138 + 30 * 6, 12 + 30 * 2),
        (', activation_type="relu2"', "", 480, 138 + 30 * 2, 12),
        (', activation_type="silu"', "", 480, 138 + 30, 12 + 30),
        # a third layer of 40 weights, and the product with it
        (', activation_type="silu"', ", , c", 720, 138 + 30 * 2, 12 + 30),
        (', activation_type="swiglu"', ", , c", 720, 138 + 30 * 3, 12 + 30),
        (', activation_type="swiglu", activation_beta=1.0', ", , c", 720, 138 + 30 * 4, 42),
        (', activation_type="swiglu", swiglu_limit=7.0', ", , c", 720, 138 + 30 * 6, 42),
        # the sum of 2 weights and 2 divisions a token
        (", normalize_routing_weights=1", "", 480, 138 + 30 + 9, 12),
        # two picks of 11 * 4 - 3 operations and 4 exps in place of softmax and selection
        (", use_sparse_mixer=1", "", 480, 3 * (82 + 24) + 30, 24),
    ],
)
def test_activations_and_routing(
    attributes: str, third: str, macs: int, ops: int, transcendentals: int
) -> None:
    found = cost_of(experts(3, 2, attributes, third))
    assert (found.macs, found.vector_ops, found.transcendentals) == (macs, ops, transcendentals)


def test_geglu_takes_both_halves_from_the_first_layer() -> None:
    # 6 rows of 5 inside: 2 * 5 * 8 + 40 MACs; the tanh form of GELU (6, 2) and a product.
    found = cost_of(
        "(float[3,8] x, float[3,4] r, float[4,10,8] a, float[4,8,5] b) => (float y)"
        ' { y = .MoE<k=2, activation_type="geglu", swiglu_fusion=2>(x, r, a, , b) }'
    )
    assert (found.macs, found.vector_ops, found.transcendentals) == (720, 138 + 210, 12 + 60)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ('MoE<activation_type="swiglu">(x, r, a, , b)', "third layer"),
        ('MoE<activation_type="other">(x, r, a, , b)', "other"),
        ('QMoE<quant_type="wfp4afp8">(x, r, a, , , b)', "wfp4afp8"),
        ('MoEPacked<activation_type="other">(x, r, a, , b)', "other"),
        ('MoE<activation_type="geglu">(x, r, a, , b, , a)', "both halves"),
        ("MoEGroupRouter(r, g)", "top_k"),
        ('RouterGateUpProj<activation="other">(x, w)', "other"),
    ],
)
def test_what_is_declined(call: str, reason: str) -> None:
    inputs = "float[3,8] x, float[3,4] r, float[4,5,8] a, float[4,8,5] b, float[4] g, float[8,9] w"
    outputs, names = ("(float y, float z)", "y, z") if call[0] == "R" else ("(float y)", "y")
    found = estimated(f"({inputs}) => {outputs} {{ {names} = .{call} }}")
    assert found.status is NodeStatus.DECLINED
    assert reason in (found.reason or "")


def packed(bits: int, attributes: str, weights: str) -> NodeCost:
    """2 tokens, both of 2 experts each: 64 features, 32 inside, 2 * 2,048 weights an expert."""
    return estimated(
        f"(float[2,64] x, float[2,2] r) => (float y) <{weights}> {{ y = .QMoE<k=2,"
        f" expert_weight_bits={bits}{attributes}>(x, r, a, s, , b, t, , , , , z, w) }}"
    )


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_packed_weights_are_counted_one_by_one(bits: int) -> None:
    found = packed(
        bits,
        "",
        f"uint8[2,32,{8 * bits}] a, float[2,32] s, uint8[2,64,{4 * bits}] b, float[2,64] t,"
        f" uint8[2,{4 * bits}] z, uint8[2,{8 * bits}] w",
    )
    assert found.cost is not None
    # 32 + 64 rows an expert: scales, and as many zero points.
    assert found.parameters == 2 * (2 * 2048 + 2 * 96)
    assert found.cost.macs == 2 * 2 * 2 * 2048
    # Routing 4 * 2 - 2 and 2 * 2 comparisons, relu 2 * 32, sum 64 * 3, each of 2 tokens; unpacking 2
    # a weight of both experts.
    assert found.cost.vector_ops == 2 * (6 + 4 + 64 + 192) + 2 * 2 * 2 * 2048
    assert found.status is NodeStatus.EXACT


def test_zero_points_of_blocks() -> None:
    # Blocks of 16: 4 a row of 64 inputs, 2 a row of 32: 32 * 4 + 64 * 2 scales and zero points.
    found = packed(
        4,
        ", block_size=16",
        "uint8[2,32,32] a, float[2,32,4] s, uint8[2,64,16] b, float[2,64,2] t, uint8[2,32,2] z, uint8[2,64,1] w",
    )
    assert found.parameters == 2 * (2 * 2048 + 2 * 256)


def test_layers_may_differ_in_bits() -> None:
    # The first layer in 4 bits, the second in 8: logical sizes stay.
    found = packed(
        4,
        ", fc2_expert_weight_bits=8",
        "uint8[2,32,32] a, float[2,32] s, uint8[2,64,32] b, float[2,64] t, uint8[2,16] z, uint8[2,64] w",
    )
    assert found.cost is not None
    assert found.cost.macs == 2 * 2 * 2 * 2048
    assert found.parameters == 2 * (2 * 2048 + 2 * 96)
    assert found.cost.weight_bytes == 2 * (1024 + 2048 + 96 * 4 + 16 + 64)


def test_floats_of_8_bits_and_weights_of_the_router() -> None:
    # 3 tokens by 1 of 2 experts, 64 features, 32 inside. Given weights replace softmax: selection
    # 2 * 1, sum 64 * 1, relu 32 a token; unpacking 2 * 2 * 4,096.
    found = cost_of(
        "(float16[3,64] x, float16[3,2] r, float16[3,2] v) => (float16 y) <float8e4m3fn[2,32,64] a,"
        " float8e4m3fn[2,64,32] b, float[2] s> { y = .QMoE<k=1, expert_weight_bits=8, quant_type="
        '"fp8">(x, r, a, , , b, , , , , , , , , v, s, s) }'
    )
    assert found.macs == 3 * 4096
    assert (found.vector_ops, found.transcendentals) == (3 * (2 + 64 + 32) + 2 * 2 * 4096, 0)
    assert found.weight_bytes == 2 * 4096 + 8 + 8  # the scale of the experts serves both layers


@pytest.mark.parametrize(
    ("call", "ops", "transcendentals"),
    [
        # 3 tokens by 2 of 4, 8 features, 5 inside. Selection 8, sum 24 a token; 6 * 5 inside:
        # maximum and square; unpacking 2 * 2 * 4 * 40. Softmax 14 and 4 exps, normalization 3.
        ('activation_type="relu2">(x, r, g, , d)', 3 * (14 + 8 + 3 + 24) + 60, 12),
        (
            'activation_type="relu2", normalize_routing_weights=0>(x, r, g, , d, r)',
            3 * (8 + 24) + 60,
            0,
        ),
        # an epsilon and two factors a token
        (
            'activation_type="relu2", routing_epsilon=1.0, routed_scaling_factor=2.5>(x, r, g, , d, r)',
            3 * (8 + 3 + 3 + 24) + 60,
            0,
        ),
    ],
)
def test_packed_formats(call: str, ops: int, transcendentals: int) -> None:
    found = estimated(
        "(float16[3,8] x, float16[3,4] r) => (float16 y) <uint8[4,5,9] g, uint8[4,8,7] d>"
        f" {{ y = .MoEPacked<k=2, {call} }}"
    )
    assert found.cost is not None
    assert (found.cost.vector_ops, found.cost.transcendentals) == (ops + 640, transcendentals)
    assert found.cost.macs == 3 * 2 * 2 * 40
    assert found.parameters == 2 * 4 * 40
    assert found.cost.weight_bytes == 4 * (45 + 56)


@pytest.mark.parametrize(
    ("call", "macs", "ops", "transcendentals"),
    [
        # 3 tokens, 8 experts: sigmoids and biases; two of them by 8 * 2 comparisons, maxima and logs
        ("y = .MoEGroupRouter<top_k=2>(x, b)", 0, 3 * (8 + 16 + 2), 3 * 10),
        # all groups stay
        ("y = .MoEGroupRouter<top_k=2, n_group=4, topk_group=4>(x, b)", 0, 3 * 26, 3 * 10),
        # scores of all experts, of logits and of projected activations
        (", y, z = .MoEGroupRouter<top_k=2>(x, b)", 0, 3 * 8, 3 * 8),
        (", y, z = .MoEGroupRouter<top_k=2>(h, b, w)", 3 * 8 * 6, 3 * 8, 3 * 8),
    ],
)
def test_routers(call: str, macs: int, ops: int, transcendentals: int) -> None:
    outputs = "float y, float z" if " z " in call else "float y"
    found = cost_of(
        f"(float[3,8] x, float[3,6] h, float[8] b, float[8,6] w) => ({outputs}) {{ {call} }}"
    )
    assert (found.macs, found.vector_ops, found.transcendentals) == (macs, ops, transcendentals)


def test_the_joint_projection_counts_as_its_parts() -> None:
    joint = cost_of(
        "(float16[3,8] x, float16[8,14] w) => (float16 y, float16 z)"
        " { y, z = .RouterGateUpProj<router_size=4, activation_beta=1.0>(x, w) }"
    )
    product = cost_of("(float16[3,8] x, float16[8,14] w) => (float16 y) { y = MatMul(x, w) }")
    gate = cost_of("(float16[3,10] x) => (float16 y) { y = .SwiGLU<activation_beta=1.0>(x) }")
    assert joint.macs == product.macs
    assert (joint.vector_ops, joint.transcendentals) == (gate.vector_ops, gate.transcendentals)
