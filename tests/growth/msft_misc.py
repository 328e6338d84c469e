"""com.microsoft: movement, hashing, matching."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

CASES: Final = [
    # 1-grams at n places, 2-grams (2 comparisons) at n - 1; n - 1 of n predictions are compared:
    # 4 + 6 + 3, then 8 + 14 + 7. Source, 3 current tokens, an index and n predictions; at most all of
    # them come out, with an index.
    Growth(
        call="com.microsoft.BifurcationDetector<min_ngram_size=1, max_ngram_size=2>(s, c, p, t)",
        inputs="int64[{n}] s, int64[3] c, int64[1] p, int64[{n}] t",
        outputs="y, i",
        figures={
            "vector_ops": (13, 29),
            "bytes_read": (8 * 12, 8 * 20),
            "bytes_written": (8 * 8, 8 * 12),
        },
    ),
    # n crops of 2 by 3 from 2 channels: 12 n values of 7, 6 n places of 12. 4 elements for each value
    # are fewer than the image has; 4 coordinates and an index a crop.
    Growth(
        call="com.microsoft.CropAndResize(x, r, b, c)",
        inputs="float[1,2,90,80] x, float[{n},4] r, int32[{n}] b",
        stored="int32[2] c = {{2,3}}",
        figures={
            "vector_ops": (336 + 288, 672 + 576),
            "bytes_read": (768 + 80, 1536 + 160),
            "bytes_written": (192, 384),
        },
    ),
    Growth(
        call="com.microsoft.ExpandDims(x, a)",
        inputs="float[{n},3] x",
        stored="int32 a = {{0}}",
        fixed="a view",
        figures={"vector_ops": (0, 0), "bytes_read": (0, 0), "bytes_written": (0, 0)},
    ),
    # n rows of 6 floats by two indices each.
    Growth(
        call="com.microsoft.GatherND(x, i)",
        inputs="float[9,5,6] x, int64[{n},2] i",
        figures={
            "vector_ops": (0, 0),
            "bytes_read": (96 + 64, 192 + 128),
            "bytes_written": (96, 192),
        },
    ),
    # n rows of 32 weights in 18 bytes: shift and scale; bfloat16 comes out.
    Growth(
        call="com.microsoft.GatherPacked<packed_type=2, K=32>(x, i)",
        inputs="uint8[99,18] x, int32[{n}] i",
        figures={
            "vector_ops": (256, 512),
            "bytes_read": (72 + 16, 144 + 32),
            "bytes_written": (256, 512),
        },
    ),
    # 4 bytes: 7 operations, 9 at the end.
    Growth(
        call="com.microsoft.MurmurHash3(x)",
        inputs="int32[{n},3] x",
        figures={"vector_ops": (192, 384), "bytes_read": (48, 96), "bytes_written": (48, 96)},
    ),
    # [n,3] becomes [n,5].
    Growth(
        call="com.microsoft.Pad(x, p)",
        inputs="float[{n},3] x",
        stored="int64[4] p = {{0,1,0,1}}",
        figures={"vector_ops": (0, 0), "bytes_read": (48, 96), "bytes_written": (80, 160)},
    ),
    Growth(
        call="com.microsoft.Range(a, b)",
        inputs="float u",
        stored="int64 a = {{0}}, int64 b = {{{n}}}",
        figures={"vector_ops": (4, 8), "bytes_read": (0, 0), "bytes_written": (32, 64)},
    ),
    # n matrices of 3 by 3, of which 6 elements stay.
    Growth(
        call="com.microsoft.Trilu(x)",
        inputs="float[{n},3,3] x",
        figures={"vector_ops": (0, 0), "bytes_read": (96, 192), "bytes_written": (144, 288)},
    ),
    # n - 1 counts grow; a float, an index and a count of int64 for each.
    Growth(
        call="com.microsoft.Unique(x)",
        inputs="float[{n}] x",
        outputs="y, i, c",
        figures={"vector_ops": (3, 7), "bytes_read": (16, 32), "bytes_written": (80, 160)},
    ),
]
