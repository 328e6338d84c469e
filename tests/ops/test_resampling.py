"""Resampling: samples are combined by products and sums; what is read is what they need."""

from __future__ import annotations

import pytest

from mlsys_lint import OpCost
from mlsys_lint.testing import check_text, estimate_text
from node_costs import counts, moved


def with_constants(call: str, constants: str, inputs: str) -> OpCost:
    text = f"g ({inputs}) => (float[?] y) <{constants}> {{ y = {call} }}"
    (found,) = estimate_text(text)
    assert found.cost is not None, found.reason
    return found.cost


def resized(attributes: str, sizes: str, x: str = "1,2,4,6") -> OpCost:
    return with_constants(
        f"Resize<{attributes}>(x, , , s)", f"int64[4] s = {{{sizes}}}", f"float[{x}] x"
    )


def test_interpolation_by_its_taps() -> None:
    # 1 * 2 * 8 * 12 = 192 results. Nearest copies; linear combines 2 * 2 samples by 4 products and
    # 3 sums, cubic 4 * 4; along one axis only it is 2 samples.
    for mode, operations in (("nearest", 0), ("linear", 7), ("cubic", 31)):
        cost = resized(f'mode="{mode}"', "1,2,8,12")
        assert cost.vector_ops == operations * 192
        assert (cost.bytes_read, cost.bytes_written) == (192, 768)
    assert resized('mode="linear"', "1,2,4,12").vector_ops == 3 * 96
    # A scale of 1.1 makes 4 rows of 4 at other places (0, 0.91, 1.8, 2.7): 2 samples each.
    cost = with_constants(
        'Resize<mode="linear">(x, , s)', "float[4] s = {1,1,1.1,1}", "float[1,2,4,6] x"
    )
    assert (cost.vector_ops, cost.bytes_written) == (3 * 48, 192)
    # The same size: a copy.
    assert resized('mode="linear"', "1,2,4,6").vector_ops == 0


def test_shrinking_reads_what_it_needs() -> None:
    # 2 * 2 * 3 results of 48 elements; nearest takes one each, linear at most all.
    assert resized('mode="nearest"', "1,2,2,3").bytes_read == 48
    assert resized('mode="linear"', "1,2,2,3").bytes_read == 192
    # Antialiasing by 2 doubles the taps on both axes: 4 * 4 samples.
    assert resized('mode="linear", antialias=1', "1,2,2,3").vector_ops == 31 * 12
    assert resized('mode="linear", antialias=1', "1,2,8,12").vector_ops == 7 * 192


def test_scales_are_no_parameters() -> None:
    text = "g (float[1,2,4,6] x) => (float[?] y) <float[4] s = {1,1,2,2}> { y = Resize(x, , s) }"
    found = check_text(text)
    assert found.model.parameters == 0
    assert found.nodes[0].cost is not None
    assert found.nodes[0].cost.bytes_written == 768
    old = (
        "g (float[1,2,4,6] x) => (float[?] y) <float[4] s = {1,1,2,2}> "
        '{ y = Upsample<mode="linear">(x, s) }'
    )
    (upsampled,) = estimate_text(old, opset=9)
    assert upsampled.cost is not None
    assert upsampled.cost.vector_ops == 7 * 192


def test_sampling_at_given_positions() -> None:
    # 5 * 7 positions, 2 channels: 70 results of 4 samples, and 2 operations per coordinate.
    inputs = "float[1,2,4,6] x, float[1,5,7,2] grid"
    assert counts("GridSample(x, grid)", inputs) == (7 * 70 + 4 * 35, 0)
    assert counts('GridSample<mode="nearest">(x, grid)', inputs) == (4 * 35, 0)
    assert moved("GridSample(x, grid)", inputs) == (192 + 280, 280)


def test_grids_of_positions() -> None:
    # 2 images of 5 * 7 positions, each times [2, 3]; of 5 * 7 * 4 positions times [3, 4].
    flat = with_constants("AffineGrid(t, s)", "int64[4] s = {2,3,5,7}", "float[2,2,3] t")
    assert (flat.macs, flat.bytes_read, flat.bytes_written) == (2 * 35 * 6, 48, 2 * 35 * 2 * 4)
    deep = with_constants("AffineGrid(t, s)", "int64[5] s = {2,3,5,7,4}", "float[2,3,4] t")
    assert (deep.macs, deep.bytes_written) == (2 * 140 * 12, 2 * 140 * 3 * 4)


def test_columns_are_added() -> None:
    # 5 * 5 image, 3 * 3 blocks at 9 places: 81 elements make 25.
    cost = with_constants(
        "Col2Im(x, i, b)", "int64[2] i = {5,5}, int64[2] b = {3,3}", "float[1,9,9] x"
    )
    assert (cost.vector_ops, cost.bytes_read, cost.bytes_written) == (56, 324, 100)


@pytest.mark.parametrize(
    ("attributes", "columns", "meeting", "pixels"),
    [
        # Along each axis of 4 pixels, blocks of 2. Steps of 2: no pixel is met twice.
        ("strides=[2,2]", 4, 4, 4),
        # A pixel of padding on either side: 5 blocks of 2, of which the outer two elements fall off.
        ("pads=[1,1,1,1]", 25, 8, 4),
        # Elements 2 apart: blocks at 0 and 1 meet 0, 2, 1, 3.
        ("dilations=[2,2]", 4, 4, 4),
        # Steps of 3 and blocks of 2: the blocks at 0 only; two pixels are met by none.
        ("strides=[3,3]", 1, 2, 2),
    ],
)
def test_columns_meet_pixels(attributes: str, columns: int, meeting: int, pixels: int) -> None:
    cost = with_constants(
        f"Col2Im<{attributes}>(x, i, b)",
        "int64[2] i = {4,4}, int64[2] b = {2,2}",
        f"float[1,4,{columns}] x",
    )
    assert cost.vector_ops == meeting**2 - pixels**2
    assert (cost.bytes_read, cost.bytes_written) == (4 * meeting**2, 64)


def test_what_is_read_goes_by_axes() -> None:
    # 10 rows become 100 and 1,000 columns become 10: nearest reads all rows of 10 columns, linear
    # 2 columns for each of the 10.
    for mode, columns in (("nearest", 10), ("linear", 20)):
        cost = resized(f'mode="{mode}"', "1,1,100,10", "1,1,10,1000")
        assert (cost.bytes_read, cost.bytes_written) == (4 * 10 * columns, 4000)
