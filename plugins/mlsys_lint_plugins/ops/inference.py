"""Building blocks of `infer` functions: sizes in, types out, in onnx's own inference context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil

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
    context: InferenceContext,
    position: int,
    elem_type: int,
    shape: Sequence[int | str | None] | None,
) -> None:
    """Set an output's type; a text such as `max:8` says that the size depends on data.

    Without a shape the rank stays unknown.
    """
    if position < context.get_num_outputs():
        sizes = None if shape is None else list(shape)
        context.set_output_type(position, onnx.helper.make_tensor_type_proto(elem_type, sizes))


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


def numbers(context: InferenceContext, position: int) -> list[float] | None:
    """Elements of a constant input; None when they are not known."""
    if not given(context, position):
        return None
    tensor: onnx.TensorProto | None = context.get_input_data(position)  # likewise
    if tensor is None:
        return None
    return [item.item() for item in onnx.numpy_helper.to_array(tensor).reshape(-1)]


def integers(context: InferenceContext, position: int) -> list[int] | None:
    """Elements of a constant input, as integers; None when they are not known."""
    found = numbers(context, position)
    return None if found is None else [int(item) for item in found]


def scalar_value(context: InferenceContext, position: int) -> int | None:
    """The only element of a constant input."""
    found = integers(context, position)
    return found[0] if found is not None and len(found) == 1 else None


def infer_range(context: InferenceContext) -> None:
    """ceil((limit - start) / delta) elements, at least none.

    Onnx knows no 16-bit floats here, and refuses vectors of one element; runtimes take them, and
    onnx's own body of AffineGrid hands them out.
    """
    parts = [numbers(context, position) for position in range(3)]
    values = [part[0] for part in parts if part is not None and len(part) == 1]
    count = None
    if len(values) == 3 and values[2]:
        count = max(0, ceil((values[1] - values[0]) / values[2]))
    put(context, 0, element_type(context, 0), (count,))


def infer_from_sizes(position: int) -> Infer:
    """The first input's type; the sizes are the elements of an input, if it is given."""

    def infer(context: InferenceContext) -> None:
        if given(context, position):
            rank = sizes(context, position)
            unknown = [None] * rank[0] if rank and rank[0] is not None else None
            put(context, 0, element_type(context, 0), integers(context, position) or unknown)

    return infer


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


def total(*parts: int | None) -> int | None:
    """Sum of sizes; unknown as soon as one of them is."""
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def infer_conv(data: int, weight: int, result: int | None = None) -> Infer:
    """Output of a convolution whose operands stand at these positions; its type is `result`'s.

    Without `result` the type is the data's. With channels_last the data is [N, positions..., C].
    """

    def infer(context: InferenceContext) -> None:
        x, w = sizes(context, data), sizes(context, weight)
        if x is None or w is None or len(x) != len(w):
            return
        last = bool(integer(context, "channels_last"))
        extents = _positions(context, x[1:-1] if last else x[2:], w[2:])
        shape = (x[0], *extents, w[0]) if last else (x[0], w[0], *extents)
        put(context, 0, element_type(context, data if result is None else result), shape)

    return infer


def _positions(context: InferenceContext, extents: Sizes, kernel: Sizes) -> Sizes:
    """(in + pads - dilation (kernel - 1) - 1) // stride + 1; ceil(in / stride) where pads are SAME."""
    rank = len(extents)
    strides, dilations = _list(context, "strides", rank, 1), _list(context, "dilations", rank, 1)
    pads = _list(context, "pads", 2 * rank, 0)
    attribute: onnx.AttributeProto | None = context.get_attribute("auto_pad")
    padding = attribute.s.decode() if attribute is not None else "NOTSET"
    found: list[int | None] = []
    for axis, (extent, width, stride) in enumerate(zip(extents, kernel, strides, strict=True)):
        if extent is None or width is None:
            found.append(None)
        elif padding.startswith("SAME"):
            found.append(-(-extent // stride))
        else:
            padded = extent + (pads[axis] + pads[axis + rank] if padding == "NOTSET" else 0)
            found.append((padded - dilations[axis] * (width - 1) - 1) // stride + 1)
    return tuple(found)


def _list(context: InferenceContext, name: str, length: int, default: int) -> list[int]:
    attribute: onnx.AttributeProto | None = context.get_attribute(name)
    given_ints = list(attribute.ints) if attribute is not None else []
    return given_ints if len(given_ints) == length else [default] * length
