"""Convolutions and what they take in; those of one dimension stay out of the blocked layout."""

from __future__ import annotations

from typing import Any

import pytest

from fusion.emulation import assert_same, members, operators
from mlsys_lint.program import Program

NORM = "float[4] s, float[4] b, float[4] m, float[4] v"
LINE = "float[1,3,9] x"
WEIGHT = "float[4,3,3] w"


def _graph(body: str, stored: str, inputs: str = LINE, outputs: str = "float[A,B,C] y") -> str:
    return f"g ({inputs}) => ({outputs}) <{stored}> {{ {body} }}"


def _only(program: Program, op_type: str) -> Any:
    return next(op for op in program.order() if op.op_type == op_type)


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        ("t = Conv(x, w) y = Add(t, c)", "float[4,1] c"),
        ("t = Conv(x, w) y = Add(t, c)", "float[1,4,1] c"),
        ("t = Conv(x, w, b) y = Add(t, c)", "float[4,1] c, float[4] b"),
        ("t = Conv(x, w) y = Mul(t, c)", "float[4,1] c"),
        ("t = Conv(x, w, b) y = Mul(t, c)", "float[1,4,1] c, float[4] b"),
        ("t = Conv(x, w, b) y = Mul(t, c)", "float c, float[4] b"),
        ("t = Conv(x, w) y = BatchNormalization(t, s, b, m, v)", NORM),
        ("t = Conv(x, w, b) y = BatchNormalization(t, s, b, m, v)", NORM),
    ],
)
@pytest.mark.parametrize("opset", [9, 17, 22])
def test_constants_go_into_weights(body: str, stored: str, opset: int) -> None:
    program = assert_same(_graph(body, f"{WEIGHT}, {stored}"), opset=opset)
    assert members(program) == [("Conv", [0, 1])]
    conv = _only(program, "Conv")
    assert conv.folded == {1}
    assert conv.output.name == "y"
    with_bias = "Add" in body or "Batch" in body or "w, b" in body
    assert [value.dims for value in conv.inputs[1:]] == [(4, 3, 3), (4,)][: 1 + with_bias]


def test_one_after_the_other() -> None:
    body = """t = Conv(x, w) a = BatchNormalization(t, s, b, m, v) c = Mul(a, n) d = Add(c, o)
              y = Relu(d)"""
    program = assert_same(_graph(body, f"{WEIGHT}, {NORM}, float[4,1] o, float n"))
    assert members(program) == [("FusedConv", [0, 1, 2, 3, 4])]
    assert _only(program, "FusedConv").folded == {1, 2, 3}


def test_two_convolutions_share_a_weight() -> None:
    # equal until each has taken in its own scale
    body = "t = Conv(x, w) u = Conv(x, w) c = Mul(t, n) d = Mul(u, o) y = Sub(c, d)"
    program = assert_same(_graph(body, f"{WEIGHT}, float[4,1] n, float[4,1] o"))
    assert operators(program) == ["Conv", "Conv", "Sub"]


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        ("t = Conv(x, w) y = Add(c, t)", "float[4,1] c"),
        ("t = Conv(x, w) y = Add(t, c)", "float[1] c"),
        ("t = Conv(x, w) y = Add(t, c)", "float c"),
        ("t = Conv(x, w) y = Add(t, c)", "float[4,7] c"),
        ("t = Conv(x, w) y = Add(t, c)", "float[1,1] c"),
        ("t = Conv(x, w) y = Sub(t, c)", "float[4,1] c"),
        ("t = Conv(x, w) y = Mul(c, t)", "float[4,1] c"),
        ("t = Conv(x, w) y = Mul(t, c)", "float[1] c"),
        ("t = Conv(x, w) y = Div(t, c)", "float[4,1] c"),
        ("t = Conv(x, w) u = Relu(t) a = Add(t, c) y = Add(a, u)", "float[4,1] c"),
        ("t = Conv(x, w) y = Add(t, t)", "float c"),
        ("t = Conv(x, w) u = Relu(t) a = Mul(t, c) y = Add(a, u)", "float[4,1] c"),
        ("t = Conv(x, w) y = Add(t, c)", "float[2,4,1] c"),
    ],
)
def test_constants_that_stay(body: str, stored: str) -> None:
    program = assert_same(_graph(body, f"{WEIGHT}, {stored}"))
    assert {"Add", "Sub", "Mul", "Div"} & set(operators(program))


