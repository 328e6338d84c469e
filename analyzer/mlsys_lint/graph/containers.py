"""If, Loop, Scan and function calls: which bodies run, how often, and what they hand out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx

from mlsys_lint.graph.bodies import (
    Pair,
    either,
    extent_of,
    joined,
    pair_of,
    same_type,
    scalar,
    typed,
    with_axis,
    without_axis,
)
from mlsys_lint.graph.functions import without_inputs
from mlsys_lint.graph.ordering import subgraphs
from mlsys_lint.graph.scopes import Scope, Value
from mlsys_lint.graph.visit import Outcome, Place, Visiting
from mlsys_lint.records import TensorInfo
from mlsys_lint.worlds import World

if TYPE_CHECKING:
    from mlsys_lint.graph.functions import Body
    from mlsys_lint.graph.walker import _Walker

_ENDLESS: Final = 2**31
"""A trip count from here on is an exporter's way to say "until the condition fails"."""


def visit_function(walker: _Walker, at: Visiting, body: Body, key: str) -> Outcome:
    """A call: the body's nodes once, its inputs being the call's."""
    # graphs among the call's attributes (FlexAttention's modifiers) read the values around the call
    scope = Scope(_path(at, body.name), outer=at.scope if at.call.has_bodies else None)
    for name, value in zip(body.inputs, at.inputs, strict=False):
        if value is not None:
            scope.values[name] = value
    omitted = frozenset(body.inputs) - set(scope.values)
    place = replace(
        _inside(at, at.place.repeat),
        opsets=walker.imports_of(body, at.place),
        calls=(*at.place.calls, key),
        declared={},
    )
    nodes = without_inputs(body.nodes, omitted)
    results = walker.walk_nodes(nodes, body.outputs, scope, place)
    constant = all(value is None or value.info.constant for value in at.inputs) and bool(at.inputs)
    outputs = walker.put_results(at, [pair_of(one) for one in results], constant=constant)
    return Outcome(outputs=outputs, container=True, captured=scope.captured)


