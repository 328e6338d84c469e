"""Losses, micro-batches and mixed precision on one layer, counted by hand."""

from __future__ import annotations

import pytest

from mlsys_lint.errors import OptionError
from training.steps import train, train_sample

# 5 rows of 4 to 3: 60 MACs, 15 predictions, 12 weights.
MODEL = "g (float[5,4] x) => (float[5,3] y) <float[4,3] w> { y = MatMul(x, w) }"
FORWARD = 2 * 60
# x for the gradient of w.
KEPT = 4 * 20


def test_without_a_loss_gradients_arrive_at_the_outputs() -> None:
    step = train(MODEL)
    assert (step.forward_flops, step.backward_flops, step.loss) == (FORWARD, FORWARD, "none")
    assert step.activation_bytes == KEPT


def test_mean_squared_error() -> None:
    # Difference, square, and the mean's sum and share: 3 for each of 15; the difference is kept, and
    # 2 / n times it is its gradient.
    step = train(MODEL, loss="mse")
    assert step.forward_flops == FORWARD + 3 * 15
    assert step.backward_flops == FORWARD + 15
    assert step.activation_bytes == KEPT + 4 * 15


def test_softmax_cross_entropy() -> None:
    # A row of 3: maximum 2, differences 3, sum 2, differences from the log 3: 10; sign and mean of
    # the label's entry: 2. 3 exp and a log. Back: exp of what is kept, times 1 / 5, less 1 / 5 at the label.
    step = train(MODEL, loss="cross-entropy")
    assert step.forward_flops == FORWARD + 5 * 12
    assert step.backward_flops == FORWARD + 5 * 4
    assert step.backward_transcendentals == 15
    assert step.activation_bytes == KEPT + 4 * 15


def test_a_loss_needs_predictions() -> None:
    text = "g (int64[5] x) => (int64[5] y) { y = Add(x, x) }"
    with pytest.raises(OptionError, match="no floating-point output"):
        train(text, loss="mse")
    with pytest.raises(OptionError, match="known losses: cross-entropy, mse"):
        train(MODEL, loss="hinge")


def test_only_what_the_loss_depends_on_is_trained_through() -> None:
    # The second output leads nowhere when the first has the loss.
    text = (
        "g (float[5,4] x) => (float[5,3] y, float[5,3] z) <float[4,3] w, float[4,3] v> "
        "{ y = MatMul(x, w) z = MatMul(x, v) }"
    )
    assert train(text).backward_contraction_flops == 2 * FORWARD
    assert train(text, loss="mse").backward_contraction_flops == FORWARD


def test_the_losses_of_the_samples_as_they_stand() -> None:
    # perceptron: z = w x + b (4 MACs, a sum), a sigmoid, and (p - t)^2 as nodes of the graph. The
    # weights' gradient is the only product: x is fed.
    step = train_sample("perceptron", {"N": 8})
    assert step.trainable_parameters == 5
    assert step.backward_contraction_flops == 2 * 4 * 8
    # linear_classifier: SoftmaxCrossEntropyLoss by its body: log softmax is kept.
    step = train_sample("linear_classifier", {"N": 8})
    assert step.trainable_parameters == 7850
    assert step.backward_contraction_flops == 2 * 7840 * 8


def test_micro_batches() -> None:
    # Three passes and two sums of 12 gradients for one update of 12 weights; memory is that of one.
    one, three = train(MODEL), train(MODEL, accumulation=3)
    assert three.forward_flops == 3 * one.forward_flops
    assert three.backward_flops == 3 * one.backward_flops + 2 * 12
    assert three.backward_contraction_flops == 3 * one.backward_contraction_flops
    assert three.update_flops == one.update_flops == 2 * 12
    assert three.total_bytes == one.total_bytes


@pytest.mark.parametrize("half", ["fp16", "bf16"])
def test_mixed_precision(half: str) -> None:
    # Weights and gradients of 2 bytes, a master copy and two states of Adam of 4: 16 bytes a weight
    # (as arXiv:1910.02054, section 3.1). x is kept in 16 bits.
    step = train(MODEL, optimizer="adam", mixed=half)
    assert step.precision == f"mixed-{half}"
    assert (step.weight_bytes, step.gradient_bytes) == (24, 24)
    assert (step.master_weight_bytes, step.optimizer_state_bytes) == (48, 96)
    assert step.activation_bytes == 2 * 20
    assert step.total_bytes == 16 * 12 + 40


def test_statistics_stay_in_32_bits() -> None:
    # x [5, 4] in 16 bits, mean and deviation of 5 rows in 32.
    text = (
        "g (float[5,4] x) => (float[5,4] y) <float[4] s, float[4] b> "
        "{ y = LayerNormalization(x, s, b) }"
    )
    assert train(text, mixed="bf16").activation_bytes == 2 * 20 + 4 * 10


def test_integers_keep_their_size_in_mixed_precision() -> None:
    # Rows 0, 1, 2 of the table: indices of 8 bytes.
    text = "g (int64[3] i) => (float[3,4] y) <float[9,4] w> { y = Gather(w, i) }"
    step = train(text, mixed="bf16")
    assert step.activation_bytes == 24
    assert step.weight_bytes == 2 * 36
