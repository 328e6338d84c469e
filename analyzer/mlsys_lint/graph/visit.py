"""A node on its visit: what is known about its surroundings, and the view that results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import onnx

from mlsys_lint.graph.calls import Call
from mlsys_lint.graph.scopes import Scope, Value
from mlsys_lint.operators import OperatorTable
from mlsys_lint.records import NodeView, OperatorSpec, TensorInfo
from mlsys_lint.schemas import schema_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a node is visited: its scope's repeat count, owner and opset imports."""

    repeat: int = 1
    owner: int | None = None
    opsets: Mapping[str, int]
    depth: int = 0
    reachable: bool = True
    calls: tuple[str, ...] = ()
    declared: Mapping[str, onnx.ValueInfoProto] = field(default_factory=dict)


def inside(at: Visiting, repeat: int) -> Place:
    """The place of the nodes in a visited node's bodies."""
    return replace(at.place, repeat=repeat, owner=at.index, depth=at.place.depth + 1)


def path_of(at: Visiting, name: str) -> str:
    """`7.then_branch/23.body`: owners by index, with the attribute or function they own."""
    return f"{at.scope.path}/{at.index}.{name}".lstrip("/")


_ANSWERED: Final = frozenset({"Constant", "Shape", "Size"})
"""Operators whose result the walk knows without looking at elements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """What is the same for all nodes of one operator at one opset."""

    opset: int
    spec: OperatorSpec | None
    since_version: int | None
    is_plain: bool
    """It has an entry, no body of the model's own, and outputs that are computed from inputs."""


def operator_of(
    domain: str, op_type: str, opset: int, table: OperatorTable, *, plain: bool
) -> Operator:
    """The operator's entry, and the version of its schema (or of the plugin's formula).

    `plain`: the domain is imported, and no function of the model has the name.
    """
    entry = table.find(domain, op_type, opset)
    spec = entry.spec if entry is not None else None
    try:
        since_version: int | None = schema_of(domain, op_type, opset).since_version
    except onnx.defs.SchemaError:
        since_version = spec.since_version if spec is not None else None
    return Operator(
        opset=opset,
        spec=spec,
        since_version=since_version,
        is_plain=plain and spec is not None and (domain != "" or op_type not in _ANSWERED),
    )


@dataclass(slots=True, kw_only=True)
class Visiting:
    """A node on its visit; not frozen only because one is made for every node."""

    node: onnx.NodeProto
    call: Call
    index: int
    scope: Scope
    place: Place
    operator: Operator
    inputs: list[Value | None]


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a visit found: outputs, captured outer values, assumptions; see Visiting."""

    outputs: list[TensorInfo | None]
    container: bool = False
    captured: dict[int, TensorInfo] = field(default_factory=dict)
    upper_bound: bool = False
    lower_bound: bool = False
    notes: tuple[str, ...] = ()


def view_of(at: Visiting, outcome: Outcome, *, moving: bool) -> NodeView:
    """The record of a visited node; `moving`: some size in the model depends on data."""
    call, place, notes = at.call, at.place, outcome.notes
    inputs = tuple([value.info if value is not None else None for value in at.inputs])
    outputs = tuple(outcome.outputs)
    data_dependent = moving and (_depend_on_data(inputs) or _depend_on_data(outputs))
    if call.domain not in place.opsets:
        notes += (f"the model does not import {call.domain or 'ai.onnx'}: version 1 is assumed",)
    if data_dependent:
        notes += ("data-dependent sizes are counted at their maximum",)
    return NodeView(
        index=at.index,
        name=call.name,
        domain=call.domain,
        op_type=call.op_type,
        opset=at.operator.opset,
        since_version=at.operator.since_version,
        inputs=inputs,
        outputs=outputs,
        implicit=_implicit(outcome.captured, inputs) if outcome.captured else (),
        attributes=call.attributes,
        scope=at.scope.path,
        repeat=place.repeat,
        owner=place.owner,
        reachable=place.reachable,
        container=outcome.container,
        upper_bound=outcome.upper_bound or data_dependent,
        lower_bound=outcome.lower_bound,
        assumptions=notes,
    )


def _depend_on_data(tensors: tuple[TensorInfo | None, ...]) -> bool:
    return any(tensor.bounded for tensor in tensors if tensor is not None)


def _implicit(
    captured: Mapping[int, TensorInfo], inputs: tuple[TensorInfo | None, ...]
) -> tuple[TensorInfo, ...]:
    own = {info.uid for info in inputs if info is not None}
    return tuple(info for uid, info in sorted(captured.items()) if uid not in own)
