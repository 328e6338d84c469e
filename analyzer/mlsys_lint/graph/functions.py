"""Bodies that stand for a node: model-local functions and the function bodies of onnx's schemas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import onnx
from onnx import AttributeProto

from mlsys_lint.operators import normal_domain
from mlsys_lint.schemas import schema_of, with_defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A function body with the call's attributes put in."""

    name: str
    nodes: tuple[onnx.NodeProto, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    imports: tuple[onnx.OperatorSetIdProto, ...]


class Functions:
    """Model-local functions, keyed as a call names them."""

    def __init__(self, protos: Iterable[onnx.FunctionProto]) -> None:
        self._by_key = {
            (normal_domain(proto.domain), proto.name, proto.overload): proto for proto in protos
        }

    def __bool__(self) -> bool:
        return bool(self._by_key)

    def has(self, domain: str, op_type: str) -> bool:
        """True where some overload of the name is defined."""
        return any(key[:2] == (domain, op_type) for key in self._by_key)

    def find(self, node: onnx.NodeProto) -> Body | None:
        """The body of a call; None when the node calls no function of the model."""
        key = (normal_domain(node.domain), node.op_type, node.overload)
        proto = self._by_key.get(key)
        return None if proto is None else instantiate(proto, node)


def schema_body(
    node: onnx.NodeProto, opset: int, input_types: Iterable[onnx.TypeProto | None]
) -> Body | None:
    """The body by which onnx defines an operator, if it does."""
    try:
        schema: Any = schema_of(node.domain, node.op_type, opset)  # stubs lack these
        node = with_defaults(node, schema)
        if schema.has_function:
            return instantiate(_plain_function(node.domain, node.op_type, opset), node)
        if not schema.has_context_dependent_function:
            return None
        types = [(kind or onnx.TypeProto()).SerializeToString() for kind in input_types]
        versions = schema.context_dependent_function_opset_versions
        version = max(one for one in versions if one <= opset)
        content = schema.get_context_dependent_function_with_opset_version(
            version, node.SerializeToString(), types
        )
        return instantiate(onnx.FunctionProto.FromString(content), node) if content else None
    except Exception:  # noqa: BLE001  no schema, or no body for these types: nothing to expand
        return None


@lru_cache(maxsize=256)
def _plain_function(domain: str, op_type: str, opset: int) -> onnx.FunctionProto:
    schema: Any = schema_of(domain, op_type, opset)
    version = max(one for one in schema.function_opset_versions if one <= opset)
    return onnx.FunctionProto.FromString(schema.get_function_with_opset_version(version))


def instantiate(proto: onnx.FunctionProto, call: onnx.NodeProto) -> Body:
    """Replace attribute references by the call's attributes or the function's defaults."""
    given = {one.name: one for one in proto.attribute_proto}
    given |= {one.name: one for one in call.attribute}
    return Body(
        name=proto.name or call.op_type,
        nodes=tuple(_substitute(node, given) for node in proto.node),
        inputs=tuple(proto.input),
        outputs=tuple(proto.output),
        imports=tuple(proto.opset_import),
    )


def without_inputs(
    nodes: Iterable[onnx.NodeProto], omitted: frozenset[str]
) -> tuple[onnx.NodeProto, ...]:
    """Nodes whose reads of omitted function inputs are omitted too."""
    return tuple(
        _omitting(node, omitted) if omitted.intersection(node.input) else node for node in nodes
    )


def _omitting(node: onnx.NodeProto, omitted: frozenset[str]) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    kept = ["" if name in omitted else name for name in node.input]
    while kept and not kept[-1]:  # trailing omissions are not written
        kept.pop()
    del copy.input[:]
    copy.input.extend(kept)
    return copy


def _substitute(node: onnx.NodeProto, given: Mapping[str, AttributeProto]) -> onnx.NodeProto:
    if not any(one.ref_attr_name or one.HasField("g") for one in node.attribute):
        return node
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    del copy.attribute[:]
    for attribute in node.attribute:
        if not attribute.ref_attr_name:
            added = copy.attribute.add()
            added.CopyFrom(attribute)
            if added.HasField("g"):
                inner = [_substitute(one, given) for one in added.g.node]
                del added.g.node[:]
                added.g.node.extend(inner)
        elif attribute.ref_attr_name in given:
            added = copy.attribute.add()
            added.CopyFrom(given[attribute.ref_attr_name])
            added.name = attribute.name
    return copy
