"""Fourier transforms, 5 n log2 n operations for n complex samples and half of it for real ones."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

CASES: Final = [
    # 3 lines of n complex samples: 5 * 8 * 3 = 120 operations each, then 5 * 16 * 4 = 320.
    Growth(
        call="DFT(x)",
        inputs="float[3,{n},2] x",
        n=8,
        figures={
            "vector_ops": (360, 960),
            "transcendentals": (0, 0),
            "bytes_read": (192, 384),
            "bytes_written": (192, 384),
        },
    ),
    # Lines: half of 120 operations for 8 real samples, n times; before opset 20 the axis is 1.
    Growth(
        call="DFT(x)",
        inputs="float[{n},8,1] x",
        opset=17,
        figures={"vector_ops": (240, 480), "bytes_read": (128, 256), "bytes_written": (256, 512)},
    ),
    # (n - 8) / 4 + 1 frames of 8 real samples: 7, then 15, each a product with the window (8) and half
    # of 120; 5 complex frequencies come out.
    Growth(
        call="STFT<onesided=1>(x, s, w)",
        inputs="float[1,{n},1] x",
        stored="int64 s = {{4}}, float[8] w",
        n=32,
        figures={
            "vector_ops": (7 * 68, 15 * 68),
            "transcendentals": (0, 0),
            "bytes_read": (128 + 32, 256 + 32),
            "bytes_written": (280, 600),
        },
    ),
    # 8 / 2 + 1 frequencies by n bands: difference and division; n + 2 edges take 8 and a power.
    Growth(
        call="MelWeightMatrix(b, l, r, low, high)",
        inputs="float u",
        stored="int64 b = {{{n}}}, int64 l = {{8}}, int64 r = {{16}}, float low = {{0}}, float high = {{8}}",
        figures={
            "vector_ops": (40 + 48, 80 + 80),
            "transcendentals": (6, 10),
            "bytes_read": (0, 0),
            "bytes_written": (80, 160),
        },
    ),
    # Position, angle, product, difference and a cosine; Blackman doubles the angle and adds a second
    # term: three operations and a cosine more.
    *(
        Growth(
            call=f"{name}(n)",
            inputs="float u",
            stored="int64 n = {{{n}}}",
            figures={
                "vector_ops": (4 * each, 8 * each),
                "transcendentals": (4 * cosines, 8 * cosines),
                "bytes_read": (0, 0),
                "bytes_written": (16, 32),
            },
        )
        for name, each, cosines in (
            ("HannWindow", 4, 1),
            ("HammingWindow", 4, 1),
            ("BlackmanWindow", 7, 2),
        )
    ),
]
