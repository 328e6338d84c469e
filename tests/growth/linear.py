"""Matrix products."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

CASES: Final = [
    # 2 x n rows of 3 x 5: n * 2 * 5 * 3; inputs 4 * (2 n 3 + 15) bytes, output 4 * 2 n 5
    Growth(
        call="MatMul(a, b)",
        inputs="float[2,{n},3] a, float[3,5] b",
        figures={"macs": (120, 240), "bytes_read": (156, 252), "bytes_written": (160, 320)},
    ),
]
