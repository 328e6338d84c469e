"""What each optimizer keeps and computes for a [4, 3] and a [3], from its published update rule."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from mlsys_lint import Optimizer, hookimpl
from mlsys_lint.analysis import analyse
from mlsys_lint.errors import OptionError
from mlsys_lint.loading import prepare
from mlsys_lint.pipeline import CheckOptions, report
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import State, Weight, Work
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text
from mlsys_lint.training import TrainingOptions
from training.steps import host, train

# Two layers, so that both kinds of weight stand: 12 + 3 = 15 weights in float.
MODEL = "g (float[2,4] x) => (float[2,3] y) <float[4,3] w, float[3] b> { y = Gemm(x, w, b) }"
WEIGHTS = 15


@pytest.mark.parametrize(
    ("name", "states", "operations", "roots"),
    [
        # w - r g: product, difference.
        ("sgd", 0, 2, 0),
        # v = a v + g: 2; w - r v: 2.
        ("momentum", 1, 4, 0),
        # v = a v + g: 2; w - r (g + a v): product, sum, product, difference.
        ("nesterov", 1, 6, 0),
        # h = h + g g: 2; w - r g / (sqrt h + e): sum, product, quotient, difference.
        ("adagrad", 1, 6, 1),
        # v = a v + (1 - a) g g: three products, a sum; the step as Adagrad's: 4.
        ("rmsprop", 1, 8, 1),
        # m = b m + (1 - b) g: 3; v = c v + (1 - c) g g: 4; m / (1 - b^t), v / (1 - c^t): 2;
        # w - r m / (sqrt v + e): 4.
        ("adam", 2, 13, 1),
        # m, v and corrections 9; w - s (r m / (sqrt v + e) + d w): r m, + e, quotient, d w, sum, s,
        # difference.
        ("adamw", 2, 16, 1),
        # b m + (1 - b) g: 3; sign, d w, sum, r, difference: 5; b' m + (1 - b') g: 3.
        ("lion", 1, 11, 0),
    ],
)
def test_each_weight_by_itself(name: str, states: int, operations: int, roots: int) -> None:
    step = train(MODEL, optimizer=name)
    assert step.optimizer == name
    assert step.optimizer_state_bytes == 4 * states * WEIGHTS
    assert step.update_flops == operations * WEIGHTS
    assert step.update_transcendentals == roots * WEIGHTS
    assert (step.weight_bytes, step.gradient_bytes) == (4 * WEIGHTS, 4 * WEIGHTS)


def test_states_take_the_type_of_the_weights() -> None:
    half = MODEL.replace("float", "float16")
    assert train(half, optimizer="adam").optimizer_state_bytes == 2 * 2 * WEIGHTS
    assert train(half, optimizer="adam").gradient_bytes == 2 * WEIGHTS


def test_adafactor() -> None:
    # Of [4, 3] four rows and three columns, of [3] a number each: 10 numbers.
    step = train(MODEL, optimizer="adafactor")
    assert step.optimizer_state_bytes == 4 * (4 + 3 + 3)
    # Both: RMS of the weights 2, g g + e 2, g over the root 1, RMS of the update 2, clipping 1,
    # w - a u 2: 10. The matrix: sums of rows and of columns 2, R C and its quotient 2; R and C are
    # averaged (3 for each row and column), R is summed (1 for each row). The vector is averaged: 3.
    matrix = 14 * 12 + 3 * (4 + 3) + 4
    assert step.update_flops == matrix + 13 * 3
    assert step.update_transcendentals == WEIGHTS


def test_adafactor_factors_the_last_two_axes() -> None:
    # [8, 2, 3, 3] is 16 matrices of 3 x 3: 48 rows and 48 columns.
    conv = "g (float[1,2,5,5] x) => (float[1,8,3,3] y) <float[8,2,3,3] w> { y = Conv(x, w) }"
    step = train(conv, optimizer="adafactor")
    assert step.optimizer_state_bytes == 4 * (48 + 48)
    assert step.update_flops == 14 * 144 + 4 * 48 + 3 * 48


def test_adam_in_8_bits() -> None:
    # 80 x 70 = 5,600 weights in 3 blocks of 2,048: two bytes a weight and two scales a block. The 70
    # biases are too few and keep 32 bits.
    text = (
        "g (float[1,80] x) => (float[1,70] y) <float[80,70] w, float[70] b> { y = Gemm(x, w, b) }"
    )
    step = train(text, optimizer="adam-8bit")
    assert step.optimizer_state_bytes == 2 * (5600 + 3 * 4) + 2 * 4 * 70
    # Adam 13; for each of two states a product to unpack, abs, max, quotient and rounding to pack: 10.
    assert step.update_flops == 13 * 5670 + 10 * 5600


def test_galore() -> None:
    # Rank 2 of a 4 x 3 matrix: the shorter side is 3: projection 3 x 2, two states of 2 x 4. Adam for
    # the bias: 2 x 3.
    step = train(MODEL, optimizer="galore", rank=2)
    assert step.optimizer_state_bytes == 4 * (3 * 2 + 2 * 2 * 4 + 2 * 3)
    # P' G and P N: 2 * 3 * 4 MACs each. Adam without its step on 2 x 4 numbers: 11; r a P N and the
    # difference: 3 a weight.
    assert step.update_flops == 2 * 2 * 24 + 11 * 8 + 3 * 12 + 13 * 3
    assert step.update_transcendentals == 8 + 3
    assert any("decomposition" in one for one in step.assumptions)


def test_galore_leaves_small_and_other_tensors_to_adam() -> None:
    # The default rank of 128 is not below 3.
    adam = train(MODEL, optimizer="adam")
    step = train(MODEL, optimizer="galore")
    assert step.rank == 128
    assert step.optimizer_state_bytes == adam.optimizer_state_bytes
    assert step.update_flops == adam.update_flops


def test_lora() -> None:
    # Rank 2 at 4 x 3: [4, 2] and [2, 3], 14 weights; the matrix and the bias stay.
    step = train(MODEL, optimizer="lora", rank=2)
    assert (step.trainable_parameters, step.frozen_parameters) == (14, WEIGHTS)
    assert step.weight_bytes == 4 * (WEIGHTS + 14)
    assert step.optimizer_state_bytes == 4 * 2 * 14
    assert step.update_flops == 13 * 14
    # Two rows: X W 2*4*3, X A 2*4*2, X A B 2*2*3 MACs.
    assert step.forward_contraction_flops == 2 * (24 + 16 + 12)
    # dB and d(X A) of X A B, dA; X is fed and wants nothing, W is frozen.
    assert step.backward_contraction_flops == 2 * (12 + 12 + 16)
    # X, and X A of 2 x 2.
    assert step.activation_bytes == 4 * (8 + 4)


def test_lora_on_weights_of_4_bits() -> None:
    # 64 inputs to 32 outputs in 4 bits: 32 rows of 2 blocks of 16 bytes, and 64 scales.
    text = (
        "g (float[2,64] x) => (float[2,32] y) <uint8[32,2,16] w, float[64] s> "
        "{ y = com.microsoft.MatMulNBits<K=64, N=32, bits=4, block_size=32>(x, w, s) }"
    )
    step = train(text, optimizer="lora", rank=4)
    assert step.trainable_parameters == 4 * (64 + 32)
    assert step.weight_bytes == 32 * 32 + 4 * 64 + 4 * 4 * 96
    assert train(text, optimizer="sgd", frozen=("s",)).trainable_parameters == 0


def test_a_rank_needs_an_optimizer_that_has_one() -> None:
    with pytest.raises(OptionError, match="--rank 4: the optimizer adam has no rank"):
        train(MODEL, optimizer="adam", rank=4)


def test_an_unknown_optimizer_names_those_that_exist() -> None:
    with pytest.raises(OptionError, match="known optimizers: adafactor, adagrad, adam, "):
        train(MODEL, optimizer="prodigy")


def test_a_plugin_brings_an_optimizer() -> None:
    # Signs of gradients: sign, product, difference; a byte a weight for the last one.
    def states(weight: Weight, rank: int) -> tuple[State, ...]:
        return (State(elements=weight.elements + rank, dtype="int8"),)

    def update(weight: Weight, rank: int) -> Work:
        return Work(vector_ops=3 * weight.elements + rank)

    mine = Optimizer(name="acme-sign", states=states, update=update, source="Acme 2026")
    plugin = SimpleNamespace(register_optimizers=hookimpl(lambda: [mine]))
    found = PluginHost(third_party=False, extra={"acme": plugin})
    assert found.optimizers["acme-sign"] is mine
    analysis = analyse(prepare(model_from_text(MODEL), Path("text.onnx")), found, Bindings())
    options = CheckOptions(training=TrainingOptions(optimizer="acme-sign"))
    step = report(analysis, found, options).training
    assert step is not None
    assert (step.optimizer_state_bytes, step.update_flops) == (WEIGHTS, 3 * WEIGHTS)


def test_a_plugin_that_brings_something_else_is_a_problem() -> None:
    plugin = SimpleNamespace(register_optimizers=hookimpl(lambda: ["adam"]))
    found = PluginHost(third_party=False, extra={"acme": plugin})
    assert [one.plugin for one in found.problems] == ["acme"]
    assert "adam" in found.optimizers


@pytest.mark.parametrize("optimizer", host().optimizers.values(), ids=lambda one: one.name)
def test_every_optimizer_grows_with_its_weight(optimizer: Optimizer) -> None:
    rank = 2
    small, large = (
        Weight(name="w", shape=(8 * scale, 8), dtype="float", is_matrix=True) for scale in (1, 2)
    )
    assert optimizer.source
    states = [sum(one.elements for one in optimizer.states(w, rank)) for w in (small, large)]
    work = [optimizer.update(w, rank) for w in (small, large)]
    assert states[0] < states[1] or states == [0, 0]
    assert 0 < work[0].vector_ops < work[1].vector_ops
