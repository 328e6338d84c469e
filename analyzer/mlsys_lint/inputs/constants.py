"""What a file tells of its values before a run: shapes, and the elements of small constants."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx

from mlsys_lint.loading import LARGEST_VALUE

Shape: TypeAlias = tuple[int, ...]
_Place: TypeAlias = tuple[str, str]

_KEEPS_SHAPE: Final = frozenset(["Cast", "DequantizeLinear", "Identity", "QuantizeLinear"])
_KEEPS_ELEMENTS: Final = frozenset(
    [
        *("Cast", "CastLike", "Expand", "Flatten", "Identity"),
        *("Reshape", "Squeeze", "Transpose", "Unsqueeze"),
    ]
)


class Tensors:
    """Shapes and small constants by place: (function key or "", value name).

    Args:
        shapes: Known shapes of values of the top level; they win over what the file says.
    """

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes: dict[_Place, Shape] = {("", name): shape for name, shape in shapes.items()}
        self._stored: dict[_Place, onnx.TensorProto] = {}

    def shape(self, place: _Place) -> Shape | None:
        """The shape of a value, where it is known."""
        return self._shapes.get(place)

    def elements(self, place: _Place) -> npt.NDArray[Any] | None:
        """The elements of a small constant, each at least once; of another value None."""
        tensor = self._stored.get(place)
        if (
            tensor is None
            or tensor.data_location == onnx.TensorProto.EXTERNAL
            or prod(tensor.dims) > LARGEST_VALUE
        ):
            return None
        try:
            return np.asarray(onnx.numpy_helper.to_array(tensor))
        except (
            KeyError,
            TypeError,
            ValueError,
        ):  # damaged data is no evidence; the runtime will complain
            return None

    def pass_on(self, outer: _Place, inner: _Place) -> None:
        """A function's parameter is what the first call gives it."""
        if outer in self._shapes:
            self._shapes.setdefault(inner, self._shapes[outer])
        if outer in self._stored:
            self._stored.setdefault(inner, self._stored[outer])

    def add_graph(self, graph: onnx.GraphProto, scope: str) -> None:
        """Initializers, and the shapes that the file declares."""
        for tensor in graph.initializer:
            self._shapes[scope, tensor.name] = tuple(tensor.dims)
            self._stored[scope, tensor.name] = tensor
        for sparse in graph.sparse_initializer:
            self._shapes[scope, sparse.values.name] = tuple(sparse.dims)
        for value in (*graph.input, *graph.value_info):
            dims = value.type.tensor_type.shape.dim
            if dims and all(dim.HasField("dim_value") for dim in dims):
                shape = tuple(dim.dim_value for dim in dims)
                self._shapes.setdefault((scope, value.name), shape)

    def add_node(self, node: onnx.NodeProto, scope: str) -> None:
        """Constants that a node writes, and element-wise copies such as a dequantized table."""
        if not node.output:
            return
        place = (scope, node.output[0])
        stored = _stored_by(node)
        if stored is not None:
            self._stored[place] = stored
            if node.op_type == "Constant":
                self._shapes.setdefault(place, tuple(stored.dims))
        elif node.input and node.input[0]:
            source = (scope, node.input[0])
            if node.op_type in _KEEPS_ELEMENTS and source in self._stored:
                self._stored[place] = self._stored[source]
            shape = _kept_shape(node, self._shapes.get(source))
            if shape is not None:
                self._shapes.setdefault(place, shape)


def _stored_by(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """The tensor of a Constant node; of ConstantOfShape the one element that it repeats."""
    if node.op_type == "ConstantOfShape":
        return next(
            (one.t for one in node.attribute if one.name == "value"),
            onnx.helper.make_tensor("", onnx.TensorProto.FLOAT, [1], [0.0]),
        )
    if node.op_type != "Constant":
        return None
    return next((made for one in node.attribute if (made := _written(one)) is not None), None)


def _written(attribute: onnx.AttributeProto) -> onnx.TensorProto | None:
    """The tensor that an attribute of a Constant node holds; texts and sparse tensors are left out."""
    if attribute.name == "value":
        return attribute.t
    if attribute.name in ("value_int", "value_float"):
        return onnx.numpy_helper.from_array(np.array(attribute.i or attribute.f))
    if attribute.name in ("value_ints", "value_floats"):
        return onnx.numpy_helper.from_array(np.array(attribute.ints or attribute.floats))
    return None


def _kept_shape(node: onnx.NodeProto, known: Shape | None) -> Shape | None:
    """The shape of a node's output where it is that of its input, or a permutation of it."""
    if known is None:
        return None
    if node.op_type in _KEEPS_SHAPE:
        return known
    if node.op_type != "Transpose":
        return None
    axes = next((one.ints for one in node.attribute if one.name == "perm"), ())
    order = tuple(axes) or tuple(reversed(range(len(known))))
    return tuple(known[axis] for axis in order if 0 <= axis < len(known))
