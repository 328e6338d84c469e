"""com.microsoft's normalizations and element-wise operators with a bias: linear in n."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

CASES: Final = [
    # 16 n elements in 2 n rows: sum 1, mean, square, mean of squares, deviation, division, scale, bias 7;
    # 4 and a root a row.
    Growth(
        call="com.microsoft.SkipLayerNormalization(x, r, g, b)",
        inputs="float[2,{n},8] x, float[2,{n},8] r, float[8] g, float[8] b",
        figures={
            "vector_ops": (8 * 64 + 32, 8 * 128 + 64),
            "transcendentals": (8, 16),
            "bytes_read": (4 * (128 + 16), 4 * (256 + 16)),
            "bytes_written": (256, 512),
        },
    ),
    # Sum 1, square, mean, division, scale 4; epsilon and root a row.
    Growth(
        call="com.microsoft.SkipSimplifiedLayerNormalization(x, r, g)",
        inputs="float[2,{n},8] x, float[2,{n},8] r, float[8] g",
        figures={
            "vector_ops": (5 * 64 + 8, 5 * 128 + 16),
            "transcendentals": (8, 16),
            "bytes_read": (4 * (128 + 8), 4 * (256 + 8)),
            "bytes_written": (256, 512),
        },
    ),
    Growth(
        call="SimplifiedLayerNormalization(x, g)",
        inputs="float[2,{n},8] x, float[8] g",
        figures={
            "vector_ops": (4 * 64 + 8, 4 * 128 + 16),
            "transcendentals": (8, 16),
            "bytes_read": (4 * (64 + 8), 4 * (128 + 8)),
            "bytes_written": (256, 512),
        },
    ),
    # Two rows of 32 bytes are added and normalized per token; one per position serves both sequences.
    # The mask is summed: n - 1 for each of them.
    Growth(
        call="com.microsoft.EmbedLayerNormalization(i, , w, p, , g, b, m)",
        inputs="int32[2,{n}] i, float[8] g, float[8] b, int32[2,{n}] m",
        stored="float[90,8] w, float[64,8] p",
        outputs="y, k",
        figures={
            "vector_ops": (8 * 64 + 32 + 6, 8 * 128 + 64 + 14),
            "transcendentals": (8, 16),
            "bytes_read": (32 + 64 + 32 + 256 + 128, 64 + 64 + 64 + 512 + 256),
            "bytes_written": (256 + 8, 512 + 8),
            "weight_bytes": (256 + 128, 512 + 256),
        },
    ),
    # 3 n elements: operations and transcendentals of the function, 1 more for a bias.
    *(
        Growth(
            call=f"com.microsoft.{call}",
            inputs="float[{n},3] x, float[3] b" if "b)" in call else "float[{n},3] x",
            figures={
                "vector_ops": (12 * operations, 24 * operations),
                "transcendentals": (12 * transcendentals, 24 * transcendentals),
                "bytes_read": (48, 96) if "b)" not in call else (60, 108),
                "bytes_written": (48, 96),
            },
        )
        for call, operations, transcendentals in (
            ("Gelu(x)", 4, 1),  # x / sqrt 2, erf, + 1, x times, / 2
            ("BiasGelu(x, b)", 5, 1),
            (
                "FastGelu(x)",
                6,
                2,
            ),  # x^3, times 0.044715, + x, sqrt(2 / pi), tanh, + 1, x times, / 2
            ("FastGelu(x, b)", 7, 2),
            ("QuickGelu(x)", 2, 1),  # alpha x, sigmoid, x times
        )
    ),
    # 3 n elements: two sums each.
    Growth(
        call="com.microsoft.BiasAdd(x, b, s)",
        inputs="float[1,{n},3] x, float[3] b, float[1,{n},3] s",
        figures={"vector_ops": (24, 48), "bytes_read": (108, 204), "bytes_written": (48, 96)},
    ),
    # n rows of 3: a sum, then 4 an element less 2 a row.
    Growth(
        call="com.microsoft.BiasSoftmax<is_inner_broadcast=0>(x, b)",
        inputs="float[{n},3] x, float[{n},3] b",
        figures={
            "vector_ops": (12 + 48 - 8, 24 + 96 - 16),
            "transcendentals": (12, 24),
            "bytes_read": (96, 192),
        },
    ),
    # 3 n results of two elements: 2 sums, Gelu 4 and an erf, a product.
    Growth(
        call="com.microsoft.BiasSplitGelu(x, b)",
        inputs="float[1,{n},6] x, float[6] b",
        figures={
            "vector_ops": (84, 168),
            "transcendentals": (12, 24),
            "bytes_read": (120, 216),
            "bytes_written": (48, 96),
        },
    ),
    # 8 n elements: bias and residual; in training comparison, product, scale besides.
    Growth(
        call="com.microsoft.BiasDropout(x, b, r)",
        inputs="float[{n},8] x, float[8] b, float[{n},8] r",
        figures={"vector_ops": (64, 128), "bytes_read": (288, 544), "bytes_written": (128, 256)},
    ),
    Growth(
        call="com.microsoft.BiasDropout(x, b, r, , t)",
        inputs="float[{n},8] x, float[8] b, float[{n},8] r",
        stored="bool t = {{1}}",
        outputs="y, m",
        figures={"vector_ops": (160, 320), "bytes_written": (128 + 32, 256 + 64)},
    ),
    # A bit an element, in words of 4 bytes.
    Growth(
        call="com.microsoft.BitmaskBiasDropout(x, b)",
        inputs="float[{n},8] x, float[8] b",
        outputs="y, m",
        figures={"vector_ops": (32, 64), "bytes_written": (128 + 4, 256 + 8)},
    ),
    Growth(
        call="com.microsoft.BitmaskDropout(x, , t)",
        inputs="float[{n},8] x",
        stored="bool t = {{1}}",
        outputs="y, m",
        figures={"vector_ops": (96, 192), "bytes_written": (128 + 4, 256 + 8)},
    ),
    # n indices of 8 bytes, n rows of 32.
    Growth(
        call="com.microsoft.TorchEmbedding(w, i)",
        inputs="int64[{n}] i",
        stored="float[90,8] w",
        figures={
            "bytes_read": (160, 320),
            "bytes_written": (128, 256),
            "weight_bytes": (128, 256),
        },
    ),
    Growth(
        call="com.microsoft.SampleOp(x)",
        inputs="float[{n}] x",
        figures={"bytes_read": (16, 32), "bytes_written": (16, 32), "vector_ops": (0, 0)},
    ),
]
