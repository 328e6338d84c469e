"""Operators that ONNX Runtime still registers in the default domain, where onnx has dropped them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import onnx
from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.bounds import infer_slice
from mlsys_lint_plugins.ops.inference import (
    Infer,
    element_type,
    given,
    integer,
    integers,
    put,
    same_as,
    sizes,
)
from mlsys_lint_plugins.ops.movement import generated, sliced

_PER_ELEMENT: Final[Mapping[str, tuple[int, int]]] = {
    # name: (vector operations, transcendentals) per element
    "Affine": (2, 0),  # alpha, beta
    "ImageScaler": (2, 0),  # scale, a bias for each channel
    "ParametricSoftplus": (3, 2),  # beta, exp, +1, log, alpha
    "Scale": (1, 0),
    "ScaledTanh": (2, 1),  # beta, tanh, alpha
}
_LINK: Final = "crosses the link between host and device; counted as a copy"


def per_element(node: NodeView) -> OpCost:
    """Per element, by the table _PER_ELEMENT; factors and biases are attributes and not read."""
    operations, functions = _PER_ELEMENT[node.op_type]
    elements = node.output().numel
    return cost(
        node,
        kernel_class=f"unary:{node.op_type.lower()}" if functions else "elementwise",
        vector_ops=operations * elements,
        transcendentals=functions * elements,
    )


def gru_unit(node: NodeView) -> OpCost:
    """H = u H_before + (1 - u) tanh(output), u = sigmoid(update): 4 operations, 2 functions each.

    Of `gates` [.., 3 D] the first third, the reset gate, has done its work before and is not read.
    States of sequences that have ended are kept or dropped without computation.
    """
    gates, elements = node.input(1), node.output().numel
    lengths, step = node.input(2), node.input(3)
    return cost(
        node,
        kernel_class="recurrent",
        vector_ops=4 * elements,
        transcendentals=2 * elements,
        bytes_read=node.input(0).nbytes + gates.nbytes * 2 // 3 + lengths.nbytes + step.nbytes,
        weight_bytes=0,
        assumptions=("data-dependent, at most: no sequence has ended",),
    )


def linked(node: NodeView) -> OpCost | Declined:
    """MemcpyFromHost, MemcpyToHost: all of it is read on one side and written on the other."""
    if node.input(0).kind != "tensor":
        return Declined("how many tensors the sequence has is not known")
    moved = node.input(0).nbytes
    return cost(node, kernel_class="copy", bytes_written=moved, assumptions=(_LINK,))


def infer_same_type(context: InferenceContext) -> None:
    """The input's type, also of a sequence."""
    kind: onnx.TypeProto | None = context.get_input_type(0)
    if kind is not None:
        context.set_output_type(0, kind)


def infer_crop(context: InferenceContext) -> None:
    """[N, C, H, W] less the borders (left, top, right, bottom); with `scale` exactly its extents."""
    shape = sizes(context, 0)
    if shape is None or len(shape) != 4:
        return
    left, top, right, bottom = _list(context, "border") or [0, 0, 0, 0]
    extents = [
        None if size is None else size - cut
        for size, cut in zip(shape[2:], (top + bottom, left + right), strict=True)
    ]
    kept = _list(context, "scale") or extents
    put(context, 0, element_type(context, 0), (*shape[:2], *kept))


def infer_dynamic_slice(context: InferenceContext) -> None:
    """Exact where starts, ends and axes are known, else at most what Slice would keep."""
    shape, starts, ends = sizes(context, 0), integers(context, 1), integers(context, 2)
    axes = integers(context, 3)
    if axes is None and starts is not None and not given(context, 3):
        axes = list(range(len(starts)))
    if shape is None or starts is None or ends is None or axes is None:
        infer_slice(context)
        return
    kept = list(shape)
    for axis, start, end in zip(axes, starts, ends, strict=True):
        size = shape[axis]
        if size is not None:
            kept[axis] = len(range(*slice(start, end).indices(size)))
    put(context, 0, element_type(context, 0), kept)


def infer_filled(context: InferenceContext) -> None:
    """`shape`; else the input's shape and extra_shape, or with input_as_shape the input's values."""
    kind = element_type(context, 0) or onnx.TensorProto.FLOAT
    extents: list[int | None] | None = [*_list(context, "shape")]
    if context.get_attribute("shape") is None:
        as_values = bool(integer(context, "input_as_shape"))
        before: Sequence[int | None] | None = (
            integers(context, 0) if as_values else sizes(context, 0)
        )
        extents = None if before is None else [*before, *_list(context, "extra_shape")]
    put(context, 0, kind, extents)


def _list(context: InferenceContext, name: str) -> list[int]:
    attribute: onnx.AttributeProto | None = context.get_attribute(name)
    return list(attribute.ints) if attribute is not None else []


def _spec(
    name: str, estimate: Callable[[NodeView], OpCost | Declined], infer: Infer, *shape_inputs: int
) -> OperatorSpec:
    return OperatorSpec(
        domain="",
        op_type=name,
        since_version=1,
        estimate=estimate,
        infer=infer,
        shape_inputs=shape_inputs,
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    *(_spec(name, per_element, same_as(0)) for name in _PER_ELEMENT),
    _spec("Crop", sliced, infer_crop),
    _spec("DynamicSlice", sliced, infer_dynamic_slice, 1, 2, 3),
    _spec("GivenTensorFill", generated("fill"), infer_filled, 0),
    _spec("GRUUnit", gru_unit, same_as(0), 2, 3),
    _spec("MemcpyFromHost", linked, infer_same_type),
    _spec("MemcpyToHost", linked, infer_same_type),
)
