"""com.microsoft: movement, hashing, matching; shapes as ONNX Runtime produces them."""

from __future__ import annotations

import numpy as np
import pytest

from mlsys_lint import NodeStatus, OpCost
from mlsys_lint.testing import estimate_text
from node_costs import cost_of, node_of
from runtime_outputs import assert_as_observed, inferred, observed, text_model, zeros

OBSERVED = [
    "(float[2,3,9,8] x, float[5,4] r, int32[5] b) => (float y) <int32[2] c = {4,3}> { y = .CropAndResize(x, r, b, c) }",
    '(float[2,3,9,8] x, float[5,4] r, int32[5] b) => (float y) <int32[2] c = {1,1}> { y = .CropAndResize<mode="nearest">(x, r, b, c) }',
    *(
        f"(float[2,3] x) => (float y) <int32 a = {{{axis}}}> {{ y = .ExpandDims(x, a) }}"
        for axis in (0, 1, 2, -1, -3)
    ),
    "(float[4,5,6] x, int64[2,3,2] i) => (float y) { y = .GatherND(x, i) }",
    "(float[4,5,6] x, int32[7,1] i) => (float y) { y = .GatherND(x, i) }",
    "(float[4,5] x, int64[2] i) => (float y) { y = .GatherND(x, i) }",
    "(uint8[10,144] x, int64[2,3] i) => (float y) { y = .GatherPacked<packed_type=2, K=256, output_dtype=1>(x, i) }",
    "(uint8[10,210] x, int32 i) => (float16 y) { y = .GatherPacked<packed_type=14, K=256, output_dtype=10>(x, i) }",
    "(int32[2,3] x) => (uint32 y) { y = .MurmurHash3(x) }",
    "(double[2,3] x) => (int32 y) { y = .MurmurHash3<positive=0>(x) }",
    "(string[4] x) => (uint32 y) { y = .MurmurHash3(x) }",
    "(float[3,4] x) => (float y) <int64[4] p = {0,2,1,-1}> { y = .Pad(x, p) }",
    '(float[3,4] x) => (float y) <int64[1,4] p = {1,2,0,1}> { y = .Pad<mode="reflect">(x, p) }',
    "(float u) => (float y) <float a = {1.0}, float b = {4.2}, float d = {0.5}> { y = .Range(a, b, d) }",
    "(float u) => (int32 y) <int32[1] a = {5}, int32[1] b = {0}, int32[1] d = {-2}> { y = .Range(a, b, d) }",
    "(float u) => (int64 y) <int64 a = {1}, int64 b = {7}> { y = .Range(a, b) }",
    "(float u) => (int64 y) <int64 a = {7}, int64 b = {1}> { y = .Range(a, b) }",
    "(float[2,4,5] x) => (float y) { y = .Trilu<upper=0>(x) }",
    "(int64[4] s, int64[3] c, int64[1] p) => (int64 y, int64 i) { y, i = .BifurcationDetector<min_ngram_size=1, max_ngram_size=3>(s, c, p) }",
]


@pytest.mark.ort
@pytest.mark.parametrize("text", OBSERVED)
def test_shapes_are_those_that_onnx_runtime_produces(text: str) -> None:
    model = text_model(text, opset=17)
    assert_as_observed(model, zeros(model))


@pytest.mark.ort
def test_distinct_values_are_at_most_all() -> None:
    text = "(float[6] x) => (float y, int64 i, int64 c) { y, i, c = .Unique(x) }"
    model = text_model(text)
    values, places, counts = inferred(model)
    assert (values.bounded, places.bounded, counts.bounded) == (
        frozenset({0}),
        frozenset(),
        frozenset({0}),
    )
    assert_as_observed(model, {"x": np.arange(6, dtype=np.float32)})
    _, (few, indices, numbers) = observed(model, {"x": np.array([2, 1, 1, 3, 4, 3], np.float32)})
    assert (few.shape, indices.shape, numbers.shape) == ((4,), (6,), (4,))


@pytest.mark.ort
def test_merged_tokens_are_at_most_all() -> None:
    text = "(int64[4] s, int64[3] c, int64[1] p, int64[5] t) => (int64 y, int64 i) { y, i = .BifurcationDetector<min_ngram_size=1, max_ngram_size=2>(s, c, p, t) }"
    model = text_model(text)
    merged, _ = inferred(model)
    assert (merged.shape, merged.bounded) == ((8,), frozenset({0}))
    source = np.arange(4, dtype=np.int64)
    feeds = {"s": source, "c": np.zeros(3, np.int64), "p": np.zeros(1, np.int64)}
    # Predictions that follow the source to its end are all taken, others from the first difference.
    assert_as_observed(model, {**feeds, "t": np.append(source, 9)})
    _, (tokens, _) = observed(model, {**feeds, "t": np.full(5, 7, np.int64)})
    assert tokens.shape == (4,)


def test_n_grams_are_searched() -> None:
    # 9 source tokens: 9 places for one, 8 for two, 7 for three; 5 predictions.
    call = "com.microsoft.BifurcationDetector<min_ngram_size=1, max_ngram_size=3>"
    inputs = "int64[9] s, int64[4] c, int64[1] p, int64[6] t"
    found = node_of(f"{call}(s, c, p, t)", inputs, outputs="y, i")
    assert found.cost is not None
    assert found.status is NodeStatus.ESTIMATED
    assert found.cost.vector_ops == 9 + 16 + 21 + 5
    assert (found.cost.bytes_read, found.cost.bytes_written) == (8 * 20, 8 * (10 + 1))
    alone = cost_of(f"{call}(s, c, p)", inputs, outputs="y, i")
    assert (alone.vector_ops, alone.bytes_written) == (46, 8 * (4 + 1))


