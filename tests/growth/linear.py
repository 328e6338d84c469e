"""Matrix products: batch * m * n * k."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

MATMUL: Final = [
    # 2 x n rows of 3 x 5: n * 2 * 5 * 3; inputs 4 * (2 n 3 + 15) bytes, output 4 * 2 n 5
    *(
        Growth(
            call="MatMul(a, b)",
            inputs="float[2,{n},3] a, float[3,5] b",
            opset=opset,
            figures={
                "macs": (120, 240),
                "vector_ops": (0, 0),
                "bytes_read": (156, 252),
                "bytes_written": (160, 320),
            },
        )
        for opset in (1, 9, 13, 23)
    ),
    # The depth grows: 5 * 6 results of n products each.
    Growth(
        call="MatMul(a, b)",
        inputs="float[5,{n}] a, float[{n},6] b",
        figures={"macs": (120, 240), "bytes_read": (176, 352), "bytes_written": (120, 120)},
    ),
    # Batches stretch on both sides: n * 2 products of 3 * 5 * 4.
    Growth(
        call="MatMul(a, b)",
        inputs="float[{n},1,3,4] a, float[2,4,5] b",
        figures={
            "macs": (480, 960),
            "bytes_read": (4 * (48 + 40), 4 * (96 + 40)),
            "bytes_written": (480, 960),
        },
    ),
    # A vector on the left is a row, on the right a column.
    Growth(
        call="MatMul(a, b)",
        inputs="float[3] a, float[{n},3,5] b",
        figures={"macs": (60, 120), "bytes_read": (12 + 240, 12 + 480), "bytes_written": (80, 160)},
    ),
]

# n * 5 results of 3 products. C is stretched and added (n * 5), alpha scales every result, beta the
# elements of C: 5 here.
GEMM: Final = [
    Growth(
        call=f"Gemm{attributes}({operands})",
        inputs=f"float[{a}] a, float[{b}] b, float[5] c",
        opset=opset,
        figures={
            "macs": (60, 120),
            "vector_ops": vector_ops,
            "bytes_read": (48 + 60 + biased, 96 + 60 + biased),
            "bytes_written": (80, 160),
        },
    )
    for attributes, operands, a, b, opset, vector_ops, biased in (
        ("<broadcast=1>", "a, b, c", "{n},3", "3,5", 1, (20, 40), 20),
        ("<broadcast=1, transA=1>", "a, b, c", "3,{n}", "3,5", 6, (20, 40), 20),
        ("<transB=1>", "a, b, c", "{n},3", "5,3", 7, (20, 40), 20),
        ("<alpha=0.5, beta=2.0>", "a, b, c", "{n},3", "3,5", 9, (20 + 20 + 5, 40 + 40 + 5), 20),
        ("<transA=1, transB=1>", "a, b", "3,{n}", "5,3", 11, (0, 0), 0),
        ("<alpha=0.5>", "a, b", "{n},3", "3,5", 13, (20, 40), 0),
    )
]

INTEGER: Final = [
    Growth(
        call="MatMulInteger(a, b)",
        inputs="uint8[{n},3] a, int8[3,5] b",
        opset=10,
        figures={
            "macs": (60, 120),
            "vector_ops": (0, 0),
            "bytes_read": (12 + 15, 24 + 15),
            "bytes_written": (80, 160),
        },
    ),
    # A zero point shifts each element of its side: n * 3, and 15.
    Growth(
        call="MatMulInteger(a, b, az, bz)",
        inputs="uint8[{n},3] a, int8[3,5] b, uint8[{n}] az, int8 bz",
        opset=10,
        figures={
            "macs": (60, 120),
            "vector_ops": (12 + 15, 24 + 15),
            "bytes_read": (12 + 15 + 4 + 1, 24 + 15 + 8 + 1),
        },
    ),
    # Besides, for each result scale, round, shift, minimum and maximum; 3 scales, 3 zero points.
    *(
        Growth(
            call="QLinearMatMul(a, as, az, b, bs, bz, ys, yz)",
            inputs=(
                "uint8[{n},3] a, float as, uint8 az, uint8[3,5] b, float bs, uint8 bz, "
                "float ys, uint8 yz"
            ),
            opset=opset,
            figures={
                "macs": (60, 120),
                "vector_ops": (12 + 15 + 100, 24 + 15 + 200),
                "bytes_read": (12 + 15 + 15, 24 + 15 + 15),
                "bytes_written": (20, 40),
            },
        )
        for opset in (10, 21)
    ),
]

EINSUM: Final = [
    Growth(
        call=f'Einsum<equation="{equation}">({", ".join("abc"[: len(shapes)])})',
        inputs=", ".join(
            f"float[{shape}] {name}" for shape, name in zip(shapes, "abc", strict=False)
        ),
        opset=opset,
        figures={"macs": macs, "vector_ops": vector_ops, "bytes_written": written},
    )
    for equation, shapes, opset, macs, vector_ops, written in (
        # A MAC for each (i, j, k).
        ("ij,jk->ik", ("{n},3", "3,5"), 12, (60, 120), (0, 0), (80, 160)),
        ("...ij,jk->...ik", ("{n},2,3", "3,5"), 28, (120, 240), (0, 0), (160, 320)),
        # From the left: n * 3 * 5, then n * 5 * 2.
        ("ij,jk,kl->il", ("{n},3", "3,5", "5,2"), 12, (100, 200), (0, 0), (32, 64)),
        # One operand contracts nothing: n * 3 elements make n sums; a diagonal is copied.
        ("ij->i", ("{n},3",), 12, (0, 0), (8, 16), (16, 32)),
        ("ii->i", ("{n},{n}",), 12, (0, 0), (0, 0), (16, 32)),
    )
]

CASES: Final = [*MATMUL, *GEMM, *INTEGER, *EINSUM]
