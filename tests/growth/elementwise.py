"""Element-wise arithmetic, comparison, logic, functions and conversion.

Every operator named here maps elements to elements: a result element depends on one element of
each operand, so n rows of 3 cost n times what a row costs. Why that holds stands at each group.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from growth.case import Growth

NEWEST: Final = 28

# y_i = f(x_i), f one instruction: the sign cleared, turned or taken, rounding, 1 / x_i (a division),
# all bits turned. First opset -> names.
UNARY: Final[Mapping[int, tuple[str, ...]]] = {
    1: ("Abs", "Neg", "Ceil", "Floor", "Reciprocal"),
    9: ("Sign",),
    11: ("Round",),
    18: ("BitwiseNot",),
}
# y_i = a truth about x_i: one comparison, or one negation. A bool is a byte.
PREDICATES: Final[Mapping[int, tuple[str, ...]]] = {1: ("Not",), 9: ("IsNaN",), 10: ("IsInf",)}
# z_i = f(x_i, y_i) under numpy's broadcasting (from opset 7 on), f one instruction of arithmetic or
# on all bits at once.
BINARY: Final[Mapping[int, tuple[str, ...]]] = {
    7: ("Add", "Sub", "Mul", "Div"),
    10: ("Mod",),
    11: ("BitShift",),
    18: ("BitwiseAnd", "BitwiseOr", "BitwiseXor"),
}
# z_i = a truth about (x_i, y_i): one comparison or connective.
COMPARISONS: Final[Mapping[int, tuple[str, ...]]] = {
    7: ("Equal", "Less", "Greater", "And", "Or", "Xor"),
    12: ("LessOrEqual", "GreaterOrEqual"),
}
# y_i = f(x_i), f a transcendental function.
FUNCTIONS: Final[Mapping[int, tuple[str, ...]]] = {
    1: ("Exp", "Log", "Sqrt"),
    7: ("Sin", "Cos", "Tan", "Asin", "Acos", "Atan"),
    9: ("Erf", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh"),
}
# z_i = x_i to the power of y_i: a transcendental function of both.
POWERS: Final[Mapping[int, tuple[str, ...]]] = {7: ("Pow",)}
# z_i = f(a_i, b_i, c_i). Operations for three operands: two, and a mean divides once more.
VARIADIC: Final[Mapping[int, tuple[str, ...]]] = {2: ("Min", "Max", "Sum"), 3: ("Mean",)}

_KINDS: Final = {
    **dict.fromkeys(("Not", "And", "Or", "Xor"), ("bool", 1)),
    **dict.fromkeys(("BitwiseNot", "BitwiseAnd", "BitwiseOr", "BitwiseXor"), ("uint16", 2)),
    "BitShift": ("uint16", 2),
    "Equal": ("int32", 4),
}


def _kind(name: str) -> tuple[str, int]:
    """An element type that every version of the operator takes, and its bytes."""
    return _KINDS.get(name, ("float", 4))


def _unary(name: str, opset: int, *, result: int | None = None, function: bool = False) -> Growth:
    """[n,3] in, [n,3] out: 12 elements, then 24."""
    kind, width = _kind(name)
    out = width if result is None else result
    return Growth(
        call=f"{name}(x)",
        inputs=f"{kind}[{{n}},3] x",
        opset=opset,
        figures={
            "vector_ops": (0, 0) if function else (12, 24),
            "transcendentals": (12, 24) if function else (0, 0),
            "bytes_read": (12 * width, 24 * width),
            "bytes_written": (12 * out, 24 * out),
        },
    )


def _binary(name: str, opset: int, *, result: int | None = None, function: bool = False) -> Growth:
    """[n,1] with [3] makes [n,3]: 12 results, then 24; 4 + 3 elements are read, then 8 + 3."""
    kind, width = _kind(name)
    out = width if result is None else result
    attribute = '<direction="LEFT">' if name == "BitShift" else ""
    return Growth(
        call=f"{name}{attribute}(a, b)",
        inputs=f"{kind}[{{n}},1] a, {kind}[3] b",
        opset=opset,
        figures={
            "vector_ops": (0, 0) if function else (12, 24),
            "transcendentals": (12, 24) if function else (0, 0),
            "bytes_read": (7 * width, 11 * width),
            "bytes_written": (12 * out, 24 * out),
        },
    )


def _variadic(name: str, operations: int) -> Growth:
    """[n,3], [3] and [n,1] make [n,3]: 12 + 3 + 4 elements of 4 bytes, then 24 + 3 + 8."""
    return Growth(
        call=f"{name}(a, b, c)",
        inputs="float[{n},3] a, float[3] b, float[{n},1] c",
        figures={
            "vector_ops": (12 * operations, 24 * operations),
            "transcendentals": (0, 0),
            "bytes_read": (76, 140),
            "bytes_written": (48, 96),
        },
    )


def _versions(names: Mapping[int, tuple[str, ...]]) -> list[tuple[str, int]]:
    """Each operator in its first version and in the newest: what it computes never changed."""
    return [
        (name, opset)
        for first, group in names.items()
        for name in group
        for opset in (first, NEWEST)
    ]


CASES: Final = [
    *(_unary(name, opset) for name, opset in _versions(UNARY)),
    *(_unary(name, opset, result=1) for name, opset in _versions(PREDICATES)),
    *(_unary(name, opset, function=True) for name, opset in _versions(FUNCTIONS)),
    *(_binary(name, opset) for name, opset in _versions(BINARY)),
    *(_binary(name, opset, result=1) for name, opset in _versions(COMPARISONS)),
    *(_binary(name, opset, function=True) for name, opset in _versions(POWERS)),
    *(_variadic(name, operations) for operations, group in VARIADIC.items() for name in group),
    # Before opset 7 `broadcast` stretches b, here along axis 0; before 8 variadic operands are alike.
    *(
        Growth(
            call=f"{name}<broadcast=1, axis=0>(a, b)",
            inputs="float[{n},3] a, float[{n}] b",
            opset=opset,
            figures={"vector_ops": (12, 24), "bytes_read": (64, 128), "bytes_written": (48, 96)},
        )
        for name in ("Add", "Sub", "Mul", "Div")
        for opset in (1, 6)
    ),
    *(
        Growth(
            call=f"{name}(a, b)",
            inputs="float[{n},3] a, float[{n},3] b",
            opset=opset,
            figures={"vector_ops": (12, 24), "bytes_read": (96, 192), "bytes_written": (48, 96)},
        )
        for name in ("Min", "Max", "Sum")
        for opset in (1, 6)
    ),
    # Equal compares anything: bools and integers only in its first version.
    Growth(
        call="Equal<broadcast=1>(a, b)",
        inputs="int64[{n},3] a, int64[3] b",
        opset=1,
        figures={"vector_ops": (12, 24), "bytes_read": (120, 216), "bytes_written": (12, 24)},
    ),
    # A selection: a bool, and an element of each side (all are read: which is needed depends on data).
    *(
        Growth(
            call="Where(c, a, b)",
            inputs="bool[{n},3] c, float[3] a, float[{n},1] b",
            opset=opset,
            figures={
                "vector_ops": (12, 24),
                "bytes_read": (12 + 12 + 16, 24 + 12 + 32),
                "bytes_written": (48, 96),
            },
        )
        for opset in (9, 16)
    ),
    # A conversion of each element, none where the type stays; int4 packs two to a byte.
    *(
        Growth(
            call=f"Cast<to={to}>(x)",
            inputs="float[{n},3] x",
            opset=opset,
            figures={"vector_ops": ops, "bytes_read": (48, 96), "bytes_written": written},
        )
        for to, opset, ops, written in (
            (10, 9, (12, 24), (24, 48)),
            (10, 28, (12, 24), (24, 48)),
            (1, 23, (0, 0), (48, 96)),
            (22, 23, (12, 24), (6, 12)),
            (17, 23, (12, 24), (12, 24)),
        )
    ),
    # Opset 1 writes the type as text.
    Growth(
        call='Cast<to="FLOAT16">(x)',
        inputs="float[{n},3] x",
        opset=1,
        figures={"vector_ops": (12, 24), "bytes_read": (48, 96), "bytes_written": (24, 48)},
    ),
    # Only the type of the second input matters.
    *(
        Growth(
            call="CastLike(x, t)",
            inputs="float[{n},3] x, int64[7] t",
            opset=opset,
            figures={"vector_ops": (12, 24), "bytes_read": (48, 96), "bytes_written": (96, 192)},
        )
        for opset in (15, 25)
    ),
    # The bits stay what they are.
    Growth(
        call="BitCast<to=6>(x)",
        inputs="float[{n},3] x",
        opset=26,
        figures={"vector_ops": (0, 0), "bytes_read": (48, 96), "bytes_written": (48, 96)},
    ),
    # A copy in inference: by attribute before opset 7, always up to 11, by an input after that. A
    # mask that is asked for has the data's type before opset 10, then it is a bool.
    *(
        Growth(
            call=call,
            inputs="float[{n},3] x",
            outputs=outputs,
            opset=opset,
            figures={"vector_ops": (0, 0), "bytes_read": (48, 96), "bytes_written": written},
        )
        for call, outputs, opset, written in (
            ("Dropout<is_test=1>(x)", "y", 1, (48, 96)),
            ("Dropout<is_test=1>(x)", "y", 6, (48, 96)),
            ("Dropout(x)", "y", 7, (48, 96)),
            ("Dropout(x)", "y, mask", 7, (96, 192)),
            ("Dropout(x)", "y, mask", 10, (60, 120)),
            ("Dropout(x)", "y, mask", 12, (60, 120)),
            ("Dropout(x)", "y", 22, (48, 96)),
        )
    ),
    # Training: a comparison with the ratio, the product with the mask, the scale: 3 per element.
    *(
        Growth(
            call=call,
            inputs="float[{n},3] x",
            stored=stored,
            opset=opset,
            figures={"vector_ops": (36, 72), "bytes_read": (48, 96), "bytes_written": (48, 96)},
        )
        for call, stored, opset in (
            ("Dropout(x)", "", 1),
            ("Dropout(x)", "", 6),
            ("Dropout(x, , t)", "bool t = {{1}}", 12),
            ("Dropout(x, r, t)", "float r = {{0.5}}, bool t = {{1}}", 22),
        )
    ),
]
