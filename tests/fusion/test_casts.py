"""Half precision where the CPU has no kernel for it, and Casts in a row."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members, operators


def half(body: str, *, inputs: str = "float16[2,8] x", outputs: str = "float16[2,8] y",
         weights: str = "float16[8,8] w, float16[8] b") -> str:  # fmt: skip
    return f"g ({inputs}) => ({outputs}) <{weights}> {{ {body} }}"


# -- islands of float ---------------------------------------------------------------------------


def test_an_operator_between_casts() -> None:
    program = assert_same(half("y = Tanh(x)"))
    assert members(program) == [("Cast", []), ("Tanh", [0]), ("Cast", [])]
    (op,) = [op for op in program.ops.values() if op.op_type == "Tanh"]
    assert op.output.dtype == "float"


def test_neighbours_share_an_island() -> None:
    program = assert_same(half("a = Tanh(x) b = Sigmoid(a) y = Erf(b)"))
    assert operators(program) == ["Cast", "Tanh", "Sigmoid", "Erf", "Cast"]


def test_what_has_a_kernel_runs_in_half_precision() -> None:
    program = assert_same(half("y = Transpose(x)", outputs="float16[8,2] y"))
    assert members(program) == [("Transpose", [0])]


def test_it_separates_islands_unless_both_neighbours_are_cast() -> None:
    between = half("a = Tanh(x) b = Transpose(a) y = Erf(b)", outputs="float16[8,2] y")
    assert operators(assert_same(between)) == ["Cast", "Tanh", "Transpose", "Erf", "Cast"]
    at_the_end = half("a = Tanh(x) y = Transpose(a)", outputs="float16[8,2] y")
    assert operators(assert_same(at_the_end)) == ["Cast", "Tanh", "Cast", "Transpose"]


def test_two_in_a_row_run_in_half_precision() -> None:
    body = "a = Tanh(x) b = Transpose(a) c = Reshape(b, shape) y = Erf(c)"
    text = half(body, outputs="float16[4,4] y", weights="int64[2] shape = {4, 4}")
    assert operators(assert_same(text)) == [
        *("Cast", "Tanh", "Cast", "Transpose", "Reshape", "Cast", "Erf", "Cast"),
    ]


def test_an_input_is_cast_once_for_all_its_readers() -> None:
    program = assert_same(half("a = Tanh(x) b = Erf(x) y = Add(a, b)"))
    assert operators(program).count("Cast") == 2


def test_a_value_inside_that_is_a_result_is_cast_back() -> None:
    program = assert_same(half("a = Tanh(x) y = Erf(a)", outputs="float16[2,8] y, float16[2,8] a"))
    assert operators(program).count("Cast") == 3


def test_bodies_have_islands_of_their_own() -> None:
    body = (
        "y = If(k) <then_branch = h () => (float16[2,8] c) { c = Tanh(x) }, "
        "else_branch = i () => (float16[2,8] d) { d = Identity(x) }>"
    )
    program = assert_same(half(body, inputs="float16[2,8] x, bool k"), ordered=False)
    (op,) = program.ops.values()
    assert operators(op.bodies["then_branch"]) == ["Cast", "Tanh", "Cast"]
    assert operators(op.bodies["else_branch"]) == ["Identity"]


# -- constants ----------------------------------------------------------------------------------


def test_a_constant_becomes_float_at_load() -> None:
    program = assert_same(half("y = MatMul(x, w)"))
    assert members(program) == [("Cast", []), ("MatMul", [0]), ("Cast", [])]


def test_a_shared_constant_is_cast_in_every_run() -> None:
    program = assert_same(half("a = MatMul(x, w) y = MatMul(a, w)"))
    assert operators(program).count("Cast") == 3


def test_what_is_constant_again_is_fused() -> None:
    body = "a = Conv(x, w, b) y = Relu(a)"
    text = half(
        body,
        inputs="float16[1,3,8,8] x",
        outputs="float16[1,16,6,6] y",
        weights="float16[16,3,3,3] w, float16[16] b",
    )
    program = assert_same(text)
    (op,) = [op for op in program.ops.values() if op.op_type == "Conv"]
    assert (op.domain, sorted(op.members)) == ("com.microsoft.nchwc", [0, 1])


def test_an_activation_with_shared_bounds_stays() -> None:
    body = "a = Conv(x, w) b = Clip(a, lo, hi) c = Conv(b, v) d = Clip(c, lo, hi) y = Tanh(d)"
    text = half(
        body,
        inputs="float16[1,3,8,8] x",
        outputs="float16[1,16,4,4] y",
        weights="float16[16,3,3,3] w, float16[16,16,3,3] v, float16 lo, float16 hi",
    )
    found = operators(assert_same(text))
    assert (found.count("Clip"), found.count("Cast")) == (2, 4)  # x, y, both bounds


def test_few_bits_in_half_precision() -> None:
    text = (
        "g (float16[M,32] x) => (float16[M,8] y) <int8[32,8] w, float16[8] s> "
        "{ d = DequantizeLinear(w, s) y = MatMul(x, d) }"
    )
    program = assert_same(text, opset=21)
    assert members(program) == [("Cast", []), ("MatMulNBits", [0, 1]), ("Cast", [])]


def test_what_has_no_kernel_is_not_computed_at_load() -> None:
    program = assert_same(half("a = Sqrt(b) y = Mul(x, a)"))
    assert members(program) == [
        *(("Cast", []), ("Sqrt", [0]), ("Mul", [1]), ("Cast", [])),
    ]


# -- casts of the file ----------------------------------------------------------------------------

CODES = {"float": 1, "int32": 6, "int64": 7, "float16": 10, "double": 11, "bool": 9, "uint8": 2}


def chain(*kinds: str) -> str:
    """Casts from the first type over the others, and what reads the last."""
    names = ["x", *(f"v{index}" for index in range(1, len(kinds)))]
    nodes = (
        f"{target} = Cast<to = {CODES[kind]}>({source})"
        for source, target, kind in zip(names[:-1], names[1:], kinds[1:], strict=True)
    )
    end = f"y = Reshape({names[-1]}, shape)"
    return (
        f"g ({kinds[0]}[2,8] x) => ({kinds[-1]}[4,4] y) <int64[2] shape = {{4, 4}}> "
        f"{{ {' '.join(nodes)} {end} }}"
    )


@pytest.mark.parametrize(
    ("kinds", "left"),
    [
        (("float", "double", "float"), 0),  # back to the first type
        (("int32", "int64", "float"), 1),
        (("float", "float16", "float"), 2),  # rounds
        (("float", "int64", "float"), 2),
        (("float", "double", "float16"), 1),
        (("float", "int32", "bool"), 2),  # 0.5 is true, 0 is not
        (("bool", "float", "int64"), 1),
        (("double", "float", "float16"), 1),
        (("uint8", "int32", "float"), 1),
        (("int32", "uint8", "int32"), 2),
    ],
)
def test_casts_in_a_row(kinds: tuple[str, ...], left: int) -> None:
    assert operators(assert_same(chain(*kinds))).count("Cast") == left
