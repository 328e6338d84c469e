"""Building blocks of `infer` functions: sizes in, types out, in onnx's own inference context."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx
from onnx.shape_inference import InferenceContext

Infer = Callable[[InferenceContext], None]
Sizes = tuple[int | None, ...]


def sizes(context: InferenceContext, position: int) -> Sizes | None:
    """Sizes of an input; None when it is omitted or its rank is unknown."""
    if position >= context.get_num_inputs():
        return None
    kind = context.get_input_type(position)
    if kind is None or not kind.tensor_type.HasField("shape"):
        return None
    return tuple(
        dim.dim_value if dim.HasField("dim_value") else None for dim in kind.tensor_type.shape.dim
    )


def element_type(context: InferenceContext, position: int) -> int:
    """Number of an input's element type; 0 when unknown."""
    if position >= context.get_num_inputs():
        return 0
    kind = context.get_input_type(position)
    return int(kind.tensor_type.elem_type) if kind is not None else 0


def integer(context: InferenceContext, name: str, default: int = 0) -> int:
    """An integer attribute."""
    attribute = context.get_attribute(name)
    return attribute.i if attribute is not None and attribute.type else default


def put(
    context: InferenceContext, position: int, elem_type: int, shape: Sequence[int | str | None]
) -> None:
    """Set an output's type; a text such as `max:8` says that the size depends on data."""
    if position < context.get_num_outputs():
        context.set_output_type(
            position, onnx.helper.make_tensor_type_proto(elem_type, list(shape))
        )


def same_as(position: int) -> Infer:
    """The output has the type of an input."""

    def infer(context: InferenceContext) -> None:
        shape = sizes(context, position)
        if shape is not None:
            put(context, 0, element_type(context, position), shape)

    return infer


def given(context: InferenceContext, position: int) -> bool:
    """True when an input is there (not omitted)."""
    if position >= context.get_num_inputs():
        return False
    kind: onnx.TypeProto | None = context.get_input_type(position)  # the stub never says None
    return kind is not None


def integers(context: InferenceContext, position: int) -> list[int] | None:
    """Elements of a constant input; None when they are not known."""
    if not given(context, position):
        return None
    tensor: onnx.TensorProto | None = context.get_input_data(position)  # likewise
    if tensor is None:
        return None
    return [int(item) for item in onnx.numpy_helper.to_array(tensor).reshape(-1)]


def scalar_value(context: InferenceContext, position: int) -> int | None:
    """The only element of a constant input."""
    found = integers(context, position)
    return found[0] if found is not None and len(found) == 1 else None


def broadcast(left: Sizes, right: Sizes) -> Sizes:
    """Shape that both broadcast to; unknown sizes stay unknown unless the other side decides."""
    rank = max(len(left), len(right))
    one = (1,) * (rank - len(left)) + tuple(left)
    other = (1,) * (rank - len(right)) + tuple(right)
    return tuple(b if a == 1 else a for a, b in zip(one, other, strict=True))


def product(left: Sizes, right: Sizes) -> Sizes:
    """Shape of numpy.matmul."""
    a = (1, *left) if len(left) == 1 else left
    b = (*right, 1) if len(right) == 1 else right
    shape = (*broadcast(a[:-2], b[:-2]), a[-2], b[-1])
    if len(left) == 1:
        shape = (*shape[:-2], shape[-1])
    return shape[:-1] if len(right) == 1 else shape
