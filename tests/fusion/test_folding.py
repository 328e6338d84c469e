"""What ONNX Runtime computes when it loads a model, and what it merges."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import helper

from fusion.emulation import HOST, assert_same, members, operators
from mlsys_lint.analysis import analyse
from mlsys_lint.devices import find_device
from mlsys_lint.loading import prepare
from mlsys_lint.pipeline import CheckOptions, report
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text


def _graph(body: str, before: str = "float[N,4] x", weights: str = "") -> str:
    return f"g ({before}) => (float[N,4] y) {weights} {{ {body} }}".replace(
        "float[N,4] y", "float[4] y" if before == "float[4] x" else "float[N,4] y"
    )


@pytest.mark.parametrize(
    ("body", "weights"),
    [
        ("a = Sin(w) y = Add(x, a)", "<float[4] w>"),
        ("a = Sin(w) b = Cos(a) y = Add(x, b)", "<float[4] w>"),
        ("a = ConstantOfShape(s) y = Add(x, a)", "<int64[1] s = {4}>"),
        ("a = Range(f, l, d) y = Add(x, a)", "<float f = {0}, float l = {4}, float d = {1}>"),
        ("s = Shape(x) c = Cast<to = 1>(s) y = Add(x, c)", ""),
    ],
)
def test_constants_are_computed_at_load(body: str, weights: str) -> None:
    assert operators(assert_same(_graph(body, "float[4] x", weights))) == ["Add"]


@pytest.mark.parametrize(
    ("body", "weights", "kept"),
    [
        # quantized weights wait for the quantization rules; random values differ from run to run
        ("a = DequantizeLinear(w, s) y = Add(x, a)", "<int8[4] w, float s = {0.5}>", 2),
        ("a = RandomNormal<shape = [4]>() y = Add(x, a)", "", 2),
        # Size is not looked at; the extent of NonZero's result is not known beforehand
        ("s = Size(x) c = Cast<to = 1>(s) y = Add(x, c)", "", 3),
        (
            "n = NonZero(w) m = ReduceMax<keepdims = 0>(n) c = Cast<to = 1>(m) y = Add(x, c)",
            "<float[4] w>",
            4,
        ),
    ],
)
def test_what_is_computed_in_every_run(body: str, weights: str, kept: int) -> None:
    assert len(operators(assert_same(_graph(body, "float[4] x", weights)))) == kept


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("s = Shape<start = 1>(x) c = Cast<to = 1>(s) y = Add(x, c)", 3),
        ("s = Shape(x) g = Gather(s, i) c = Cast<to = 1>(g) y = Add(x, c)", 4),
        ("s = Shape(x) o = Slice(s, i, e) c = Cast<to = 1>(o) y = Add(x, c)", 4),
    ],
)
def test_sizes_of_a_shape_with_an_open_axis(body: str, kept: int) -> None:
    """The axis that is asked for is stated in the file; it is looked up in every run all the same."""
    text = _graph(body, weights="<int64[1] i = {1}, int64[1] e = {2}>")
    assert len(operators(assert_same(text))) == kept


def test_equal_operators_run_once() -> None:
    # Sin and Cos twice; the second of each is a duplicate of the first that runs.
    program = assert_same(_graph("a = Sin(x) b = Sin(x) c = Cos(a) d = Cos(b) y = Add(c, d)"))
    assert operators(program) == ["Sin", "Cos", "Add"]
    assert sorted(program.eliminated.values()) == ["duplicate", "duplicate"]


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("a = Add(x, z) b = Add(z, x) y = Div(a, b)", 3),  # operands are not reordered
        ("a = RandomNormalLike(x) b = RandomNormalLike(x) y = Div(a, b)", 3),
        ("a = LeakyRelu<alpha = 0.1>(x) b = LeakyRelu<alpha = 0.2>(x) y = Div(a, b)", 3),
        ("a = LeakyRelu<alpha = 0.1>(x) b = LeakyRelu<alpha = 0.1>(x) y = Div(a, b)", 2),
    ],
)
def test_what_is_equal(body: str, kept: int) -> None:
    assert len(operators(assert_same(_graph(body, "float[N,4] x, float[N,4] z")))) == kept


@pytest.mark.parametrize(("size", "kept"), [(1, 3), (2, 3), (8, 3), (9, 5), (16, 5)])
def test_stored_tensors_are_compared_up_to_eight_elements(size: int, kept: int) -> None:
    values = ", ".join(["2"] * size)
    body = "a = Mul(x, p) b = Mul(x, q) c = Cos(a) d = Cos(b) y = Add(c, d)"
    weights = f"<float[{size}] p = {{{values}}}, float[{size}] q = {{{values}}}>"
    text = f"g (float[N,{size}] x) => (float[N,{size}] y) {weights} {{ {body} }}"
    assert len(operators(assert_same(text))) == kept


def test_two_results_are_not_merged() -> None:
    text = "g (float[4] x) => (float[4] y, float[4] z) { y = Sin(x) z = Sin(x) }"
    assert operators(assert_same(text)) == ["Sin", "Sin"]


def test_unread_results_are_computed() -> None:
    # Nothing removes Exp; of two sinks the one later in the file runs first.
    text = "g (float[4] x) => (float[4] y) { a = Sin(x) b = Exp(a) y = Sin(a) }"
    assert members(assert_same(text)) == [("Sin", [0]), ("Sin", [2]), ("Exp", [1])]


_BRANCHES = (
    "z = If(c) <then_branch = t () => (float[4,8] o) { a = Sin(q) o = Cos(a) },"
    " else_branch = e () => (float[4,8] p) { p = Identity(q) }>"
)


@pytest.mark.parametrize(
    ("condition", "kept"), [(1, ["Exp", "Sin", "Cos", "Tan"]), (0, ["Exp", "Tan"])]
)
def test_the_branch_of_a_constant_condition_is_inlined(condition: int, kept: list[str]) -> None:
    body = f"q = Exp(x) {_BRANCHES} y = Tan(z)"
    weights = f"<bool c = {{{condition}}}>"
    text = f"g (float[4,8] x) => (float[4,8] y) {weights} {{ {body} }}"
    assert operators(assert_same(text)) == kept


def test_a_condition_on_a_stated_size_is_constant() -> None:
    condition = "s = Shape(x) g = Gather(s, i) c = Equal(g, f)"
    weights = "<int64 i = {0}, int64 f = {4}>"
    body = f"{condition} q = Exp(x) {_BRANCHES} y = Tan(z)"
    text = f"g (float[4,8] x) => (float[4,8] y) {weights} {{ {body} }}"
    assert operators(assert_same(text)) == ["Exp", "Sin", "Cos", "Tan"]


def test_a_condition_that_is_fed_keeps_its_if() -> None:
    text = f"g (float[4,8] x, bool c) => (float[4,8] y) {{ q = Exp(x) {_BRANCHES} y = Tan(z) }}"
    assert operators(assert_same(text, ordered=False)) == ["Exp", "If", "Tan"]


def test_constants_that_are_equal_only_when_computed_stay_two() -> None:
    body = "c = Abs(a) d = Neg(b) p = Add(x, c) q = Add(x, d) y = Mul(p, q)"
    weights = "float[2] a = {3, 3}, float[2] b = {-3, -3}"
    program = assert_same(f"g (float[4,2] x) => (float[4,2] y) <{weights}> {{ {body} }}")
    assert operators(program) == ["Add", "Add", "Mul"]


def test_small_equal_constants_are_one() -> None:
    body = "p = Add(x, a) q = Add(x, b) y = Mul(p, q)"
    weights = "float[2] a = {3, 3}, float[2] b = {3, 3}"
    program = assert_same(f"g (float[4,2] x) => (float[4,2] y) <{weights}> {{ {body} }}")
    assert operators(program) == ["Add", "Mul"]


@pytest.mark.parametrize(("version", "kept"), [(3, 1), (4, 2), (10, 2)])
def test_a_stored_tensor_that_is_an_input_may_be_replaced_since_ir_4(
    version: int, kept: int
) -> None:
    # The convolution takes the normalization in only where nobody can feed other weights. Cin is 3
    # and the image 1-D, so the blocked layout has no part in it.
    text = """g (float[1,3,8] x) => (float[1,4,6] y)
        <float[4,3,3] w, float[4] s, float[4] b, float[4] m, float[4] v> {
        c = Conv(x, w) y = BatchNormalization(c, s, b, m, v) }"""
    model = model_from_text(text, 8 if version < 4 else 15)
    model.ir_version = version
    for tensor in model.graph.initializer:
        kind = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.input.append(kind)
    program = assert_same(model)
    assert len(program.ops) == kept
    analysis = analyse(prepare(model, Path("model.onnx")), HOST, Bindings())
    found = report(analysis, HOST, CheckOptions(devices=[find_device("i7-12700k", HOST.devices)]))
    assert found.model.parameters == 4 * 3 * 3 + 4 * 4  # stored all the same
    assert found.devices[0].memory_items["weights"] >= 4 * (4 * 3 * 3 + 4)
