"""Quantization: what is done to each element."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

# n * 8 elements: 32, then 64.
CASES: Final = [
    # Division by the scale, round, minimum and maximum; the zero point is a sum more.
    *(
        Growth(
            call=f"QuantizeLinear{attributes}({operands})",
            inputs=f"float[{{n}},8] x, {rest}",
            opset=opset,
            figures={
                "vector_ops": (32 * each, 64 * each),
                "transcendentals": (0, 0),
                "bytes_read": (128 + more[0], 256 + more[1]),
                "bytes_written": written,
            },
        )
        for attributes, operands, rest, opset, each, more, written in (
            ("", "x, s", "float s", 10, 4, (4, 4), (32, 64)),
            ("", "x, s, z", "float s, uint8 z", 10, 5, (5, 5), (32, 64)),
            # A scale and a zero point for each row: n times 4 + 1 bytes.
            ("<axis=0>", "x, s, z", "float[{n}] s, int8[{n}] z", 13, 5, (20, 40), (32, 64)),
            # A scale for each block of 4, n * 2 of them; int4 packs two to a byte.
            (
                "<axis=1, block_size=4, output_dtype=22>",
                *("x, s", "float[{n},2] s", 21, 4, (32, 64), (16, 32)),
            ),
        )
    ),
    # A product with the scale, and the difference from a zero point.
    *(
        Growth(
            call=f"DequantizeLinear{attributes}({operands})",
            inputs=f"{kind}[{{n}},8] x, {rest}",
            opset=opset,
            figures={
                "vector_ops": (32 * each, 64 * each),
                "transcendentals": (0, 0),
                "bytes_read": read,
                "bytes_written": (128, 256),
            },
        )
        for kind, attributes, operands, rest, opset, each, read in (
            ("int8", "", "x, s", "float s", 10, 1, (36, 68)),
            ("uint8", "", "x, s, z", "float s, uint8 z", 10, 2, (37, 69)),
            (
                *("uint8", "<axis=0>", "x, s, z", "float[{n}] s, uint8[{n}] z"),
                *(13, 2, (32 + 20, 64 + 40)),
            ),
            # 4 bits each: 16 bytes, then 32.
            ("int4", "<axis=1, block_size=4>", "x, s", "float[{n},2] s", 21, 1, (48, 96)),
        )
    ),
    # Minimum and maximum of m elements: 2 (m - 1). Once: minimum and maximum with 0, their
    # difference, / 255, minimum / scale, 0 - it, minimum, maximum, round, convert (10). Then scale,
    # round, shift, minimum, maximum. Scale and zero point are written, too.
    Growth(
        call="DynamicQuantizeLinear(x)",
        inputs="float[{n},8] x",
        outputs="y, s, z",
        opset=11,
        figures={
            "vector_ops": (62 + 10 + 160, 126 + 10 + 320),
            "transcendentals": (0, 0),
            "bytes_read": (128, 256),
            "bytes_written": (32 + 5, 64 + 5),
        },
    ),
]
