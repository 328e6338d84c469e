"""RNN, LSTM, GRU: MACs, element-wise work and activations derived by hand."""

from __future__ import annotations

import pytest

from mlsys_lint import Contraction, NodeCost, NodeStatus, OpCost
from mlsys_lint.testing import check_text, estimate_text

T, B, I, H = 5, 2, 3, 4  # noqa: E741  the names of the specification
STATES = T * B * H
GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}


def node_of(op: str, attributes: str = "", operands: str = "x, w, r", ways: int = 1) -> NodeCost:
    gates = GATES[op]
    weights = (
        f"float[{ways},{gates * H},{I}] w, float[{ways},{gates * H},{H}] r, "
        f"float[{ways},{2 * gates * H}] b, float[{ways},{3 * H}] p"
    )
    extra = f"float[{T},{B},{I}] x, int32[{B}] lens, float[{ways},{B},{H}] h0"
    text = f"g ({extra}, {weights}) => (float[?,?,?,?] y) {{ y = {op}<{attributes}hidden_size={H}>({operands}) }}"
    (found,) = estimate_text(text)
    return found


def cost_of(op: str, attributes: str = "", operands: str = "x, w, r", ways: int = 1) -> OpCost:
    found = node_of(op, attributes, operands, ways)
    assert found.cost is not None, found.reason
    maximum = any(text.startswith("data-dependent") for text in found.cost.assumptions)
    assert found.status is (NodeStatus.ESTIMATED if maximum else NodeStatus.EXACT)
    return found.cost


@pytest.mark.parametrize("op", GATES)
def test_macs_and_shapes(op: str) -> None:
    gates = GATES[op]
    cost = cost_of(op)
    # The input product of all steps at once, the recurrent one step by step.
    assert cost.contractions == (
        Contraction(m=T * B, n=gates * H, k=I, dtype="float"),
        Contraction(batch=T, m=B, n=gates * H, k=H, dtype="float"),
    )
    assert cost.macs == T * B * gates * H * (I + H)
    assert cost.kernel_class == "recurrent"


@pytest.mark.parametrize(
    ("op", "vector_ops", "transcendentals"),
    [
        ("RNN", 1, 1),  # W x + R h; tanh
        ("LSTM", 4 + 4, 5),  # four sums; f * C + i * c, o * h(C); i, o, f, c, h(C)
        ("GRU", 3 + 5, 3),  # three sums; r * h, (1 - z) * h' + z * h; z, r, h'
    ],
)
def test_element_wise_work(op: str, vector_ops: int, transcendentals: int) -> None:
    plain, biased = cost_of(op), cost_of(op, operands="x, w, r, b")
    assert plain.vector_ops == STATES * vector_ops
    assert plain.transcendentals == biased.transcendentals == STATES * transcendentals
    # Two biases a gate.
    assert biased.vector_ops == STATES * (vector_ops + 2 * GATES[op])


def test_both_directions_count() -> None:
    one, both = cost_of("LSTM"), cost_of("LSTM", 'direction="bidirectional", ', ways=2)
    assert (both.macs, both.vector_ops) == (2 * one.macs, 2 * one.vector_ops)
    assert both.transcendentals == 2 * one.transcendentals


def test_peepholes_multiply_element_by_element() -> None:
    plain, peeping = cost_of("LSTM"), cost_of("LSTM", operands="x, w, r, , , , , p")
    assert peeping.macs == plain.macs
    assert peeping.vector_ops - plain.vector_ops == STATES * 3 * 2


def test_optional_inputs_and_one_output_are_no_trouble() -> None:
    assert cost_of("GRU", operands="x, w, r, , , h0").macs == cost_of("GRU").macs
    assert cost_of("GRU", "linear_before_reset=1, ").macs == cost_of("GRU").macs


def test_named_activations_and_clip() -> None:
    relu = cost_of("RNN", 'activations=["Relu"], ')
    assert (relu.vector_ops, relu.transcendentals) == (STATES * 2, 0)
    # Relu counts 1, HardSigmoid 4 on two gates.
    hard = cost_of("GRU", 'activations=["HardSigmoid", "Relu"], ')
    assert (hard.vector_ops, hard.transcendentals) == (STATES * (8 + 2 * 4 + 1), 0)
    # A clip before each of five activations: min and max.
    clipped = cost_of("LSTM", "clip=1.0, ")
    assert clipped.vector_ops == STATES * (8 + 10)


def test_an_unknown_activation_is_declined() -> None:
    found = node_of("RNN", 'activations=["Sine"], ')
    assert found.status is NodeStatus.DECLINED
    assert found.reason is not None
    assert "Sine" in found.reason


def test_sequences_that_end_early_count_in_full() -> None:
    cost = cost_of("RNN", operands="x, w, r, , lens")
    assert cost.macs == cost_of("RNN").macs
    assert "data-dependent" in cost.assumptions[0]


def test_batch_first_layout() -> None:
    text = f"g (float[{B},{T},{I}] x, float[1,{H},{I}] w, float[1,{H},{H}] r) => (float[?,?,?,?] y) {{ y = RNN<layout=1, hidden_size={H}>(x, w, r) }}"
    (found,) = estimate_text(text)
    assert found.cost is not None
    assert found.cost.contractions[1] == Contraction(batch=T, m=B, n=H, k=H, dtype="float")


def test_lengths_are_no_parameters() -> None:
    text = f"g (float[{T},{B},{I}] x) => (float[?,?,?,?] y) <float[1,{H},{I}] w, float[1,{H},{H}] r, int32[{B}] lens> {{ y = RNN<hidden_size={H}>(x, w, r, , lens) }}"
    assert check_text(text).model.parameters == H * I + H * H
