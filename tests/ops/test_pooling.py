"""Pooling: comparisons, sums and powers derived by hand."""

from __future__ import annotations

import pytest

from mlsys_lint import NodeStatus, OpCost
from mlsys_lint.testing import estimate_text


def cost_of(text: str, opset: int = 23) -> OpCost:
    """The cost of the only node."""
    (found,) = estimate_text(text, opset=opset)
    assert found.cost is not None, found.reason
    maximum = any(text.startswith("data-dependent") for text in found.cost.assumptions)
    assert found.status is (NodeStatus.ESTIMATED if maximum else NodeStatus.EXACT)
    return found.cost


def pool(call: str, opset: int = 23) -> OpCost:
    return cost_of(f"g (float[2,3,6,8] x) => (float[?,?,?,?] y) {{ y = {call}(x) }}", opset)


@pytest.mark.parametrize(
    ("call", "vector_ops", "transcendentals"),
    [
        # 2 * 3 * 5 * 6 = 180 windows of 2x3 elements: 5 comparisons, 5 sums and a division.
        ("MaxPool<kernel_shape=[2,3]>", 180 * 5, 0),
        ("AveragePool<kernel_shape=[2,3]>", 180 * 6, 0),
        # 2 * 3 * 3 * 4 = 72 windows of 2x2.
        ("MaxPool<kernel_shape=[2,2], strides=[2,2]>", 72 * 3, 0),
        # Padding and dilation keep the window: 2 * 3 * 6 * 8 windows of 3x3.
        ("MaxPool<kernel_shape=[3,3], pads=[2,2,2,2], dilations=[2,2]>", 288 * 8, 0),
        # p = 2: 6 squares, 5 sums and a root; p = 1: 6 absolute values and 5 sums.
        ("LpPool<kernel_shape=[2,3]>", 180 * 11, 180),
        ("LpPool<kernel_shape=[2,3], p=1>", 180 * 11, 0),
        # p = 3: 6 absolute values, 6 powers, 5 sums, a power.
        ("LpPool<kernel_shape=[2,3], p=3>", 180 * 11, 180 * 7),
        # 6 results of 48 elements each.
        ("GlobalMaxPool", 6 * 47, 0),
        ("GlobalAveragePool", 6 * 48, 0),
        ("GlobalLpPool", 6 * 95, 6),
    ],
)
def test_windows(call: str, vector_ops: int, transcendentals: int) -> None:
    cost = pool(call)
    assert (cost.macs, cost.vector_ops, cost.transcendentals) == (0, vector_ops, transcendentals)
    assert cost.bytes_read == 4 * 288


def test_other_ranks() -> None:
    line = cost_of("g (float[2,3,8] x) => (float[?,?,?] y) { y = MaxPool<kernel_shape=[3]>(x) }")
    assert line.vector_ops == 2 * 3 * 6 * 2


def test_indices_cost_bytes_only() -> None:
    text = "g (float[1,2,4,4] x) => (float[?,?,?,?] y, int64[?,?,?,?] i) { y, i = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) }"
    cost = cost_of(text)
    assert cost.vector_ops == 8 * 3
    assert cost.bytes_written == 8 * 4 + 8 * 8


def test_unpooling_moves_bytes_only() -> None:
    text = "g (float[1,2,2,2] x, int64[1,2,2,2] i) => (float[?,?,?,?] y) { y = MaxUnpool<kernel_shape=[2,2], strides=[2,2]>(x, i) }"
    cost = cost_of(text)
    assert (cost.flops, cost.bytes_read, cost.bytes_written) == (0, 8 * 12, 32 * 4)


def test_regions() -> None:
    rois = "float[1,3,8,8] x, float[5,4] r, int64[5] b"
    head = f"g ({rois}) => (float[?,?,?,?] y)"
    size = "output_height=2, output_width=2"
    # 5 regions x 4 bins x 3 channels = 60 results of 2*2 samples: 7 each, and their mean 4 (maximum
    # 3); 5 * 4 * 4 = 80 places of 12, shared by the channels.
    mean = cost_of(f"{head} {{ y = RoiAlign<{size}, sampling_ratio=2>(x, r, b) }}")
    top = cost_of(f'{head} {{ y = RoiAlign<{size}, sampling_ratio=2, mode="max">(x, r, b) }}')
    assert mean.vector_ops == 60 * (28 + 4) + 80 * 12
    assert top.vector_ops == 60 * (28 + 3) + 80 * 12
    # Adaptive: at most ceil(8 / 2) samples in each direction, and that is said.
    adaptive = cost_of(f"{head} {{ y = RoiAlign<{size}>(x, r, b) }}")
    assert adaptive.vector_ops == 60 * (16 * 7 + 16) + 5 * 4 * 16 * 12
    assert "data-dependent" in adaptive.assumptions[0]


def test_region_maxima_at_most_the_whole_map() -> None:
    # 5 regions of 3 channels, 2 * 2 bins. A region of 7 rows puts the middle one in both bins, so 8
    # rows are read of 7, at most 9 of 8: 81 elements, 4 bins, 77 comparisons.
    text = "g (float[1,3,8,8] x, float[5,5] r) => (float[?,?,?,?] y) { y = MaxRoiPool<pooled_shape=[2,2]>(x, r) }"
    cost = cost_of(text)
    assert cost.vector_ops == 5 * 3 * 77
    assert "data-dependent" in cost.assumptions[0]


@pytest.mark.parametrize(("size", "bins"), [(8, 2), (9, 3), (5, 4), (2, 5)])
def test_bins_hold_at_most_one_element_more_for_each_edge(size: int, bins: int) -> None:
    # Bin b of p of a region of r rows: floor(b r / p) up to ceil((b + 1) r / p).
    def held(rows: int) -> int:
        return sum(-(-(at + 1) * rows // bins) - at * rows // bins for at in range(bins))

    assert max(map(held, range(1, size + 1))) <= size + bins - 1


@pytest.mark.parametrize(("name", "transcendentals"), [("GlobalMaxPool", 0), ("GlobalLpPool", 6)])
def test_nothing_is_pooled(name: str, transcendentals: int) -> None:
    # 2 * 3 results of no elements: nothing is compared or added; p = 2 takes a root of each sum.
    cost = cost_of(f"g (float[2,3,0,4] x) => (float[?] y) {{ y = {name}(x) }}")
    assert (cost.vector_ops, cost.transcendentals, cost.bytes_read) == (0, transcendentals, 0)


def test_few_regions_read_what_their_samples_meet() -> None:
    # One region of 2 x 2 bins with a sample each, on 3 channels of 100 x 100: 12 samples of 4 floats; 4
    # floats and an index of 8 bytes for the region.
    attributes = "output_height=2, output_width=2, sampling_ratio=1"
    inputs = "float[1,3,100,100] x, float[1,4] r, int64[1] b"
    cost = cost_of(f"g ({inputs}) => (float[?] y) {{ y = RoiAlign<{attributes}>(x, r, b) }}")
    assert cost.bytes_read == 4 * 48 + 16 + 8