SUM, PRODUCT = "t = Conv(x, w) y = Add(t, c)", "t = Conv(x, w) y = Mul(t, c)"
BOTH = "float[1,4,7] y, float[1,4,7] t"


@pytest.mark.parametrize(
    "text",
    [
        _graph(SUM, WEIGHT, f"{LINE}, float[4,1] c"),
        _graph(SUM, "float[4,1] c", f"{LINE}, {WEIGHT}"),
        _graph("t = Conv(x, w, b) y = Add(t, c)", f"{WEIGHT}, float[4,1] c", f"{LINE}, float[4] b"),
        _graph(PRODUCT, WEIGHT, f"{LINE}, float c"),
        _graph("t = Conv(x, w, b) y = Mul(t, c)", f"{WEIGHT}, float[4,1] c", f"{LINE}, float[4] b"),
        _graph(SUM, f"{WEIGHT}, float[4,1] c", outputs=BOTH),
        _graph(PRODUCT, f"{WEIGHT}, float[4,1] c", outputs=BOTH),
    ],
)
def test_what_is_no_constant_or_read_elsewhere_stays(text: str) -> None:
    assert len(operators(assert_same(text))) == 2


@pytest.mark.parametrize(
    ("body", "stored", "inputs", "rank"),
    [
        (SUM, "float[4,3,3] w, float[4,1] c", "float[N,3,M] x", 3),
        ("t = Conv<group = 3>(x, w) y = Add(t, c)", "float[6,1,3] w, float[6,1] c", LINE, 3),
        (PRODUCT, "float[4,3,3,3,3] w, float[4,1,1,1] c", "float[1,3,5,5,5] x", 5),
    ],
)
def test_constants_of_open_sizes_groups_and_volumes(
    body: str, stored: str, inputs: str, rank: int
) -> None:
    outputs = f"float[{','.join('ABCDE'[:rank])}] y"
    assert members(assert_same(_graph(body, stored, inputs, outputs))) == [("Conv", [0, 1])]


NORMALIZED = "t = Conv(x, w{}) y = BatchNormalization(t, s, b, m, v)"


def test_normalization_of_what_is_read_twice_stays() -> None:
    body = "t = Conv(x, w) u = Relu(t) n = BatchNormalization(t, s, b, m, v) y = Add(n, u)"
    assert "BatchNormalization" in operators(assert_same(_graph(body, f"{WEIGHT}, {NORM}")))
    text = _graph(NORMALIZED.format(""), f"{WEIGHT}, {NORM}", outputs=BOTH)
    assert operators(assert_same(text)) == ["Conv", "BatchNormalization"]


@pytest.mark.parametrize("given", ["float[4] s", "float[4] b", "float[4] m", "float[4] v", WEIGHT])
def test_normalization_by_what_is_no_constant_stays(given: str) -> None:
    stored = ", ".join(one for one in (WEIGHT, *NORM.split(", ")) if one != given)
    text = _graph(NORMALIZED.format(""), stored, f"{LINE}, {given}")
    assert operators(assert_same(text)) == ["Conv", "BatchNormalization"]


def test_normalization_with_a_bias_that_is_no_constant_stays() -> None:
    text = _graph(NORMALIZED.format(", q"), f"{WEIGHT}, {NORM}", f"{LINE}, float[4] q")
    assert operators(assert_same(text)) == ["Conv", "BatchNormalization"]


