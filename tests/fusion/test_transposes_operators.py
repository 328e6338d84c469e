"""What a Transpose passes, with which axes, and what stops it."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members, operators
from fusion.transposing import FIRST, LAST, graph, perms


@pytest.mark.parametrize(
    ("body", "weights", "left"),
    [
        ("r = Clip(t, low)", "float low = {0.5}", ["Clip"]),
        ("r = Softmax<axis = 3>(t)", "", ["Softmax"]),
        ("r = ArgMax<axis = -1>(t)", "", ["ArgMax"]),
        ("r = ReduceMean<axes = [1,2]>(t)", "", ["ReduceMean"]),
        ("r = ReduceMax(t)", "", ["ReduceMax"]),
        ("r = ReduceSum(t, axes)", "int64[2] axes = {1, -1}", ["ReduceSum"]),
        ("r = Cast<to = 11>(t)", "", ["Cast"]),
        ("r = Pad(t, pads)", "int64[8] pads = {0,1,0,0, 0,1,2,0}", ["Pad"]),
        ("r = Slice(t, one, two)", "int64[1] one = {1}, int64[1] two = {2}", ["Slice"]),
        (
            "r = Slice(t, one, two, axes)",
            "int64[1] one = {1}, int64[1] two = {2}, int64[1] axes = {-1}",
            ["Slice"],
        ),
        ("r = Tile(t, repeats)", "int64[4] repeats = {1,2,1,3}", ["Tile"]),
        ("r = Concat<axis = 3>(t, t)", "", ["Concat"]),
        ("r, q = Split<axis = 3>(t, parts)", "int64[2] parts = {1,2}", None),
        ("r = Where(t2, t, s)", "float s = {1.0}", ["Greater", "Where"]),
        ("u = Unsqueeze(t, a) r = Squeeze(u, a)", "int64[1] a = {2}", ["Unsqueeze", "Squeeze"]),
        ("r = HardSigmoid(t)", "", ["HardSigmoid"]),
        ("r = Max(t, b)", "float[4,1,3] b", ["Max"]),
    ],
)
def test_operators_that_let_it_through(body: str, weights: str, left: list[str] | None) -> None:
    before = "c = Greater(x, x) t2 = Transpose<perm = [0,2,3,1]>(c)" if "t2" in body else ""
    outputs = "float y, float q" if "q =" in body else "float y"
    if "Cast" in body or "ArgMax" in body:
        outputs = "double y" if "Cast" in body else "int64 y"
    program = assert_same(graph(f"t = {LAST}(x) {before} {body} y = {FIRST}(r)", weights, outputs))
    if left is None:  # the second part keeps a Transpose
        assert sorted(operators(program)) == ["Split", "Transpose"]
    else:
        assert sorted(operators(program)) == sorted(left)


@pytest.mark.parametrize(
    ("body", "weights"),
    [
        ("r = MatMul(t, w)", "float[3,3] w"),
        ("r = Conv(t, w)", "float[6,4,1,1] w"),
        ("r = LayerNormalization(t, g)", "float[3] g"),
        ("r = CumSum(t, axis)", "int64 axis = {1}"),
        ("r = Expand(t, s)", "int64[5] s = {2,1,1,1,1}"),
        ("r = Gather<axis = 3>(t, i)", "int64[2] i = {1, 0}"),
        ("r = MeanVarianceNormalization(t)", ""),
    ],
)
def test_operators_that_stop_it(body: str, weights: str) -> None:
    swap = "Transpose<perm = [0,1,4,2,3]>" if "Expand" in body else FIRST
    program = assert_same(graph(f"t = {LAST}(x) {body} y = {swap}(r)", weights))
    # ReorderOutput takes a Transpose to channels last in, not one back
    assert members(program)[0] == ("Transpose", [0])


@pytest.mark.parametrize(
    ("body", "opset"),
    [
        ("r = Softmax<axis = 1>(t)", 11),  # over (4, 5, 3) together: the batch stays in front
        ("s = Squeeze<axes = [0]>(t) r = Unsqueeze<axes = [0]>(s)", 11),
        ("r, q = Split<axis = 1, split = [1,3]>(t)", 11),
        ("r = Pad<pads = [0,1,0,0, 0,1,2,0]>(t)", 10),
        ("r = Slice<axes = [3], starts = [1], ends = [3]>(t)", 9),
        ("r = Slice<starts = [0,1], ends = [1,3]>(t)", 9),
        ("r = ReduceSum<axes = [1]>(t)", 9),
    ],
)
def test_older_operators_state_their_axes_as_attributes(body: str, opset: int) -> None:
    outputs = "float y, float q" if "q =" in body else "float y"
    text = graph(f"t = {LAST}(x) {body} y = {FIRST}(r)", outputs=outputs, inputs="float[1,3,4,5] x")
    program = assert_same(text, opset=opset)
    assert perms(program) == ([(0, 2, 3, 1)] if "q =" in body else [])


def test_what_is_left_of_a_permutation_merges() -> None:
    # without axis 1 (axis 2 of x): (0, 2, 1); with a new one: (0, 1, 3, 2); then (0, 3, 1, 2)
    text = graph(
        f"""t = {LAST}(x) s = ReduceMean<axes = [1], keepdims = 0>(t)
            r = Unsqueeze<axes = [1]>(s) y = {FIRST}(r)"""
    )
    program = assert_same(text, opset=11)
    assert members(program) == [("ReduceMean", [1]), ("Unsqueeze", [2]), ("Transpose", [0, 3])]
    assert perms(program) == [(0, 2, 1, 3)]


def test_softmax_over_all_trailing_axes_keeps_them_together() -> None:
    # opset 11, axis 2: (2, 4) stay, (5, 3) are normalized: (2, 3 | 4, 5) would mix them
    text = graph(f"t = {LAST}(x) r = Softmax<axis = 2>(t) y = {FIRST}(r)")
    assert operators(assert_same(text, opset=11)) == ["Transpose", "Softmax", "Transpose"]


def test_a_reduction_takes_the_moved_axis_away() -> None:
    # over channels, which are last: (2, 4, 5) is left in its order
    program = assert_same(
        graph(f"t = {LAST}(x) r = ReduceMean<axes = [3], keepdims = 0>(t) y = Relu(r)")
    )
    assert members(program) == [("ReduceMean", [1]), ("Relu", [2])]
    assert program.eliminated == {0: "cancelled"}
    assert program.order()[0].integers("axes") == (1,)


def test_fewer_elements_are_transposed_behind_a_reduction() -> None:
    # over rows and columns: (2, 3, 1, 1) of 2 axes that are not 1, instead of 4; Relu saves none
    program = assert_same(graph(f"t = {LAST}(x) r = ReduceMean<axes = [1,2]>(t) y = Relu(r)"))
    assert members(program) == [("ReduceMean", [1]), ("Transpose", [0]), ("Relu", [2])]
    assert program.order()[0].integers("axes") == (2, 3)


def test_one_index_takes_an_axis_away() -> None:
    text = graph(f"t = {LAST}(x) r = Gather<axis = 1>(t, i) y = Relu(r)", "int64 i = {1}")
    program = assert_same(text)
    # axis 1 of the Transpose is axis 2 of x; (2, 3, 5) then becomes (2, 5, 3)
    assert members(program) == [("Gather", [1]), ("Transpose", [0]), ("Relu", [2])]
    assert perms(program) == [(0, 2, 1)]


def test_sizes_are_taken_before_the_transpose() -> None:
    text = graph(
        f"t = {LAST}(x) s = Shape<start = 1, end = -1>(t) y = Neg(s)",
        outputs="int64[2] y",
        inputs="float[N,3,H,W] x",
    )
    program = assert_same(text)
    assert members(program) == [("Shape", [1]), ("Gather", []), ("Neg", [2])]
    picked = program.order()[1].input(1)
    assert picked is not None
    assert picked.array is not None
    assert picked.array.tolist() == [2, 3]  # axes 1 and 2 of (0, 2, 3, 1)


@pytest.mark.parametrize(
    ("shape", "sizes", "perm"),
    [
        # 12 heads of (197, 12, 64) by (1, 0, 2), and a batch before them
        ("1, 12, 197, 64", (197, 1, 12, 64), (1, 2, 0, 3)),
        ("12, 1, 197, 64", (1, 197, 12, 64), (2, 0, 1, 3)),
        ("3, 4, 197, 64", (197, 3, 4, 64), (1, 2, 0, 3)),
        ("0, 0, 8, -1", (197, 12, 8, 8), (1, 0, 2, 3)),
    ],
)
def test_a_reshape_that_splits_axes_comes_first(
    shape: str, sizes: tuple[int, ...], perm: tuple[int, ...]
) -> None:
    text = graph(
        "t = Transpose<perm = [1,0,2]>(x) r = Reshape(t, s) y = Relu(r)",
        f"int64[4] s = {{{shape}}}",
        inputs="float[197,12,64] x",
    )
    program = assert_same(text)
    assert members(program) == [("Reshape", [1]), ("Transpose", [0]), ("Relu", [2])]
    assert program.order()[0].output.dims == program.order()[0].output.shape == sizes
    assert perms(program) == [perm]


@pytest.mark.parametrize(
    ("inputs", "shape"),
    [
        ("float[197,12,64] x", "2364, 64"),  # joins axes
        ("float[197,12,64] x", "12, 197, 64, 1"),  # the last 1 belongs to no axis
        ("float[197,12,64] x", "2, 1182, 64"),
        ("float[197,12,64] x", "12, 64, 197"),  # equal rank, other order
        ("float[N,12,64] x", "12, -1, 8, 8"),  # sizes must be known
    ],
)
def test_other_reshapes_stop_it(inputs: str, shape: str) -> None:
    text = graph(
        "t = Transpose<perm = [1,0,2]>(x) r = Reshape(t, s) y = Relu(r)",
        f"int64[{shape.count(',') + 1}] s = {{{shape}}}",
        inputs=inputs,
    )
    assert members(assert_same(text)) == [("Transpose", [0]), ("Reshape", [1]), ("Relu", [2])]


def test_a_reshape_that_moves_ones_is_a_transpose() -> None:
    # (1, 512, 1, 4) by (0, 2, 1, 3) is (1, 1, 512, 4); as (512, 4, 1, 1) it is (2, 3, 0, 1) of that
    text = graph(
        "t = Transpose<perm = [0,2,1,3]>(x) r = Reshape(t, s) y = Relu(r)",
        "int64[4] s = {512, 4, 1, 1}",
        inputs="float[1,512,1,4] x",
    )
    program = assert_same(text)
    assert members(program) == [("Transpose", [0, 1]), ("Relu", [2])]
    assert perms(program) == [(1, 3, 0, 2)]


@pytest.mark.parametrize("perm", ["0,2,3,1", "1,0,2,3"])
def test_resize_takes_layouts_only_and_only_on_the_cpu(perm: str) -> None:
    back = {"0,2,3,1": "0,3,1,2", "1,0,2,3": "1,0,2,3"}[perm]
    text = graph(
        f"""t = Transpose<perm = [{perm}]>(x) r = Resize<mode = "nearest">(t, , s)
            y = Transpose<perm = [{back}]>(r)""",
        "float[4] s = {1.0, 2.0, 2.0, 1.0}",
    )
    program = assert_same(text)
    assert operators(program).count("Transpose") == (0 if perm == "0,2,3,1" else 2)
