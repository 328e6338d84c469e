"""Movement: what is read and written; nothing is computed but where samples are combined."""

from __future__ import annotations

import pytest

from mlsys_lint import NodeCost, OpCost
from mlsys_lint.testing import check_text, estimate_text
from node_costs import cost_of, counts, moved, node_of

# 2 * 3 * 4 = 24 floats, 96 bytes.
X = "float[2,3,4] x"


def only(text: str, opset: int = 23) -> OpCost:
    """Cost of the only node of a graph."""
    (found,) = estimate_text(f"g {text}", opset=opset)
    assert found.cost is not None, found.reason
    return found.cost


def with_constants(call: str, constants: str, inputs: str = X, *, opset: int = 23) -> OpCost:
    return only(f"({inputs}) => (float[?] y) <{constants}> {{ y = {call} }}", opset)


def shape_of(found: NodeCost) -> tuple[int | None, ...] | None:
    assert found.node.outputs[0] is not None
    return found.node.outputs[0].shape


@pytest.mark.parametrize(
    ("call", "constants"),
    [
        ("Reshape(x, s)", "int64[2] s = {6,4}"),
        ("Squeeze(x)", "int64[1] unused"),
        ("Unsqueeze(x, a)", "int64[1] a = {0}"),
        ("Flatten(x)", "int64[1] unused"),
        ("Identity(x)", "int64[1] unused"),
    ],
)
def test_views_move_nothing(call: str, constants: str) -> None:
    cost = with_constants(call, constants)
    assert (cost.bytes_read, cost.bytes_written, cost.flops) == (0, 0, 0)
    assert (cost.kernel_class, cost.aliases) == ("view", ((0, 0),))


@pytest.mark.parametrize(
    ("call", "kernel_class"),
    [
        ("Transpose<perm=[2,0,1]>(x)", "transpose"),
        ("Concat<axis=0>(x)", "concat"),
    ],
)
def test_rearrangements_read_and_write_everything(call: str, kernel_class: str) -> None:
    cost = cost_of(call, X)
    assert (cost.bytes_read, cost.bytes_written, cost.flops) == (96, 96, 0)
    assert (cost.kernel_class, cost.aliases) == (kernel_class, ())


@pytest.mark.parametrize(
    ("attributes", "offset", "kept"),
    [
        # Rows of 4, three of them: what lies on and above the diagonal, or on and below it.
        ("upper=1", 0, 4 + 3 + 2),
        ("upper=1", 2, 2 + 1 + 0),
        ("upper=1", -1, 4 + 4 + 3),
        ("upper=1", 9, 0),
        ("upper=0", 0, 1 + 2 + 3),
        ("upper=0", 2, 3 + 4 + 4),
        ("upper=0", -2, 0 + 0 + 1),
        ("upper=0", -9, 0),
    ],
)
def test_triangles_read_what_they_keep(attributes: str, offset: int, kept: int) -> None:
    cost = with_constants(f"Trilu<{attributes}>(x, k)", f"int64 k = {{{offset}}}")
    assert (cost.bytes_read, cost.bytes_written) == (2 * kept * 4, 96)


def test_triangles_with_an_unknown_edge_keep_at_most_everything() -> None:
    found = node_of("Trilu(x, k)", f"{X}, int64 k")
    assert found.cost is not None
    assert (found.cost.bytes_read, found.status.value) == (96, "estimated")


def test_blocks_and_pixels_change_places() -> None:
    assert moved("DepthToSpace<blocksize=2>(x)", "float[1,8,2,3] x") == (192, 192)
    assert moved("SpaceToDepth<blocksize=2>(x)", "float[1,2,4,6] x") == (192, 192)
    # And a length for each of 2 sequences.
    assert moved("ReverseSequence(x, n)", "float[4,2,3] x, int64[2] n") == (96 + 16, 96)


def test_concat_and_split() -> None:
    assert moved("Concat<axis=1>(x, z)", f"{X}, float[2,1,4] z") == (128, 128)
    split = cost_of("Split<axis=2, num_outputs=2>(x)", X, outputs="a, b")
    assert (split.bytes_read, split.bytes_written) == (96, 96)


def test_slices_read_what_they_take() -> None:
    # 2 of 3 rows of 4, twice: 16 floats.
    constants = "int64[1] f = {1}, int64[1] t = {3}, int64[1] a = {1}"
    cost = with_constants("Slice(x, f, t, a)", constants)
    assert (cost.bytes_read, cost.bytes_written, cost.weight_bytes) == (64, 64, 0)
    # From a weight the same are weight bytes, and starts, ends and axes no parameters.
    text = f"g () => (float[?] y) <float[2,3,4] w, {constants}> {{ y = Slice(w, f, t, a) }}"
    found = check_text(text)
    assert found.nodes[0].cost is not None
    assert found.nodes[0].cost.weight_bytes == 64
    assert found.model.parameters == 24


