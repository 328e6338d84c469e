"""Types as onnx states them: their sizes, and copies with others."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, Final, TypeAlias

import onnx

from mlsys_lint import dtypes
from mlsys_lint.loading import LARGEST_VALUE
from mlsys_lint.records import Shape

MAXIMUM: Final = "max:"
"""Prefix of the dim_param by which an `infer` function says: at most this many."""
_LARGEST_FLOAT_VALUE: Final = 16
"""Resize takes up to 2 * rank floats, Range and Clip scalars; longer ones are weights."""

Dense: TypeAlias = tuple[int, tuple[int, ...]]
"""Element type number and shape of a plain tensor."""


def is_small(dense: Dense | None) -> bool:
    """True where a tensor's elements are few enough to be kept."""
    return dense is not None and prod(dense[1]) <= value_limit(dense[0])


def dense_of(kind: onnx.TypeProto | None) -> Dense | None:
    """Element type and shape, where the type is that of a plain tensor with known sizes."""
    if kind is None or not kind.HasField("tensor_type"):
        return None
    tensor = kind.tensor_type
    number = tensor.elem_type
    if not number or not tensor.HasField("shape"):
        return None
    dims = tensor.shape.dim
    shape = tuple([dim.dim_value for dim in dims])
    if shape and min(shape) < 1 and not all(dim.HasField("dim_value") for dim in dims):
        return None
    return None if shape and min(shape) < 0 else (number, shape)


@lru_cache(maxsize=64)
def value_limit(elem_type: int) -> int:
    """Elements up to which a value of this type is kept."""
    name = dtypes.name_of(elem_type)
    if name is None or dtypes.lookup(name).kind == "string":
        return 0
    is_float = dtypes.lookup(name).kind in ("float", "complex")
    return _LARGEST_FLOAT_VALUE if is_float else LARGEST_VALUE


def symbols_of(kind: onnx.TypeProto | None) -> tuple[str, ...]:
    """Names of a tensor's sizes, "" for those without; () when none has one."""
    tensor = tensor_type(kind)
    if tensor is None:
        return ()
    names = tuple(
        "" if dim.dim_param == "?" or dim.dim_param.startswith(MAXIMUM) else dim.dim_param
        for dim in tensor.shape.dim
    )
    return names if any(names) else ()


def merged(kind: onnx.TypeProto | None, declared: onnx.TypeProto) -> onnx.TypeProto:
    """An inferred type, its open sizes and their names taken from another type of the same rank."""
    found, other = tensor_type(kind), tensor_type(declared)
    if kind is None or found is None or not found.HasField("shape"):
        return declared
    if other is None or len(other.shape.dim) != len(found.shape.dim):
        return kind
    result = onnx.TypeProto()
    result.CopyFrom(kind)
    for dim, known in zip(tensor_type(result).shape.dim, other.shape.dim, strict=True):
        is_open = not dim.HasField("dim_value") and not dim.dim_param.startswith(MAXIMUM)
        if is_open and (known.HasField("dim_value") or known.dim_param):
            dim.CopyFrom(known)
    return result


def shape_of(kind: onnx.TypeProto | None) -> Shape | None:
    """Sizes of a (sequence of, optional) tensor; a `max:N` dimension counts as N."""
    tensor = tensor_type(kind)
    if tensor is None or not tensor.HasField("shape"):
        return None
    # a size of 0 and a size that is not stated both read as 0: only these need a closer look
    return tuple(
        [size if (size := dim.dim_value) > 0 else size_of(dim) for dim in tensor.shape.dim]
    )


def size_of(dim: onnx.TensorShapeProto.Dimension) -> int | None:
    """A size, a `max:N` one as N; None where it is not known."""
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return dim.dim_value
    text = dim.dim_param.removeprefix(MAXIMUM)
    return int(text) if text != dim.dim_param and text.isdecimal() else None


def tensor_type(kind: onnx.TypeProto | None) -> Any:
    """The innermost tensor type of a type, None where there is none."""
    if kind is not None and kind.HasField("tensor_type"):
        return kind.tensor_type
    while kind is not None:
        which = kind.WhichOneof("value")
        if which in ("tensor_type", "sparse_tensor_type"):
            return getattr(kind, which)
        if which not in ("sequence_type", "optional_type"):
            return None
        kind = getattr(kind, which).elem_type
    return None


def resized(kind: onnx.TypeProto | None, shape: Shape | None) -> onnx.TypeProto | None:
    """A copy of a type with another shape (None: of unknown rank)."""
    if kind is None or tensor_type(kind) is None:
        return kind
    copy = onnx.TypeProto()
    copy.CopyFrom(kind)
    tensor = tensor_type(copy)
    tensor.ClearField("shape")
    if shape is not None:
        tensor.shape.SetInParent()
        for size in shape:
            dim = tensor.shape.dim.add()
            if size is not None:
                dim.dim_value = size
    return copy
