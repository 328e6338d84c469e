"""com.microsoft's weights of few bits and int8 in other orders: shapes, parameters, limits."""

from __future__ import annotations

from itertools import product
from typing import Final

import numpy as np
import pytest

from mlsys_lint import Contraction, NodeStatus
from mlsys_lint.testing import check_text, estimate_text
from node_costs import cost_of, node_of

MLP: Final = (
    'com.microsoft.MatMulNBitsMlp<K=32, N=5, block_size=32, activation="{}">(a, , , w, s, , u, t)'
)
MLP_INPUTS: Final = "float[3,32] a, uint8[5,1,16] w, float[5] s, uint8[5,1,16] u, float[5] t"


def multiplications(*extents: int) -> int:
    """Innermost steps of the nested loops of a product, each one multiplication."""
    return sum(1 for _ in product(*map(range, extents)))


def test_products_are_as_many_as_loops_multiply() -> None:
    # [2, 3, 8] by [8, 5]
    cost = cost_of(
        "com.microsoft.QOrderedMatMul<order_A=1, order_B=0, order_Y=1>(a, s, b, s, s)",
        "int8[2,3,8] a, int8[8,5] b, float s",
    )
    assert cost.contractions == (Contraction(m=6, n=5, k=8, dtype="int8"),)
    assert cost.macs == multiplications(2, 3, 5, 8)
    # [3, 8] by W [8, 6], by A [8, 2] and that by B [2, 6]
    cost = cost_of(
        "com.microsoft.MatMulNBitsQLoRA<K=8, N=6>(x, w, s, a, t, b, u)",
        "float[3,8] x, uint8[6,1,16] w, float[6,1] s, uint8[2,1,32] a, float[2,1] t, uint8[6,1,32] b, float[6,1] u",
    )
    loops = multiplications(3, 6, 8) + multiplications(3, 2, 8) + multiplications(3, 6, 2)
    assert cost.macs == loops


def test_the_backward_form_of_bitsandbytes_turns_the_weight() -> None:
    # B is [N, K] = [5, 32]: A [3, 32] gives [3, 5], with transB = 0 A [3, 5] gives [3, 32].
    call = "com.microsoft.MatMulBnb4<K=32, N=5, block_size=32, quant_type=0{}>(a, w, s)"
    rest = "uint8[80] w, float[5] s"
    forward = node_of(call.format(""), f"float[3,32] a, {rest}")
    back = node_of(call.format(", transB=0"), f"float[3,5] a, {rest}")
    assert forward.node.output().dims == (3, 5)
    assert back.node.output().dims == (3, 32)
    assert forward.cost is not None
    assert back.cost is not None
    assert forward.cost.macs == back.cost.macs == multiplications(3, 5, 32)
    assert back.cost.contractions[0].k == 5


def test_empty_weights_stand_for_nothing() -> None:
    # MatMulNBits fills its output with the bias; a low-rank adapter without B, or without A.
    inputs = "float[3,64] a, uint8[5,0,16] w, float[0] s, float[5] b"
    cost = cost_of("com.microsoft.MatMulNBits<K=64, N=5, block_size=32>(a, w, s, , , b)", inputs)
    assert (cost.macs, cost.vector_ops, cost.bytes_read, cost.bytes_written) == (0, 0, 20, 60)
    call = "com.microsoft.MatMulNBitsQLoRA<K=8, N=6>(x, w, s, a, t, b, u)"
    base = "float[3,8] x, uint8[6,1,16] w, float[6,1] s, float[2,1] t, float[6,1] u"
    only_base = cost_of(call, f"{base}, uint8[2,1,32] a, uint8[6,0,32] b")
    assert (only_base.macs, only_base.vector_ops) == (3 * 48, 2 * 48)
    no_down = cost_of(call, f"{base}, uint8[0,1,32] a, uint8[6,1,32] b")
    assert (no_down.macs, no_down.vector_ops) == (3 * (48 + 12), 2 * 60 + 18)


@pytest.mark.parametrize(
    ("call", "weights", "parameters"),
    [
        (
            "com.microsoft.MatMulBnb4<K=32, N=5, block_size=32, quant_type=1>(a, w, s)",
            "uint8[80] w, float[5] s",
            160 + 5,
        ),
        (
            'com.microsoft.MatMulNBitsMlp<K=32, N=5, block_size=64, activation="silu">(a, , , w, s, , u, t)',
            "uint8[5,1,32] w, float[5] s, uint8[5,1,32] u, float[5] t",
            2 * (160 + 5),
        ),
        (
            "com.microsoft.MatMulNBitsQkv<K=32, Nq=6, Nkv=3, block_size=32>(a, , g, q, s, , k, t, , v, u)",
            "float[32] g, uint8[6,1,16] q, float[6] s, uint8[3,1,16] k, float[3] t, uint8[3,1,16] v, float[3] u",
            32 + 384 + 12,
        ),
        (
            "com.microsoft.MatMulNBitsQLoRA<K=32, N=6>(a, w, s, d, t, b, u)",
            "uint8[6,1,16] w, float[6,1] s, uint8[2,1,32] d, float[2,1] t, uint8[6,1,32] b, float[6,1] u",
            192 + 6 + 64 + 2 + 12 + 6,
        ),
        (
            "com.microsoft.MatMulBlockQuantizedFp4Weight<block_size=16>(a, w, s, g)",
            "uint8[5,16] w, uint8[5,2] s, float g",  # a scalar is no parameter
            160 + 10,
        ),
        (
            "com.microsoft.MatMulPacked<packed_type=8, K=32, N=2>(a, w)",
            "uint8[2,34] w",
            64,
        ),
    ],
)
def test_parameters_are_logical_weights(call: str, weights: str, parameters: int) -> None:
    text = f"g (float16[3,32] a) => (float16[?,?] y) <{weights}> {{ y = {call} }}"
    assert check_text(text).model.parameters == parameters


