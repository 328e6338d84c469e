"""QuantizeLinear and DequantizeLinear themselves: shared, doubled, repeated, cancelled."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members, operators

DATA = "float s = {0.5}, uint8 z = {128}, float t = {0.25}, uint8 u = {3}"


def graph(
    body: str,
    *,
    inputs: str = "uint8[2,8] x",
    outputs: str = "float[2,8] y",
    constants: str = "",
) -> str:
    return f"g ({inputs}) => ({outputs}) <{DATA}{constants and ', '}{constants}> {{ {body} }}"


# -- one DequantizeLinear for each reader ---------------------------------------------------------


def test_each_reader_has_its_own() -> None:
    body = "a = DequantizeLinear(x, s, z) y = Tanh(a) v = Sigmoid(a)"
    program = assert_same(graph(body, outputs="float[2,8] y, float[2,8] v"))
    # the second one is new and comes last: its branch runs first
    assert members(program) == [
        *(("DequantizeLinear", [0]), ("Sigmoid", [2])),
        *(("DequantizeLinear", [0]), ("Tanh", [1])),
    ]


def test_one_that_reads_it_twice_has_two() -> None:
    program = assert_same(graph("a = DequantizeLinear(x, s, z) y = Mul(a, a)"))
    assert operators(program) == ["DequantizeLinear", "DequantizeLinear", "Mul"]


def test_a_graph_output_keeps_the_first() -> None:
    body = "y = DequantizeLinear(x, s, z) v = Tanh(y)"
    program = assert_same(graph(body, outputs="float[2,8] y, float[2,8] v"))
    assert operators(program).count("DequantizeLinear") == 2


def test_equal_ones_are_not_merged() -> None:
    body = "a = DequantizeLinear(x, s, z) b = DequantizeLinear(x, s, z) y = Tanh(a) v = Tanh(b)"
    program = assert_same(graph(body, outputs="float[2,8] y, float[2,8] v"))
    assert len(program.ops) == 4


def test_a_body_that_reads_it_keeps_the_first() -> None:
    body = (
        "a = DequantizeLinear(x, s, z) b = Tanh(a) "
        "y = If(k) <then_branch = h () => (float[2,8] c) { c = Add(a, b) }, "
        "else_branch = i () => (float[2,8] d) { d = Neg(b) }>"
    )
    program = assert_same(graph(body, inputs="uint8[2,8] x, bool k"), ordered=False)
    assert operators(program).count("DequantizeLinear") == 2


# -- pairs in a row -------------------------------------------------------------------------------


@pytest.mark.parametrize("second", ["s, z", "t, u"])
def test_two_pairs_become_one(second: str) -> None:
    body = (
        "a = QuantizeLinear(x, s, z) b = DequantizeLinear(a, s, z) "
        f"c = QuantizeLinear(b, {second}) y = DequantizeLinear(c, {second})"
    )
    program = assert_same(graph(body, inputs="float[2,8] x"))
    assert members(program) == [("QuantizeLinear", [0]), ("DequantizeLinear", [3])]


def test_two_pairs_that_express_different_ranges_express_what_both_can() -> None:
    body = (
        "a = QuantizeLinear(x, s, z) b = DequantizeLinear(a, s, z) "
        "c = QuantizeLinear(b, t, u) y = DequantizeLinear(c, t, u)"
    )
    program = assert_same(graph(body, inputs="float[2,8] x"))
    # -64 .. 63.5 and -0.75 .. 63: 63.75 over 255 steps, zero at 0.75 / 0.25
    for op in program.ops.values():
        scale, zero = op.inputs[1:3]
        assert scale is not None
        assert zero is not None
        assert (scale.number(), zero.number()) == (0.25, 3)


@pytest.mark.parametrize(
    ("second", "third", "end"),
    [
        ("t, z", "s, z", "y = DequantizeLinear(c, s, z)"),  # the first pair differs within itself
        ("s, z", "t, z", "d = DequantizeLinear(c, t, z) y = Add(b, d)"),  # the middle: two readers
    ],
)
def test_two_pairs_stay(second: str, third: str, end: str) -> None:
    first = f"a = QuantizeLinear(x, s, z) b = DequantizeLinear(a, {second})"
    text = graph(f"{first} c = QuantizeLinear(b, {third}) {end}", inputs="float[2,8] x")
    assert operators(assert_same(text)).count("QuantizeLinear") == 2


@pytest.mark.parametrize(("after", "cancelled"), [("s, z", True), ("t, z", False)])
def test_a_pair_the_other_way_round_cancels(after: str, *, cancelled: bool) -> None:
    text = graph(
        f"a = DequantizeLinear(x, s, z) b = QuantizeLinear(a, {after}) y = Where(k, b, x)",
        inputs="uint8[2,8] x, bool[2,8] k",
        outputs="uint8[2,8] y",
    )
    assert (operators(assert_same(text)) == ["Where"]) is cancelled


def test_a_pair_the_other_way_round_with_two_readers_stays() -> None:
    text = graph(
        "a = DequantizeLinear(x, s, z) b = QuantizeLinear(a, s, z) y = Where(k, b, x) v = Abs(b)",
        inputs="uint8[2,8] x, bool[2,8] k",
        outputs="uint8[2,8] y, uint8[2,8] v",
    )
    assert operators(assert_same(text))[:2] == ["DequantizeLinear", "QuantizeLinear"]


def test_a_second_pair_with_two_readers_goes() -> None:
    body = (
        "a = QuantizeLinear(x, s, z) b = DequantizeLinear(a, s, z) c = QuantizeLinear(b, t, u) "
        "d = DequantizeLinear(c, t, u) y = Tanh(d) v = Sigmoid(d)"
    )
    text = graph(body, inputs="float[2,8] x", outputs="float[2,8] y, float[2,8] v")
    assert operators(assert_same(text)).count("QuantizeLinear") == 1


# -- pairs around what does not compute -------------------------------------------------------------


def test_quantizing_moves_back() -> None:
    body = "a = Tanh(x) b = Transpose(a) c = Reshape(b, shape) y = QuantizeLinear(c, s, z)"
    text = graph(
        body,
        inputs="float[2,8] x",
        outputs="uint8[4,4] y",
        constants="int64[2] shape = {4, 4}",
    )
    # the new QuantizeLinear follows Tanh; what it quantizes is moved as integers
    assert members(assert_same(text)) == [
        *(("Tanh", [0]), ("QuantizeLinear", [])),
        *(("Transpose", [1]), ("Reshape", [2, 3])),
    ]


def test_it_moves_back_to_the_graphs_input() -> None:
    body = "b = Transpose(x) y = QuantizeLinear(b, s, z) v = Tanh(x)"
    text = graph(body, inputs="float[2,8] x", outputs="uint8[8,2] y, float[2,8] v")
    assert sorted(operators(assert_same(text))) == ["QuantizeLinear", "Tanh", "Transpose"]


def test_it_does_not_move_past_what_others_read() -> None:
    body = "a = Tanh(x) b = Transpose(a) y = QuantizeLinear(b, s, z) v = Neg(a)"
    text = graph(body, inputs="float[2,8] x", outputs="uint8[8,2] y, float[2,8] v")
    found = operators(assert_same(text))
    assert found.index("Transpose") < found.index("QuantizeLinear")


def test_dequantizing_moves_on_to_each_reader() -> None:
    body = (
        "a = DequantizeLinear(x, s, z) b = Reshape(a, shape) c = Transpose(b) y = Tanh(c) "
        "v = Sigmoid(b)"
    )
    text = graph(body, outputs="float[4,4] y, float[4,4] v", constants="int64[2] shape = {4, 4}")
    program = assert_same(text)
    assert operators(program).count("DequantizeLinear") == 2
    assert members(program)[0] == ("Reshape", [0, 1])


def test_dequantizing_moves_on_to_an_output() -> None:
    body = "a = DequantizeLinear(x, s, z) y = Transpose(a) v = Tanh(y)"
    text = graph(body, outputs="float[8,2] y, float[8,2] v")
    found = operators(assert_same(text))
    assert found[0] == "Transpose"
    assert found.count("DequantizeLinear") == 2  # for the output and for Tanh


@pytest.mark.parametrize("opset", [11, 12, 22])
def test_pooling_lets_pass_since_it_takes_integers(opset: int) -> None:
    body = "a = DequantizeLinear(x, s, z) b = MaxPool<kernel_shape = [2, 2]>(a) y = Tanh(b)"
    text = graph(body, inputs="uint8[1,2,4,4] x", outputs="float[A,B,C,D] y")
    first = operators(assert_same(text, opset=opset))[0]
    assert (first == "DequantizeLinear") is (opset == 11)


# -- constants ------------------------------------------------------------------------------------


def test_a_constant_that_is_dequantized_and_quantized_again_is_folded() -> None:
    body = (
        "a = DequantizeLinear(w, s, z) b = Transpose(a) c = QuantizeLinear(b, s, z) y = Add(x, c)"
    )
    text = graph(
        body.replace("y = Add(x, c)", "d = DequantizeLinear(c, s, z) y = Add(x, d)"),
        inputs="float[8,2] x",
        outputs="float[8,2] y",
        constants="uint8[2,8] w",
    )
    assert members(assert_same(text)) == [("DequantizeLinear", [3]), ("Add", [4])]


def test_a_dequantized_constant_is_not() -> None:
    text = graph(
        "a = DequantizeLinear(w, s, z) b = Tanh(a) y = Add(x, b)",
        inputs="float[2,8] x",
        constants="uint8[2,8] w",
    )
    assert operators(assert_same(text)) == ["DequantizeLinear", "Tanh", "Add"]


@pytest.mark.parametrize(
    ("node", "fused"),
    [
        ("c = Where(k, a, n)", True),
        ("c = Where(k, n, a)", True),
        ("c = Where(k, a, m)", False),  # one element, but an axis
    ],
)
def test_a_number_beside_quantized_data_is_quantized(node: str, *, fused: bool) -> None:
    text = graph(
        f"a = DequantizeLinear(x, s, z) {node} y = QuantizeLinear(c, t, u)",
        inputs="uint8[2,8] x, bool[2,8] k",
        outputs="uint8[2,8] y",
        constants="float n = {-3.0}, float[1] m = {-3.0}",
    )
    assert (members(assert_same(text)) == [("QLinearWhere", [0, 1, 2])]) is fused
