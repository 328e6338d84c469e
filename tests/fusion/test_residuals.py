"""Sums that go into plain convolutions: what the blocked layout refused (ConvAddActivationFusion)."""

from __future__ import annotations

from typing import Any

import pytest

from fusion.emulation import assert_same, members, operators, optimized
from mlsys_lint.program import Program

IMAGE = "float[1,3,8,8] x"
ACTIVATIONS = [
    "Relu(t)",
    "Sigmoid(t)",
    "Tanh(t)",
    "LeakyRelu<alpha = 0.1>(t)",
    "HardSigmoid(t)",
    "Clip(t, lo, hi)",
    "Clip(t, , hi)",
    "Clip(t, lo)",
]
BOUNDS = "float lo = {0.0}, float hi = {6.0}"


def _graph(body: str, stored: str, inputs: str, outputs: str) -> str:
    return f"g ({inputs}) => ({outputs}) <{stored}> {{ {body} }}"


def _only(program: Program, op_type: str) -> Any:
    return next(op for op in program.order() if op.op_type == op_type)


@pytest.mark.parametrize("activation", [*ACTIVATIONS, "Neg(t)"])
def test_residual_that_the_blocked_layout_refused(activation: str) -> None:
    # 3 channels of input are read unblocked only where the weight is stored: here it is an input
    body = f"c = Conv(x, w, b) t = Add(c, r) y = {activation}"
    inputs = f"{IMAGE}, float[1,4,6,6] r, float[4,3,3,3] w"
    text = _graph(body, f"float[4] b, {BOUNDS}", inputs, "float[1,4,6,6] y")
    program = assert_same(text)
    taken = activation != "Neg(t)"
    assert members(program)[0] == ("FusedConv", [0, 1, 2] if taken else [0, 1])
    fused = _only(program, "FusedConv")
    assert [value.name for value in fused.inputs] == ["x", "w", "b", "r"]
    assert ("activation" in fused.attributes) is taken


def test_of_two_convolutions_the_first_takes_the_sum() -> None:
    inputs = f"{IMAGE}, float[1,3,8,8] z, float[4,3,3,3] w"
    body = "c = Conv(z, w, b) d = Conv(x, w, b) y = Add(d, c)"
    program = assert_same(_graph(body, "float[4] b", inputs, "float[1,4,6,6] y"))
    assert members(program) == [("Conv", [1]), ("FusedConv", [0, 2])]


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        ("c = Conv(x, w) y = Add(c, r)", f"{IMAGE}, float[1,4,6,6] r, float[4,3,3,3] w"),
        ("c = Conv(x, w, b) y = Add(c, r)", f"{IMAGE}, float[1,4,1,1] r, float[4,3,3,3] w"),
        ("c = Conv(x, w, b) y = Sub(c, r)", f"{IMAGE}, float[1,4,6,6] r, float[4,3,3,3] w"),
        ("c = Conv(x, w, b) y = Add(c, r)", "float[1,3,8] x, float[1,4,6] r, float[4,3,3] w"),
        ("c = Conv(x, w, b) y = Add(c, c)", f"{IMAGE}, float[4,3,3,3] w"),
        (
            "c = Conv(x, w, b) n = Neg(c) a = Add(c, r) y = Add(a, n)",
            f"{IMAGE}, float[1,4,6,6] r, float[4,3,3,3] w",
        ),
    ],
)
def test_residual_that_stays(body: str, inputs: str) -> None:
    rank = "float[A,B,C]" if "x, float[1,4,6] r" in inputs else "float[A,B,C,D]"
    assert "FusedConv" not in operators(
        assert_same(_graph(body, "float[4] b", inputs, f"{rank} y"))
    )


BARE = f"{IMAGE}, float[1,4,6,6] r, float[4,3,3,3] w"
ACTIVE = "c = Conv(x, w, b) t = Add(c, r) y = Relu(t)"


def _residual(body: str, inputs: str = BARE, outputs: str = "float[A,B,C,D] y") -> Program:
    return assert_same(_graph(body, "float[4] b", inputs, outputs))


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        (ACTIVE.replace("c, r", "r, c"), BARE),
        # equal symbols are equal sizes
        (ACTIVE, "float[N,3,8,8] x, float[N,4,6,6] r, float[4,3,3,3] w"),
    ],
)
def test_residual_of_either_side_and_of_equal_symbols(body: str, inputs: str) -> None:
    assert members(_residual(body, inputs)) == [("FusedConv", [0, 1, 2])]


def test_residual_of_channels_that_fit_no_block() -> None:
    stored, inputs = "float[16,17,1,1] w, float[16] b", "float[1,17,6,6] x, float[1,16,6,6] r"
    program = assert_same(_graph(ACTIVE, stored, inputs, "float[A,B,C,D] y"))
    assert members(program) == [("FusedConv", [0, 1, 2])]


@pytest.mark.parametrize(
    "inputs",
    [
        "float[N,3,8,8] x, float[M,4,6,6] r, float[4,3,3,3] w",
        # both open, with names or without
        "float[1,3,?,8] x, float[1,4,?,6] r, float[4,3,3,3] w",
        "float[1,3,H,8] x, float[1,4,G,6] r, float[4,3,3,3] w",
        "float[1,3,5,5,5] x, float[1,4,3,3,3] r, float[4,3,3,3,3] w",
    ],
)
def test_residual_of_sizes_that_are_not_provably_equal_stays(inputs: str) -> None:
    rank = "float[A,B,C,D,E] y" if "5,5,5" in inputs else "float[A,B,C,D] y"
    program = optimized(_graph(ACTIVE, "float[4] b", inputs, rank))
    assert members(program) == [("Conv", [0]), ("Add", [1]), ("Relu", [2])]
    # open sizes are 4 in a run, and these do not add up: the operators only
    assert_same(_graph(ACTIVE, "float[4] b", inputs, rank), ordered=False)


@pytest.mark.parametrize(
    ("body", "inputs", "outputs", "expected"),
    [
        # the sum is a result, or read twice: it is taken, what follows is not
        (ACTIVE, BARE, "float[1,4,6,6] y, float[1,4,6,6] t", [[0, 1], [2]]),
        (ACTIVE.replace("y =", "u =") + " y = Sub(t, u)", BARE, "", [[0, 1], [2], [3]]),
        (ACTIVE.replace("Relu(t)", "Clip(t, lo)"), f"{BARE}, float lo", "", [[0, 1], [2]]),
        # a convolution with an activation takes no sum, nor does one that is a result
        ("c = Conv(x, w, b) t = Relu(c) y = Add(t, r)", BARE, "", [[0, 1], [2]]),
        (
            "c = Conv(x, w, b) y = Add(c, r)",
            BARE,
            "float[1,4,6,6] y, float[1,4,6,6] c",
            [[0], [1]],
        ),
        ("c = Conv(x, w, b) y = Sum(c, r)", BARE, "", [[0], [1]]),
    ],
)
def test_how_much_of_a_residual_is_taken(
    body: str, inputs: str, outputs: str, expected: list[list[int]]
) -> None:
    program = _residual(body, inputs, outputs or "float[A,B,C,D] y")
    assert [nodes for _, nodes in members(program)] == expected
