"""Transposes that move until they cancel: each case as ONNX Runtime optimizes it."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members, operators
from fusion.transposing import FIRST, LAST, SWAP, graph, perms


def test_inverse_permutations_cancel() -> None:
    program = assert_same(graph(f"t = {LAST}(x) r = Relu(t) y = {FIRST}(r)"))
    assert members(program) == [("Relu", [1])]
    assert program.eliminated == {0: "cancelled", 2: "cancelled"}
    (relu,) = program.order()
    # the file's Relu saw (2, 4, 5, 3); it now works on x as it is
    assert relu.output.dims == relu.output.shape == (2, 3, 4, 5)


def test_neighbours_become_one_or_none() -> None:
    # (0,2,3,1) then (1,0,2,3): axis 0 of the result is axis 2 of x, and so on
    program = assert_same(graph(f"t = {LAST}(x) s = {SWAP}(t) y = Relu(s)"))
    assert perms(program) == [(2, 0, 3, 1)]
    assert members(program) == [("Transpose", [0, 1]), ("Relu", [2])]
    assert members(assert_same(graph(f"t = {LAST}(x) s = {FIRST}(t) y = Relu(s)"))) == [
        ("Relu", [2])
    ]


def test_a_transpose_moves_towards_another_one() -> None:
    program = assert_same(graph(f"t = {LAST}(x) r = Relu(t) y = {SWAP}(r)"))
    assert members(program) == [("Relu", [1]), ("Transpose", [0, 2])]
    assert perms(program) == [(2, 0, 3, 1)]


@pytest.mark.parametrize(
    "body",
    [
        f"t = {LAST}(x) y = Relu(t)",  # nothing behind it to meet
        f"r = Relu(x) y = {LAST}(r)",
        f"t = {LAST}(x) r = Relu(t) y = {SWAP}(r) z = Sigmoid(r)",  # Sigmoid would need its own
        "t = Transpose(x) r = Relu(t) y = Transpose(r)",  # the default order is not looked at
    ],
    ids=["alone", "behind", "second-reader", "default-order"],
)
def test_it_stays_where_moving_does_not_pay(body: str) -> None:
    program = assert_same(graph(body, outputs="float y, float z" if "z =" in body else "float y"))
    assert sorted(found for _, found in members(program)) == [
        [index] for index in range(len(program.order()))
    ]


def test_a_graph_output_needs_the_value_as_it_is() -> None:
    text = graph(f"t = {LAST}(x) r = Relu(t) y = {FIRST}(r)", outputs="float r, float y")
    assert members(assert_same(text)) == [("Transpose", [0]), ("Relu", [1]), ("Transpose", [2])]


def test_the_inverse_vanishes_although_another_reader_keeps_a_transpose() -> None:
    text = graph(
        f"t = {LAST}(x) r = Relu(t) s = Softmax(r) y = {FIRST}(s) z = Elu(r)",
        outputs="float y, float z",
    )
    program = assert_same(text)
    assert ("Transpose", [0]) in members(program)
    assert perms(program) == [(0, 2, 3, 1)]
    assert program.eliminated == {3: "cancelled"}


def test_one_transpose_behind_an_operator_instead_of_two_before() -> None:
    text = graph(
        f"a = {LAST}(x) b = {LAST}(z) y = Add(a, b)", inputs="float[2,3,4,5] x, float[2,3,4,5] z"
    )
    program = assert_same(text)
    assert members(program) == [("Add", [2]), ("Transpose", [0, 1])]


def test_a_plain_operand_keeps_both_transposes() -> None:
    text = graph(
        f"a = {LAST}(x) s = Add(a, z) y = {FIRST}(s)", inputs="float[2,3,4,5] x, float[2,4,5,3] z"
    )
    assert members(assert_same(text)) == [("Transpose", [0]), ("Add", [1]), ("Transpose", [2])]


def test_a_smaller_operand_is_unsqueezed_and_transposed() -> None:
    # 4 axes of x leave, 3 of z come, and the Transpose behind takes the other in
    text = graph(
        f"a = {LAST}(x) s = Add(a, z) y = {SWAP}(s)", inputs="float[2,3,4,5] x, float[4,5,3] z"
    )
    program = assert_same(text)
    assert members(program) == [
        ("Unsqueeze", []),
        ("Transpose", []),
        ("Add", [1]),
        ("Transpose", [0, 2]),
    ]
    # z is (1, 4, 5, 3) then; undoing (0, 2, 3, 1) is (0, 3, 1, 2)
    assert perms(program) == [(0, 3, 1, 2), (2, 0, 3, 1)]


def test_a_shared_transpose_stays_for_the_reader_that_stops_it() -> None:
    text = graph(
        f"t = {LAST}(x) m = MatMul(t, w) r = Relu(t) z = {FIRST}(r) y = Exp(m)",
        "float[3,3] w",
        "float y, float z",
    )
    assert ("Transpose", [0]) in members(assert_same(text))


def test_constants_are_transposed_at_load() -> None:
    text = graph(f"t = {LAST}(x) r = Mul(t, w) y = {FIRST}(r)", "float[5,3] w")
    program = assert_same(text)
    (mul,) = program.order()
    # (5, 3) is (1, 1, 5, 3) beside the Transpose; undoing it gives (1, 3, 1, 5)
    (weight,) = [value for value in mul.inputs if value is not None and value.constant]
    assert weight.dims == weight.shape == (1, 3, 1, 5)


def test_a_shared_constant_is_changed_for_one_reader_and_folded_back_for_another() -> None:
    text = graph(
        f"t = {LAST}(x) r = Mul(t, w) y = {FIRST}(r) z = Mul(u, w)",
        "float[5,3] w",
        "float y, float z",
        "float[2,3,4,5] x, float[5,3] u",
    )
    program = assert_same(text)
    assert sorted(operators(program)) == ["Mul", "Mul"]
    sizes = {
        value.dims for op in program.order() for value in op.inputs if value and value.constant
    }
    assert sizes == {(1, 3, 1, 5), (5, 3)}


def test_a_graph_output_is_handed_to_the_producer() -> None:
    program = assert_same(graph(f"r = Relu(x) t = {LAST}(r) y = {FIRST}(t)"))
    assert members(program) == [("Relu", [0])]
    assert program.order()[0].output.is_result


def test_an_input_that_is_a_graph_output_is_copied() -> None:
    program = assert_same(graph(f"t = {LAST}(x) y = {FIRST}(t)"))
    assert members(program) == [("Identity", [])]


def test_channels_last_networks_lose_their_inner_transposes() -> None:
    # as TensorFlow's exports are: 2 Transposes around each convolution
    text = graph(
        f"""a = {FIRST}(x) b = Conv<pads = [1,1,1,1]>(a, w) c = {LAST}(b)
            d = Mul(c, scale) e = Add(d, shift) f = Relu(e)
            g = {FIRST}(f) h = Conv<pads = [1,1,1,1]>(g, v) y = {LAST}(h)""",
        "float[16,3,3,3] w, float[16] scale, float[16] shift, float[16,16,3,3] v",
        inputs="float[1,8,8,3] x",
    )
    program = assert_same(text)
    assert sum(op.op_type == "Transpose" for op in program.order()) <= 1
    assert program.eliminated[2] == program.eliminated[6] == "cancelled"


def test_bodies_are_optimized_too() -> None:
    text = f"""g (bool c, float[2,3,4,5] x) => (float y) {{
        y = If(c) <
            then_branch = a () => (float p) {{ t = {LAST}(x) r = Relu(t) p = {FIRST}(r) }},
            else_branch = b () => (float q) {{ q = Exp(x) }}
        >
    }}"""
    program = assert_same(text, ordered=False)
    (choice,) = program.order()
    assert operators(choice.bodies["then_branch"]) == ["Relu"]
