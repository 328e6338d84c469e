"""Types and small elements of values while the graph is walked.

Sizes that depend on data are carried in two worlds: one in which each such extent is at its
maximum, and one (`alt`) in which it is 0. Axes that differ between the two depend on data, however
the sizes travelled; no symbolic arithmetic is needed. The other size is one that can occur: a limit
below the maximum (`min(count, 400)`, a cut to two rows) is seen to move.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from mlsys_lint import dtypes
from mlsys_lint.loading import LARGEST_VALUE
from mlsys_lint.records import Shape

_MAXIMUM: Final = "max:"
"""Prefix of the dim_param by which an `infer` function says: at most this many."""
_LARGEST_FLOAT_VALUE: Final = 16
"""Resize takes up to 2 * rank floats, Range and Clip scalars; longer ones are weights."""

Array = npt.NDArray[np.generic]


Dense: TypeAlias = tuple[int, tuple[int, ...]]
"""Element type number and shape of a plain tensor."""


class World:
    """Type and, when known and small, elements of a value.

    Args:
        type: As onnx states it.
        tensor: The stored elements.
        dense: (element type number, shape) of a tensor whose `type` is built when it is asked for.
        array: The elements.
    """

    __slots__ = ("_array", "_dense", "_shape", "_type", "elements", "tensor")

    def __init__(
        self,
        *,
        type: onnx.TypeProto | None = None,  # noqa: A002  the field's name in ONNX
        tensor: onnx.TensorProto | None = None,
        dense: Dense | None = None,
        array: Array | None = None,
    ) -> None:
        self.tensor = tensor
        self.elements: tuple[World, ...] | None = None
        """Of a sequence: its tensors, where their number is known."""
        self._type = type
        self._dense = dense
        self._shape: Shape | None = None if dense is None else dense[1]
        self._array = array

    @property
    def type(self) -> onnx.TypeProto | None:
        """As onnx states it."""
        if self._type is None and self._dense is not None:
            self._type = onnx.helper.make_tensor_type_proto(*self._dense)
        return self._type

    @type.setter  # noqa: A003  likewise
    def type(self, kind: onnx.TypeProto | None) -> None:
        self._type, self._dense, self._shape = kind, None, None

    @property
    def shape(self) -> Shape | None:
        """Sizes, None for an unknown one; None as a whole where the rank is unknown."""
        if self._shape is None and self._type is not None:
            self._shape = shape_of(self._type)
        return self._shape

    @property
    def elem_type(self) -> int | None:
        """Number of the (innermost) element type."""
        if self._dense is not None:
            return self._dense[0]
        tensor = tensor_type(self._type)
        return None if tensor is None else tensor.elem_type

    @property
    def is_static(self) -> bool:
        """True when every size is known."""
        shape = self.shape
        return shape is not None and None not in shape

    @property
    def as_dense(self) -> Dense | None:
        """Element type and shape of a plain tensor whose sizes are known and do not depend on data."""
        return dense_of(self._type) if self._dense is None else self._dense

    @property
    def is_small(self) -> bool:
        """True when the sizes are known and the elements few enough to be kept."""
        number, shape = self.elem_type, self.shape
        if number is None or shape is None or None in shape:
            return False
        return prod(size or 0 for size in shape) <= value_limit(number)

    @property
    def key(self) -> Hashable:
        """Type and elements, to find equal values."""
        kind = self._type
        shown = self._dense if kind is None else kind.SerializeToString(deterministic=True)
        if self._array is not None:
            return shown, self._array.tobytes()
        return shown, None if self.tensor is None else self.tensor.SerializeToString()

    @property
    def is_dense(self) -> bool:
        """True for a plain tensor: no sequence, optional, map or sparse tensor."""
        return self._dense is not None or (
            self._type is not None and self._type.HasField("tensor_type")
        )

    @property
    def is_sequence(self) -> bool:
        """True for a sequence, of tensors or of maps."""
        return self._type is not None and self._type.HasField("sequence_type")

    @property
    def is_settled(self) -> bool:
        """True for a plain tensor that was given with its sizes: none of them is `max:N`."""
        return self._dense is not None

    @property
    def is_known(self) -> bool:
        """True when the elements are known."""
        return self.tensor is not None or self._array is not None

    @property
    def array(self) -> Array | None:
        """The elements; converted from the stored tensor when first asked for."""
        if self._array is None and self.tensor is not None:
            try:
                self._array = _array_of(self.tensor)
            except Exception:  # noqa: BLE001  odd tensors: their elements stay unknown
                self.tensor = None
        return self._array

    def same_type(self, other: World) -> bool:
        """True for two plain tensors of one element type and one static shape."""
        return (
            (self.is_dense and other.is_dense)
            and (self.is_static and self.shape == other.shape)
            and self.elem_type == other.elem_type
        )

    def set_array(self, array: Array) -> None:
        """Set the elements; the shape becomes exactly theirs, the element type stays."""
        number = self.elem_type or onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        self._type, self._shape = None, array.shape
        self._dense = (number, array.shape)
        self._array, self.tensor = array, None

    @property
    def data(self) -> onnx.TensorProto | None:
        """The elements as onnx's inference wants them."""
        if self.tensor is None and self._array is not None:
            self.tensor = numpy_helper.from_array(self._array)
        return self.tensor


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


