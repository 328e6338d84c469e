"""Units of DequantizeLinear, an operator and QuantizeLinear: which become one kernel."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members, operators

UNSIGNED = "float s = {0.5}, uint8 z = {128}, float t = {0.25}, uint8 u = {3}, uint8 none = {0}"
WEIGHTS = (
    "int8[16,8,3,3] w, float ws = {0.1}, int8 wz = {0}, "
    "int32[16] b, float bs = {0.05}, int32 bz = {0}"
)
IMAGE = "uint8[1,8,6,6] x"


def graph(
    body: str, *, inputs: str = IMAGE, outputs: str = "uint8[A,B,C,D] y", constants: str = WEIGHTS
) -> str:
    return f"g ({inputs}) => ({outputs}) <{UNSIGNED}, {constants}> {{ {body} }}"


def around(body: str, *, after: str = "s, z") -> str:
    """A node that computes `c` from `a`, between DequantizeLinear and QuantizeLinear."""
    return f"a = DequantizeLinear(x, s, z) {body} y = QuantizeLinear(c, {after})"


# -- operators on the integers themselves -----------------------------------------------------

MOVES = [
    ("c = Reshape(a, shape)", "uint8[A,B] y", "int64[2] shape = {2, -1}"),
    ("c = Transpose<perm = [0, 2, 3, 1]>(a)", "uint8[A,B,C,D] y", ""),
    ("c = Flatten(a)", "uint8[A,B] y", ""),
    ("c = Unsqueeze(a, axes)", "uint8[A,B,C,D,E] y", "int64[1] axes = {0}"),
    ("c = Squeeze(a, axes)", "uint8[A,B,C] y", "int64[1] axes = {0}"),
    ("c = Slice(a, start, end)", "uint8[A,B,C,D] y", "int64[1] start = {0}, int64[1] end = {1}"),
    ("c = Gather(a, index)", "uint8[A,B,C,D] y", "int64[1] index = {0}"),
    ("c = Tile(a, repeats)", "uint8[A,B,C,D] y", "int64[4] repeats = {1, 1, 2, 1}"),
    ("c = Expand(a, shape)", "uint8[A,B,C,D] y", "int64[4] shape = {2, 8, 6, 6}"),
    ("c = MaxPool<kernel_shape = [3, 3]>(a)", "uint8[A,B,C,D] y", ""),
    ("c = ReduceMax(a)", "uint8[A,B,C,D] y", ""),
    ('c = Resize<mode = "nearest">(a, , scales)', "uint8[A,B,C,D] y",
     "float[4] scales = {1, 1, 2, 2}"),
]  # fmt: skip


@pytest.mark.parametrize(("node", "outputs", "constants"), MOVES)
def test_what_does_not_compute_works_on_integers(node: str, outputs: str, constants: str) -> None:
    constants = constants or WEIGHTS
    program = assert_same(graph(around(node), outputs=outputs, constants=constants))
    ((_, found),) = members(program)
    assert found == [0, 1, 2]
    (op,) = program.ops.values()
    assert op.folded == {0, 2}  # nobody quantizes any more
    assert op.output.dtype == "uint8"


@pytest.mark.parametrize(("node", "outputs", "constants"), MOVES)
def test_it_does_not_where_the_ends_differ(node: str, outputs: str, constants: str) -> None:
    body = around(node, after="t, z")
    program = assert_same(graph(body, outputs=outputs, constants=constants or WEIGHTS))
    assert operators(program)[::2] == ["DequantizeLinear", "QuantizeLinear"]


def test_what_chooses_needs_a_positive_scale() -> None:
    text = graph(around("c = MaxPool<kernel_shape = [3, 3]>(a)")).replace("s = {0.5}", "s = {-0.5}")
    assert operators(assert_same(text)) == ["DequantizeLinear", "MaxPool", "QuantizeLinear"]


def test_16_bits_are_moved_but_not_pooled() -> None:
    for node, fused in (
        ("c = Transpose<perm = [0, 2, 3, 1]>(a)", True),
        ("c = MaxPool<kernel_shape = [3, 3]>(a)", False),
    ):
        text = graph(around(node)).replace("uint8[", "uint16[").replace("uint8 z", "uint16 z")
        assert (len(assert_same(text, opset=21).ops) == 1) is fused


def test_argmax_takes_integers() -> None:
    body = "a = DequantizeLinear(x, s, z) y = ArgMax<axis = 1>(a)"
    program = assert_same(graph(body, outputs="int64[A,B,C,D] y"))
    assert members(program) == [("ArgMax", [0, 1])]


@pytest.mark.parametrize(("after", "fused"), [("s, z", True), ("t, z", False)])
def test_split_needs_equal_parameters_everywhere(after: str, *, fused: bool) -> None:
    body = (
        "a = DequantizeLinear(x, s, z) c, d = Split<axis = 1>(a, sizes) "
        f"y = QuantizeLinear(c, s, z) v = QuantizeLinear(d, {after})"
    )
    outputs = "uint8[A,B,C,D] y, uint8[A,B,C,D] v"
    program = assert_same(
        graph(body, outputs=outputs, constants="int64[2] sizes = {4, 4}"),
    )
    assert (members(program) == [("Split", [0, 1, 2, 3])]) is fused


# -- quantized operators ----------------------------------------------------------------------

UNARY = [
    "AveragePool<kernel_shape = [3, 3]>",
    "GlobalAveragePool",
    "LeakyRelu",
    "Sigmoid",
    "Softmax",
]


@pytest.mark.parametrize("name", UNARY)
def test_quantized_unary_operators(name: str) -> None:
    program = assert_same(graph(around(f"c = {name}(a)", after="t, u")))
    assert members(program) == [(f"QLinear{name.partition('<')[0]}", [0, 1, 2])]


@pytest.mark.parametrize("name", ["Tanh", "Abs", "HardSigmoid", "ReduceMean", "Erf"])
def test_others_stay_in_float(name: str) -> None:
    program = assert_same(graph(around(f"c = {name}(a)")))
    assert operators(program) == ["DequantizeLinear", name, "QuantizeLinear"]


@pytest.mark.parametrize(
    ("node", "inputs", "expected"),
    [
        ("c = Add(a, d)", "uint8[1,8,6,6] v", "QLinearAdd"),
        ("c = Mul(d, a)", "uint8[8,1,1] v", "QLinearMul"),
        ("c = Concat<axis = 1>(a, d)", "uint8[1,4,6,6] v", "QLinearConcat"),
        ("c = Where(k, a, d)", "uint8[1,8,6,6] v, bool[1,8,6,6] k", "QLinearWhere"),
    ],
)
def test_quantized_operators_of_two(node: str, inputs: str, expected: str) -> None:
    body = around(f"d = DequantizeLinear(v, t, u) {node}")
    program = assert_same(graph(body, inputs=f"{IMAGE}, {inputs}"))
    assert members(program) == [(expected, [0, 1, 2, 3])]


@pytest.mark.parametrize("name", ["Sub", "Div", "Pow", "Max"])
def test_others_of_two_stay_in_float(name: str) -> None:
    body = around(f"d = DequantizeLinear(v, t, u) c = {name}(a, d)")
    program = assert_same(graph(body, inputs=f"{IMAGE}, uint8[1,8,6,6] v"))
    assert name in operators(program)


def test_an_operand_in_float_stops_it() -> None:
    body = around("c = Add(a, v)")
    program = assert_same(graph(body, inputs=f"{IMAGE}, float[1,8,6,6] v"))
    assert operators(program) == ["DequantizeLinear", "Add", "QuantizeLinear"]


@pytest.mark.parametrize(
    "extra",
    [
        "v = Neg(c)",  # a second reader
        "v = Identity(c)",
        "v = QuantizeLinear(c, t, u)",  # two quantized readers
    ],
)
def test_the_result_has_one_reader(extra: str) -> None:
    kind = "uint8" if "Quant" in extra else "float"
    outputs = f"uint8[A,B,C,D] y, {kind}[A,B,C,D] v"
    program = assert_same(graph(f"{around('c = Sigmoid(a)')} {extra}", outputs=outputs))
    assert "Sigmoid" in operators(program)


# -- Relu and Clip between the operator and QuantizeLinear --------------------------------------

BOUNDS = "float lo = {0.0}, float hi = {%s}"


@pytest.mark.parametrize(
    ("clip", "after", "high", "redundant"),
    [
        ("d = Relu(c)", "t, none", "6", True),  # uint8 with zero point 0: nothing below 0
        ("d = Relu(c)", "t, u", "6", False),
        ("d = Clip(c, lo, hi)", "t, none", "6", False),
        # 0.25 * 255 = 63.75: the range of the integers ends there
        ("d = Clip(c, lo, hi)", "t, none", "63.75", True),
        ("d = Clip(c, lo, hi)", "t, none", "64", True),
        # rounds to 255 * 0.25, although it is less
        ("d = Clip(c, lo, hi)", "t, none", "63.7", True),
        ("d = Clip(c, lo, hi)", "t, none", "63.6", False),
        ("d = Clip(c, lo)", "t, none", "6", True),
        ("d = Clip(c, lo, hi)", "t, u", "64", False),  # zero point 3: -0.75 can be expressed
    ],
)
def test_redundant_bounds_are_part_of_the_unit(
    clip: str, after: str, high: str, *, redundant: bool
) -> None:
    body = f"a = DequantizeLinear(x, s, z) c = Sigmoid(a) {clip} y = QuantizeLinear(d, {after})"
    program = assert_same(graph(body, constants=BOUNDS % high))
    if redundant:
        assert members(program) == [("QLinearSigmoid", [0, 1, 2, 3])]
        (op,) = program.ops.values()
        assert op.folded == {2}
    else:
        assert len(program.ops) == 4


def test_a_redundant_relu_goes_everywhere() -> None:
    body = "c = Tanh(x) d = Relu(c) y = QuantizeLinear(d, t, none)"
    program = assert_same(graph(body, inputs="float[2,3] x", outputs="uint8[2,3] y"))
    assert members(program) == [("Tanh", [0]), ("QuantizeLinear", [1, 2])]


def test_a_redundant_relu_between_equal_parameters_leaves_nothing() -> None:
    body = "a = DequantizeLinear(x, t, none) d = Relu(a) y = QuantizeLinear(d, t, none)"
    program = assert_same(graph(body))
    assert operators(program) == ["Identity"]  # between an input and an output
    assert program.eliminated == {0: "cancelled", 1: "cancelled", 2: "cancelled"}
