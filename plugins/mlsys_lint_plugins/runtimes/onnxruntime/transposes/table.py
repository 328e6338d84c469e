"""The operators through which a Transpose moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from mlsys_lint.program import Op
from mlsys_lint_plugins.runtimes.onnxruntime.transposes import handlers, merging

Inputs: TypeAlias = Callable[[Op], tuple[int, ...]]
"""The inputs that a Transpose may come from, and that must be transposed together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mover:
    """How a Transpose moves through an operator.

    Attributes:
        inputs: Its inputs.
        handle: The move.
        transposes_outputs: The move leaves Transposes behind the operator.
    """

    inputs: Inputs
    handle: handlers.Handler
    transposes_outputs: bool = True


def _first(_: Op) -> tuple[int, ...]:
    return (0,)


def _all(op: Op) -> tuple[int, ...]:
    return tuple(range(len(op.inputs)))


def _not_scalar(op: Op) -> tuple[int, ...]:
    return tuple(
        position for position, value in enumerate(op.inputs) if value is None or value.rank != 0
    )


def _operands(_: Op) -> tuple[int, ...]:
    """Of (A, its scale, its zero point, B, ...)."""
    return (0, 3)


def _parts(op: Op) -> tuple[int, ...]:
    """Of (scale, zero point, and three inputs for each part)."""
    return tuple(range(2, len(op.inputs), 3))


def _unary(handle: handlers.Handler) -> Mover:
    return Mover(inputs=_first, handle=handle)


_ELEMENTWISE: Final = (
    *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cast", "Ceil", "Celu", "Cos"),
    *("Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity"),
    *("IsInf", "IsNaN", "LeakyRelu", "Log", "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu"),
    *("Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh"),
    "ThresholdedRelu",
)
_FIRST_INPUT: Final = ("Clip", "CastLike")
_BROADCAST: Final = (
    *("Add", "And", "BitShift", "Div", "Equal", "Greater", "GreaterOrEqual", "Less"),
    *("LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum"),
    *("Where", "Xor"),
)
_REDUCTIONS: Final = (
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean"),
    *("ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"),
)
_DEFAULT_DOMAIN: Final[Mapping[str, Mover]] = {
    **dict.fromkeys(_ELEMENTWISE, Mover(inputs=_all, handle=handlers.elementwise)),
    **dict.fromkeys(_FIRST_INPUT, _unary(handlers.elementwise)),
    **dict.fromkeys(_BROADCAST, Mover(inputs=_not_scalar, handle=handlers.broadcast)),
    **dict.fromkeys(_REDUCTIONS, _unary(handlers.reduction)),
    **dict.fromkeys(("ArgMax", "ArgMin"), _unary(handlers.arg_reduction)),
    **dict.fromkeys(("Softmax", "Hardmax", "LogSoftmax"), _unary(handlers.softmax)),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _unary(handlers.quantize)),
    "Concat": Mover(inputs=_all, handle=handlers.along_axis()),
    "Gather": _unary(handlers.gather),
    "MaxPool": _unary(handlers.max_pool),
    "Pad": _unary(handlers.pad),
    "Reshape": Mover(inputs=_first, handle=merging.reshape, transposes_outputs=False),
    "Resize": _unary(handlers.resize),
    "Shape": Mover(inputs=_first, handle=handlers.shape, transposes_outputs=False),
    "Slice": _unary(handlers.take_slice),
    "Split": _unary(handlers.along_axis(0)),
    "Squeeze": _unary(handlers.squeeze),
    "Tile": _unary(handlers.tile),
    "Transpose": Mover(inputs=_first, handle=merging.transpose, transposes_outputs=False),
    "Unsqueeze": _unary(handlers.unsqueeze),
}
_QUANTIZED: Final[Mapping[str, Mover]] = {
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _unary(handlers.quantize)),
    **dict.fromkeys(
        ("QLinearAdd", "QLinearMul"), Mover(inputs=_operands, handle=handlers.broadcast)
    ),
    **dict.fromkeys(
        ("QLinearAveragePool", "QLinearGlobalAveragePool"), _unary(handlers.quantized_pool)
    ),
    **dict.fromkeys(("QLinearLeakyRelu", "QLinearSigmoid"), _unary(handlers.elementwise)),
    "QLinearConcat": Mover(inputs=_parts, handle=handlers.along_axis()),
    "QLinearReduceMean": _unary(handlers.reduction),
    "QLinearSoftmax": _unary(handlers.softmax),
}
_MOVERS: Final[Mapping[str, Mapping[str, Mover]]] = {
    "": _DEFAULT_DOMAIN,
    "com.microsoft": _QUANTIZED,
}


def mover_of(op: Op) -> Mover | None:
    """How a Transpose moves through an operator; None where it does not."""
    return _MOVERS.get(op.domain, {}).get(op.op_type)