_RAW: Final = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}
"""Types whose raw bytes are numpy's own on a little-endian machine, by ONNX's number."""


def _array_of(tensor: onnx.TensorProto) -> Array:
    """numpy_helper.to_array, with a short cut for the usual small tensors."""
    plain = _RAW.get(tensor.data_type) if sys.byteorder == "little" else None
    if plain is None or not tensor.HasField("raw_data"):
        return numpy_helper.to_array(tensor)
    return np.frombuffer(tensor.raw_data, plain).reshape(tensor.dims)


def stored_world(tensor: onnx.TensorProto) -> World:
    """World of a stored tensor; elements are kept where shape arithmetic may need them."""
    number, shape = tensor.data_type, tuple(tensor.dims)
    return World(dense=(number, shape), array=stored_elements(tensor, number, shape))


def stored_elements(tensor: onnx.TensorProto, number: int, shape: tuple[int, ...]) -> Array | None:
    """The elements of a stored tensor, where they are few and in the file itself."""
    if prod(shape) > value_limit(number):
        return None
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return None
    try:
        return _array_of(tensor)
    except Exception:  # noqa: BLE001  odd tensors: their elements stay unknown
        return None


@lru_cache(maxsize=64)
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
    # a size of 0 and a size that is not stated both read as 0: only these need a closer look
    return tuple([size if (size := dim.dim_value) > 0 else _size(dim) for dim in tensor.shape.dim])


def _size(dim: onnx.TensorShapeProto.Dimension) -> int | None:
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return dim.dim_value
    text = dim.dim_param.removeprefix(_MAXIMUM)
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


def named(node: onnx.NodeProto, outputs: Sequence[World]) -> Iterator[tuple[str, World]]:
    """(name, world) of the outputs that are not omitted."""
    return ((name, world) for name, world in zip(node.output, outputs, strict=True) if name)


def settle_maxima(
    node: onnx.NodeProto, outputs: list[World], extents: Mapping[tuple[str, int], int]
) -> dict[int, World]:
    """Turn `max:N` dimensions into N, or into what the user gave; return their twins in the other world."""
    twins: dict[int, World] = {}
    for position, (name, world) in enumerate(zip(node.output, outputs, strict=True)):
        tensor = None if world.is_settled else tensor_type(world.type)
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
                dim.dim_value, other.dim_value = size, other_size(size)
                twins[position] = World(type=twin)
        world.type = world.type  # sizes were set in place
    return twins


def other_size(size: int) -> int:
    """The other world's size of an extent that is at most `size`."""
    return 0 if size else 1


def marked_like(world: World, mains: Sequence[World | None], alts: Sequence[World | None]) -> World:
    """A twin where the other world is inconsistent (a reshape whose sizes do not work out there).

    Marked are the axes as long as a data-dependent input axis; all, where there are none.
    """
    moving: set[int | None] = set()
    for main, alt in zip(mains, alts, strict=True):
        if main is not None and alt is not None:
            pairs = zip(main.shape or (), alt.shape or (), strict=False)
            moving |= {one for one, other in pairs if one != other}
    twin = onnx.TypeProto()
    if world.type is not None:
        twin.CopyFrom(world.type)
    tensor = tensor_type(twin)
    dims = list(tensor.shape.dim) if tensor is not None else []
    for dim in [dim for dim in dims if _size(dim) in moving] or dims:
        if dim.HasField("dim_value"):
            dim.dim_value = other_size(dim.dim_value)
    return World(type=twin)


def differing(world: World, main: World, twin: World) -> World:
    """A world that differs from the main one wherever its twin does."""
    shape, one, other = world.shape, main.shape, twin.shape
    if shape is None or one is None or other is None or not len(shape) == len(one) == len(other):
        return twin
    sizes = [
        marked if size == first and first != marked else size
        for size, first, marked in zip(shape, one, other, strict=True)
    ]
    return World(type=resized(world.type, tuple(sizes)))


def shape_value(node: onnx.NodeProto, world: World) -> Array | None:
    """What Shape and Size give for a value whose sizes are known."""
    shape = world.shape
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
