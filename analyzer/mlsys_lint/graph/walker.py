"""The one pass over a model: each node in executable order, its bodies right after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Final

import numpy as np
import onnx

from mlsys_lint.errors import ModelError, OptionError
from mlsys_lint.graph.bodies import Pair, split
from mlsys_lint.graph.calls import Call, call_of
from mlsys_lint.graph.containers import visit_function, visit_if
from mlsys_lint.graph.functions import Body, Functions, schema_body
from mlsys_lint.graph.loops import visit_loop, visit_scan
from mlsys_lint.graph.model_types import model_types
from mlsys_lint.graph.ordering import topological_order
from mlsys_lint.graph.plain import PlainNodes
from mlsys_lint.graph.scopes import Scope, Value
from mlsys_lint.graph.store import ValueStore
from mlsys_lint.graph.structure import Frame, Graph
from mlsys_lint.graph.visit import Operator, Outcome, Place, Visiting, operator_of, view_of
from mlsys_lint.loading import LoadedModel, imported_versions
from mlsys_lint.maxima import settle_maxima
from mlsys_lint.operators import OperatorTable
from mlsys_lint.records import NodeView, TensorInfo
from mlsys_lint.shapes import Bindings, bind
from mlsys_lint.worlds import World

_CONTROL_FLOW: Final = {"If": visit_if, "Loop": visit_loop, "Scan": visit_scan}
_DONE: Final = Call(onnx.NodeProto(), "", "", "", [], [], {}, has_bodies=False)
"""Stands for a call that was visited: its texts make room for the records."""
_DEEPEST: Final = 64
"""Nesting of bodies beyond which a file is taken for damaged."""


def build(model: LoadedModel, bindings: Bindings, table: OperatorTable) -> Graph:
    """Walk a model with its sizes bound.

    Raises:
        ModelError: the graph is damaged (cycle, dangling value, endless function calls).
        OptionError: a size or trip count names nothing in the model.
    """
    with np.errstate(all="ignore"):  # small values are computed: any of them may overflow
        return _Walker(model, bindings, table).run()


class _Walker:
    def __init__(self, model: LoadedModel, bindings: Bindings, table: OperatorTable) -> None:
        self.model = model
        self.bindings = bindings
        self.table = table
        self.functions = Functions(model.proto.functions)
        self.bound = bind(model.proto, bindings)
        self.operators: dict[tuple[str, str, int], Operator] = {}
        self.views: dict[int, NodeView] = {}
        self.visits: list[int] = []
        self.frames: dict[str, Frame] = {}
        self.used_trips: set[str] = set()
        self.followed = 0
        """Nodes visited to follow loops trip by trip."""
        self.store = ValueStore()
        self.plain = PlainNodes(
            store=self.store,
            types=model_types(model.proto, self.bound.types, model.opsets.get("", 1)),
            extents=_extents(bindings.dims),
            symbols=self.bound.symbols,
            memo=table.memo,
            merges_declared=bindings.unbound,
        )
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
        calls = [call_of(node) for node in nodes]
        for texts in ("name", "op_type", "domain"):
            _check_texts(map(attrgetter(texts), calls), where)
        _check_texts([name for call in calls for name in call.attributes], where)
        order = topological_order(calls, scope.names(), where)
        first = 0 if not scope.path else self._reserve(len(calls))
        for position in order:
            call, calls[position] = calls[position], _DONE
            self._visit(call, first + position, scope, place)
        results = [scope.find(name) for name in outputs]
        missing = [name for name, value in zip(outputs, results, strict=True) if value is None]
        if missing and not scope.path:
            raise ModelError(f"{where}: nothing writes the graph output {missing[0]!r}")
        _check_texts(scope.values, where)
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
        return self._index, len(self.visits), self.store.last_uid, len(self.plain.failures)

    def rewind(self, mark: tuple[int, int, int, int]) -> None:
        """Forget the nodes visited since the mark."""
        self._index, kept, self.store.last_uid, failed = mark
        for index in self.visits[kept:]:
            scope = self.views.pop(index).scope
            self.frames.pop(scope, None)
        del self.visits[kept:]
        del self.plain.failures[failed:]

    def put_results(
        self, at: Visiting, pairs: Sequence[Pair], *, constant: bool = False
    ) -> list[TensorInfo | None]:
        """Enter what a container hands out; sizes that the user gave replace those found."""
        mains, alts = split(pairs, len(at.call.outputs))
        for worlds in (mains,) if alts is None else (mains, alts):
            settle_maxima(at.node, worlds, self.plain.extents)
        return self.store.put_outputs(at, mains, alts, constant=constant)

    # -- nodes ------------------------------------------------------------------------------

    def _visit(self, call: Call, index: int, scope: Scope, place: Place) -> None:
        self.visits.append(index)
        operator = self._operator(call, place)
        if operator.is_plain and not scope.path:
            view = self.plain.quick(call, index, scope, place, operator)
            if view is not None:
                self.views[index] = view
                return
        visiting = Visiting(
            node=call.node,
            call=call,
            index=index,
            scope=scope,
            place=place,
            operator=operator,
            inputs=[scope.find(name) if name else None for name in call.inputs],
        )
        outcome = self._contained(visiting) or self.plain.visit(visiting)
        self.views[index] = view_of(visiting, outcome, moving=self.store.moving)

    def _operator(self, call: Call, place: Place) -> Operator:
        key = (call.domain, call.op_type, place.opsets.get(call.domain, 1))
        found = self.operators.get(key)
        if found is None:
            plain = call.domain in place.opsets and not self.functions.has(key[0], key[1])
            found = operator_of(*key, self.table, plain=plain)
            self.operators[key] = found
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


def _check_texts(texts: Iterable[str], where: str) -> None:
    """Refuse texts that are not UTF-8: protobuf hands out bytes for them, which do not join."""
    try:
        "".join(texts)
    except TypeError as error:
        message = f"{where}: a name in it is not UTF-8; the file is damaged"
        raise ModelError(message) from error


def _extents(dims: Mapping[str, int]) -> dict[tuple[str, int], int]:
    found = {}
    for key, size in dims.items():
        name, _, axis = key.rpartition(":")
        if name and axis.isdecimal():
            found[name, int(axis)] = size
    return found
