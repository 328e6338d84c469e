"""Creation of values: inputs, stored tensors, node outputs; each gets its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from mlsys_lint import dtypes
from mlsys_lint.graph.calls import Call
from mlsys_lint.graph.scopes import Scope, Value, describe
from mlsys_lint.graph.visit import Visiting
from mlsys_lint.onnx_types import Dense, tensor_type
from mlsys_lint.records import TensorInfo
from mlsys_lint.worlds import World, stored_elements, stored_world


class ValueStore:
    """Numbers values and enters them into scopes."""

    def __init__(self) -> None:
        self.last_uid = 0
        self.moving = False
        """True as soon as some size depends on data."""

    def put(
        self,
        scope: Scope,
        name: str,
        main: World,
        alt: World | None = None,
        *,
        constant: bool = False,
        origin: str | None = None,
        stored_elements: int | None = None,
        as_whole: bool = False,
    ) -> Value:
        """A new value in a scope."""
        self.last_uid += 1
        self.moving = self.moving or alt is not None
        info = describe(
            name,
            main,
            alt,
            self.last_uid,
            constant=constant,
            origin=origin,
            stored_elements=stored_elements,
        )
        value = Value(info, main, alt, as_whole=as_whole)
        if name:
            scope.values[name] = value
        return value

    def put_initializers(self, graph: onnx.GraphProto, scope: Scope) -> None:
        """The tensors that a graph stores."""
        for tensor in graph.initializer:
            self._put_stored(scope, tensor.name, tensor)
        for sparse in graph.sparse_initializer:
            dense = onnx.TensorProto(data_type=sparse.values.data_type, dims=sparse.dims)
            world = World(type=stored_world(dense).type)
            count = sparse.values.dims[0] if sparse.values.dims else 0
            self.put(
                scope,
                sparse.values.name,
                world,
                constant=True,
                origin=f"{scope.path}/{sparse.values.name}",
                stored_elements=count,
                as_whole=True,
            )

    def put_outputs(
        self,
        at: Visiting,
        mains: Sequence[World],
        alts: Sequence[World] | None = None,
        *,
        constant: bool = False,
        as_whole: Sequence[bool] = (),
    ) -> list[TensorInfo | None]:
        """Enter a node's outputs into its scope."""
        outputs: list[TensorInfo | None] = []
        for position, (name, main) in enumerate(zip(at.call.outputs, mains, strict=False)):
            if not name:
                outputs.append(None)
                continue
            alt = alts[position] if alts else None
            value = self.put(
                at.scope,
                name,
                main,
                alt,
                constant=constant,
                origin=_origin(at, name) if constant else None,
                as_whole=bool(as_whole) and as_whole[position],
            )
            outputs.append(value.info)
        return outputs

    def put_dense(
        self, scope: Scope, name: str, dense: Dense, call: Call, *, constant: bool
    ) -> TensorInfo:
        """`put` for an output that onnx's whole-model inference knows: most values of a network."""
        self.last_uid += 1
        filled = constant and call.op_type == "ConstantOfShape"
        info = TensorInfo(
            name=name,
            dtype=dtypes.name_of(dense[0]),
            shape=dense[1],
            uid=self.last_uid,
            constant=constant,
            origin=f"{scope.path}/{name}" if filled else None,
        )
        scope.values[name] = Value(info, None, as_whole=True)
        return info

    def _put_stored(self, scope: Scope, name: str, tensor: onnx.TensorProto) -> TensorInfo:
        """`put` for a plain tensor that the file stores."""
        self.last_uid += 1
        number, shape = tensor.data_type, tuple(tensor.dims)
        info = TensorInfo(
            name=name,
            dtype=dtypes.name_of(number),
            shape=shape,
            uid=self.last_uid,
            constant=True,
            origin=f"{scope.path}/{name}",
            value=stored_elements(tensor, number, shape),
        )
        if name:
            world = None if info.dtype is not None else stored_world(tensor)
            scope.values[name] = Value(info, world, as_whole=True)
        return info

    def put_constant(self, at: Visiting) -> TensorInfo:
        """The output of a Constant node: a stored tensor."""
        name = at.call.outputs[0] if at.call.outputs else ""
        for attribute in at.node.attribute:
            if attribute.name == "value":
                return self._put_stored(at.scope, name, attribute.t)
        world, stored = constant_world(at.node)
        value = self.put(
            at.scope,
            name,
            world,
            constant=True,
            origin=f"{at.scope.path}/{name}",
            stored_elements=stored,
            as_whole=True,
        )
        return value.info


def _origin(at: Visiting, name: str) -> str | None:
    """Identity of a weight that ConstantOfShape fills: for many models the only one stored."""
    return f"{at.scope.path}/{name}" if at.call.op_type == "ConstantOfShape" else None


def declared_type(info: onnx.ValueInfoProto, symbols: Mapping[str, int]) -> onnx.TypeProto:
    """The type that the file declares, its symbols bound; used where nothing else is known."""
    kind = onnx.TypeProto()
    kind.CopyFrom(info.type)
    tensor = tensor_type(kind)
    for dim in tensor.shape.dim if tensor is not None else ():
        if dim.dim_param in symbols:
            dim.dim_value = symbols[dim.dim_param]
    return kind


def constant_world(node: onnx.NodeProto) -> tuple[World, int | None]:
    """Type (and small value) of a Constant node, and stored elements if it is sparse."""
    attribute = next(
        (one for one in node.attribute if one.name.startswith(("value", "sparse"))), None
    )
    if attribute is None:
        return World(), None
    if attribute.name == "value":
        return stored_world(attribute.t), None
    if attribute.name == "sparse_value":
        sparse = attribute.sparse_tensor
        dense = onnx.TensorProto(data_type=sparse.values.data_type, dims=sparse.dims)
        return World(type=stored_world(dense).type), sum(sparse.values.dims)
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.name.startswith("value_string"):
        shape = (len(value),) if attribute.name.endswith("s") else ()
        return World(type=onnx.helper.make_tensor_type_proto(onnx.TensorProto.STRING, shape)), None
    world = World()
    dtype = np.float32 if attribute.name.startswith("value_float") else np.int64
    world.set_array(np.asarray(value, dtype))
    return world, None
