"""Pooling: windows, whole maps, regions."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

# n images of 3 channels, 6 * 8: 4 * 144 floats, then 8 * 144.
X: Final = "float[{n},3,6,8] x"
READ: Final = (4 * 576, 8 * 576)


def _pool(
    call: str,
    opset: int,
    results: int,
    operations: int,
    transcendentals: int = 0,
    *,
    written: int = 4,
    outputs: str = "y",
) -> Growth:
    """Figures of an image: `results`, operations and transcendentals for each, bytes written."""
    return Growth(
        call=f"{call}(x)",
        inputs=X,
        outputs=outputs,
        opset=opset,
        figures={
            "macs": (0, 0),
            "vector_ops": (4 * results * operations, 8 * results * operations),
            "transcendentals": (4 * results * transcendentals, 8 * results * transcendentals),
            "bytes_read": READ,
            "bytes_written": (4 * results * written, 8 * results * written),
        },
    )


WINDOWS: Final = [
    # 3 * 5 * 6 windows of 2 * 3: 5 comparisons; an index of 8 bytes for each, where it is asked for.
    *(_pool("MaxPool<kernel_shape=[2,3]>", opset, 90, 5) for opset in (1, 8, 12, 22)),
    _pool("MaxPool<kernel_shape=[2,3]>", 8, 90, 5, written=12, outputs="y, i"),
    # Steps, padding and distances change the number of windows, not their size: 3 * 3 * 4, 3 * 6 * 8
    # windows; rounded up 3 * 2 * 3 of 4 * 3.
    _pool("MaxPool<kernel_shape=[2,2], strides=[2,2]>", 10, 36, 3),
    _pool("MaxPool<kernel_shape=[3,3], pads=[2,2,2,2], dilations=[2,2]>", 11, 144, 8),
    _pool("MaxPool<kernel_shape=[4,3], strides=[3,3], ceil_mode=1>", 12, 18, 11),
    # 5 sums and a division; padding counts as if it were data.
    *(_pool("AveragePool<kernel_shape=[2,3]>", opset, 90, 6) for opset in (1, 7, 10, 22)),
    _pool("AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>", 7, 144, 9),
    _pool("AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>", 11, 144, 9),
    _pool("AveragePool<kernel_shape=[2,3], dilations=[2,2]>", 19, 3 * 4 * 4, 6),
    # p = 2: 6 squares, 5 sums and a root. p = 1: 6 absolute values, 5 sums. Else 6 absolute values
    # and powers, 5 sums, a power. In the first version p is a float.
    _pool("LpPool<kernel_shape=[2,3], p=2.0>", 1, 90, 11, 1),
    *(_pool("LpPool<kernel_shape=[2,3]>", opset, 90, 11, 1) for opset in (2, 11, 18)),
    _pool("LpPool<kernel_shape=[2,3], p=1>", 18, 90, 11),
    _pool("LpPool<kernel_shape=[2,3], p=3>", 22, 90, 11, 7),
]

# 3 results an image of 48 elements each.
WHOLE: Final = [
    *(_pool("GlobalMaxPool", opset, 3, 47) for opset in (1, 22)),
    *(_pool("GlobalAveragePool", opset, 3, 48) for opset in (1, 22)),
    _pool("GlobalLpPool<p=2.0>", 1, 3, 48 + 47, 1),
    _pool("GlobalLpPool<p=1>", 2, 3, 48 + 47),
    _pool("GlobalLpPool<p=3>", 22, 3, 48 + 47, 49),
]

PLACES: Final = [
    # 2 * 2 values and places of 8 bytes become 4 * 4.
    *(
        Growth(
            call="MaxUnpool<kernel_shape=[2,2], strides=[2,2]>(x, i)",
            inputs="float[{n},3,2,2] x, int64[{n},3,2,2] i",
            opset=opset,
            figures={
                "vector_ops": (0, 0),
                "bytes_read": (4 * 12 * 12, 8 * 12 * 12),
                "bytes_written": (4 * 48 * 4, 8 * 48 * 4),
            },
        )
        for opset in (9, 11, 22)
    ),
    # n regions (5 floats each), 3 channels, 2 * 2 bins: at most (8 + 1) * (8 + 1) elements, 4 bins.
    *(
        Growth(
            call="MaxRoiPool<pooled_shape=[2,2]>(x, r)",
            inputs="float[1,3,8,8] x, float[{n},5] r",
            opset=opset,
            figures={
                "vector_ops": (4 * 3 * 77, 8 * 3 * 77),
                "bytes_read": (768 + 80, 768 + 160),
                "bytes_written": (192, 384),
            },
        )
        for opset in (1, 22)
    ),
    # n regions (4 floats and the image's number), 2 * 2 bins of 2 * 2 samples: 12 operations for
    # each of 16 places, 7 for each of 3 channels there; then 4 for a mean, 3 for a maximum of 4.
    *(
        Growth(
            call=f"RoiAlign<output_height=2, output_width=2, {attributes}>(x, r, b)",
            inputs="float[1,3,8,8] x, float[{n},4] r, int64[{n}] b",
            opset=opset,
            figures={
                "vector_ops": (4 * each, 8 * each),
                "bytes_read": (768 + 96, 768 + 192),
                "bytes_written": (192, 384),
            },
        )
        for attributes, opset, each in (
            ("sampling_ratio=2", 10, 16 * 12 + 12 * (4 * 7 + 4)),
            ('sampling_ratio=2, mode="max"', 16, 16 * 12 + 12 * (4 * 7 + 3)),
            # As many samples as a bin has pixels: at most 4 * 4.
            ("sampling_ratio=0", 22, 64 * 12 + 12 * (16 * 7 + 16)),
        )
    ),
]

CASES: Final = [*WINDOWS, *WHOLE, *PLACES]
