"""The one pass over a model: each node in executable order, its bodies right after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Final

import onnx

from mlsys_lint.errors import ModelError, OptionError
from mlsys_lint.graph.bodies import Pair, split
from mlsys_lint.graph.calls import Call, calls_of
from mlsys_lint.graph.containers import visit_function, visit_if, visit_loop, visit_scan
from mlsys_lint.graph.functions import Body, Functions, schema_body
from mlsys_lint.graph.model_types import model_types
from mlsys_lint.graph.ordering import topological_order
from mlsys_lint.graph.scopes import Scope, Value
from mlsys_lint.graph.store import ValueStore, declared_type
from mlsys_lint.graph.structure import Frame, Graph
from mlsys_lint.graph.visit import Operator, Outcome, Place, Visiting, operator_of, view_of
from mlsys_lint.inference import Inferred, Known, Memo, evaluate_outputs, infer
from mlsys_lint.loading import LoadedModel, imported_versions
from mlsys_lint.operators import OperatorTable
from mlsys_lint.records import NodeView, TensorInfo
from mlsys_lint.shapes import Bindings, bind
from mlsys_lint.worlds import World, settle_maxima, tensor_type

_NEVER_FOLDED: Final = frozenset(
    {
        *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
        *("Bernoulli", "Multinomial", "DequantizeLinear"),
    }
)
"""Random results differ from run to run; runtimes keep QDQ pairs for their quantization rules."""
_CONTROL_FLOW: Final = {"If": visit_if, "Loop": visit_loop, "Scan": visit_scan}
_IS_SMALL: Final = attrgetter("is_small")
_DEEPEST: Final = 64
"""Nesting of bodies beyond which a file is taken for damaged."""


def build(model: LoadedModel, bindings: Bindings, table: OperatorTable) -> Graph:
    """Walk a model with its sizes bound.

    Raises:
        ModelError: the graph is damaged (cycle, dangling value, endless function calls).
        OptionError: a size or trip count names nothing in the model.
    """
    return _Walker(model, bindings, table).run()


class _Walker:
    def __init__(self, model: LoadedModel, bindings: Bindings, table: OperatorTable) -> None:
        self.model = model
        self.bindings = bindings
        self.table = table
        self.functions = Functions(model.proto.functions)
        self.bound = bind(model.proto, bindings)
        self.types = model_types(model.proto, self.bound.types, model.opsets.get("", 1))
        self.extents = _extents(bindings.dims)
        self.memo: Memo = {}
        self.failures: list[str] = []
        """Contradictions that onnx's inference found in nodes that run, or may run."""
        self.operators: dict[tuple[str, str, int], Operator] = {}
        self.views: dict[int, NodeView] = {}
        self.visits: list[int] = []
        self.frames: dict[str, Frame] = {}
        self.used_trips: set[str] = set()
        self.store = ValueStore()
        self._index = len(model.proto.graph.node)

    def run(self) -> Graph:
        proto = self.model.proto
        scope = Scope("")
        inputs = tuple(
            self.store.put(scope, name, World(type=kind), as_whole=True)
            for name, kind in self.bound.types.items()
        )
        place = Place(
            opsets=self.model.opsets,
        )
        outputs = self.walk_graph(proto.graph, scope, place)
        self._check_options(scope)
        return Graph(
            nodes=tuple(self.views[index] for index in sorted(self.views)),
            visits=tuple(self.visits),
            frames=self.frames,
            inputs=tuple(value.info for value in inputs),
            outputs=tuple(value.info for value in outputs if value is not None),
            dims=self.bound.dims,
        )

    # -- graphs -----------------------------------------------------------------------------

    def walk_graph(self, graph: onnx.GraphProto, scope: Scope, place: Place) -> list[Value | None]:
        """Visit a graph's nodes; return its outputs."""
        self.store.put_initializers(graph, scope)
        declared = dict(place.declared)
        declared |= {info.name: info for info in (*graph.value_info, *graph.output)}
        return self.walk_nodes(
            graph.node,
            [value.name for value in graph.output],
            scope,
            replace(place, declared=declared),
        )

    def walk_nodes(
        self,
        nodes: Iterable[onnx.NodeProto],
        outputs: Sequence[str],
        scope: Scope,
        place: Place,
    ) -> list[Value | None]:
        """Visit nodes in executable order; return the values with the names of the outputs."""
        if place.depth > _DEEPEST:
            raise ModelError(f"{self.model.path}: bodies are nested more than {_DEEPEST} deep")
        where = f"{self.model.path}{': ' + scope.path if scope.path else ''}"
        calls = calls_of(nodes, where)
        order = topological_order(calls, scope.names(), where)
        first = 0 if not scope.path else self._reserve(len(calls))
        for position in order:
            self._visit(calls[position], first + position, scope, place)
        results = [scope.find(name) for name in outputs]
        missing = [name for name, value in zip(outputs, results, strict=True) if value is None]
        if missing and not scope.path:
            raise ModelError(f"{where}: nothing writes the graph output {missing[0]!r}")
        self.frames[scope.path] = Frame(
            order=tuple(first + position for position in order),
            outputs=tuple(value.info.uid for value in results if value is not None),
        )
        return results

    def _reserve(self, count: int) -> int:
        self._index += count
        return self._index - count

    def mark(self) -> tuple[int, int, int, int]:
        """A point to which `rewind` can return when a body must be walked again."""
        return self._index, len(self.visits), self.store.last_uid, len(self.failures)

    def rewind(self, mark: tuple[int, int, int, int]) -> None:
        """Forget the nodes visited since the mark."""
        self._index, kept, self.store.last_uid, failed = mark
        for index in self.visits[kept:]:
            scope = self.views.pop(index).scope
            self.frames.pop(scope, None)
        del self.visits[kept:]
        del self.failures[failed:]

    def put_results(
        self, at: Visiting, pairs: Sequence[Pair], *, constant: bool = False
    ) -> list[TensorInfo | None]:
        """Enter what a container hands out; sizes that the user gave replace those found."""
        mains, alts = split(pairs, len(at.call.outputs))
        for worlds in (mains,) if alts is None else (mains, alts):
            settle_maxima(at.node, worlds, self.extents)
        return self.store.put_outputs(at, mains, alts, constant=constant)

    # -- nodes ------------------------------------------------------------------------------

    def _visit(self, call: Call, index: int, scope: Scope, place: Place) -> None:
        self.visits.append(index)
        visiting = Visiting(
            node=call.node,
            call=call,
            index=index,
            scope=scope,
            place=place,
            operator=self._operator(call, place),
            inputs=[scope.find(name) if name else None for name in call.inputs],
        )
        outcome = self._contained(visiting) or self._plain(visiting)
        self.views[index] = view_of(visiting, outcome)

    def _operator(self, call: Call, place: Place) -> Operator:
        key = (call.domain, call.op_type, place.opsets.get(call.domain, 1))
        found = self.operators.get(key)
        if found is None:
            found = self.operators[key] = operator_of(*key, self.table)
        return found

    def _contained(self, at: Visiting) -> Outcome | None:
        """Walk the bodies of a node whose cost is theirs; None for any other node."""
        call, operator = at.call, at.operator
        body = self.functions.find(at.node) if self.functions else None
        if body is None and operator.spec is None:
            if call.domain == "" and (visit := _CONTROL_FLOW.get(call.op_type)):
                return visit(self, at)
            types = [value.main.type if value else None for value in at.inputs]
            body = schema_body(at.node, operator.opset, types)
        if body is None:
            return None
        key = f"{call.domain}::{body.name}"
        if key in at.place.calls:
            raise ModelError(f"{self.model.path}: function {key} calls itself")
        return visit_function(self, at, body, key)

    def imports_of(self, body: Body, place: Place) -> Mapping[str, int]:
        """Opsets that a function's body is written for."""
        return {**place.opsets, **imported_versions(body.imports)}

    def _plain(self, at: Visiting) -> Outcome:
        if at.call.op_type == "Constant" and at.call.domain == "":
            return Outcome(outputs=[self.store.put_constant(at)])
        constant = _is_constant(at)
        worlds = self._from_whole(at)
        if worlds is not None:
            return Outcome(outputs=self.store.put_dense(at, worlds, constant=constant))
        inferred = self.infer(at)
        if inferred.notes:
            self.failures += [f"#{at.index} {at.call.op_type}: {one}" for one in inferred.failures]
        self._fall_back_on_declared(at.node, inferred, at.place)
        outputs = self.store.put_outputs(
            at,
            inferred.main,
            inferred.alt,
            constant=constant,
            as_whole=() if at.scope.path else self._agree(at.call, inferred),
        )
        return Outcome(outputs=outputs, notes=tuple(inferred.notes))

    def _from_whole(self, at: Visiting) -> list[World] | None:
        """Outputs by the whole-model inference; None where they are not what it saw."""
        if at.scope.path:
            return None
        known = True
        for value in at.inputs:
            if value is not None:
                if not value.as_whole:
                    return None
                known = known and value.main.is_known
        worlds = []
        for name in at.call.outputs:
            dense = self.types.get(name)
            if dense is None:
                return None
            worlds.append(World(dense=dense))
        small = known and all(map(_IS_SMALL, worlds))
        if small or at.call.op_type in ("Shape", "Size"):
            mains = [value.main if value is not None else None for value in at.inputs]
            evaluate_outputs(at.node, mains, worlds, at.operator.opset)
        return worlds

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

    def infer(self, at: Visiting) -> Inferred:
        """Output types of a node by onnx and the plugin that serves it."""
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
            declared = declared_type(info, self.bound.symbols)
            if world.type is None or world.shape is None or World(type=declared).is_static:
                world.type = declared
                inferred.notes.append(f"type of {name!r} as declared in the file")

    # -- options ----------------------------------------------------------------------------

    def trips_given(self, node: onnx.NodeProto, index: int) -> int | None:
        """Trip count that the user gave for a loop, by index or name."""
        for key in (str(index), node.name):
            if key and key in self.bindings.trips:
                self.used_trips.add(key)
                return self.bindings.trips[key]
        return None

    def _check_options(self, scope: Scope) -> None:
        if not self.bindings.strict:
            return
        produced = {info.name for view in self.views.values() for info in view.outputs if info}
        for key in self.bound.unused:
            if key.rpartition(":")[0] not in produced | set(scope.values):
                known = ", ".join(one.name for one in self.bound.dims) or "none"
                raise OptionError(
                    f"--dim {key}: {self.model.path} has no such dynamic dimension; it has: {known}"
                )
        if unused := sorted(set(self.bindings.trips) - self.used_trips):
            raise OptionError(
                f"--trip-count {unused[0]}: no Loop of unknown trip count has this index or name"
            )


def _is_constant(at: Visiting) -> bool:
    """True when a node computes from constants only, and a runtime may fold it."""
    known = False
    for value in at.inputs:
        if value is not None:
            if not value.info.constant:
                return False
            known = True
    return known and at.call.op_type not in _NEVER_FOLDED


def _extents(dims: Mapping[str, int]) -> dict[tuple[str, int], int]:
    found = {}
    for key, size in dims.items():
        name, _, axis = key.rpartition(":")
        if name and axis.isdecimal():
            found[name, int(axis)] = size
    return found
