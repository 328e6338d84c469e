"""com.microsoft: operators on 8-bit tensors, a scale and a zero point for each; integer arithmetic.

QLinear operators are defined as dequantize, compute in float, quantize, and are counted so: a
dequantized element takes the product with its scale and a shift where there is a zero point, an
element that is quantized a scale, round, clamp (2) and likewise a shift. ONNX Runtime's kernels look
functions of one value (LeakyRelu, Sigmoid) up in a table of 256 instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Final

import numpy as np
from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import NodeView, OpCost, OperatorSpec, TensorInfo, cost
from mlsys_lint_plugins.ops.activation import ACTIVATIONS, softmax
from mlsys_lint_plugins.ops.elementwise import one_operation
from mlsys_lint_plugins.ops.inference import (
    Infer,
    Sizes,
    broadcast,
    element_type,
    integer,
    product,
    put,
    same_as,
    sizes,
    total,
)
from mlsys_lint_plugins.ops.linear import (
    REQUANTIZE_OPS,
    matmul,
    shift_ops,
)
from mlsys_lint_plugins.ops.msft_nhwc import infer_as
from mlsys_lint_plugins.ops.pooling import average_pool, global_average_pool
from mlsys_lint_plugins.ops.quantization import dequantize, quantize
from mlsys_lint_plugins.ops.reduction import reduction

Formula = Callable[[NodeView], OpCost]
Sides = Sequence[tuple[int, int]]

_X: Final = ((0, 2),)
_A_AND_B: Final = ((0, 2), (3, 5))


def around(inner: Formula, sides: Sides, zero: int) -> Formula:
    """Dequantization of `sides` ((data, zero point) positions), a formula, quantization of its result.

    `zero` is the position of the result's zero point.
    """

    def estimate(node: NodeView) -> OpCost:
        base = inner(node)
        return cost(
            node,
            kernel_class=base.kernel_class,
            vector_ops=base.vector_ops
            + sum(node.input(data).numel for data, _ in sides)
            + shift_ops(node, *sides)
            + quantize_ops(node, zero),
            transcendentals=base.transcendentals,
            dtype="float",
        )

    return estimate


def quantize_ops(node: NodeView, zero: int) -> int:
    """Scale, round and clamp (2) of every output, and a shift where there is a zero point."""
    shift = node.optional_input(zero) is not None
    return (REQUANTIZE_OPS - 1 + shift) * node.output().numel


def qlinear_mul(node: NodeView) -> OpCost:
    """((A - a_zero) (B - b_zero)) * scale + c_zero: shifts, a product and a quantization per output.

    The three scales make one.
    """
    return cost(
        node,
        kernel_class="elementwise",
        vector_ops=shift_ops(node, *_A_AND_B) + node.output().numel + quantize_ops(node, 7),
        dtype="float",
    )


def qlinear_concat(node: NodeView) -> OpCost:
    """Every element is dequantized (2) and quantized (5); inputs follow as (data, scale, zero point).

    An input whose scale and zero point are known to be the output's is copied.
    """
    work = sum(
        (2 + REQUANTIZE_OPS) * node.input(at).numel
        for at in range(2, len(node.inputs), 3)
        if not all(
            _equal(node.optional_input(at + 1 + side), node.optional_input(side)) for side in (0, 1)
        )
    )
    return cost(node, kernel_class="concat", vector_ops=work, dtype="float")


def _equal(one: TensorInfo | None, other: TensorInfo | None) -> bool:
    if one is None or other is None or one.value is None or other.value is None:
        return False
    return bool(np.array_equal(one.value.reshape(-1), other.value.reshape(-1)))


def qlinear_softmax(node: NodeView) -> OpCost:
    """Softmax by the rows of the opset that an attribute names."""
    attributes = {**node.attributes, "axis": node.integer("axis", -1)}
    plain = replace(node, opset=node.integer("opset", 13), attributes=attributes)
    return around(lambda _: softmax(plain), _X, 4)(node)


def _per_element(name: str) -> Formula:
    """An activation by name."""
    ops, transcendentals = ACTIVATIONS[name]

    def estimate(node: NodeView) -> OpCost:
        elements = node.output().numel
        return cost(
            node,
            kernel_class=f"unary:{name.lower()}" if transcendentals else "elementwise",
            vector_ops=ops * elements,
            transcendentals=transcendentals * elements,
        )

    return estimate


def _reduced(name: str) -> Formula:
    return lambda node: reduction(replace(node, op_type=name))


def mul_integer(node: NodeView) -> OpCost:
    """(A - a_zero) (B - b_zero) in int32: a product per output, a shift per element with a zero point."""
    shifts = shift_ops(node, (0, 1), (2, 3))
    return cost(node, kernel_class="elementwise", vector_ops=shifts + node.output().numel)


def infer_quantize(context: InferenceContext) -> None:
    """The input's shape in the type of the zero point; uint8 without one."""
    shape = sizes(context, 0)
    if shape is not None:
        put(context, 0, element_type(context, 2) or TensorProto.UINT8, shape)


