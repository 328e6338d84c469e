"""Reductions: m - 1 operations to combine m elements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from growth.case import Growth

# n * 3 * 5 elements: 60 of 4 bytes in 12 rows of 5, then 120 in 24 rows.
X: Final = "float[{n},3,5] x"

# y = f(sum of g(x_i)), or another associative operation in the sum's place. Name -> operations and
# transcendentals of g (per element) and of f (per result).
REDUCTIONS: Final[Mapping[str, tuple[int, int, int, int]]] = {
    "ReduceSum": (0, 0, 0, 0),
    "ReduceProd": (0, 0, 0, 0),
    "ReduceMax": (0, 0, 0, 0),
    "ReduceMin": (0, 0, 0, 0),
    "ReduceMean": (0, 0, 1, 0),  # division by the number
    "ReduceL1": (1, 0, 0, 0),  # absolute value
    "ReduceSumSquare": (1, 0, 0, 0),  # square
    "ReduceL2": (1, 0, 0, 1),  # square; root
    "ReduceLogSum": (0, 0, 0, 1),  # logarithm
    "ReduceLogSumExp": (0, 1, 0, 1),  # exp; logarithm
}
# y = the position of an extreme: m - 1 comparisons, 8 bytes a result.
POSITIONS: Final = ("ArgMax", "ArgMin")


def _reduced(
    name: str, attributes: str, opset: int, results: tuple[int, int], axes: str = ""
) -> Growth:
    before, exps, after, roots = REDUCTIONS[name]
    first, second = results
    return Growth(
        call=f"{name}{attributes}({'x, a' if axes else 'x'})",
        inputs=X,
        stored=axes,
        opset=opset,
        figures={
            "macs": (0, 0),
            "vector_ops": (
                60 - first + before * 60 + after * first,
                120 - second + before * 120 + after * second,
            ),
            "transcendentals": (exps * 60 + roots * first, exps * 120 + roots * second),
            "bytes_read": (240, 480),
            "bytes_written": (4 * first, 4 * second),
        },
    )


def _with_axes(name: str) -> list[Growth]:
    """Axes are an attribute, and an input from opset 18 (ReduceSum: 13); without any, all are meant."""
    turning = 13 if name == "ReduceSum" else 18
    rows, columns = (12, 24), (15, 15)
    return [
        _reduced(name, "<axes=[2]>", 1, rows),
        _reduced(name, "<axes=[-1], keepdims=0>", 11, rows),
        _reduced(name, "<keepdims=0>", turning - 1, (1, 1)),
        _reduced(name, "", turning, rows, "int64[1] a = {{-1}}"),
        _reduced(name, "<keepdims=0>", turning, columns, "int64[1] a = {{0}}"),
        # Over no axis at all f(g(x_i)) is left.
        _reduced(name, "<noop_with_empty_axes=1>", turning, (60, 120)),
    ]


CASES: Final = [
    *(case for name in REDUCTIONS for case in _with_axes(name)),
    *(
        Growth(
            call=f"{name}<{attributes}>(x)",
            inputs=X,
            opset=opset,
            figures={
                "vector_ops": (60 - results[0], 120 - results[1]),
                "bytes_read": (240, 480),
                "bytes_written": (8 * results[0], 8 * results[1]),
            },
        )
        for name in POSITIONS
        for attributes, opset, results in (
            ("axis=0", 1, (15, 15)),
            ("axis=-1, keepdims=0", 11, (12, 24)),
            ("axis=-1, select_last_index=1", 12, (12, 24)),
            ("axis=1", 13, (20, 40)),
        )
    ),
    # Rows of 5: 4 sums each; columns of n: n - 1. Exclusive ones begin with 0 (1) and take as many;
    # of each row they leave the last element (with reverse the first) unread: 4 of 5 are.
    *(
        Growth(
            call=f"{name}{attributes}(x, a)",
            inputs=X,
            stored=f"int64 a = {{{{{axis}}}}}",
            opset=opset,
            figures={
                "vector_ops": vector_ops,
                "bytes_read": (192, 384) if attributes else (240, 480),
                "bytes_written": (240, 480),
            },
        )
        for name, opset in (("CumSum", 11), ("CumSum", 14), ("CumProd", 26))
        for attributes, axis, vector_ops in (
            ("", -1, (48, 96)),
            ("", 0, (45, 105)),
            ("<exclusive=1, reverse=1>", 2, (48, 96)),
        )
    ),
    # The 3 largest of 5: a heap of 3 takes ceil(log2 4) = 2 comparisons for each element. Values of 4
    # bytes and positions of 8. The first version has k as an attribute.
    *(
        Growth(
            call=call,
            inputs=X,
            stored=stored,
            outputs="v, i",
            opset=opset,
            figures={
                "vector_ops": (120, 240),
                "bytes_read": (240, 480),
                "bytes_written": (12 * 36, 12 * 72),
            },
        )
        for call, stored, opset in (
            ("TopK<k=3>(x)", "", 1),
            ("TopK(x, k)", "int64[1] k = {{3}}", 10),
            ("TopK<largest=0, sorted=0>(x, k)", "int64[1] k = {{3}}", 11),
            ("TopK<axis=2>(x, k)", "int64[1] k = {{3}}", 24),
        )
    ),
    # n matrices of 3 * 3: 2 divisions and 2 * 4 operations, 1 and 2 * 1, then 2 products: 15.
    *(
        Growth(
            call="Det(x)",
            inputs="float[{n},3,3] x",
            opset=opset,
            figures={
                "vector_ops": (60, 120),
                "bytes_read": (144, 288),
                "bytes_written": (16, 32),
            },
        )
        for opset in (11, 22)
    ),
]
