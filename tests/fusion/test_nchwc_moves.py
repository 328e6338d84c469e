"""Transposes, Resize and the reorders around blocked values."""

from __future__ import annotations

import pytest

from fusion.blocked import blocks, dims, listed, shapes
from fusion.emulation import optimized

LAST = "Transpose<perm = [0,2,3,1]>"
FIRST = "Transpose<perm = [0,3,1,2]>"
WEIGHTS = "<float[16,3,3,3] v, float[16,16,1,1] w>"
HEAD = f"g (float[1,3,6,6] x) => (float y) {WEIGHTS} {{ c = Conv(x, v)"


def test_a_reorder_transposes_to_channels_last() -> None:
    text = f"{HEAD} y = {LAST}(c) }}"
    assert blocks(text) == ["Conv* 0", "out 1"]
    program = optimized(text, block=16)
    assert program.order()[1].integer("channels_last", 0) == 1
    assert shapes(program) == [(1, 16, 4, 4), (1, 4, 4, 16)]


def test_both_layouts_are_read() -> None:
    text = f"{HEAD} y = {LAST}(c) z = Softmax(c) }}".replace("float y", "float y, float z")
    found = blocks(text, ordered=False)
    assert sorted(found) == ["Conv* 0", "Softmax 2", "out", "out 1"]


@pytest.mark.parametrize("perm", ["[0,3,1,2]", "[0,1,3,2]", "[1,2,3,0]"])
def test_other_transposes_stay(perm: str) -> None:
    assert blocks(f"{HEAD} y = Transpose<perm = {perm}>(c) }}") == ["Conv* 0", "out", "Transpose 1"]


def _from_last(body: str, channels: int = 16, outputs: str = "float y") -> str:
    return f"""g (float[1,6,5,{channels}] x) => ({outputs})
               <float[16,{channels},1,1] v, float[16,{channels},1,1] w>
               {{ t = {FIRST}(x) {body} }}"""


def test_a_reorder_transposes_from_channels_last() -> None:
    text = _from_last("y = Conv(t, v)", channels=20)
    assert blocks(text) == ["in 0", "Conv* 1", "out"]
    program = optimized(text, block=16)
    assert program.order()[0].integer("channels_last", 0) == 1
    assert shapes(program) == [(1, 32, 6, 5), (1, 16, 6, 5), (1, 16, 6, 5)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # a pool reads it, too
        (_from_last("y = MaxPool<kernel_shape = [2,2]>(t)"), ["in 0", "MaxPool* 1", "out"]),
        # few channels are read as they are
        (_from_last("y = Conv(t, v)", 8), ["Transpose 0", "Conv* 1", "out"]),
        # two edges
        (
            _from_last("a = Conv(t, v) b = Conv(t, w) y = Concat<axis = 1>(a, b)"),
            ["Transpose 0", "in", "Conv* 1", "Conv* 2", "Concat 3", "out"],
        ),
        (
            _from_last("y = Conv(t, v)", outputs="float y, float t"),
            ["Transpose 0", "in", "Conv* 1", "out"],
        ),
    ],
)
def test_which_transposes_a_reorder_takes(text: str, expected: list[str]) -> None:
    assert sorted(blocks(text, ordered=False)) == sorted(expected)


SCALES = "float[4] two = {1.0, 1.0, 2.0, 3.0}, float[4] half = {1.0, 1.0, 1.5, 2.0}"
CHANNELS = "float[4] more = {1.0, 2.0, 2.0, 2.0}, float[0] roi"
SIZES = "int64[4] to = {1, 16, 8, 12}, int64[4] odd = {1, 16, 8, 11}"


def _resize(arguments: str, mode: str, width: str = "6") -> str:
    return f"""g (float[1,3,6,{width}] x) => (float[] y)
               <float[16,3,3,3] v, {SCALES}, {CHANNELS}, {SIZES}>
               {{ c = Conv(x, v) y = Resize<{mode}>(c, {arguments}) }}"""


ASYMMETRIC = 'coordinate_transformation_mode = "asymmetric"'
CORNERS = 'coordinate_transformation_mode = "align_corners"'
TORCH = 'coordinate_transformation_mode = "pytorch_half_pixel"'
NEAREST = f'{ASYMMETRIC}, nearest_mode = "floor"'
LINEAR = 'mode = "linear"'
CUBIC = 'mode = "cubic"'


@pytest.mark.parametrize(
    "text",
    [
        _resize("roi, two", NEAREST),
        _resize("roi, two", NEAREST, "W"),
        _resize("roi, , to", NEAREST),
        _resize("roi, two", f"{LINEAR}, {ASYMMETRIC}"),
        _resize("roi, two", LINEAR),
        _resize("roi, two", f"{LINEAR}, {CORNERS}"),
    ],
)
def test_a_resize_by_whole_factors(text: str) -> None:
    assert blocks(text, ordered=False) == ["Conv* 0", "Upsample* 1", "out"]


@pytest.mark.parametrize(
    "text",
    [
        _resize("roi, half", NEAREST),
        _resize("roi, more", NEAREST),
        _resize("roi, , odd", NEAREST),
        _resize("roi, , to", NEAREST, "W"),
        _resize("roi, two", 'nearest_mode = "floor"'),
        _resize("roi, two", ASYMMETRIC),
        _resize("roi, two", f"{LINEAR}, {TORCH}"),
        _resize("roi, two", f"{CUBIC}, {ASYMMETRIC}"),
    ],
)
def test_other_resizes_stay(text: str) -> None:
    assert blocks(text, ordered=False) == ["Conv* 0", "out", "Resize 1"]


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize(("name", "opset"), [("Resize", 10), ("Upsample", 9)])
def test_before_coordinates_had_modes(name: str, opset: int, mode: str) -> None:
    text = f"""g (float[1,3,6,6] x) => (float[] y) <float[16,3,3,3] v, {SCALES}>
               {{ c = Conv(x, v) y = {name}<mode = "{mode}">(c, two) }}"""
    assert blocks(text, opset=opset) == ["Conv* 0", "Upsample* 1", "out"]


def test_sizes_after_a_resize() -> None:
    text = f"""g (float[N,16,6,W] x) => (float[] y) <{SCALES}, {CHANNELS}>
               {{ c = MaxPool<kernel_shape = [1,1]>(x) y = Resize<{NEAREST}>(c, roi, two) }}"""
    program = optimized(text, block=16, dims={"N": 2, "W": 5})
    assert listed(program) == ["in", "MaxPool* 0", "Upsample* 1", "out"]
    assert shapes(program)[2:] == [(2, 16, 12, 15)] * 2
    # Upsample forgets even a batch that it does not scale
    assert dims(program)[2] == (None, 16, 12, None)


def test_a_transposed_source_keeps_its_symbols() -> None:
    text = f"""g (float[N,H,6,20] x) => (float[] y) <float[16,20,1,1] w>
               {{ t = {FIRST}(x) y = Conv(t, w) }}"""
    program = optimized(text, block=16, dims={"N": 2, "H": 5})
    assert listed(program) == ["in 0", "Conv* 1", "out"]
    assert dims(program)[:2] == [("N", 32, "H", 6), ("N", 16, None, 6)]
    assert shapes(program)[:2] == [(2, 32, 5, 6), (2, 16, 5, 6)]
