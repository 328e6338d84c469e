"""Padding that goes into convolutions and pools (PadFusion)."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from fusion.emulation import assert_same, members, operators, optimized
from mlsys_lint.program import Program
from mlsys_lint.testing import model_from_text

IMAGE = "float[1,3,8,8] x"


def _graph(body: str, stored: str, inputs: str, outputs: str = "float[A,B,C] y") -> str:
    return f"g ({inputs}) => ({outputs}) <{stored}> {{ {body} }}"


def _only(program: Program, op_type: str) -> Any:
    return next(op for op in program.order() if op.op_type == op_type)


PADS = "int64[8] p = {0,0,1,1,0,0,2,1}"
ZERO = "float z = {0.0}"
POOL = "AveragePool<kernel_shape = [3,3]"
PADDED = "t = Pad(x, p, z) y = Conv(t, w)"


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


def test_padding_adds_to_the_convolutions_own() -> None:
    # (top 1, left 1, bottom 2, right 1) and (1, 2, 0, 1)
    conv = _only(_padded("t = Pad(x, p, z) y = Conv<pads = [1,2,0,1]>(t, w)"), "Conv")
    assert conv.attributes["pads"] == (2, 3, 2, 2)
    # 8 + 2 + 2 - 3 + 1 = 10 rows, 8 + 3 + 2 - 3 + 1 = 11 columns
    assert conv.output.shape is not None
    assert conv.output.shape[2:] == (10, 11)


@pytest.mark.parametrize("inputs", ["float[1,3,9] x", "float[N,3,M] x"])
def test_padding_of_a_line(inputs: str) -> None:
    stored = f"int64[6] p = {{0,0,1,0,0,2}}, {ZERO}, float[4,3,3] w"
    program = assert_same(_graph("t = Pad(x, p, z) y = Conv(t, w)", stored, inputs))
    assert members(program) == [("Conv", [0, 1])]
    assert _only(program, "Conv").attributes["pads"] == (1, 2)


def test_padding_then_an_activation() -> None:
    conv = _only(_padded("t = Pad(x, p) a = Conv(t, w) y = Relu(a)"), "Conv")
    assert (sorted(conv.members), conv.folded) == ([0, 1, 2], {0})


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
        ('t = Pad<mode = "reflect">(x, p) y = Conv(t, w)', PADS),
        ("t = Pad(x, p) u = Relu(t) y = Conv(u, w)", PADS),
        ("t = Pad(x, p) y = GlobalAveragePool(t)", PADS),
        ("t = Pad(x, p) y = LpPool<kernel_shape = [3,3]>(t)", PADS),
        ("t = Pad(x, p) y = ConvTranspose(t, k)", f"{PADS}, float[3,4,3,3] k"),
        # of the images of a batch
        ("t = Pad(x, p) y = Conv(t, w)", "int64[8] p = {0,0,1,1,1,0,1,1}"),
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


@pytest.mark.parametrize(
    ("inputs", "stored", "outputs"),
    [
        # of channels
        ("float[1,2,8,8] x", f"int64[8] p = {{0,1,1,1,0,0,1,1}}, {ZERO}", "float[A,B,C,D] y"),
        (f"{IMAGE}, float z", PADS, "float[A,B,C,D] y"),
        (IMAGE, f"{PADS}, {ZERO}", "float[1,4,9,8] y, float[1,3,11,10] t"),
    ],
)
def test_padding_of_other_axes_by_an_input_or_of_a_result_stays(
    inputs: str, stored: str, outputs: str
) -> None:
    text = _graph(PADDED, f"{stored}, float[4,3,3,3] w", inputs, outputs)
    assert "Pad" in operators(assert_same(text))


def test_padding_by_an_input_stays() -> None:
    text = _graph(PADDED, f"{ZERO}, float[4,3,3,3] w", f"{IMAGE}, int64[8] p", "float[A,B,C,D] y")
    assert "Pad" in operators(assert_same(text))


def test_padding_of_a_weight_stays() -> None:
    # no comparison: ONNX Runtime pads the image by it, and then rejects its own graph
    inputs = f"{IMAGE}, float[4,3,1,1] w"
    text = _graph("t = Pad(w, p) y = Conv(x, t)", PADS, inputs, "float[A,B,C,D] y")
    assert operators(optimized(text, block=0)) == ["Pad", "Conv"]
