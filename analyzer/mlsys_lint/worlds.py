"""Types and small elements of values while the graph is walked.

Sizes that depend on data are carried in two worlds: one in which each such extent is at its
maximum, and one (`alt`) in which it is 0. Axes that differ between the two depend on data, however
the sizes travelled; no symbolic arithmetic is needed. The other size is one that can occur: a limit
below the maximum (`min(count, 400)`, a cut to two rows) is seen to move.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator, Sequence
from math import prod
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from mlsys_lint.onnx_types import Dense, dense_of, shape_of, tensor_type, value_limit
from mlsys_lint.records import Shape

Array = npt.NDArray[np.generic]


class World:
    """Type and, when known and small, elements of a value.

    Args:
        type: As onnx states it.
        dense: (element type number, shape) of a tensor whose `type` is built when it is asked for.
        array: The elements.
    """

    __slots__ = ("_data", "_dense", "_shape", "_type", "array", "elements")

    def __init__(
        self,
        *,
        type: onnx.TypeProto | None = None,  # noqa: A002  the field's name in ONNX
        dense: Dense | None = None,
        array: Array | None = None,
    ) -> None:
        self.elements: tuple[World, ...] | None = None
        """Of a sequence: its tensors, where their number is known."""
        self._type = type
        self._dense = dense
        self._shape: Shape | None = None if dense is None else dense[1]
        self.array = array
        """The elements, where they are known and few."""
        self._data: onnx.TensorProto | None = None

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
        if self.array is not None:
            return shown, self.array.tobytes()
        return shown, None

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
        return self.array is not None

    @property
    def data(self) -> onnx.TensorProto | None:
        """The elements as onnx's inference wants them."""
        if self._data is None and self.array is not None:
            self._data = numpy_helper.from_array(self.array)
        return self._data

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
        self.array, self._data = array, None


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


def named(node: onnx.NodeProto, outputs: Sequence[World]) -> Iterator[tuple[str, World]]:
    """(name, world) of the outputs that are not omitted."""
    return ((name, world) for name, world in zip(node.output, outputs, strict=True) if name)


def shape_value(node: onnx.NodeProto, world: World) -> Array | None:
    """What Shape and Size give for a value whose sizes are known."""
    shape = world.shape
    if shape is None or None in shape:
        return None
    if node.op_type == "Size":
        return np.asarray(prod(size or 0 for size in shape), np.int64)
    bounds = {one.name: one.i for one in node.attribute}
    return np.asarray(shape[bounds.get("start", 0) : bounds.get("end")], np.int64)