def cropped(inputs: str, attributes: str = "") -> OpCost:
    call = f"com.microsoft.CropAndResize{attributes}(x, r, b, c)"
    text = f"g ({inputs}) => (float[?] y) <int32[2] c = {{4,3}}> {{ y = {call} }}"
    (found,) = estimate_text(text)
    assert found.cost is not None, found.reason
    return found.cost


def test_crops_are_interpolated() -> None:
    # 5 crops of 4 by 3, 2 channels: 120 values of 7, 60 places of 12.
    small = "float[1,2,9,8] x, float[5,4] r, int32[5] b"
    cost = cropped(small)
    assert (cost.vector_ops, cost.bytes_written) == (120 * 7 + 60 * 12, 480)
    # 144 elements are fewer than 4 for each value.
    assert cost.bytes_read == 4 * (144 + 20 + 5)
    # Nearest: two coordinates are rounded, one element is read for each value.
    nearest = cropped(small, '<mode="nearest">')
    assert (nearest.vector_ops, nearest.bytes_read) == (60 * 2, 4 * (120 + 20 + 5))
    large = cropped("float[1,2,90,80] x, float[5,4] r, int32[5] b")
    assert large.bytes_read == 4 * (4 * 120 + 20 + 5)


@pytest.mark.parametrize(
    ("inputs", "each", "width"),
    [
        # 4 bytes: product, rotation, product, xor, rotation, product, sum; then xor with the length,
        # 3 shifts with xors, 2 products.
        ("int32[2,3] x", 7 + 9, 4),
        ("float[2,3] x", 7 + 9, 4),
        ("double[2,3] x", 2 * 7 + 9, 8),
    ],
)
def test_hashes(inputs: str, each: int, width: int) -> None:
    cost = cost_of("com.microsoft.MurmurHash3(x)", inputs)
    assert (cost.vector_ops, cost.bytes_read, cost.bytes_written) == (6 * each, 6 * width, 24)


def test_hashes_of_strings_depend_on_their_lengths() -> None:
    found = node_of("com.microsoft.MurmurHash3(x)", "string[3] x")
    assert (found.cost, found.reason) == (None, "the work depends on the lengths of the strings")


def test_packed_rows_are_unpacked() -> None:
    # 6 rows of 256 weights in 144 bytes: shift and scale of each weight.
    call = "com.microsoft.GatherPacked<packed_type=2, K=256, output_dtype=1>(x, i)"
    cost = cost_of(call, "uint8[10,144] x, int64[2,3] i")
    assert (cost.vector_ops, cost.bytes_written) == (2 * 6 * 256, 4 * 6 * 256)
    assert cost.bytes_read == 6 * 144 + 48
    # A table of 4 rows has no more to read.
    assert cost_of(call, "uint8[4,144] x, int64[2,3] i").bytes_read == 4 * 144 + 48
    found = node_of(call.replace("type=2", "type=99"), "uint8[10,144] x, int64[2,3] i")
    assert (found.cost, found.reason) == (None, "packed format 99 has no formula")
    text = f"g (int64[2,3] i) => (float[?] y) <uint8[10,144] x> {{ y = {call} }}"
    (stored,) = estimate_text(text)
    assert stored.parameters == 10 * 256


def test_movement() -> None:
    view = cost_of("com.microsoft.ExpandDims(x, a)", "float[2,3] x, int32 a")
    assert (view.bytes_read, view.bytes_written, view.aliases) == (0, 0, ((0, 0),))
    # 6 rows of 6 floats, indices of int64.
    rows = cost_of("com.microsoft.GatherND(x, i)", "float[4,5,6] x, int64[6,2] i")
    assert (rows.flops, rows.bytes_read, rows.bytes_written) == (0, 6 * 24 + 96, 6 * 24)
    # Of [3,4] the last column goes, [4,5] comes out.
    text = (
        "g (float[3,4] x) => (float[?] y) <int64[4] p = {0,2,1,-1}> { y = com.microsoft.Pad(x, p) }"
    )
    (padded,) = estimate_text(text)
    assert padded.cost is not None
    assert (padded.cost.bytes_read, padded.cost.bytes_written) == (36, 80)
    # The lower triangle of 3 by 4: 1 + 2 + 3 elements.
    lower = cost_of("com.microsoft.Trilu<upper=0>(x)", "float[3,4] x")
    assert (lower.bytes_read, lower.bytes_written) == (24, 48)


def test_steps() -> None:
    text = "g (float u) => (int64[?] y) <int64 a = {1}, int64 b = {7}> { y = com.microsoft.Range(a, b) }"
    (found,) = estimate_text(text)
    assert found.cost is not None
    assert (found.cost.vector_ops, found.cost.bytes_read, found.cost.bytes_written) == (6, 0, 48)


def test_distinct_values() -> None:
    # 8 floats; 7 counts grow at most. Values, indices and counts.
    cost = cost_of("com.microsoft.Unique(x)", "float[8] x", outputs="y, i, c")
    assert (cost.vector_ops, cost.bytes_read, cost.bytes_written) == (7, 32, 32 + 64 + 64)


@pytest.mark.parametrize("call", ["com.microsoft.EPContext(x)", 'com.microsoft.Snpe<DLC="abc">(x)'])
def test_compiled_graphs_are_not_known(call: str) -> None:
    found = node_of(call, "float[2,3] x")
    assert (found.status, found.cost) == (NodeStatus.UNSUPPORTED, None)
    assert found.reason == "what it computes was compiled for a device and is not in the graph"
