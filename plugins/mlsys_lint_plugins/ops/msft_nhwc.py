"""Other layouts of known operators: channels last, pads as an input, a mask in a pool.

com.ms.internal.nhwc is ai.onnx with the channels of the first input and output last; weights stay
[Cout, Cin/g, k...]. Its specs are those of ai.onnx, asked about the same node with its axes turned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Final

import onnx
from onnx import TensorProto, TypeProto, defs, shape_inference
from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, TensorInfo, Unsupported, cost
from mlsys_lint_plugins.ops import conv, movement, normalization, pooling, resampling
from mlsys_lint_plugins.ops.fused_activation import activation_counts
from mlsys_lint_plugins.ops.inference import (
    Infer,
    Sizes,
    element_type,
    given,
    integer,
    integers,
    put,
    sizes,
)
from mlsys_lint_plugins.ops.linear import REQUANTIZE_OPS, shift_ops
from mlsys_lint_plugins.ops.msft import fused_conv

Formula = Callable[[NodeView], OpCost | Declined]

_NHWC: Final = "com.ms.internal.nhwc"


# -- turning ---------------------------------------------------------------------------------------


def channels_last(estimate: Formula) -> Formula:
    """The formula of the same operator with channels second, for a node that keeps them last."""

    def turned(node: NodeView) -> OpCost | Declined:
        return estimate(replace(node, inputs=_turn(node.inputs), outputs=_turn(node.outputs)))

    return turned


def activated(estimate: Formula) -> Formula:
    """The formula with the activation that the node names, applied to every output element."""

    def with_activation(node: NodeView) -> OpCost | Declined:
        found, counts = estimate(node), activation_counts(node.text("activation"))
        if isinstance(found, Declined):
            return found
        if counts is None:
            return Declined(f"activation {node.text('activation')!r} has no formula")
        elements = node.output().numel
        return replace(
            found,
            vector_ops=found.vector_ops + counts[0] * elements,
            transcendentals=found.transcendentals + counts[1] * elements,
        )

    return with_activation


def _turn(tensors: Sequence[TensorInfo | None]) -> tuple[TensorInfo | None, ...]:
    """The first tensor as [N, C, positions...], the others as they are."""
    if not tensors or (first := tensors[0]) is None or first.shape is None or len(first.shape) < 3:
        return tuple(tensors)
    order = (0, len(first.shape) - 1, *range(1, len(first.shape) - 1))
    shape = tuple(first.shape[axis] for axis in order)
    bounded = frozenset(at for at, axis in enumerate(order) if axis in first.bounded)
    return (replace(first, shape=shape, bounded=bounded, value=None), *tensors[1:])


def infer_as(
    op_type: str, operands: Sequence[int] = (0,), *, result: int = 0, last: bool = False
) -> Infer:
    """Onnx's own inference for an operator whose inputs stand at the positions `operands`.

    The outputs get the type of the input at `result`. With `last`, or the attribute channels_last,
    the first operand and the outputs have their channels last.
    """

    def infer(context: InferenceContext) -> None:
        turned = last or bool(integer(context, "channels_last"))
        for position, shape in enumerate(inferred(context, op_type, operands, last=turned)):
            kind = element_type(context, result) if position == 0 else TensorProto.INT64
            put(context, position, kind, shape)

    return infer


def inferred(
    context: InferenceContext,
    op_type: str,
    operands: Sequence[int],
    *,
    last: bool = False,
    attributes: Mapping[str, Sequence[int]] | None = None,
) -> list[Sizes | None]:
    """Shapes of the outputs, in order, as far as onnx infers them; `attributes` come on top."""
    schema = defs.get_schema(op_type)
    used = [at for at in operands if given(context, at)]
    turned = (0, 1) if op_type == "MaxUnpool" else operands[:1]  # indices lie as their values do
    types = {f"i{at}": _operand(context, at, turn=last and at in turned) for at in used}
    tensors: dict[str, onnx.TensorProto | None]  # the stub never says None
    tensors = {f"i{at}": context.get_input_data(at) for at in used}
    node = onnx.helper.make_node(
        op_type,
        [f"i{at}" if at in used else "" for at in operands if at <= used[-1]],
        [f"o{at}" for at in range(min(context.get_num_outputs(), schema.max_output))],
    )
    node.attribute.extend(_attributes(context, schema))
    for name, value in (attributes or {}).items():
        node.attribute.append(onnx.helper.make_attribute(name, value))
    data = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    found = shape_inference.infer_node_outputs(schema, node, types, data)
    return [_sizes(found[name], last=last) for name in node.output if name in found]


def _operand(context: InferenceContext, position: int, *, turn: bool) -> TypeProto:
    """An input's type with channels second; onnx's float operators take no 8-bit integers."""
    kind = TypeProto()
    kind.CopyFrom(context.get_input_type(position))
    if kind.tensor_type.elem_type in (TensorProto.UINT8, TensorProto.INT8):
        kind.tensor_type.elem_type = TensorProto.FLOAT
    if turn and (dims := list(kind.tensor_type.shape.dim)):
        del kind.tensor_type.shape.dim[:]
        kind.tensor_type.shape.dim.extend([dims[0], dims[-1], *dims[1:-1]])
    return kind


def _attributes(context: InferenceContext, schema: defs.OpSchema) -> list[onnx.AttributeProto]:
    found = [context.get_attribute(name) for name in schema.attributes]
    return [one for one in found if one is not None and one.type]


def _sizes(kind: TypeProto, *, last: bool) -> Sizes | None:
    if not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dims)
    return (shape[0], *shape[2:], shape[1]) if last and len(shape) > 1 else shape


# -- com.ms.internal.nhwc --------------------------------------------------------------------------


def qlinear_conv_transpose(node: NodeView) -> OpCost:
    """ConvTranspose's MACs in 8 bits, zero points, the int32 bias, requantization of every output.

    Inputs as QLinearConv, weights [Cin, Cout/g, k...].
    """
    x, w = node.input(0), node.input(3)
    work = shift_ops(node, (0, 2), (3, 5)) + conv.per_output(node, 8)
    return cost(
        node,
        kernel_class="conv_transpose",
        contractions=(conv.transposed_contraction(x, w, node.integer("group", 1)),),
        vector_ops=work + REQUANTIZE_OPS * node.output().numel,
    )


def _infer_batch_norm(context: InferenceContext) -> None:
    """Y like X; statistics, where they are outputs, one per channel."""
    shape = sizes(context, 0)
    if shape:
        put(context, 0, element_type(context, 0), shape)
        for position in range(1, 5):
            put(context, position, element_type(context, 3), (shape[-1],))


_OPERANDS: Final[Mapping[str, tuple[int, ...]]] = {
    "Conv": (0, 1, 2),
    "ConvTranspose": (0, 1, 2),
    "GridSample": (0, 1),
    "MaxUnpool": (0, 1, 2),
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool", "LRN"), (0,)),
    **dict.fromkeys(("GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"), (0,)),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), (0,)),
    "InstanceNormalization": (0, 1, 2),
}
"""Operators whose first input is turned, and the inputs that onnx's inference looks at."""

