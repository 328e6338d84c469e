"""Nodes without bodies: what they hand out, by the quickest way that is sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import onnx

from mlsys_lint.graph.calls import Call
from mlsys_lint.graph.scopes import Scope
from mlsys_lint.graph.sequences import refine
from mlsys_lint.graph.store import ValueStore, declared_type
from mlsys_lint.graph.visit import Operator, Outcome, Place, Visiting
from mlsys_lint.inference import Inferred, Known, Memo, infer
from mlsys_lint.onnx_types import Dense, is_small, merged, tensor_type
from mlsys_lint.records import NodeView, TensorInfo
from mlsys_lint.worlds import World

_NEVER_FOLDED: Final = frozenset(
    {
        *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
        *("Bernoulli", "Multinomial", "DequantizeLinear"),
    }
)
"""Random results differ from run to run; runtimes keep QDQ pairs for their quantization rules."""


@dataclass(slots=True, kw_only=True)
class PlainNodes:
    """Types of nodes' outputs, entered into their scopes.

    Attributes:
        store: Where values are entered.
        types: The whole-model inference (model_types.py).
        extents: Sizes, by (value, axis), that the user gave for data-dependent extents.
        symbols: Sizes of the named dimensions.
        memo: Types that were inferred with the same operator table.
        merges_declared: Sizes that inference leaves open are those that the file declares, as
            names: the model's own sizes are not bound.
        failures: Contradictions that onnx's inference found in nodes that run, or may run.
    """

    store: ValueStore
    types: Mapping[str, Dense]
    extents: Mapping[tuple[str, int], int]
    symbols: Mapping[str, int]
    memo: Memo
    merges_declared: bool = False
    failures: list[str] = field(default_factory=list)

    def quick(
        self, call: Call, index: int, scope: Scope, place: Place, operator: Operator
    ) -> NodeView | None:
        """The record of a node whose outputs the whole-model inference knows: most of a network.

        None where it saw other inputs, or where there may be elements to compute.
        """
        inputs = _as_whole(call, scope)
        if inputs is None:
            return None
        constant = bool(inputs) and call.op_type not in _NEVER_FOLDED
        known = bool(inputs)
        for info in inputs:
            if info is not None:
                constant = constant and info.constant
                known = known and info.value is not None
        denses = [self.types.get(name) for name in call.outputs]
        if None in denses or (known and all(map(is_small, denses))):
            return None
        outputs = []
        for name, dense in zip(call.outputs, denses, strict=True):
            if dense is not None:
                outputs.append(self.store.put_dense(scope, name, dense, call, constant=constant))
        return NodeView(
            index=index,
            name=call.name,
            domain=call.domain,
            op_type=call.op_type,
            opset=operator.opset,
            since_version=operator.since_version,
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            attributes=call.attributes,
            scope=scope.path,
            repeat=place.repeat,
            owner=place.owner,
            reachable=place.reachable,
        )

    def visit(self, at: Visiting) -> Outcome:
        """Outputs of a node without bodies, by inference of its own where it stores none."""
        if at.call.op_type == "Constant" and at.call.domain == "":
            return Outcome(outputs=[self.store.put_constant(at)])
        inferred = self._infer(at)
        if inferred.alt is None:
            mains = [value.main if value is not None else None for value in at.inputs]
            refine(at.node, mains, inferred.main)
        if inferred.notes:
            self.failures += [f"#{at.index} {at.call.op_type}: {one}" for one in inferred.failures]
        self._fall_back_on_declared(at.node, inferred, at.place)
        outputs = self.store.put_outputs(
            at,
            inferred.main,
            inferred.alt,
            constant=_is_constant(at),
            as_whole=() if at.scope.path else self._agree(at.call, inferred),
        )
        return Outcome(outputs=outputs, notes=tuple(inferred.notes))

    def _agree(self, call: Call, inferred: Inferred) -> Sequence[bool]:
        """Which outputs the whole-model inference knows as they are, or knows less of.

        What it found further on without knowing a type holds for every type.
        """
        if inferred.alt is not None:
            return ()
        return [
            whole is None or World(dense=whole).same_type(world)
            for whole, world in zip(map(self.types.get, call.outputs), inferred.main, strict=True)
        ]

    def _infer(self, at: Visiting) -> Inferred:
        alts: list[World | None] | None = None
        if any(value is not None and value.alt is not None for value in at.inputs):
            alts = [(value.alt or value.main) if value else None for value in at.inputs]
        return infer(
            at.node,
            [value.main if value else None for value in at.inputs],
            alts,
            known=Known(
                spec=at.operator.spec,
                opset=at.operator.opset,
                opsets=at.place.opsets,
                memo=self.memo,
            ),
            extents=self.extents,
        )

    def _fall_back_on_declared(
        self, node: onnx.NodeProto, inferred: Inferred, place: Place
    ) -> None:
        for name, world in zip(node.output, inferred.main, strict=True):
            info = place.declared.get(name) if name else None
            if info is None or world.is_static or tensor_type(info.type) is None:
                continue
            declared = declared_type(info, self.symbols)
            if self.merges_declared:
                declared = merged(world.type, declared)
            if self.merges_declared or (
                world.type is None or world.shape is None or World(type=declared).is_static
            ):
                world.type = declared
                inferred.notes.append(f"type of {name!r} as declared in the file")


def _as_whole(call: Call, scope: Scope) -> list[TensorInfo | None] | None:
    """A node's inputs, where the whole-model inference says nothing else of any of them."""
    inputs: list[TensorInfo | None] = []
    for name in call.inputs:
        value = scope.values.get(name) if name else None
        if value is not None and value.as_whole:
            inputs.append(value.info)
        elif name:
            return None
        else:
            inputs.append(None)
    return inputs


def _is_constant(at: Visiting) -> bool:
    """True when a node computes from constants only, and a runtime may fold it."""
    known = False
    for value in at.inputs:
        if value is not None:
            if not value.info.constant:
                return False
            known = True
    return known and at.call.op_type not in _NEVER_FOLDED
