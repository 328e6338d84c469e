"""Nodes with their texts and attributes read once: each look into a protobuf makes a new copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import onnx
from onnx import AttributeProto

from mlsys_lint.graph.scopes import describe
from mlsys_lint.operators import normal_domain
from mlsys_lint.records import Attribute, TensorInfo
from mlsys_lint.worlds import stored_world


@dataclass(slots=True)
class Call:
    """A node with its texts and attributes; graphs, types and references are left out of these."""

    node: onnx.NodeProto
    name: str
    op_type: str
    domain: str
    inputs: list[str]
    outputs: list[str]
    attributes: Mapping[str, Attribute]
    has_bodies: bool


_NO_ATTRIBUTES: Final[Mapping[str, Attribute]] = MappingProxyType({})


def call_of(node: onnx.NodeProto) -> Call:
    """A node's texts and attributes."""
    name, op_type, domain = node.name, node.op_type, node.domain
    inputs, outputs = list(node.input), list(node.output)
    attributes: dict[str, Attribute] = {}
    has_bodies = False
    for one in node.attribute if op_type != "Constant" else ():  # whose value is its output's
        convert = _CONVERSIONS.get(one.type)
        if convert is not None:
            attributes[one.name] = convert(one)
        elif one.HasField("g") or one.graphs:
            has_bodies = True
    proxy = MappingProxyType(attributes) if attributes else _NO_ATTRIBUTES
    return Call(node, name, op_type, normal_domain(domain), inputs, outputs, proxy, has_bodies)


@lru_cache(maxsize=256)
def _stored_tensor(name: str, content: bytes) -> TensorInfo:
    """An attribute's tensor; files repeat a few (a fill value) in hundreds of nodes."""
    stored = stored_world(onnx.TensorProto.FromString(content))
    return describe(name, stored, None, -1, constant=True)


_CONVERSIONS: Final[Mapping[int, Callable[[AttributeProto], Attribute]]] = {
    AttributeProto.INT: lambda one: one.i,
    AttributeProto.FLOAT: lambda one: one.f,
    AttributeProto.STRING: lambda one: one.s.decode("utf-8", "replace"),
    AttributeProto.INTS: lambda one: tuple(one.ints),
    AttributeProto.FLOATS: lambda one: tuple(one.floats),
    AttributeProto.STRINGS: lambda one: tuple(
        [text.decode("utf-8", "replace") for text in one.strings]
    ),
    AttributeProto.TENSOR: lambda one: _stored_tensor(one.name, one.t.SerializeToString()),
}
