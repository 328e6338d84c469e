"""Complex products, distances, inverses, warping, sparse products, transforms, windows."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

# 5 n pairs: 4 products, 2 sums.
COMPLEX: Final = {"vector_ops": (120, 240), "bytes_read": (200, 360), "bytes_written": (160, 320)}

CASES: Final = [
    Growth(
        call="com.microsoft.ComplexMul(a, b)",
        inputs="float[{n},5,2] a, float[5,2] b",
        figures=COMPLEX,
    ),
    Growth(
        call="com.microsoft.ComplexMulConj(a, b)",
        inputs="float[{n},5,2] a, float[5,2] b",
        figures=COMPLEX,
    ),
    # 5 n + 3 tests, 5 n + 2 joins; one byte.
    Growth(
        call="com.microsoft.IsAllFinite(a, b)",
        inputs="float[{n},5] a, float[3] b",
        figures={"vector_ops": (45, 85), "bytes_read": (92, 172), "bytes_written": (1, 1)},
    ),
    # Two matrices, 2 n^3 - 2 n^2 + n each: 128 - 32 + 4, 1,024 - 128 + 8.
    Growth(
        call="com.microsoft.Inverse(x)",
        inputs="float[2,{n},{n}] x",
        figures={"vector_ops": (200, 1808), "bytes_read": (128, 512), "bytes_written": (128, 512)},
    ),
    # n + 5 norms of 3 (5 operations), 5 n pairs: 3 MACs, factor, two sums, absolute value, root.
    Growth(
        call='com.microsoft.CDist<metric="euclidean">(a, b)',
        inputs="float[{n},3] a, float[5,3] b",
        figures={
            "macs": (60, 120),
            "vector_ops": (45 + 80, 65 + 160),
            "transcendentals": (20, 40),
            "bytes_read": (108, 156),
            "bytes_written": (80, 160),
        },
    ),
    # 6 n cells: two comparisons, a sum; a path of at most n + 5 points, two int32 each.
    Growth(
        call="com.microsoft.DynamicTimeWarping(x)",
        inputs="float[{n},6] x",
        figures={"vector_ops": (72, 144), "bytes_read": (96, 192), "bytes_written": (72, 104)},
    ),
    # 4 n stored elements meet 5 columns; 12 bytes each with their index.
    Growth(
        call="com.microsoft.SparseToDenseMatMul(a, b)",
        inputs="float[{n},4] a, float[4,5] b",
        figures={
            "macs": (80, 160),
            "vector_ops": (0, 0),
            "bytes_read": (192 + 80, 384 + 80),
            "bytes_written": (80, 160),
        },
    ),
    # Three real transforms: 5 * 4 * 2 / 2, 5 * 8 * 3 / 2; 3 and 5 complex results each.
    Growth(
        call="com.microsoft.Rfft(x)",
        inputs="float[3,{n}] x",
        figures={"vector_ops": (60, 180), "bytes_read": (48, 96), "bytes_written": (72, 120)},
    ),
    # Three signals of 2 (n - 1): 6 and 14. 5 * 6 * 3 / 2, 5 * 14 * 4 / 2, and a scale per element.
    Growth(
        call="com.microsoft.Irfft<signal_ndim=1>(x)",
        inputs="float[3,{n},2] x",
        figures={
            "vector_ops": (135 + 18, 420 + 42),
            "bytes_read": (96, 192),
            "bytes_written": (72, 168),
        },
    ),
    # One window of 3, then three that share their ends: 3 and 7 positions are read.
    Growth(
        call="com.microsoft.UnfoldTensor<dim=1, size=3, step=2>(x)",
        inputs="float[2,{n},3] x",
        figures={"vector_ops": (0, 0), "bytes_read": (72, 168), "bytes_written": (72, 216)},
    ),
    # n words, 5 positions, 7 filters of 2 x 4: bias, tanh, 4 maxima. All 9 rows of the table.
    Growth(
        call="com.microsoft.WordConvEmbedding(s, w, b, c)",
        inputs="int32[{n},6] s, float[7,1,2,4] w, float[7] b, float[9,4] c",
        figures={
            "macs": (1120, 2240),
            "vector_ops": (252, 504),
            "transcendentals": (140, 280),
            "bytes_read": (96 + 252 + 144, 192 + 252 + 144),
            "bytes_written": (112, 224),
        },
    ),
]
