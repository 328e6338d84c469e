"""The backward pass by operator: a contraction for each operand that a weight reaches or is."""

from __future__ import annotations

from typing import Any

import pytest

from mlsys_lint.records import Training
from training.steps import train, train_sample


def products(text: str, **options: Any) -> int:
    """Multiply-accumulates of the backward pass."""
    step: Training = train(text, **options)
    assert step.backward_contraction_flops % 2 == 0
    return step.backward_contraction_flops // 2


# 2 rows of 3 to 4, then to 5: 24 and 40 MACs.
TWO_LAYERS = (
    "g (float[2,3] x) => (float[2,5] y) <float[3,4] v, float[4,5] w> "
    "{ h = MatMul(x, v) r = Relu(h) y = MatMul(r, w) }"
)


def test_the_first_layer_has_no_gradient_of_its_input() -> None:
    # dv = x' dh: 24; dw = r' dy and dr = dy w': 40 each.
    assert products(TWO_LAYERS) == 24 + 2 * 40


def test_frozen_weights_hand_gradients_on() -> None:
    # w frozen: only dr. v frozen: only dw, for nothing needs dr.
    assert products(TWO_LAYERS, frozen=("w",)) == 24 + 40
    assert products(TWO_LAYERS, frozen=("v",)) == 40
    assert products(TWO_LAYERS, trainable=("v",)) == 24 + 40


def test_nothing_is_trained() -> None:
    step = train(TWO_LAYERS, frozen=("*",))
    assert (step.backward_flops, step.update_flops, step.gradient_bytes) == (0, 0, 0)
    assert step.activation_bytes == 0
    assert any(one.startswith("nothing is trained") for one in step.assumptions)


def test_a_shared_weight_counts_at_each_reader() -> None:
    # v twice: dv of both (9 * 2 rows each), and the input of the second: its gradient passes on.
    text = "g (float[2,3] x) => (float[2,3] y) <float[3,3] v> { h = MatMul(x, v) y = MatMul(h, v) }"
    step = train(text)
    assert step.backward_contraction_flops == 2 * (18 + 18 + 18)
    # Its two gradients of 9 numbers are added.
    assert step.backward_flops == 2 * 54 + 9
    assert (step.trainable_parameters, step.gradient_bytes) == (9, 36)


def test_a_bias_sums_its_gradient() -> None:
    # y = x w + b: [4, 3] to [3]: 9 sums; x w is 4*2*3 MACs.
    text = "g (float[4,2] x) => (float[4,3] y) <float[2,3] w, float[3] b> { y = Gemm(x, w, b) }"
    assert train(text).backward_flops == 2 * 24 + 9
    apart = text.replace("y = Gemm(x, w, b)", "h = MatMul(x, w) y = Add(h, b)")
    assert train(apart).backward_flops == 2 * 24 + 9


def test_gemm_scales_the_gradient_by_alpha_and_beta() -> None:
    # alpha: 12 results; beta: the 3 numbers of the bias's gradient.
    text = (
        "g (float[4,2] x) => (float[4,3] y) <float[2,3] w, float[3] b> "
        "{ y = Gemm<alpha=0.5, beta=2.0>(x, w, b) }"
    )
    assert train(text).backward_flops == 2 * 24 + 9 + 12 + 3


def test_a_matrix_that_serves_a_batch() -> None:
    # 3 batches of 4 rows of 2 to 5 are 12 rows: dw = 2 * 12 * 5. Both sides of a computed product.
    shared = "g (float[3,4,2] x) => (float[3,4,5] y) <float[2,5] w> { y = MatMul(x, w) }"
    assert products(shared) == 120
    both = (
        "g (float[3,4,2] x) => (float[3,4,4] y) <float[2,2] w> "
        "{ h = MatMul(x, w) t = Transpose<perm=[0,2,1]>(h) y = MatMul(h, t) }"
    )
    # h = x w 48, y = h h' 3*4*4*2 = 96 with a gradient for each side.
    assert products(both) == 48 + 2 * 96


@pytest.mark.parametrize(
    ("call", "weight", "macs"),
    [
        # 4 x 4 places, 2 channels to 6, 3 x 3: 16 * 6 * 18.
        ("Conv<pads=[1,1,1,1]>(h, w)", "float[6,2,3,3] w", 1728),
        # Two groups: a channel each to 3.
        ("Conv<group=2,pads=[1,1,1,1]>(h, w)", "float[6,1,3,3] w", 864),
        # Each of 32 values meets 6 * 4 numbers of the filter.
        ("ConvTranspose<strides=[2,2]>(h, w)", "float[2,6,2,2] w", 768),
    ],
)
def test_convolutions(call: str, weight: str, macs: int) -> None:
    # Behind a first convolution of 1 x 1 from 1 to 2 channels, whose input is fed: 32 MACs.
    head = f"g (float[1,1,4,4] x) => (float[?,?,?,?] y) <float[2,1,1,1] v, {weight}> "
    assert products(f"{head}{{ h = Conv(x, v) y = {call} }}") == 32 + 2 * macs


