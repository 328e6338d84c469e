"""Element-wise arithmetic, comparison, logic and conversion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mlsys_lint import NodeView, OpCost, OperatorSpec, cost

ONE_OPERATION: Final = (
    # one vector operation per output element: see the convention in README
    *("Abs", "Neg", "Ceil", "Floor", "Round", "Sign", "Reciprocal", "Not", "IsInf", "IsNaN"),
    *("Add", "Sub", "Mul", "Div", "Mod", "And", "Or", "Xor", "Equal", "Less", "Greater"),
    *("BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Where"),
)
TWO_COMPARISONS: Final = ("LessOrEqual", "GreaterOrEqual")
"""One operation: onnx's body spells them as two comparisons and an or, kernels compare once."""
TRANSCENDENTAL: Final = (
    # one transcendental per output element
    *("Exp", "Log", "Sqrt", "Erf", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan"),
    *("Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Pow"),
)
VARIADIC: Final = ("Min", "Max", "Sum", "Mean")
"""n inputs take n - 1 operations per output element, a mean n."""


def one_operation(node: NodeView) -> OpCost:
    """One operation per output element, whatever broadcasts."""
    return cost(node, kernel_class="elementwise", vector_ops=node.output().numel)


def transcendental(node: NodeView) -> OpCost:
    """One transcendental per output element."""
    return cost(
        node,
        kernel_class=f"unary:{node.op_type.lower()}",
        transcendentals=node.output().numel,
    )


def variadic(node: NodeView) -> OpCost:
    """N inputs: n - 1 operations per output element, and a division for Mean."""
    each = sum(tensor is not None for tensor in node.inputs) - 1 + (node.op_type == "Mean")
    return cost(node, kernel_class="elementwise", vector_ops=each * node.output().numel)


def cast(node: NodeView) -> OpCost:
    """One conversion per element; none where the type stays."""
    same = node.input(0).dtype == node.output().dtype
    return cost(
        node,
        kernel_class="cast",
        vector_ops=0 if same else node.output().numel,
        read=(0,),
    )


def bit_cast(node: NodeView) -> OpCost:
    """The bits are taken as they are: a copy."""
    return cost(node, kernel_class="copy")


def dropout(node: NodeView) -> OpCost:
    """In inference the input as it is: a copy that runtimes remove."""
    return cost(node, kernel_class="copy", read=(0,))


_ESTIMATES: Final[dict[str, Callable[[NodeView], OpCost]]] = {
    **dict.fromkeys((*ONE_OPERATION, *TWO_COMPARISONS), one_operation),
    **dict.fromkeys(TRANSCENDENTAL, transcendental),
    **dict.fromkeys(VARIADIC, variadic),
    "Cast": cast,
    "CastLike": cast,
    "BitCast": bit_cast,
    "Dropout": dropout,
}
_SHAPE_INPUTS: Final = {"CastLike": (1,), "Dropout": (1, 2)}

OPERATORS: Final[tuple[OperatorSpec, ...]] = tuple(
    OperatorSpec(
        domain="",
        op_type=name,
        since_version=1,
        estimate=estimate,
        shape_inputs=_SHAPE_INPUTS.get(name, ()),
    )
    for name, estimate in _ESTIMATES.items()
)