@pytest.mark.parametrize(("weight", "group"), [("float[3,4,3,3] w", 1), ("float[3,2,3,3] w", 2)])
def test_transposed_convolution(weight: str, group: int) -> None:
    inputs = "float[1,3,8,8] x" if group == 1 else "float[1,4,8,8] x"
    weight = weight if group == 1 else "float[4,2,3,3] w"
    body = f"t = ConvTranspose<group = {group}>(x, w) y = BatchNormalization(t, s, b, m, v)"
    text = _graph(body, f"{weight}, {NORM}", inputs, "float[A,B,C,D] y")
    program = assert_same(text)
    assert members(program) == [("ConvTranspose", [0, 1])]


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


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("inputs", [LINE, "float[N,3,M] x"])
def test_activation(activation: str, inputs: str) -> None:
    text = _graph(f"t = Conv(x, w) y = {activation}", f"{WEIGHT}, {BOUNDS}", inputs)
    program = assert_same(text)
    assert members(program) == [("FusedConv", [0, 1])]
    assert (
        _only(program, "FusedConv").attributes["activation"]
        == activation.split("(", maxsplit=1)[0].split("<", maxsplit=1)[0]
    )


def test_activation_in_three_dimensions_and_old_bounds() -> None:
    text = _graph(
        "t = Conv(x, w) y = Relu(t)",
        "float[4,3,3,3,3] w",
        "float[1,3,5,5,5] x",
        "float[A,B,C,D,E] y",
    )
    assert members(assert_same(text)) == [("FusedConv", [0, 1])]
    text = _graph("t = Conv(x, w) y = Clip<min = 0.0, max = 6.0>(t)", WEIGHT)
    assert members(assert_same(text, opset=9)) == [("FusedConv", [0, 1])]


def test_only_the_first_activation_is_taken() -> None:
    text = _graph("t = Conv(x, w) a = Relu(t) y = Sigmoid(a)", WEIGHT)
    assert members(assert_same(text)) == [("FusedConv", [0, 1]), ("Sigmoid", [2])]


def test_activation_of_weights_and_bounds_of_other_kinds() -> None:
    text = _graph("t = Conv(x, w) y = Relu(t)", "", f"{LINE}, {WEIGHT}")
    assert members(assert_same(text.replace("<>", ""))) == [("FusedConv", [0, 1])]
    text = _graph("t = Conv(x, w) y = Clip(t, lo)", f"{WEIGHT}, float[1] lo = {{0.0}}")
    assert members(assert_same(text)) == [("FusedConv", [0, 1])]
    # half precision has no convolution: it runs in single precision, between Casts
    half = _graph("t = Conv(x, w) y = Relu(t)", WEIGHT).replace("float[", "float16[")
    assert members(assert_same(half)) == [("Cast", []), ("FusedConv", [0, 1]), ("Cast", [])]


@pytest.mark.parametrize(
    "text",
    [
        _graph("t = Conv(x, w) y = Elu(t)", WEIGHT),
        _graph("t = Conv(x, w) y = Selu(t)", WEIGHT),
        _graph("t = Conv(x, w) y = Softplus(t)", WEIGHT),
        _graph("t = Conv(x, w) y = PRelu(t, a)", f"{WEIGHT}, float[4,1] a"),
        _graph("t = Conv(x, w) y = Clip(t, lo, hi)", f"{WEIGHT}, float hi", f"{LINE}, float lo"),
        _graph("t = Conv(x, w) y = Relu(t)", WEIGHT, outputs="float[1,4,7] y, float[1,4,7] t"),
        _graph("t = Conv(x, w) u = Relu(t) y = Add(t, u)", WEIGHT),
        _graph("t = ConvTranspose(x, w) y = Relu(t)", "float[3,4,3] w"),
    ],
)
def test_activation_that_stays(text: str) -> None:
    assert "FusedConv" not in operators(assert_same(text))


@pytest.mark.parametrize("name", ["Gelu", "Mish", "HardSwish", "ThresholdedRelu", "Celu", "Erf"])
def test_activation_of_newer_opsets_that_stays(name: str) -> None:
    text = _graph(f"t = Conv(x, w) y = {name}(t)", WEIGHT)
    assert "FusedConv" not in operators(assert_same(text, opset=20))
