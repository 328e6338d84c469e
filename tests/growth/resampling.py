"""Resampling: interpolation at other positions, grids of positions, columns back to images."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

# 4 images of 2 channels, 3 * 5: 120 floats of 4 bytes, then 240. Twice as high and wide: 480, 960.
X: Final = "float[{n},2,3,5] x"
SCALES: Final = "float[4] s = {{1,1,2,2}}"
SIZES: Final = "int64[4] s = {{{n},2,6,10}}"


def _scaled(
    call: str,
    opset: int,
    samples: int,
    *,
    stored: str = SCALES,
    read: tuple[int, int] = (480, 960),
    results: tuple[int, int] = (480, 960),
) -> Growth:
    """Per result as many products as samples, and a sum less; one sample is a copy."""
    each = 2 * samples - 1 if samples > 1 else 0
    return Growth(
        call=call,
        inputs=X,
        stored=stored,
        opset=opset,
        figures={
            "macs": (0, 0),
            "vector_ops": (each * results[0], each * results[1]),
            "transcendentals": (0, 0),
            "bytes_read": read,
            "bytes_written": (4 * results[0], 4 * results[1]),
        },
    )


# Two axes: 2 * 2 samples (linear), 4 * 4 (cubic). Where the sizes come from changes, the work not.
SCALED: Final = [
    _scaled('Upsample<mode="bilinear", height_scale=2.0, width_scale=2.0>(x)', 1, 4, stored=""),
    _scaled("Upsample<height_scale=2.0, width_scale=2.0>(x)", 1, 1, stored=""),
    _scaled('Upsample<mode="linear", scales=[1.0,1.0,2.0,2.0]>(x)', 7, 4, stored=""),
    _scaled('Upsample<mode="linear">(x, s)', 9, 4),
    _scaled("Upsample(x, s)", 9, 1),
    _scaled('Resize<mode="linear">(x, s)', 10, 4),
    _scaled("Resize(x, s)", 10, 1),
    _scaled('Resize<mode="linear">(x, r, s)', 11, 4, stored=f"{SCALES}, float[8] r"),
    _scaled('Resize<mode="cubic">(x, r, z, s)', 11, 16, stored=f"{SIZES}, float[8] r, float[0] z"),
    _scaled('Resize<mode="cubic">(x, , s)', 13, 16),
    _scaled('Resize<mode="linear">(x, , , s)', 13, 4, stored=SIZES),
    _scaled('Resize<mode="linear", axes=[2,3]>(x, , s)', 18, 4, stored="float[2] s = {{2,2}}"),
    _scaled('Resize<mode="linear", antialias=1>(x, , s)', 19, 4),
    # One axis: 2 samples, twice as many results.
    _scaled(
        'Resize<mode="linear", axes=[3]>(x, , s)',
        18,
        2,
        stored="float[1] s = {{2}}",
        results=(240, 480),
    ),
    # Antialiasing to 3 * 1: ceil(2 * 5 / 1) samples of the shrunk axis only; a fifth of the results.
    _scaled(
        'Resize<mode="linear", antialias=1, axes=[3]>(x, , , s)',
        18,
        10,
        stored="int64[1] s = {{1}}",
        results=(24, 48),
    ),
    # Nearest to 3 * 1 reads one element for each.
    _scaled(
        "Resize<axes=[3]>(x, , , s)",
        18,
        1,
        stored="int64[1] s = {{1}}",
        read=(96, 192),
        results=(24, 48),
    ),
]


def _sampled(mode: str, opset: int, samples: int, read: tuple[int, int]) -> Growth:
    """7 positions in each image, for 2 channels: 56 results, then 112.

    A position has two coordinates, which take 2 operations each: 7 * 4 * 4, and 8 bytes.
    """
    each = 2 * samples - 1 if samples > 1 else 0
    return Growth(
        call=f"GridSample{mode}(x, g)",
        inputs=f"{X}, float[{{n}},1,7,2] g",
        opset=opset,
        figures={
            "macs": (0, 0),
            "vector_ops": (56 * each + 112, 112 * each + 224),
            "bytes_read": (read[0] + 224, read[1] + 448),
            "bytes_written": (224, 448),
        },
    )


CASES: Final = [
    *SCALED,
    # 2 * 2 samples by default; at most the image is read, nearest one element a result.
    _sampled("", 16, 4, (480, 960)),
    _sampled('<mode="bicubic">', 16, 16, (480, 960)),
    _sampled('<mode="nearest">', 16, 1, (224, 448)),
    _sampled("", 20, 4, (480, 960)),
    _sampled('<mode="cubic">', 22, 16, (480, 960)),
    # 8 neighbours in space: 15 operations for each of 7 results of 2 channels; 3 coordinates.
    Growth(
        call="GridSample(x, g)",
        inputs="float[{n},2,3,3,3] x, float[{n},1,1,7,3] g",
        figures={
            "vector_ops": (4 * (14 * 15 + 7 * 6), 8 * (14 * 15 + 7 * 6)),
            "bytes_read": (4 * 4 * (54 + 21), 8 * 4 * (54 + 21)),
            "bytes_written": (4 * 4 * 14, 8 * 4 * 14),
        },
    ),
    # 3 * 5 positions [x, y, 1] times [3, 2] for each image; in space 2 * 3 * 5 times [4, 3].
    Growth(
        call="AffineGrid(t, s)",
        inputs="float[{n},2,3] t",
        stored="int64[4] s = {{{n},2,3,5}}",
        figures={
            "macs": (4 * 15 * 6, 8 * 15 * 6),
            "vector_ops": (0, 0),
            "bytes_read": (4 * 24, 8 * 24),
            "bytes_written": (4 * 15 * 8, 8 * 15 * 8),
        },
    ),
    Growth(
        call="AffineGrid<align_corners=1>(t, s)",
        inputs="float[{n},3,4] t",
        stored="int64[5] s = {{{n},2,2,3,5}}",
        figures={
            "macs": (4 * 30 * 12, 8 * 30 * 12),
            "bytes_read": (4 * 48, 8 * 48),
            "bytes_written": (4 * 30 * 12, 8 * 30 * 12),
        },
    ),
    # Blocks of 2 * 2 at 2 * 3 places of an image of 3 * 4: 24 elements meet 12 pixels, 2 channels.
    Growth(
        call="Col2Im(x, i, b)",
        inputs="float[{n},8,6] x",
        stored="int64[2] i = {{3,4}}, int64[2] b = {{2,2}}",
        figures={
            "vector_ops": (4 * 2 * 12, 8 * 2 * 12),
            "bytes_read": (4 * 48 * 4, 8 * 48 * 4),
            "bytes_written": (4 * 24 * 4, 8 * 24 * 4),
        },
    ),
]
