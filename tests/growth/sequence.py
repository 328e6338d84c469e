"""Sequences and optionals: copies of the tensors that go in or come out."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

A: Final = "float[{n},3] a"
S: Final = "seq(float[{n},3]) s"

CASES: Final = [
    # Tensors [n,3] of 48 bytes, then 96.
    Growth(
        call="SequenceConstruct(a, b)",
        inputs=f"{A}, float[{{n}},3] b",
        figures={"vector_ops": (0, 0), "bytes_read": (96, 192), "bytes_written": (96, 192)},
    ),
    Growth(
        call="SequenceInsert(s, a)",
        inputs=f"{S}, {A}",
        figures={"vector_ops": (0, 0), "bytes_read": (48, 96), "bytes_written": (48, 96)},
    ),
    Growth(
        call="SequenceAt(s, i)",
        inputs=f"{S}, int64 i",
        figures={"vector_ops": (0, 0), "bytes_read": (48, 96), "bytes_written": (48, 96)},
    ),
    Growth(
        call="SplitToSequence<axis=1>(a)",
        inputs=A,
        figures={"vector_ops": (0, 0), "bytes_read": (48, 96), "bytes_written": (48, 96)},
    ),
    Growth(
        call="SequenceEmpty()",
        inputs=A,
        fixed="nothing is in it",
        figures={"vector_ops": (0, 0), "bytes_read": (0, 0), "bytes_written": (0, 0)},
    ),
    Growth(
        call="SequenceErase(s, i)",
        inputs=f"{S}, int64 i",
        fixed="the tensors that stay are shared",
        figures={"vector_ops": (0, 0), "bytes_read": (0, 0), "bytes_written": (0, 0)},
    ),
    Growth(
        call="SequenceLength(s)",
        inputs=S,
        fixed="one integer",
        figures={"vector_ops": (0, 0), "bytes_read": (0, 0), "bytes_written": (8, 8)},
    ),
    Growth(
        call="OptionalHasElement(o)",
        inputs="optional(float[{n},3]) o",
        fixed="one bool",
        figures={"vector_ops": (0, 0), "bytes_read": (0, 0), "bytes_written": (1, 1)},
    ),
    # n rows of 3 and n rows of 2, side by side: 4 * 5 n bytes in, as many out
    Growth(
        call="ConcatFromSequence<axis=1>(s)",
        inputs="float[{n},3] a, float[{n},2] b",
        first="s = SequenceConstruct(a, b)",
        figures={"bytes_read": (80, 160), "bytes_written": (80, 160)},
    ),
    *(
        Growth(
            call=call,
            inputs=inputs,
            fixed="a view",
            figures={"vector_ops": (0, 0), "bytes_read": (0, 0), "bytes_written": (0, 0)},
        )
        for call, inputs in (
            ("Optional(a)", A),
            ("OptionalGetElement(o)", "optional(float[{n},3]) o"),
        )
    ),
]