def test_a_blob_says_its_shape() -> None:
    call = "com.microsoft.MatMulFpQ4(a, w, k)"
    text = f"g (float[3,32] a) => (float[?,?] y) <uint8[100] w, int64[2] k = {{32, 5}}> {{ y = {call} }}"
    model = check_text(text).model
    assert (model.parameters, model.parameter_bytes) == (160, 100)
    assert node_of(call, "float[3,32] a, uint8[100] w, int64[2] k").status is NodeStatus.DECLINED


def test_float8_products() -> None:
    # 15 results: alpha with both scales 1, sum with C 1 (beta scales its 5), scale 1, round and clamp 3
    inputs = "float8e4m3fn[3,8] a, float8e4m3fn[5,8] b, float[5] c, float s"
    call = "com.microsoft.GemmFloat8<transB=1, alpha=0.5{}>(a, b, c, s, s, s)"
    full = node_of(call.format(", beta=2.0, dtype=17"), inputs)
    assert full.cost is not None
    assert full.cost.contractions == (Contraction(m=3, n=5, k=8, dtype="float8e4m3fn"),)
    assert full.cost.vector_ops == 6 * 15 + 5
    assert (full.node.output().dims, full.node.output().type_name) == ((3, 5), "float8e4m3fn")
    # beta is 0 by default: C is not read. The result is a float: alpha, scale.
    plain = cost_of(call.format(""), inputs)
    assert (plain.vector_ops, plain.bytes_read) == (2 * 15, 24 + 40 + 4)


@pytest.mark.parametrize(
    ("activation", "per_result"),
    [("silu", (2, 1)), ("Gelu", (5, 1)), ("Relu", (2, 0))],
)
def test_gates(activation: str, per_result: tuple[int, int]) -> None:
    # 15 results: the activation and the product with the other half; 320 weights take 2 each.
    cost = cost_of(MLP.format(activation), MLP_INPUTS)
    assert cost.vector_ops == 640 + 15 * per_result[0]
    assert cost.transcendentals == 15 * per_result[1]


@pytest.mark.parametrize(
    ("call", "inputs"),
    [
        (MLP.format("sine"), MLP_INPUTS),
        (
            "com.microsoft.MatMulPacked<packed_type=99, K=32, N=2>(a, w)",
            "float16[3,32] a, uint8[2,34] w",
        ),
        ('com.microsoft.GemmFloat8<activation="SINE">(a, w)', "float[3,4] a, float[4,5] w"),
    ],
)
def test_what_is_not_known_is_declined(call: str, inputs: str) -> None:
    assert node_of(call, inputs).status is NodeStatus.DECLINED


def test_block_floating_point_has_types_but_no_cost() -> None:
    text = (
        "g (float[2,8] x) => (float[?,?] y) <int64[2] k = {2, 8}> "
        "{ b, s, t = com.microsoft.QuantizeBFP<bfp_type=0>(x) "
        "y = com.microsoft.DequantizeBFP<bfp_type=0, dtype=10>(b, k, t) }"
    )
    there, back = estimate_text(text)
    assert there.status is back.status is NodeStatus.UNSUPPORTED
    assert [there.node.output(at).shape for at in range(3)] == [(None,), (2,), (2,)]
    assert back.node.output().dims == (2, 8)
    assert back.node.output().type_name == "float16"


def test_ordered_attention_masks_what_a_query_must_not_see() -> None:
    # Query i of 4 sees i + 1 keys: 6 of 16 pairs a head are hidden, of 4 + 4 MACs each.
    inputs = "int8[2,4,8] x, float s, int8[8,8] q, int8[8,8] k, int8[8,8] v, float[8] b"
    call = "com.microsoft.QOrderedAttention<num_heads=2, unidirectional={}>(x, s, s, s, s, q, k, v, s, s, s, b, b, b, s, s, s)"
    causal, full = (cost_of(call.format(flag), inputs) for flag in (1, 0))
    hidden = int(np.triu(np.ones((4, 4)), 1).sum())
    assert (causal.macs_masked, full.macs_masked) == (2 * 2 * hidden * 8, 0)
    assert causal.macs == full.macs
    assert {one.dtype for one in causal.contractions} == {"int8"}