@pytest.mark.parametrize(
    ("constants", "inputs", "kept"),
    [
        ("int64[1] t = {9}, int64[1] a = {1}", "int64[1] f", 9),  # from at least 0 to 9
        ("int64[1] f = {3}, int64[1] a = {1}", "int64[1] t", 7),  # from 3 to at most 10
        ("int64[1] t = {-4}, int64[1] a = {1}", "int64[1] f", 6),  # to 10 - 4
        ("int64[1] a = {-1}", "int64[1] f, int64[1] t", 10),
        ("int64[1] a = {1}, int64[1] s = {3}", "int64[1] f, int64[1] t", 4),  # 0, 3, 6, 9
        ("int64[1] a = {1}, int64[1] s = {-3}", "int64[1] f, int64[1] t", 4),  # 9, 6, 3, 0
        ("int64[1] f = {4}, int64[1] a = {1}, int64[1] s = {-1}", "int64[1] t", 5),  # 4 .. 0
        ("int64[1] a = {1}", "int64[1] f, int64[1] t, int64[1] s", 10),
    ],
)
def test_unknown_slices_keep_at_most(constants: str, inputs: str, kept: int) -> None:
    step = ", s" if " s" in constants + inputs else ""
    text = (
        f"g (float[2,10] x, {inputs}) => (float[?,?] y) <{constants}> "
        f"{{ y = Slice(x, f, t, a{step}) }}"
    )
    (found,) = estimate_text(text)
    assert shape_of(found) == (2, kept)
    assert found.status.value == "estimated"
    assert found.node.outputs[0] is not None
    assert found.node.outputs[0].bounded == {1}


def test_unknown_slices_of_unknown_axes_keep_at_most_everything() -> None:
    found = node_of("Slice(x, f, t, a)", "float[2,10] x, int64[1] f, int64[1] t, int64[1] a")
    assert shape_of(found) == (2, 10)
    assert found.node.outputs[0] is not None
    assert found.node.outputs[0].bounded == {0, 1}
    # Without axes it is the first ones, as many as there are starts.
    found = node_of("Slice(x, f, t)", "float[2,10] x, int64[1] f, int64[1] t")
    assert shape_of(found) == (2, 10)
    assert found.node.outputs[0] is not None
    assert found.node.outputs[0].bounded == {0}


def test_padding_reads_what_remains() -> None:
    # 2 * 3 * 4 grows to 2 * 3 * 7; then the last axis shrinks to 2.
    padded = with_constants("Pad(x, p)", "int64[6] p = {0,0,1,0,0,2}")
    assert (padded.bytes_read, padded.bytes_written) == (96, 168)
    cropped = with_constants("Pad(x, p)", "int64[6] p = {0,0,-1,0,0,-1}")
    assert (cropped.bytes_read, cropped.bytes_written) == (48, 48)
    # One axis grows while another shrinks, or one is cropped at its begin and grows at its end.
    both = with_constants("Pad(x, p)", "int64[6] p = {0,0,-2,2,0,0}")
    assert (both.bytes_read, both.bytes_written) == (2 * 3 * 2 * 4, 4 * 3 * 2 * 4)
    shifted = with_constants("Pad(x, p)", "int64[6] p = {0,0,-1,0,0,1}")
    assert (shifted.bytes_read, shifted.bytes_written) == (2 * 3 * 3 * 4, 96)
    named = with_constants("Pad(x, p, , a)", "int64[2] p = {-1,1}, int64[1] a = {-1}")
    assert (named.bytes_read, named.bytes_written) == (2 * 3 * 3 * 4, 96)


def test_repetitions_read_once() -> None:
    expanded = with_constants("Expand(x, s)", "int64[3] s = {2,3,4}", "float[3,1] x")
    assert (expanded.bytes_read, expanded.bytes_written) == (12, 96)
    tiled = with_constants("Tile(x, r)", "int64[2] r = {2,3}", "float[3,1] x")
    assert (tiled.bytes_read, tiled.bytes_written) == (12, 72)


def test_centre_crop() -> None:
    cost = with_constants("CenterCropPad(x, s)", "int64[3] s = {2,3,2}")
    assert (cost.bytes_read, cost.bytes_written) == (48, 48)
    # 3 of 4 columns stay, 2 rows are added.
    mixed = with_constants("CenterCropPad(x, s)", "int64[3] s = {2,5,3}")
    assert (mixed.bytes_read, mixed.bytes_written) == (2 * 3 * 3 * 4, 2 * 5 * 3 * 4)


def test_sizes_are_known_without_reading() -> None:
    assert moved("Shape(x)", X) == (0, 24)
    assert moved("Size(x)", X) == (0, 8)


