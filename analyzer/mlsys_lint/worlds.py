"""Types and small elements of values while the graph is walked.

Sizes that depend on data are carried in two worlds: one in which each such extent is at its
maximum, and one (`alt`) in which it is twice that. Axes that differ between the two depend on data,
however the sizes travelled; no symbolic arithmetic is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from mlsys_lint import dtypes
from mlsys_lint.loading import LARGEST_VALUE
from mlsys_lint.records import Shape

_MAXIMUM: Final = "max:"
"""Prefix of the dim_param by which an `infer` function says: at most this many."""
_LARGEST_FLOAT_VALUE: Final = 64

Array = npt.NDArray[np.generic]


@dataclass(slots=True)
class World:
    """Type and, when known and small, elements of a value."""

    type: onnx.TypeProto | None = None
    tensor: onnx.TensorProto | None = None
    _array: Array | None = None

    @property
    def is_known(self) -> bool:
        """True when the elements are known."""
        return self.tensor is not None or self._array is not None

    @property
    def array(self) -> Array | None:
        """The elements; converted from the stored tensor when first asked for."""
        if self._array is None and self.tensor is not None:
            try:
                self._array = numpy_helper.to_array(self.tensor)
            except Exception:  # noqa: BLE001  odd tensors: their elements stay unknown
                self.tensor = None
        return self._array

    @property
    def data(self) -> onnx.TensorProto | None:
        """The elements as onnx's inference wants them."""
        if self.tensor is None and self._array is not None:
            self.tensor = numpy_helper.from_array(self._array)
        return self.tensor


def stored_world(tensor: onnx.TensorProto) -> World:
    """World of a stored tensor; elements are kept where shape arithmetic may need them."""
    kind = onnx.TypeProto()
    kind.tensor_type.elem_type = tensor.data_type
    kind.tensor_type.shape.SetInParent()
    for size in tensor.dims:
        kind.tensor_type.shape.dim.add().dim_value = size
    small = prod(tensor.dims) <= value_limit(tensor.data_type)
    external = tensor.data_location == onnx.TensorProto.EXTERNAL
    return World(type=kind, tensor=tensor if small and not external else None)


def value_limit(elem_type: int) -> int:
    """Elements up to which a value of this type is kept."""
    name = dtypes.name_of(elem_type)
    if name is None or dtypes.lookup(name).kind == "string":
        return 0
    is_float = dtypes.lookup(name).kind in ("float", "complex")
    return _LARGEST_FLOAT_VALUE if is_float else LARGEST_VALUE


def shape_of(kind: onnx.TypeProto | None) -> Shape | None:
    """Sizes of a (sequence of, optional) tensor; a `max:N` dimension counts as N."""
    tensor = tensor_type(kind)
    if tensor is None or not tensor.HasField("shape"):
        return None
    return tuple(_size(dim) for dim in tensor.shape.dim)


def _size(dim: onnx.TensorShapeProto.Dimension) -> int | None:
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return dim.dim_value
    text = dim.dim_param.removeprefix(_MAXIMUM)
    return int(text) if text != dim.dim_param and text.isdecimal() else None


def tensor_type(kind: onnx.TypeProto | None) -> Any:
    """The innermost tensor type of a type, None where there is none."""
    while kind is not None:
        which = kind.WhichOneof("value")
        if which in ("tensor_type", "sparse_tensor_type"):
            return getattr(kind, which)
        if which not in ("sequence_type", "optional_type"):
            return None
        kind = getattr(kind, which).elem_type
    return None


def take_value(world: World, array: Array) -> None:
    """Set a world's elements; its shape becomes exactly theirs."""
    tensor = tensor_type(world.type)
    number = onnx.helper.np_dtype_to_tensor_dtype(array.dtype) if tensor is None else None
    world.type = onnx.helper.make_tensor_type_proto(
        tensor.elem_type if tensor is not None else number or 0, array.shape
    )
    world._array = array  # noqa: SLF001  World is this module's own


def named(node: onnx.NodeProto, outputs: Sequence[World]) -> Iterator[tuple[str, World]]:
    """(name, world) of the outputs that are not omitted."""
    return ((name, world) for name, world in zip(node.output, outputs, strict=True) if name)


def is_static(kind: onnx.TypeProto | None) -> bool:
    """True when every size is known."""
    shape = shape_of(kind)
    return shape is not None and None not in shape


def settle_maxima(
    node: onnx.NodeProto, outputs: list[World], extents: Mapping[tuple[str, int], int]
) -> dict[int, World]:
    """Turn `max:N` dimensions into N, or into what the user gave; return their doubled twins."""
    doubled: dict[int, World] = {}
    for position, (name, world) in enumerate(zip(node.output, outputs, strict=True)):
        tensor = tensor_type(world.type)
        if world.type is None or tensor is None:
            continue
        if all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            continue
        twin = onnx.TypeProto()
        twin.CopyFrom(world.type)
        dims = zip(tensor.shape.dim, tensor_type(twin).shape.dim, strict=True)
        for axis, (dim, other) in enumerate(dims):
            given = extents.get((name, axis))
            if not dim.HasField("dim_value") and given is not None:
                dim.dim_value = other.dim_value = given
            elif dim.dim_param.startswith(_MAXIMUM):
                size = _size(dim) or 0
                dim.dim_value, other.dim_value = size, _other_size(size)
                doubled[position] = World(type=twin)
    return doubled


def _other_size(size: int) -> int:
    """A size that differs and keeps divisibility, so that reshapes still work out."""
    return 2 * size or 1


def doubled_like(
    world: World, mains: Sequence[World | None], alts: Sequence[World | None]
) -> World:
    """A twin where the other world is inconsistent: axes as long as a data-dependent input axis."""
    moving: set[int | None] = set()
    for main, alt in zip(mains, alts, strict=True):
        if main is not None and alt is not None:
            pairs = zip(shape_of(main.type) or (), shape_of(alt.type) or (), strict=False)
            moving |= {one for one, other in pairs if one != other}
    twin = onnx.TypeProto()
    if world.type is not None:
        twin.CopyFrom(world.type)
    tensor = tensor_type(twin)
    for dim in tensor.shape.dim if tensor is not None else ():
        if _size(dim) in moving:
            dim.dim_value = _other_size(dim.dim_value)
    return World(type=twin)


def shape_value(node: onnx.NodeProto, world: World) -> Array | None:
    """What Shape and Size give for a value whose sizes are known."""
    shape = shape_of(world.type)
    if shape is None or None in shape:
        return None
    if node.op_type == "Size":
        return np.asarray(prod(size or 0 for size in shape), np.int64)
    bounds = {one.name: one.i for one in node.attribute}
    return np.asarray(shape[bounds.get("start", 0) : bounds.get("end")], np.int64)


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
