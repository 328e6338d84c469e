"""ONNX graphs for joining: nodes by index, tensors by name, constants by content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import chain
from math import prod
from typing import Final

import onnx
from onnx import numpy_helper

_FEW: Final = 8
"""Elements of a tensor whose values are read."""
_PLAIN: Final = ("value_int", "value_ints", "value_float", "value_floats")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of a graph.

    Attributes:
        index: Position in the file for the top level; bodies are numbered as they are met.
        inputs: Names as in the file, `""` for an omitted one.
        outer: Names that its bodies read from outside.
        attributes: Name -> digest of the value.
        bodies: Name of the attribute -> graph.
    """

    index: int
    op_type: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    outer: tuple[str, ...]
    attributes: Mapping[str, bytes]
    bodies: Mapping[str, Graph]

    def is_a(self, *op_types: str) -> bool:
        """True for an operator of the default domain with one of the names."""
        return not self.domain and self.op_type in op_types

    @property
    def reads(self) -> Iterator[str]:
        """Every tensor that it needs."""
        yield from (name for name in self.inputs if name)
        yield from self.outer

    @property
    def writes(self) -> Iterator[str]:
        """Every tensor that it makes."""
        yield from (name for name in self.outputs if name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A graph or a body.

    Attributes:
        scope: `""`, or `7.then_branch/23.body`: owners by index with the attribute they own.
        inputs: Names that a caller feeds.
        constants: Stored tensors that nobody can feed: name -> digest of the content.
        values: Stored tensors and Constants of few numbers: name -> elements.
    """

    scope: str
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, bytes]
    values: Mapping[str, tuple[float, ...]]

    @property
    def free(self) -> tuple[str, ...]:
        """Names that it reads and does not define: those of the graphs around it."""
        defined = {*self.inputs, *self.constants}
        defined.update(name for node in self.nodes for name in node.writes)
        reads = dict.fromkeys(name for node in self.nodes for name in node.reads)
        reads.update(dict.fromkeys(self.outputs))
        return tuple(name for name in reads if name not in defined)

    def sorted_nodes(self) -> list[Node]:
        """Makers before readers; the order of the file where that is one."""
        maker = {name: node.index for node in self.nodes for name in node.writes}
        by_index = {node.index: node for node in self.nodes}
        needs = {n.index: {maker[name] for name in n.reads if name in maker} for n in self.nodes}
        order = {index: at for at, index in enumerate(by_index)}
        if all(order[needed] < order[one] for one, all_ in needs.items() for needed in all_):
            return list(self.nodes)
        return [by_index[index] for index in TopologicalSorter(needs).static_order()]

    def scopes(self) -> Iterator[Graph]:
        """This graph and every body in it."""
        yield self
        for node in self.nodes:
            for body in node.bodies.values():
                yield from body.scopes()


def name_nodes(model: onnx.ModelProto) -> bool:
    """Give every node a name of its own, for tracing; whether any was missing or there twice."""
    changed = False
    taken: set[str] = set()
    inside = (node for function in model.functions for node in _all_nodes(function))
    for at, node in enumerate(chain(_all_nodes(model.graph), inside)):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type} #{at}"
            changed = True
        taken.add(node.name)
    return changed


def _all_nodes(proto: onnx.GraphProto | onnx.FunctionProto) -> Iterator[onnx.NodeProto]:
    for node in proto.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _all_nodes(attribute.g)


def read_graph(model: onnx.ModelProto) -> Graph:
    """The top level; weights may be missing, they are then compared by name."""
    reader = _Reader(len(model.graph.node), fed_is_constant=model.ir_version < 4)
    return reader.read(model.graph, "", 0)


class _Reader:
    def __init__(self, count: int, *, fed_is_constant: bool) -> None:
        self.count = count
        self.fed_is_constant = fed_is_constant  # up to IR version 3 every weight is an input too

    def read(self, proto: onnx.GraphProto, scope: str, first: int) -> Graph:
        fed = set() if self.fed_is_constant else {value.name for value in proto.input}
        stored = {one.name: one for one in proto.initializer if one.name not in fed}
        constants = {name: tensor_digest(tensor) for name, tensor in stored.items()}
        constants.update((s.values.name, s.SerializeToString()) for s in proto.sparse_initializer)
        values = {name: few_values(tensor) for name, tensor in stored.items()}
        values.update((one.output[0], _constant(one)) for one in proto.node if _stores(one))
        return Graph(
            scope=scope,
            nodes=tuple(self._node(node, scope, first + at) for at, node in enumerate(proto.node)),
            inputs=tuple(value.name for value in proto.input if value.name not in constants),
            outputs=tuple(value.name for value in proto.output),
            constants=constants,
            values={name: few for name, few in values.items() if few},
        )

    def _node(self, proto: onnx.NodeProto, scope: str, index: int) -> Node:
        bodies = {
            attribute.name: self._body(attribute.g, f"{scope}/{index}.{attribute.name}".lstrip("/"))
            for attribute in proto.attribute
            if attribute.type == onnx.AttributeProto.GRAPH
        }
        return Node(
            index=index,
            op_type=proto.op_type,
            domain="" if proto.domain == "ai.onnx" else proto.domain,
            name=proto.name,
            inputs=tuple(proto.input),
            outputs=tuple(proto.output),
            outer=tuple(dict.fromkeys(name for body in bodies.values() for name in body.free)),
            attributes={a.name: _attribute_digest(a) for a in proto.attribute},
            bodies=bodies,
        )

    def _body(self, proto: onnx.GraphProto, scope: str) -> Graph:
        first = self.count
        self.count += len(proto.node)
        return self.read(proto, scope, first)


def tensor_digest(tensor: onnx.TensorProto) -> bytes:
    """Equal for equal elements, type and shape; unique to the name where elements are missing."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return b"named " + tensor.name.encode()
    head = f"{tensor.data_type} {list(tensor.dims)} ".encode()
    if tensor.data_type == onnx.TensorProto.STRING:
        return head + b"\0".join(tensor.string_data)
    content = tensor.raw_data or numpy_helper.to_array(tensor).tobytes()
    return head + hashlib.blake2b(content, digest_size=16).digest()


def few_values(tensor: onnx.TensorProto) -> tuple[float, ...]:
    """The elements, where they are few numbers; none otherwise."""
    external = tensor.data_location == onnx.TensorProto.EXTERNAL
    text = tensor.data_type == onnx.TensorProto.STRING
    if external or text or prod(tensor.dims) > _FEW:
        return ()
    return tuple(numpy_helper.to_array(tensor).flatten().tolist())


def _stores(node: onnx.NodeProto) -> bool:
    return node.op_type == "Constant" and bool(node.attribute) and bool(node.output)


def _constant(node: onnx.NodeProto) -> tuple[float, ...]:
    (attribute, *_) = node.attribute
    if attribute.name == "value":
        return few_values(attribute.t)
    if attribute.name not in _PLAIN:
        return ()
    value = onnx.helper.get_attribute_value(attribute)
    found = tuple(value) if isinstance(value, list) else (value,)
    return found if len(found) <= _FEW else ()


def _attribute_digest(attribute: onnx.AttributeProto) -> bytes:
    """Equal for equal values."""
    if attribute.type == onnx.AttributeProto.TENSOR:
        return tensor_digest(attribute.t)
    plain = onnx.AttributeProto()
    plain.CopyFrom(attribute)
    plain.name = plain.doc_string = ""
    return hashlib.blake2b(plain.SerializeToString(deterministic=True), digest_size=16).digest()