def visit_if(walker: _Walker, at: Visiting) -> Outcome:
    """A known condition runs its branch; else costing keeps the dearer one.

    A branch in which onnx's inference finds a contradiction to the given sizes can't run: then the
    other one does, whatever the condition says. Nodes of a branch that is not counted are listed
    with `repeat` 0.
    """
    condition = scalar(at.inputs[0]) if at.inputs else None
    graphs = dict(subgraphs(at.node))
    chosen = None if condition is None else "then_branch" if condition else "else_branch"
    note = f"the condition is constant: {chosen} runs"
    mark = walker.mark()
    walked = {name: _branch(walker, at, name, graphs[name], chosen) for name in graphs}
    if chosen is None:
        note = "the condition is not known: the dearer branch is counted"
        possible = [name for name, one in walked.items() if not one.failures]
        if len(walked) == 2 and len(possible) == 1:
            (chosen,) = possible
            (other,) = set(walked) - {chosen}
            note = f"{other} can't run with these sizes ({walked[other].failures[0]})"
            walker.rewind(mark)
            walked = {
                name: _branch(walker, at, name, graphs[name], chosen, reachable=name == chosen)
                for name in graphs
            }
    if chosen in walked:
        pairs = walked[chosen].results
    else:
        branches = [one.results for one in walked.values()]
        pairs = [either(*two) for two in zip(*branches, strict=False)] if len(walked) == 2 else []
    return Outcome(
        outputs=walker.put_results(at, pairs),
        container=True,
        captured={uid: info for one in walked.values() for uid, info in one.captured.items()},
        upper_bound=chosen is None,
        notes=(note,),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Branch:
    results: list[Pair]
    captured: dict[int, TensorInfo]
    failures: list[str]


def _branch(
    walker: _Walker,
    at: Visiting,
    name: str,
    graph: onnx.GraphProto,
    chosen: str | None,
    *,
    reachable: bool = True,
) -> _Branch:
    scope = Scope(_path(at, name), outer=at.scope)
    repeat = at.place.repeat if chosen in (None, name) else 0
    before = len(walker.plain.failures)
    place = replace(_inside(at, repeat), reachable=reachable and at.place.reachable)
    results = walker.walk_graph(graph, scope, place)
    failures = walker.plain.failures[before:]
    if chosen != name:  # one that may not run is no fault of the graph around it
        del walker.plain.failures[before:]
    return _Branch(
        results=[pair_of(one) for one in results], captured=scope.captured, failures=failures
    )


def visit_loop(walker: _Walker, at: Visiting) -> Outcome:
    """The body once, its repeat being the trip count; carried values keep or lose their sizes."""
    graph = dict(subgraphs(at.node)).get("body")
    if graph is None:
        return Outcome(outputs=[None] * len(at.call.outputs))
    states = [typed(pair_of(value)) for value in at.inputs[2:]]
    given = walker.trips_given(at.node, at.index)
    limit = at.inputs[0] if at.inputs else None
    trips = given if given is not None else _most(limit)
    goes_on = scalar(at.inputs[1]) if len(at.inputs) > 1 and at.inputs[1] else 1
    unknown = trips is None or trips >= _ENDLESS
    count = 0 if goes_on == 0 else 1 if unknown or trips is None else max(trips, 0)
    head = [Pair(World(dense=(onnx.TensorProto.INT64, ()))), Pair(_flag(goes_on))]
    results, scope = _walk_until_stable(walker, at, graph, head=head, states=states, count=count)
    ends_early = given is None and not (results and scalar(results[0]) == 1)
    at_most = given is None and (ends_early or (limit is not None and limit.alt is not None))
    inner = [pair_of(one) for one in results[1:]]
    carried, rows = inner[: len(states)], inner[len(states) :]
    pairs = [joined(*two) for two in zip(carried, states, strict=False)]
    extent = None if unknown else count
    pairs += [with_axis(one, 0, extent, at_most=at_most) for one in rows]
    return Outcome(
        outputs=walker.put_results(at, pairs),
        container=True,
        captured=scope.captured,
        upper_bound=at_most and not unknown,
        lower_bound=unknown,
        notes=_trip_notes(count, given, unknown=unknown, at_most=at_most),
    )


def _most(limit: Value | None) -> int | None:
    """The trip count; where it depends on data, at the data's maximum."""
    array = limit.main.array if limit is not None else None
    return int(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scan:
    """A Scan's inputs and axes; before opset 9 all values have a batch axis in front."""

    states: list[Pair]
    slices: list[Pair]
    lengths: list[int | None]
    batch: int | None
    out_axes: tuple[int, ...]


def _scan_of(at: Visiting) -> _Scan | None:
    old = at.operator.opset < 9
    inputs = [pair_of(value) for value in at.inputs[1 if old else 0 :]]
    lists = {one.name: tuple(one.ints) for one in at.node.attribute}
    scanned = next((one.i for one in at.node.attribute if one.name == "num_scan_inputs"), 0)
    if not 0 < scanned <= len(inputs):
        return None
    states, rows = inputs[:-scanned], inputs[-scanned:]
    batch = None
    if old:
        batch = extent_of(inputs[0].main, 0)
        states, rows = ([without_axis(one, 0) for one in some] for some in (states, rows))
    axes = () if old else lists.get("scan_input_axes", ())
    axes = axes or (0,) * scanned
    pairs = list(zip(rows, axes, strict=False))
    return _Scan(
        states=[typed(one) for one in states],
        slices=[without_axis(row, axis) for row, axis in pairs],
        lengths=[extent_of(row.main, axis) for row, axis in pairs],
        batch=(1 if batch is None else batch) if old else None,
        out_axes=() if old else lists.get("scan_output_axes", ()),
    )


def visit_scan(walker: _Walker, at: Visiting) -> Outcome:
    """The body once per element of the scanned axis (and, before opset 9, of the batch axis)."""
    graph, scan = dict(subgraphs(at.node)).get("body"), _scan_of(at)
    if graph is None or scan is None:
        return Outcome(outputs=walker.put_results(at, []))
    length = next((size for size in scan.lengths if size is not None), None)
    count = (1 if length is None else length) * (1 if scan.batch is None else scan.batch)
    results, scope = _walk_until_stable(
        walker, at, graph, head=[], states=scan.states, count=count, tail=scan.slices
    )
    inner = [pair_of(one) for one in results]
    pairs = [joined(*two) for two in zip(inner, scan.states, strict=False)]
    rows = inner[len(scan.states) :]
    axes = scan.out_axes or (0,) * len(rows)
    pairs += [with_axis(row, axis, length) for row, axis in zip(rows, axes, strict=False)]
    if scan.batch is not None:
        pairs = [with_axis(one, 0, scan.batch) for one in pairs]
    return Outcome(
        outputs=walker.put_results(at, pairs),
        container=True,
        captured=scope.captured,
        lower_bound=length is None,
        notes=_trip_notes(count, None, unknown=length is None, at_most=False),
    )


def _walk_until_stable(
    walker: _Walker,
    at: Visiting,
    graph: onnx.GraphProto,
    *,
    head: Sequence[Pair],
    states: Sequence[Pair],
    count: int,
    tail: Sequence[Pair] = (),
) -> tuple[list[Value | None], Scope]:
    """Walk a body; where a carried value changes its type, forget what changes and walk again."""
    current = list(states)
    mark = walker.mark()
    while True:
        scope = Scope(_path(at, "body"), outer=at.scope)
        for value, pair in zip(graph.input, [*head, *current, *tail], strict=False):
            walker.store.put(scope, value.name, pair.main, pair.alt)
        results = walker.walk_graph(graph, scope, _inside(at, at.place.repeat * count))
        first = 1 if head else 0  # a Loop's first result is its condition
        carried = [pair_of(one) for one in results[first:]]
        merged = [joined(*two) for two in zip(carried, current, strict=False)]
        if all(same_type(*two) for two in zip(merged, current, strict=False)):
            return results, scope
        current = [typed(one) for one in merged]
        walker.rewind(mark)


def _inside(at: Visiting, repeat: int) -> Place:
    return replace(at.place, repeat=repeat, owner=at.index, depth=at.place.depth + 1)


def _path(at: Visiting, name: str) -> str:
    """`7.then_branch/23.body`: owners by index, with the attribute or function they own."""
    return f"{at.scope.path}/{at.index}.{name}".lstrip("/")


def _flag(goes_on: int | None) -> World:
    """The condition that a Loop's body sees."""
    world = World(dense=(onnx.TensorProto.BOOL, ()))
    if goes_on is not None:
        world.set_array(np.asarray(bool(goes_on)))
    return world


def _trip_notes(count: int, given: int | None, *, unknown: bool, at_most: bool) -> tuple[str, ...]:
    if unknown:
        return ("the trip count is not known: one trip is counted; --trip-count INDEX=N sets it",)
    source = "as given" if given is not None else "from the file and the input sizes"
    more = "; at most: data may end it earlier" if at_most else ""
    return (f"{count} trips, {source}{more}",)