def test_einsum_of_three_operands() -> None:
    # x a: 2*3*4, (x a) b: 2*4*5 MACs. da; b: both its own gradient and that of x a.
    text = (
        "g (float[2,3] x) => (float[2,5] y) <float[3,4] a, float[4,5] b> "
        '{ y = Einsum<equation="ij,jk,kl->il">(x, a, b) }'
    )
    assert products(text) == 24 + 2 * 40
    assert products(text, frozen=("a",)) == 40
    assert products(text, frozen=("b",)) == 24 + 40


# Projections of [1, 5, 8] by 8 x 8 (320 MACs each), two heads of 4: Q K' and P V of 2*5*5*4 = 200.
ATTENTION = (
    "g (float[1,5,8] x) => (float[1,5,8] y) <float[8,8] a, float[8,8] b, float[8,8] c> "
    "{ q = MatMul(x, a) k = MatMul(x, b) v = MatMul(x, c) "
    "y = Attention<q_num_heads=2, kv_num_heads=2>(q, k, v) }"
)


def test_attention() -> None:
    assert products(ATTENTION) == 3 * 320 + 4 * 200
    # Without a gradient of the values: P only.
    assert products(ATTENTION, frozen=("c",)) == 2 * 320 + 3 * 200
    # Of the values only: dV.
    assert products(ATTENTION, trainable=("c",)) == 320 + 200
    # Of the queries only: dP and dQ.
    assert products(ATTENTION, trainable=("a",)) == 320 + 2 * 200


def test_attention_that_projects_by_itself() -> None:
    # com.microsoft.Attention: X W of 5*8*24 = 960 MACs, then 200 and 200.
    text = (
        "g (float[1,5,8] x) => (float[1,5,8] y) <float[8,24] w, float[24] b> "
        "{ y = com.microsoft.Attention<num_heads=2>(x, w, b) }"
    )
    assert products(text) == 960 + 4 * 200


def test_recurrent_cells_hand_no_gradient_to_the_first_state() -> None:
    # 7 steps of 2 sequences, 3 inputs, 4 states, 4 gates: X W' of 7*2*16*3 = 672 MACs, h R' of
    # 7*2*16*4 = 896. dW, dR, and dh in 6 of 7 steps; x is fed.
    text = (
        "g (float[7,2,3] x) => (float[7,1,2,4] y) <float[1,16,3] w, float[1,16,4] r> "
        "{ y = LSTM<hidden_size=4>(x, w, r) }"
    )
    assert products(text) == 672 + 896 + 896 * 6 // 7


def test_a_computed_first_state_gets_its_gradient() -> None:
    text = (
        "g (float[7,2,3] x, float[2,5] z) => (float[7,1,2,4] y) "
        "<float[1,4,3] w, float[1,4,4] r, float[1,5,4] p> "
        "{ h = MatMul(z, p) y = RNN<hidden_size=4>(x, w, r, , , h) }"
    )
    # p: 2*5*4 = 40 MACs. X W' 7*2*4*3 = 168, h R' 224.
    assert products(text) == 40 + 168 + 224 + 224


def test_an_embedding_adds_rows_and_multiplies_nothing() -> None:
    # Rows of 4 for 3 indices: 12 sums into the table's gradient.
    text = "g (int64[3] i) => (float[3,4] y) <float[9,4] w> { y = Gather(w, i) }"
    step = train(text)
    assert (step.backward_contraction_flops, step.backward_flops) == (0, 12)


@pytest.mark.parametrize(
    ("call", "operations", "transcendentals"),
    [
        ("Relu(h)", 6, 0),  # a selection
        ("Neg(h)", 6, 0),
        ("Tanh(h)", 18, 0),  # (1 - y y) dy
        ("Sigmoid(h)", 18, 0),
        ("Exp(h)", 6, 0),  # y dy
        ("Sqrt(h)", 12, 0),  # dy / (2 y)
        ("Log(h)", 6, 0),  # dy / h
        ("Erf(h)", 24, 6),  # 2 / sqrt pi exp(-h h) dy
        ("Softmax(h)", 22, 0),  # a row of 3: products 3, sum 2, differences 3, products 3
        ("LogSoftmax(h)", 16, 6),  # a row of 3: sum 2, products with exp 3, differences 3
        ("Reshape(h, shape)", 0, 0),
        ("Concat<axis=0>(h, x)", 0, 0),
        ("ReduceSum(h)", 0, 0),
        ("ReduceMean(h)", 1, 0),  # a share
        ("Cast<to=10>(h)", 6, 0),
    ],
)
def test_element_wise_and_other_vector_work(
    call: str, operations: int, transcendentals: int
) -> None:
    # h is [2, 3] from 2 rows of 3: dw of 18 MACs comes first.
    text = (
        "g (float[2,3] x) => (float y) <float[3,3] w> "
        f"{{ shape = Constant<value_ints=[3,2]>() h = MatMul(x, w) y = {call} }}"
    )
    step = train(text)
    assert step.backward_contraction_flops == 36
    assert step.backward_flops == 36 + operations
    assert step.backward_transcendentals == transcendentals