_ONNX: Final[Mapping[str, OperatorSpec]] = {
    spec.op_type: spec
    for family in (conv, movement, normalization, pooling, resampling)
    for spec in family.OPERATORS
}


def _last(
    name: str, estimate: Formula, infer: Infer, shape_inputs: tuple[int, ...]
) -> OperatorSpec:
    return OperatorSpec(
        domain=_NHWC,
        op_type=name,
        since_version=1,
        estimate=activated(channels_last(estimate)),
        infer=infer,
        shape_inputs=shape_inputs,
    )


def _of_onnx(name: str, infer: Infer) -> OperatorSpec:
    spec = _ONNX[name]
    if isinstance(spec.estimate, Unsupported):
        return replace(spec, domain=_NHWC, infer=infer)
    return _last(name, spec.estimate, infer, spec.shape_inputs)


# -- com.microsoft ---------------------------------------------------------------------------------


def conv_transpose_dynamic_pads(node: NodeView) -> OpCost:
    """ConvTranspose whose pads are input 2 and whose bias is input 3."""
    return conv.conv_transpose(node, bias=3)


def infer_dynamic_pads(context: InferenceContext) -> None:
    """ConvTranspose's shape; at most that without pads where they depend on data."""
    pads = integers(context, 2) if given(context, 2) else []
    attributes = {"pads": pads} if pads else {}
    for shape in inferred(context, "ConvTranspose", (0, 1), attributes=attributes):
        if shape is None or pads is not None:
            put(context, 0, element_type(context, 0), shape)
        elif None not in shape:
            largest = [f"max:{size}" for size in shape[2:]]
            put(context, 0, element_type(context, 0), (*shape[:2], *largest))


def max_pool_with_mask(node: NodeView) -> OpCost:
    """Per output a test of the mask for each element of the window, and window - 1 comparisons.

    ONNX Runtime's kernel leaves a window's row at the first element that is masked.
    """
    window = prod(node.integers("kernel_shape"))
    return cost(
        node,
        kernel_class="pool",
        vector_ops=(2 * window - 1) * node.output().numel,
        assumptions=("data-dependent: no element is masked",),
    )


def _spec(
    name: str, estimate: Formula, infer: Infer, shape_inputs: tuple[int, ...] = ()
) -> OperatorSpec:
    return OperatorSpec(
        domain="com.microsoft",
        op_type=name,
        since_version=1,
        estimate=estimate,
        infer=infer,
        shape_inputs=shape_inputs,
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    *(_of_onnx(name, infer_as(name, at, last=True)) for name, at in _OPERANDS.items()),
    _of_onnx("BatchNormalization", _infer_batch_norm),
    _last("QLinearConv", conv.qlinear_conv, infer_as("Conv", (0, 3), result=7, last=True), ()),
    _last(
        "QLinearConvTranspose",
        qlinear_conv_transpose,
        infer_as("ConvTranspose", (0, 3), result=7, last=True),
        (),
    ),
    replace(_ONNX["Resize"], domain=_NHWC, infer=infer_as("Resize", (0, 1, 2, 3))),
    _spec("NhwcConv", channels_last(conv.conv), infer_as("Conv", (0, 1), last=True)),
    _spec("NhwcFusedConv", channels_last(fused_conv), infer_as("Conv", (0, 1), last=True)),
    _spec("NhwcMaxPool", channels_last(pooling.max_pool), infer_as("MaxPool", last=True)),
    _spec("ConvTransposeWithDynamicPads", conv_transpose_dynamic_pads, infer_dynamic_pads, (2,)),
    _spec("MaxpoolWithMask", max_pool_with_mask, infer_as("MaxPool"), (1,)),
    _spec("GridSample", resampling.grid_sample, infer_as("GridSample", (0, 1))),
)
