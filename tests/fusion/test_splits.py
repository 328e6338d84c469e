"""Gathers and slices that take a tensor apart."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members, operators

END = 2**63 - 1
SCALARS = "int64 i0 = {0}, int64 i1 = {1}, int64 i2 = {2}"
VECTORS = "int64[1] j0 = {0}, int64[1] j1 = {1}, int64[1] j2 = {2}, int64[1] j4 = {4}"
AXES = "int64[1] a1 = {1}, int64[1] a2 = {2}, int64[1] last = {-1}"
STEPS = f"int64[1] one = {{1}}, int64[1] two = {{2}}, int64[1] end = {{{END}}}"
BOUNDS = f"{SCALARS}, {VECTORS}, {AXES}, {STEPS}"


def _graph(body: str, outputs: str = "float a, float b", inputs: str = "float[2,3,8] x") -> str:
    return f"g ({inputs}) => ({outputs}) <{BOUNDS}> {{ u = Relu(x) {body} }}"


THREE = "float a, float b, float c"


def test_scalar_indices_give_a_squeeze_each() -> None:
    # the file names them in another order than that of the tensor: 1 takes c, 2 a, 3 b
    text = _graph(
        """k = Gather<axis = 1>(u, i2) i = Gather<axis = 1>(u, i0) j = Gather<axis = 1>(u, i1)
           a = Neg(i) b = Exp(j) c = Sin(k)""",
        THREE,
    )
    program = assert_same(text)
    # Squeezes are numbered by position, so that of c comes first in the execution order
    assert members(program) == [
        ("Relu", [0]),
        ("Split", [1, 2, 3]),
        ("Squeeze", []),
        ("Sin", [6]),
        ("Squeeze", []),
        ("Exp", [5]),
        ("Squeeze", []),
        ("Neg", [4]),
    ]
    split = next(op for op in program.order() if op.op_type == "Split")
    assert [value.dims for value in split.outputs if value is not None] == [(2, 1, 8)] * 3
    assert [value.shape for value in split.outputs if value is not None] == [(2, 1, 8)] * 3


def test_indices_with_an_axis_need_none() -> None:
    text = _graph(
        "a = Gather<axis = -2>(u, i0) b = Gather<axis = 1>(u, j1) c = Gather<axis = 1>(u, last)",
        THREE,
    )
    assert members(assert_same(text)) == [("Relu", [0]), ("Split", [1, 2, 3]), ("Squeeze", [])]


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        ("a = Slice(u, j0, j4, a2) b = Slice(u, j4, end, a2)", "float[2,3,8] x"),
        ("a = Slice(u, j0, j4, last, one) b = Slice(u, j4, end, a2, one)", "float[2,3,8] x"),
        ("a = Slice(u, j0, last, a2) b = Slice(u, last, end, a2)", "float[2,3,8] x"),
        ("a = Slice(u, j0, j4, a2) b = Slice(u, j4, end, a2)", "float[N,M,8] x"),
    ],
)
def test_slices(body: str, inputs: str) -> None:
    text = _graph(body, inputs=inputs)
    assert members(assert_same(text)) == [("Relu", [0]), ("Split", [1, 2])]


def test_both_at_once_and_another_reader() -> None:
    text = _graph("a = Gather<axis = 1>(u, i0) b = Slice(u, j1, end, a1) c = Neg(u)", THREE)
    expected = [("Relu", [0]), ("Split", [1, 2]), ("Squeeze", []), ("Neg", [3])]
    assert sorted(members(assert_same(text))) == sorted(expected)


def test_the_graphs_input() -> None:
    text = _graph("a = Slice(x, j0, j4, a2) b = Slice(x, j4, end, a2) c = Neg(u)", THREE)
    assert ("Split", [1, 2]) in members(assert_same(text))


def test_inputs_come_before_results() -> None:
    text = _graph(
        """a = Slice(u, j0, j4, a2) b = Slice(u, j4, end, a2)
           c = Slice(x, j0, j1, a1) d = Slice(x, j1, end, a1)""",
        f"{THREE}, float d",
    )
    # the Split of x gets the lower number, and that of the results runs first
    assert members(assert_same(text)) == [("Relu", [0]), ("Split", [1, 2]), ("Split", [3, 4])]


@pytest.mark.parametrize(
    "text",
    [
        _graph("a = Gather<axis = 1>(u, i0) b = Gather<axis = 1>(u, i1)"),
        _graph("a = Slice(u, j0, j4, a2) b = Slice(u, j2, end, a2)"),
        _graph("a = Slice(u, j0, j2, a2) b = Slice(u, j4, end, a2)"),
        _graph("a = Slice(u, j0, j4, a2, two) b = Slice(u, j4, end, a2, two)"),
        _graph("a = Slice(u, j0, j1) b = Slice(u, j1, end)"),
        _graph(
            "a = Slice(u, j0, j4, a2) b = Slice(u, j4, end, a2) c = Slice(u, j0, j1, a1)", THREE
        ),
        _graph("a = Slice(u, j0, j4, a2) b = Slice(u, j4, end, a2)", "float a, float b, float u"),
        _graph("a = Slice(u, j0, j4, a2) b = Slice(u, j4, end, a2)", inputs="float[2,3,N] x"),
        _graph(
            "a = Slice(u, j0, j, a2) b = Slice(u, j, end, a2)", inputs="float[2,3,8] x, int64[1] j"
        ),
        _graph("a = Slice(u, j0, j4, a2) b = Slice(u, j4, end, a2)")
        .replace("int64", "int32")
        .replace(str(END), str(2**31 - 1)),
        _graph(
            "s, t = Split<num_outputs = 2, axis = 2>(u) a = Slice(s, j0, j2, a2) b = Slice(s, j2, end, a2)",
            "float a, float b, float t",
        ),
    ],
)
def test_what_stays(text: str) -> None:
    program = assert_same(text, opset=18)
    assert {"Gather", "Slice"} & set(operators(program))


def test_sizes_that_only_the_run_tells() -> None:
    text = f"""g (float[6,8] x, int64[2] s) => (float a, float b) <{BOUNDS}, float[8,2] w>
               {{ r = Reshape(x, s) u = MatMul(r, w)
                  a = Gather<axis = 1>(u, i0) b = Gather<axis = 1>(u, i1) }}"""
    program = assert_same(text, ordered=False)
    split = next(op for op in program.order() if op.op_type == "Split")
    assert split.output.dims == (None, 1)
    assert split.output.shape is None


def test_the_sizes_of_a_tensor_stay() -> None:
    text = f"""g (float[N,M] x) => (int64 a, int64 b) <{BOUNDS}>
               {{ s = Shape(x) a = Gather(s, i0) b = Gather(s, i1) }}"""
    assert operators(assert_same(text)) == ["Shape", "Gather", "Gather"]


def test_before_opset_13_nothing_is_split() -> None:
    text = _graph("a = Slice(u, j0, j4, a2) b = Slice(u, j4, end, a2)")
    assert operators(assert_same(text, opset=12)) == ["Relu", "Slice", "Slice"]


RANGE = "g ({inputs}) => (float y) <{kind} f = {{0}}, {kind} s = {{1}}> {{ {body} }}"


@pytest.mark.parametrize("kind", ["int64", "int32"])
@pytest.mark.parametrize("opset", [11, 12, 13, 17])
def test_a_range_of_indices_is_a_slice(opset: int, kind: str) -> None:
    body = "r = Range(f, k, s) y = Gather<axis = 1>(x, r)"
    text = RANGE.format(kind=kind, inputs=f"float[2,3,8] x, {kind} k", body=body)
    program = assert_same(text, opset=opset)
    assert members(program) == [*[("Unsqueeze", [])] * 3, ("Slice", [0, 1])]


@pytest.mark.parametrize(
    "body",
    [
        "r = Range(f, k, s) v = Gather(x, r) w = Gather(z, r) y = Add(v, w)",
        "r = Range(f, k, s) i = Gather(r, j) y = Cast<to = 1>(i)",
    ],
)
def test_other_ranges_stay(body: str) -> None:
    inputs = "float[9,8] x, float[9,8] z, int64 k, int64[0] j"
    text = RANGE.format(kind="int64", inputs=inputs, body=body)
    assert "Range" in operators(assert_same(text))