def test_generators_only_write() -> None:
    filled = only("() => (float[?] y) <int64[2] s = {3,5}> { y = ConstantOfShape(s) }")
    assert (filled.bytes_read, filled.bytes_written, filled.flops) == (0, 60, 0)
    # 2, 5, 8: an addition each.
    ends = "int64 a = {2}, int64 b = {10}, int64 d = {3}"
    steps = only(f"() => (int64[?] y) <{ends}> {{ y = Range(a, b, d) }}")
    assert (steps.bytes_read, steps.bytes_written, steps.vector_ops) == (0, 24, 3)
    assert moved("EyeLike(x)", "float[3,4] x") == (0, 48)
    assert moved("RandomNormalLike(x)", X) == (0, 96)
    assert only("() => (float[?] y) { y = RandomUniform<shape=[3,5]>() }").bytes_written == 60
    stored = only("() => (float[?] y) { y = Constant<value=float[3] {1,2,3}>() }")
    assert (stored.bytes_read, stored.bytes_written) == (0, 0)


def test_a_range_of_unknown_length_is_declined() -> None:
    assert node_of("Range(a, b, d)", "int64 a, int64 b, int64 d").status.value == "declined"


def test_draws() -> None:
    # Comparison with a random number and conversion.
    assert counts("Bernoulli(x)", X) == (48, 0)
    # 2 rows of 5 classes: 5 exp, 4 sums; 3 samples each, found among 5 by 3 comparisons.
    assert counts("Multinomial<sample_size=3>(x)", "float[2,5] x") == (2 * 4 + 3 * 6, 10)


def test_selected_rows() -> None:
    # At most every one of 4 entries along axis 1; the condition is read, too.
    found = node_of("Compress<axis=1>(x, c)", "float[3,4] x, bool[4] c")
    assert shape_of(found) == (3, 4)
    assert found.cost is not None
    assert (found.cost.bytes_read, found.cost.bytes_written) == (48 + 4, 48)
    # Never more than the condition is long; without an axis of all elements.
    assert shape_of(node_of("Compress<axis=1>(x, c)", "float[3,4] x, bool[2] c")) == (3, 2)
    assert shape_of(node_of("Compress(x, c)", "float[3,4] x, bool[7] c")) == (7,)


def test_distinct_elements() -> None:
    found = node_of("Unique(x)", "float[3,4] x", outputs="y, first, back, times")
    shapes = [(one.shape, sorted(one.bounded)) for one in found.node.outputs if one]
    assert shapes == [((12,), [0]), ((12,), [0]), ((12,), []), ((12,), [0])]
    assert found.cost is not None
    # A sort of 12: ceil(log2 12) = 4 comparisons each.
    assert found.cost.vector_ops == 48
    # 4 columns of 3, sorted by ceil(log2 4) = 2 comparisons of 3 elements.
    found = node_of("Unique<axis=1>(x)", "float[3,4] x")
    assert shape_of(found) == (3, 4)
    assert found.cost is not None
    assert found.cost.vector_ops == 24


@pytest.mark.parametrize(
    ("call", "inputs", "outputs"),
    [
        ("NonZero(x)", "float[] x", "y"),
        ("Compress<axis=0>(x, c)", "float[] x, bool[4] c", "y"),
        ("Unique(x)", "float[] x", "y, i"),
        ("TopK(x, k)", "float[] x, int64[1] k", "v, i"),
        ("Slice(x, f, t)", "float[] x, int64[1] f, int64[1] t", "y"),
        ("NonMaxSuppression(b, s)", "float[] b, float[1,2,3] s", "y"),
    ],
)
def test_unknown_inputs_have_no_maximum(call: str, inputs: str, outputs: str) -> None:
    found = node_of(call, inputs, outputs=outputs)
    assert found.cost is None
    assert found.status.value == "declined"


def test_nothing_is_stretched() -> None:
    # No copies of 24 elements: none is read.
    for call, count in (
        ("Expand(x, n)", "int64[4] n = {0,2,3,4}"),
        ("Tile(x, n)", "int64[3] n = {0,1,1}"),
    ):
        cost = only(f"({X}) => (float[?] y) <{count}> {{ y = {call} }}")
        assert (cost.bytes_read, cost.bytes_written) == (0, 0)


def test_the_first_tile_repeats_one_axis() -> None:
    # Axis 1 of [2,3] twice: 12 floats of 6. How often and where are no parameters.
    text = (
        "(float[2,3] x) => (float[?] y) <float[1] n = {2}, float[1] a = {1}> { y = Tile(x, n, a) }"
    )
    cost = only(text, opset=1)
    assert (cost.bytes_read, cost.bytes_written) == (24, 48)
    assert check_text(f"g {text}", opset=1).model.parameters == 0


@pytest.mark.parametrize("opset", [1, 13, 25])
def test_a_scalar_is_transposed(opset: int) -> None:
    cost = only("(float x) => (float[?] y) { y = Transpose(x) }", opset)
    assert (cost.bytes_read, cost.bytes_written) == (4, 4)
