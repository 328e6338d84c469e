"""Convolutions: every filter meets every position with every element of its kernel."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

# 4 images of 4 channels, 6 * 5: 480 floats, then 960.
X: Final = "float[{n},4,6,5] x"


def _conv(
    attributes: str, weight: str, each: int, results: int, opset: int = 22, *, bias: int = 0
) -> Growth:
    """`each` MACs for each of `results` results an image; a sum for a bias (of `bias` channels)."""
    size = 1
    for extent in weight.split(","):
        size *= int(extent)
    return Growth(
        call=f"Conv<{attributes}>(x, w{', b' if bias else ''})",
        inputs=f"{X}, float[{weight}] w, float[{bias or 1}] b",
        opset=opset,
        figures={
            "macs": (4 * each * results, 8 * each * results),
            "vector_ops": (4 * results, 8 * results) if bias else (0, 0),
            "bytes_read": (4 * (480 + size + bias), 4 * (960 + size + bias)),
            "bytes_written": (16 * results, 32 * results),
        },
    )


CONVOLUTIONS: Final = [
    # 6 filters of 4 * 3 * 3 at 4 * 3 positions.
    *(_conv("kernel_shape=[3,3]", "6,4,3,3", 36, 72, opset) for opset in (1, 11, 22)),
    _conv("group=1", "6,4,3,3", 36, 72, bias=6),
    # Padding counts like data: 6 * 5 positions; steps of 2: 3 * 3.
    _conv("pads=[1,1,1,1]", "6,4,3,3", 36, 180),
    _conv("pads=[1,1,1,1], strides=[2,2]", "6,4,3,3", 36, 54),
    _conv('auto_pad="SAME_UPPER", strides=[2,2]', "6,4,3,3", 36, 54),
    # Elements 2 apart span 5 rows and columns: 2 * 1 positions.
    _conv("dilations=[2,2]", "6,4,3,3", 36, 12),
    # Two groups: filters see 2 channels. Four: one.
    _conv("group=2", "6,2,3,3", 18, 72),
    _conv("group=4", "4,1,3,3", 9, 48),
    _conv("group=1", "6,4,1,1", 4, 180),
]

TRANSPOSED: Final = [
    # Every element of 4 * 30 an image meets 3 filters of 2 * 2, whatever the steps: 12 MACs. The
    # results: ((6 - 1) s + 2) * ((5 - 1) s + 2), less what pads crop.
    *(
        Growth(
            call=f"ConvTranspose<{attributes}>(x, w, b)",
            inputs=f"{X}, float[4,3,2,2] w, float[3] b",
            opset=opset,
            figures={
                "macs": (4 * 120 * 12, 8 * 120 * 12),
                "vector_ops": (4 * 3 * area, 8 * 3 * area),  # bias
                "bytes_read": (4 * (480 + 48 + 3), 4 * (960 + 48 + 3)),
                "bytes_written": (16 * 3 * area, 32 * 3 * area),
            },
        )
        for attributes, opset, area in (
            ("kernel_shape=[2,2]", 1, 7 * 6),
            ("strides=[2,2]", 11, 12 * 10),
            ("strides=[2,2], pads=[1,1,1,1]", 11, 10 * 8),
            ("strides=[2,2], output_padding=[1,1]", 22, 13 * 11),
            ("strides=[2,2], output_shape=[11,9]", 22, 11 * 9),
            ("dilations=[2,2]", 22, 8 * 7),
        )
    ),
    # Two groups: an element meets the 3 filters of its own one; 6 channels come out.
    Growth(
        call="ConvTranspose<group=2>(x, w)",
        inputs=f"{X}, float[4,3,2,2] w",
        figures={
            "macs": (4 * 120 * 12, 8 * 120 * 12),
            "vector_ops": (0, 0),
            "bytes_written": (16 * 6 * 42, 32 * 6 * 42),
        },
    ),
]

# As the first convolution, in bytes: 480 and 216 of them. Zero points shift each of them.
INTEGER: Final = [
    Growth(
        call="ConvInteger(x, w)",
        inputs="uint8[{n},4,6,5] x, uint8[6,4,3,3] w",
        opset=10,
        figures={
            "macs": (4 * 36 * 72, 8 * 36 * 72),
            "vector_ops": (0, 0),
            "bytes_read": (480 + 216, 960 + 216),
            "bytes_written": (16 * 72, 32 * 72),
        },
    ),
    Growth(
        call="ConvInteger(x, w, xz, wz)",
        inputs="uint8[{n},4,6,5] x, uint8[6,4,3,3] w, uint8 xz, uint8[6] wz",
        opset=10,
        figures={
            "macs": (4 * 36 * 72, 8 * 36 * 72),
            "vector_ops": (480 + 216, 960 + 216),
            "bytes_read": (480 + 216 + 7, 960 + 216 + 7),
            "bytes_written": (16 * 72, 32 * 72),
        },
    ),
    # And for each result the bias, scale, round, shift, minimum and maximum. Read besides: 3 scales
    # of 4 bytes, 3 zero points, 6 biases of 4.
    Growth(
        call="QLinearConv(x, xs, xz, w, ws, wz, ys, yz, b)",
        inputs=(
            "uint8[{n},4,6,5] x, float xs, uint8 xz, uint8[6,4,3,3] w, float ws, uint8 wz, "
            "float ys, uint8 yz, int32[6] b"
        ),
        opset=10,
        figures={
            "macs": (4 * 36 * 72, 8 * 36 * 72),
            "vector_ops": (480 + 216 + 4 * 72 * 6, 960 + 216 + 8 * 72 * 6),
            "bytes_read": (480 + 216 + 39, 960 + 216 + 39),
            "bytes_written": (4 * 72, 8 * 72),
        },
    ),
]

# 3 * 3 offsets at 4 * 3 positions: 108 places an image, each of two coordinates. A place takes 12
# operations (a sum, a floor and two distances for each axis, 4 products for the weights), the value
# of each of 4 channels there 7 (4 products, 3 sums), and one for the mask.
DEFORMED: Final = [
    Growth(
        call="DeformConv(x, w, o)",
        inputs=f"{X}, float[6,4,3,3] w, float[{{n}},18,4,3] o",
        opset=19,
        figures={
            "macs": (4 * 36 * 72, 8 * 36 * 72),
            "vector_ops": (4 * 108 * (12 + 28), 8 * 108 * (12 + 28)),
            "bytes_read": (4 * (480 + 216 + 864), 4 * (960 + 216 + 1728)),
            "bytes_written": (16 * 72, 32 * 72),
        },
    ),
    # Two offset groups have places of their own; a bias for each result.
    Growth(
        call="DeformConv<offset_group=2>(x, w, o, b, m)",
        inputs=f"{X}, float[6,4,3,3] w, float[{{n}},36,4,3] o, float[6] b, float[{{n}},18,4,3] m",
        opset=22,
        figures={
            "macs": (4 * 36 * 72, 8 * 36 * 72),
            "vector_ops": (4 * (108 * (24 + 32) + 72), 8 * (108 * (24 + 32) + 72)),
            "bytes_read": (4 * (480 + 216 + 6 + 2592), 4 * (960 + 216 + 6 + 5184)),
            "bytes_written": (16 * 72, 32 * 72),
        },
    ),
]

CASES: Final = [*CONVOLUTIONS, *TRANSPOSED, *INTEGER, *DEFORMED]
