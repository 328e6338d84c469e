"""A node on its visit: what is known about its surroundings, and the view that results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx

from mlsys_lint.graph.scopes import Scope, Value, attributes_of
from mlsys_lint.inference import schema_of
from mlsys_lint.records import NodeView, OperatorSpec, TensorInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a node is visited: its scope's repeat count, owner and opset imports."""

    repeat: int = 1
    owner: int | None = None
    opsets: Mapping[str, int]
    depth: int = 0
    calls: tuple[str, ...] = ()
    declared: Mapping[str, onnx.TypeProto] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Visiting:
    """A node on its visit; not frozen only because one is made for every node."""

    node: onnx.NodeProto
    index: int
    scope: Scope
    place: Place
    opset: int
    domain: str
    inputs: list[Value | None]
    spec: OperatorSpec | None


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a visit found: outputs, captured outer values, assumptions; see Visiting."""

    outputs: list[TensorInfo | None]
    container: bool = False
    captured: dict[int, TensorInfo] = field(default_factory=dict)
    upper_bound: bool = False
    lower_bound: bool = False
    notes: tuple[str, ...] = ()


def view_of(at: Visiting, outcome: Outcome) -> NodeView:
    """The record of a visited node."""
    node, notes = at.node, outcome.notes
    inputs = tuple([value.info if value is not None else None for value in at.inputs])
    outputs = tuple(outcome.outputs)
    data_dependent = _depend_on_data(inputs) or _depend_on_data(outputs)
    if at.domain not in at.place.opsets:
        notes += (f"the model does not import {at.domain or 'ai.onnx'}: version 1 is assumed",)
    if data_dependent:
        notes += ("data-dependent sizes are counted at their maximum",)
    return NodeView(
        index=at.index,
        name=node.name,
        domain=at.domain,
        op_type=node.op_type,
        opset=at.opset,
        since_version=_since_version(at),
        inputs=inputs,
        outputs=outputs,
        implicit=_implicit(outcome.captured, inputs) if outcome.captured else (),
        attributes=attributes_of(node),
        scope=at.scope.path,
        repeat=at.place.repeat,
        owner=at.place.owner,
        container=outcome.container,
        upper_bound=outcome.upper_bound or data_dependent,
        lower_bound=outcome.lower_bound,
        assumptions=notes,
    )


def _depend_on_data(tensors: tuple[TensorInfo | None, ...]) -> bool:
    for tensor in tensors:  # a loop: any() on a generator takes thrice as long, for every node
        if tensor is not None and tensor.bounded:
            return True
    return False


def _implicit(
    captured: Mapping[int, TensorInfo], inputs: tuple[TensorInfo | None, ...]
) -> tuple[TensorInfo, ...]:
    own = {info.uid for info in inputs if info is not None}
    return tuple(info for uid, info in sorted(captured.items()) if uid not in own)


def _since_version(at: Visiting) -> int | None:
    try:
        return schema_of(at.domain, at.node.op_type, at.opset).since_version
    except onnx.defs.SchemaError:
        return at.spec.since_version if at.spec else None