def infer_dequantize(context: InferenceContext) -> None:
    """The input's shape in the type of the scale."""
    shape = sizes(context, 0)
    if shape is not None:
        put(context, 0, element_type(context, 1), shape)


def _infer_broadcast(positions: Sequence[int], result: int, kind: int = 0) -> Infer:
    """The shape that inputs broadcast to, in the type of the one at `result` unless `kind` is given."""

    def infer(context: InferenceContext) -> None:
        shapes = [shape for at in positions if (shape := sizes(context, at)) is not None]
        if len(shapes) == len(positions):
            put(context, 0, kind or element_type(context, result), reduce(broadcast, shapes))

    return infer


def infer_concat(context: InferenceContext) -> None:
    """The sum of the sizes along the axis, in the type of the output's zero point."""
    shapes = [sizes(context, at) for at in range(2, context.get_num_inputs(), 3)]
    known = [shape for shape in shapes if shape]
    if not known or len(known) < len(shapes):
        return
    axis = integer(context, "axis") % len(known[0])
    joined = total(*(shape[axis] for shape in known))
    found = (*known[0][:axis], joined, *known[0][axis + 1 :])
    put(context, 0, element_type(context, 1), found)


def _infer_global_pool(context: InferenceContext) -> None:
    """1 for every position."""
    shape = sizes(context, 0)
    if shape is None or len(shape) < 2:
        return
    ones = (1,) * (len(shape) - 2)
    last = integer(context, "channels_last")
    found = (shape[0], *ones, shape[-1]) if last else (*shape[:2], *ones)
    put(context, 0, element_type(context, 0), found)


def _infer_reduced(context: InferenceContext, kind: int) -> None:
    shape, axes = sizes(context, 0), context.get_attribute("axes")
    if shape is None:
        return
    named = list(axes.ints) if axes is not None else []
    reduced = {axis % len(shape) for axis in named} if named else set(range(len(shape)))
    keep = integer(context, "keepdims", 1)
    kept: Sizes = tuple(
        1 if axis in reduced else size
        for axis, size in enumerate(shape)
        if keep or axis not in reduced
    )
    put(context, 0, kind, kept)


def infer_mean(context: InferenceContext) -> None:
    """The axes that are left, in the input's type."""
    _infer_reduced(context, element_type(context, 0))


def infer_sum(context: InferenceContext) -> None:
    """The axes that are left, in 32 bits with or without sign, as the input."""
    signed = element_type(context, 0) == TensorProto.INT8
    _infer_reduced(context, TensorProto.INT32 if signed else TensorProto.UINT32)


def infer_matmul_16(context: InferenceContext) -> None:
    """Shape of numpy.matmul in 32 bits, without sign where both operands have none."""
    a, b = sizes(context, 0), sizes(context, 1)
    unsigned = all(element_type(context, at) == TensorProto.UINT16 for at in (0, 1))
    if a and b:
        put(context, 0, TensorProto.UINT32 if unsigned else TensorProto.INT32, product(a, b))


_TABLE: Final[tuple[tuple[str, Formula, Infer], ...]] = (
    ("QLinearAdd", around(one_operation, _A_AND_B, 7), _infer_broadcast((0, 3), 0)),
    ("QLinearMul", qlinear_mul, _infer_broadcast((0, 3), 0)),
    (
        "QLinearWhere",
        around(one_operation, ((1, 3), (4, 6)), 8),
        _infer_broadcast((0, 1, 4), 1),
    ),
    ("QLinearLeakyRelu", around(_per_element("LeakyRelu"), _X, 4), same_as(0)),
    ("QLinearSigmoid", around(_per_element("Sigmoid"), _X, 4), same_as(0)),
    ("QLinearSoftmax", qlinear_softmax, same_as(0)),
    ("QLinearAveragePool", around(average_pool, _X, 4), infer_as("AveragePool")),
    ("QLinearGlobalAveragePool", around(global_average_pool, _X, 4), _infer_global_pool),
    ("QLinearReduceMean", around(_reduced("ReduceMean"), _X, 4), infer_mean),
    ("QLinearConcat", qlinear_concat, infer_concat),
    ("ReduceSumInteger", _reduced("ReduceSum"), infer_sum),
    ("MulInteger", mul_integer, _infer_broadcast((0, 2), 0, TensorProto.INT32)),
    ("MatMulInteger16", matmul, infer_matmul_16),
    ("QuantizeLinear", quantize, infer_quantize),
    ("DequantizeLinear", dequantize, infer_dequantize),
)

OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    *(
        OperatorSpec(
            domain="com.microsoft",
            op_type=name,
            since_version=1,
            estimate=estimate,
            infer=infer,
        )
        for name, estimate, infer in _TABLE
    ),
    OperatorSpec(
        domain="com.ms.internal.nhwc",
        op_type="QLinearAveragePool",
        since_version=1,
        estimate=around(average_pool, _X, 4),
        infer=infer_as("AveragePool", last=True),
    ),
)
