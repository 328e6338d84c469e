"""Convolutions and what they take in; those of one dimension stay out of the blocked layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from fusion.emulation import assert_same, members, operators
from mlsys_lint.program import Program
from mlsys_lint.testing import model_from_text

NORM = "float[4] s, float[4] b, float[4] m, float[4] v"
LINE = "float[1,3,9] x"
IMAGE = "float[1,3,8,8] x"
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
    ],
)
def test_constants_that_stay(body: str, stored: str) -> None:
    program = assert_same(_graph(body, f"{WEIGHT}, {stored}"))
    assert {"Add", "Sub", "Mul", "Div"} & set(operators(program))


@pytest.mark.parametrize(
    "text",
    [
        _graph("t = Conv(x, w) y = Add(t, c)", WEIGHT, f"{LINE}, float[4,1] c"),
        _graph("t = Conv(x, w) y = Add(t, c)", "float[4,1] c", f"{LINE}, {WEIGHT}"),
        _graph("t = Conv(x, w, b) y = Add(t, c)", f"{WEIGHT}, float[4,1] c", f"{LINE}, float[4] b"),
        _graph("t = Conv(x, w) y = Mul(t, c)", WEIGHT, f"{LINE}, float c"),
        _graph(
            "t = Conv(x, w) y = Add(t, c)", f"{WEIGHT}, float[4,1] c", outputs="float y, float t"
        ),
    ],
)
def test_what_is_no_constant_or_read_elsewhere_stays(text: str) -> None:
    text = text.replace("float y, float t", "float[1,4,7] y, float[1,4,7] t")
    assert len(operators(assert_same(text))) == 2


def test_normalization_that_stays() -> None:
    body = "t = Conv(x, w) u = Relu(t) n = BatchNormalization(t, s, b, m, v) y = Add(n, u)"
    assert "BatchNormalization" in operators(assert_same(_graph(body, f"{WEIGHT}, {NORM}")))
    body = "t = Conv(x, w) y = BatchNormalization(t, s, b, m, v)"
    text = _graph(body, f"{WEIGHT}, {NORM.replace(', float[4] v', '')}", f"{LINE}, float[4] v")
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


PADS = "int64[8] p = {0,0,1,1,0,0,2,1}"
ZERO = "float z = {0.0}"
POOL = "AveragePool<kernel_shape = [3,3]"


def _padded(body: str, stored: str = f"{PADS}, {ZERO}", opset: int = 17) -> Program:
    text = _graph(body, f"{stored}, float[4,3,3,3] w", IMAGE, "float[A,B,C,D] y")
    return assert_same(text, opset=opset)


@pytest.mark.parametrize("opset", [11, 13, 18, 22])
def test_padding_of_a_pool(opset: int) -> None:
    program = _padded(f"t = Pad(x, p, z) y = {POOL}>(t)", opset=opset)
    assert members(program) == [("AveragePool", [0, 1])]
    pool = _only(program, "AveragePool")
    assert pool.attributes["pads"] == (1, 1, 2, 1)
    assert pool.attributes["count_include_pad"] == 1
    # 8 + 1 + 2 - 3 + 1 = 9 rows, 8 + 1 + 1 - 3 + 1 = 8 columns
    assert pool.output.shape == (1, 3, 9, 8)


def test_a_pool_that_pads_itself_leaves_the_pad() -> None:
    program = _padded(f"t = Pad(x, p) y = {POOL}, pads = [1,0,1,0], count_include_pad = 1>(t)")
    assert operators(program) == ["Pad", "AveragePool"]


@pytest.mark.parametrize(
    "body", ["t = Pad(x, p, z) y = Conv(t, w)", "t = Pad(x, p) y = Conv(t, w)"]
)
def test_padding_of_a_convolution(body: str) -> None:
    conv = _only(_padded(body), "Conv")
    assert (sorted(conv.members), conv.folded) == ([0, 1], {0})
    assert conv.attributes["pads"] == (1, 1, 2, 1)


def test_padding_before_a_cast() -> None:
    text = _graph(
        "t = Pad(x, p) c = Cast<to = 1>(t) y = Conv(c, w)",
        f"{PADS}, float[4,3,3,3] w",
        "double[1,3,8,8] x",
        "float[A,B,C,D] y",
    )
    program = assert_same(text)
    cast = _only(program, "Cast")
    assert cast.output.dims == cast.output.shape == (1, 3, 8, 8)
    assert sorted(_only(program, "Conv").members) == [0, 2]


def test_padding_as_an_attribute() -> None:
    body = "t = Pad<pads = [0,0,1,1,0,0,1,1]>(x) y = Conv(t, w)"
    assert "Pad" not in operators(_padded(body, ZERO, opset=10))
    body = body.replace("<pads", "<value = 1.0, pads")
    assert "Pad" in operators(_padded(body, ZERO, opset=10))


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        ("t = Pad(x, p, z) y = MaxPool<kernel_shape = [3,3]>(t)", f"{PADS}, {ZERO}"),
        (f"t = Pad(x, p, z) y = {POOL}, ceil_mode = 1>(t)", f"{PADS}, {ZERO}"),
        (f"t = Pad(x, p, z) y = {POOL}, pads = [1,1,1,1]>(t)", f"{PADS}, {ZERO}"),
        ("t = Pad(x, p, z) y = Conv(t, w)", f"{PADS}, float z = {{1.0}}"),
        ("t = Pad(x, p, z) y = Conv(t, w)", f"{PADS.replace('2', '-1')}, {ZERO}"),
        ('t = Pad(x, p, z) y = Conv<auto_pad = "VALID">(t, w)', f"{PADS}, {ZERO}"),
        ('t = Pad<mode = "edge">(x, p) y = Conv(t, w)', f"{PADS}, {ZERO}"),
        (
            f"t = Pad(x, p, z) a = {POOL}>(t) b = {POOL}, strides = [1,1]>(t) y = Sub(a, b)",
            f"{PADS}, {ZERO}",
        ),
    ],
)
def test_padding_that_stays(body: str, stored: str) -> None:
    assert "Pad" in operators(_padded(body, stored))


def test_a_negative_zero_is_not_zero() -> None:
    text = _graph("t = Pad(x, p, z) y = Conv(t, w)", f"{PADS}, {ZERO}, float[4,3,3,3] w", IMAGE)
    model = model_from_text(text.replace("float[A,B,C] y", "float[A,B,C,D] y"), 17)
    for tensor in model.graph.initializer:
        if tensor.name == "z":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array(-0.0, np.float32), "z"))
    assert "Pad" in operators(assert_same(model))


def test_padding_with_axes_stays() -> None:
    stored = f"int64[4] p = {{1,1,1,1}}, {ZERO}, int64[2] a = {{2,3}}"
    assert "Pad" in operators(_padded("t = Pad(x, p, z, a) y = Conv(t, w)", stored, opset=18))