def test_products_and_quotients_of_computed_values() -> None:
    # Mul: a product for each side, 12; Div: one for the dividend, two for the divisor, 18. Both h and
    # g get one gradient. The two projections take 18 MACs each.
    text = (
        "g (float[2,3] x) => (float[2,3] y) <float[3,3] a, float[3,3] b> "
        "{ h = MatMul(x, a) g = MatMul(x, b) y = Mul(h, g) }"
    )
    assert train(text).backward_flops == 2 * 36 + 12
    assert train(text.replace("Mul(h, g)", "Div(h, g)")).backward_flops == 2 * 36 + 18


def test_a_value_with_two_readers_adds_its_gradients() -> None:
    # y = h + relu(h): 6 sums, 6 selections.
    text = (
        "g (float[2,3] x) => (float[2,3] y) <float[3,3] w> "
        "{ h = MatMul(x, w) r = Relu(h) y = Add(h, r) }"
    )
    assert train(text).backward_flops == 36 + 6 + 6


def test_gradients_end_where_nothing_has_a_derivative() -> None:
    text = (
        "g (float[2,3] x) => (float[2,3] y) <float[3,3] v, float[3,3] w> "
        "{ h = MatMul(x, v) r = Round(h) y = MatMul(r, w) }"
    )
    step = train(text)
    assert step.backward_contraction_flops == 36
    assert step.by_operator == {"ai.onnx::MatMul": 36}
    # No gradient reaches v, which is not updated.
    assert (step.trainable_parameters, step.frozen_parameters) == (9, 9)


def test_a_loop_trains_its_body_as_often_as_it_runs() -> None:
    # looped_transformer: 4 turns over one block, S = 3 tokens of width 32: q, k, v, o 3*32*32 = 3,072
    # MACs, up and down 3*32*128 = 12,288, scores and values 3*3*32 = 288. All have both sides.
    step = train_sample("looped_transformer", {"B": 1, "S": 3})
    forward = 4 * (4 * 3072 + 2 * 12288 + 2 * 288)
    assert step.forward_contraction_flops == 2 * forward
    assert step.backward_contraction_flops == 4 * forward
    # The weights are stored once, and their gradients of all turns are added.
    assert step.trainable_parameters == 4 * 1024 + 2 * 4096 + 4 * 32


def test_gradients_pass_through_branches() -> None:
    # The branch that runs multiplies by w: 18 MACs; the other one is not counted. v in front.
    text = (
        "g (float[2,3] x) => (float[2,3] y) <float[3,3] v, float[3,3] w, float[3,3] u> "
        "{ yes = Constant<value = bool {1}>() h = MatMul(x, v) y = If(yes) "
        "<then_branch = a () => (float[2,3] p) { p = MatMul(h, w) }, "
        "else_branch = b () => (float[2,3] q) { q = MatMul(h, u) }> }"
    )
    step = train(text)
    assert step.backward_contraction_flops == 2 * (18 + 2 * 18)
    assert step.trainable_parameters == 18


def test_gradients_pass_through_functions() -> None:
    text = (
        '<ir_version: 10, opset_import: ["": 23, "local": 1]> '
        "g (float[2,3] x) => (float[2,3] y) { "
        "v = Constant<value = float[3,3] {1,2,3,4,5,6,7,8,9}>() "
        "w = Constant<value = float[3,3] {1,2,3,4,5,6,7,8,9}>() "
        "h = local.Layer(x, v) y = local.Layer(h, w) } "
        '<domain: "local", opset_import: ["": 23]> '
        "Layer (a, m) => (r) { p = MatMul(a, m) r = Relu(p) }"
    )
    step = train(text)
    assert step.backward_contraction_flops == 2 * (18 + 2 * 18)
    # x, and both results of Relu, the first of which the second layer reads.
    assert step.activation_bytes == 3 * 24
    assert step.trainable_parameters == 18


def test_several_contractions_in_one_node_are_an_upper_bound() -> None:
    # com.microsoft.MoE, two experts of 4 to 6 to 4 for 3 tokens, one expert each: 3 * 24 MACs twice.
    text = (
        "g (float[3,4] x, float[3,2] p) => (float[3,4] y) <float[2,6,4] a, float[2,4,6] b> "
        "{ y = com.microsoft.MoE<k=1>(x, p, a, , b) }"
    )
    step = train(text)
    assert step.backward_contraction_flops == 2 * step.forward_contraction_flops == 2 * 2 * 144
    assert any(one.startswith("at most: MoE: twice") for one in step.assumptions)


def test_a_node_without_cost_makes_a_lower_bound() -> None:
    text = (
        "g (float[2,3] x) => (float[2,3] y) <float[3,3] w> "
        "{ h = MatMul(x, w) y = com.acme.Mystery(h) }"
    )
    assert train(text).is_lower_bound
