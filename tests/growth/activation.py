"""Activations: each maps elements to elements, so n rows of 3 cost n times what a row costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from growth.case import Growth

NEWEST: Final = 28

# y_i = f(x_i). Name -> first opset, (operations, transcendentals) per element, from the definition.
ELEMENTWISE: Final[Mapping[str, tuple[int, int, int]]] = {
    "Relu": (1, 1, 0),  # max(x, 0)
    "LeakyRelu": (1, 3, 0),  # x < 0, alpha x, select
    "ThresholdedRelu": (10, 2, 0),  # alpha < x, select
    "HardSigmoid": (1, 4, 0),  # alpha x, + beta, min 1, max 0
    "HardSwish": (14, 5, 0),  # HardSigmoid, x times
    "Softsign": (1, 3, 0),  # |x|, + 1, division
    "Shrink": (9, 6, 0),  # x < -l, x + b, l < x, x - b, two selections
    "Sigmoid": (1, 0, 1),
    "Tanh": (1, 0, 1),
    "Elu": (1, 4, 1),  # x < 0, e^x, - 1, alpha, select
    "Selu": (1, 6, 1),  # alpha e^x, - alpha, gamma, gamma x, x < 0, select
    "Celu": (12, 6, 1),  # x / alpha, Elu with 1 (x < 0, e^x, - 1, alpha, select), alpha
    "Softplus": (1, 1, 2),  # e^x, + 1, log
    "Gelu": (20, 4, 1),  # x / sqrt 2, erf, + 1, x times, / 2
    "Mish": (18, 2, 3),  # softplus (e^x, + 1, log), tanh, x times
    "Swish": (24, 2, 1),  # alpha x, sigmoid, x times
}


def _elementwise(name: str, opset: int, operations: int, transcendentals: int) -> Growth:
    """[n,3]: 12 elements of 4 bytes, then 24."""
    return Growth(
        call=f"{name}(x)",
        inputs="float[{n},3] x",
        opset=opset,
        figures={
            "vector_ops": (12 * operations, 24 * operations),
            "transcendentals": (12 * transcendentals, 24 * transcendentals),
            "bytes_read": (48, 96),
            "bytes_written": (48, 96),
        },
    )


def _rows(name: str, opset: int, axis: int | None, rows: tuple[int, int], logs: int = 0) -> Growth:
    """x is [n,2,3]: 24 elements, then 48, in `rows` rows.

    A row of m: maximum m - 1, difference m, e^ m, sum m - 1, division m: 4 per element less 2 per
    row. LogSoftmax takes a logarithm per row, and a difference in the division's place.
    """
    return Growth(
        call=f"{name}(x)" if axis is None else f"{name}<axis={axis}>(x)",
        inputs="float[{n},2,3] x",
        opset=opset,
        figures={
            "vector_ops": (4 * 24 - 2 * rows[0], 4 * 48 - 2 * rows[1]),
            "transcendentals": (24 + logs * rows[0], 48 + logs * rows[1]),
            "bytes_read": (96, 192),
            "bytes_written": (96, 192),
        },
    )


# (first opset, axis, rows at n and 2 n). Before 13 all axes from `axis` on (default 1) are one row;
# from 13 the rows run along one axis (default the last).
ROWS: Final = [
    (1, None, (4, 8)),
    (1, 0, (1, 1)),
    (11, None, (4, 8)),
    (11, 2, (8, 16)),
    (11, -1, (8, 16)),
    (13, None, (8, 16)),
    (13, 1, (12, 24)),
    (13, 0, (6, 6)),
]

CASES: Final = [
    *(
        _elementwise(name, opset, operations, transcendentals)
        for name, (first, operations, transcendentals) in ELEMENTWISE.items()
        for opset in (first, NEWEST)
    ),
    # x^3 by pow, 0.044715, + x, sqrt(2 / pi), tanh, + 1, x times, / 2
    Growth(
        call='Gelu<approximate="tanh">(x)',
        inputs="float[{n},3] x",
        figures={"vector_ops": (72, 144), "transcendentals": (24, 48)},
    ),
    # Swish of one operand, times the other.
    Growth(
        call="SwiGLU(x, v)",
        inputs="float[{n},3] x, float[{n},3] v",
        opset=28,
        figures={
            "vector_ops": (36, 72),
            "transcendentals": (12, 24),
            "bytes_read": (96, 192),
            "bytes_written": (48, 96),
        },
    ),
    # x < 0, s x, select; a slope per column is read once. Before opset 7 a slope per channel.
    *(
        Growth(
            call="PRelu(x, s)",
            inputs=f"float[{{n}},3] x, float[{slopes}] s",
            opset=opset,
            figures={
                "vector_ops": (36, 72),
                "transcendentals": (0, 0),
                "bytes_read": (60, 108),
                "bytes_written": (48, 96),
            },
        )
        for opset, slopes in ((1, "3"), (6, "3"), (7, "3"), (9, "1,3"), (16, "1,3"))
    ),
    # A minimum, a maximum: each bound one operation. Attributes before opset 11 (both have defaults),
    # then optional inputs of 4 bytes.
    *(
        Growth(
            call=call,
            inputs="float[{n},3] x, float low, float high",
            opset=opset,
            figures={
                "vector_ops": (12 * bounds, 24 * bounds),
                "bytes_read": (48 + 4 * read, 96 + 4 * read),
                "bytes_written": (48, 96),
            },
        )
        for call, opset, bounds, read in (
            ("Clip(x)", 1, 2, 0),
            ("Clip<min=-1.0, max=1.0>(x)", 1, 2, 0),
            ("Clip<min=0.0>(x)", 6, 2, 0),
            ("Clip(x, low, high)", 11, 2, 2),
            ("Clip(x, low)", 12, 1, 1),
            ("Clip(x, , high)", 13, 1, 1),
            ("Clip(x)", 13, 0, 0),
        )
    ),
    *(_rows("Softmax", *row) for row in ROWS),
    *(_rows("LogSoftmax", *row, logs=1) for row in ROWS),
    # A row of m: m - 1 comparisons find the largest, m compare positions with its own.
    *(
        Growth(
            call="Hardmax(x)" if axis is None else f"Hardmax<axis={axis}>(x)",
            inputs="float[{n},2,3] x",
            opset=opset,
            figures={
                "vector_ops": (2 * 24 - rows[0], 2 * 48 - rows[1]),
                "transcendentals": (0, 0),
                "bytes_read": (96, 192),
                "bytes_written": (96, 192),
            },
        )
        for opset, axis, rows in ROWS
    ),
]
