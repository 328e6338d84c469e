"""Element-wise arithmetic, comparison, logic and conversion."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.inference import (
    Infer,
    broadcast,
    element_type,
    integer,
    put,
    sizes,
)

ONE_OPERATION: Final = (
    # one vector operation per output element: see the convention in README
    *("Abs", "Neg", "Ceil", "Floor", "Round", "Sign", "Reciprocal", "Not", "IsInf", "IsNaN"),
    *("Add", "Sub", "Mul", "Div", "Mod", "And", "Or", "Xor", "Equal", "Less", "Greater"),
    *("BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Where"),
)
WITH_EQUALITY: Final = ("LessOrEqual", "GreaterOrEqual")
"""One operation: a comparison by convention, where onnx's body takes two comparisons and an or."""
TRANSCENDENTAL: Final = (
    # one transcendental per output element
    *("Exp", "Log", "Sqrt", "Erf", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan"),
    *("Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "Pow"),
)
_TO_BOOL: Final = (
    *("Not", "IsInf", "IsNaN", "And", "Or", "Xor"),
    *("Equal", "Less", "Greater", *WITH_EQUALITY),
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
    each = max(0, len(node.inputs) - 1) + (node.op_type == "Mean")
    return cost(node, kernel_class="elementwise", vector_ops=each * node.output().numel)


def cast(node: NodeView) -> OpCost:
    """One conversion per element, whatever the types (rounding, comparison with 0); none where it stays."""
    same = node.input(0).dtype == node.output().dtype
    return cost(
        node,
        kernel_class="cast",
        vector_ops=0 if same else node.output().numel,
        read=(0,),
    )


def infer_cast(context: InferenceContext) -> None:
    """Before opset 6 `to` is a type's name, which onnx's inference does not read."""
    target, shape = context.get_attribute("to"), sizes(context, 0)
    if shape is not None and target.s:
        put(context, 0, TensorProto.DataType.Value(target.s.decode().upper()), shape)


def bit_cast(node: NodeView) -> OpCost:
    """The bits are taken as they are: a copy."""
    return cost(node, kernel_class="copy")


def dropout(node: NodeView) -> OpCost:
    """In inference the input as it is: a copy that runtimes remove.

    In training per element a comparison with the ratio, a product with the mask and a scale (3);
    drawing random numbers is not counted.
    """
    trains = _trains(node)
    if trains is False:
        return cost(node, kernel_class="copy", read=(0,))
    notes = () if trains else ("data-dependent: training_mode is not known, counted as training",)
    operations = 3 * node.output().numel
    return cost(node, kernel_class="random", vector_ops=operations, read=(0,), assumptions=notes)


def _trains(node: NodeView) -> bool | None:
    """From opset 12 by an input, None when it is not known; before opset 7 by an attribute."""
    if node.opset < 12:
        return node.opset < 7 and not node.integer("is_test", 0)
    mode = node.optional_input(2)
    if mode is None:
        return False
    return None if mode.value is None else bool(mode.value.any())


def infer_dropout(mask: int | None) -> Infer:
    """Output and mask have the input's shape; the mask has the type `mask`, or the input's.

    Onnx infers nothing before opset 7, and no mask before opset 12.
    """

    def infer(context: InferenceContext) -> None:
        shape, kind = sizes(context, 0), element_type(context, 0)
        if shape is not None:
            put(context, 0, kind, shape)
            put(context, 1, mask or kind, shape)

    return infer


def infer_elementwise(result: int | None) -> Infer:
    """The inputs' broadcast shape, of type `result` or the first input's.

    Onnx infers nothing for some early versions. Before opset 7 `broadcast` stretches the second
    operand to the first one's shape.
    """

    def infer(context: InferenceContext) -> None:
        shapes = [sizes(context, position) for position in range(context.get_num_inputs())]
        known = [shape for shape in shapes if shape is not None and None not in shape]
        if not known or len(known) < len(shapes):
            return
        legacy = integer(context, "broadcast")
        shape = known[0] if legacy else reduce(broadcast, known)
        put(context, 0, result or element_type(context, 0), shape)

    return infer


def _infer_of(name: str) -> Infer | None:
    if name == "Where":  # its type is the second input's, and onnx knows every version
        return None
    return infer_elementwise(TensorProto.BOOL if name in _TO_BOOL else None)


_ESTIMATES: Final[dict[str, Callable[[NodeView], OpCost]]] = {
    **dict.fromkeys((*ONE_OPERATION, *WITH_EQUALITY), one_operation),
    **dict.fromkeys(TRANSCENDENTAL, transcendental),
    **dict.fromkeys(VARIADIC, variadic),
}
_CONVERSIONS: Final = {"Cast": cast, "CastLike": cast, "BitCast": bit_cast}

OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    *(
        OperatorSpec(
            domain="",
            op_type=name,
            since_version=1,
            estimate=estimate,
            infer=_infer_of(name),
        )
        for name, estimate in _ESTIMATES.items()
    ),
    *(
        OperatorSpec(
            domain="",
            op_type=name,
            since_version=1,
            estimate=estimate,
            infer=infer_cast if name == "Cast" else None,
            shape_inputs=(1,) if name == "CastLike" else (),
        )
        for name, estimate in _CONVERSIONS.items()
    ),
    *(
        OperatorSpec(
            domain="",
            op_type="Dropout",
            since_version=since_version,
            estimate=dropout,
            shape_inputs=(1, 2),
            infer=infer_dropout(mask),
        )
        for since_version, mask in ((1, None), (10, TensorProto.BOOL))
    ),
)
