"""If, Loop, Scan and function calls: which bodies run, how often, and what they hand out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx

from mlsys_lint.graph.bodies import (
    either_branch,
    extent_of,
    is_true,
    joined,
    padded,
    same_type,
    scalar,
    with_axis,
    without_axis,
    worlds_of,
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
    scope = Scope(_path(at, body.name))
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
    mains, alts = worlds_of(results, len(at.call.outputs))
    constant = all(value is None or value.info.constant for value in at.inputs) and bool(at.inputs)
    outputs = walker.store.put_outputs(at, mains, alts, constant=constant)
    return Outcome(outputs=outputs, container=True)


def visit_if(walker: _Walker, at: Visiting) -> Outcome:
    """A known condition runs its branch; else both are listed and costing keeps the dearer one."""
    condition = at.inputs[0].main.array if at.inputs and at.inputs[0] else None
    known = condition is not None and condition.size == 1
    chosen = None
    if known and condition is not None:
        chosen = "then_branch" if bool(condition.reshape(-1)[0]) else "else_branch"
    captured: dict[int, TensorInfo] = {}
    results: dict[str, list[Value | None]] = {}
    for name, graph in subgraphs(at.node):
        scope = Scope(_path(at, name), outer=at.scope)
        repeat = at.place.repeat if chosen in (None, name) else 0
        results[name] = walker.walk_graph(graph, scope, _inside(at, repeat))
        captured |= scope.captured
    count = len(at.call.outputs)
    if chosen is not None and chosen in results:
        mains, alts = worlds_of(results[chosen], count)
        note = f"the condition is constant: {chosen} runs"
    else:
        mains, alts = either_branch(list(results.values()), count)
        note = "the condition is not known: the dearer branch is counted"
    outputs = walker.store.put_outputs(at, mains, alts)
    return Outcome(
        outputs=outputs,
        container=True,
        captured=captured,
        upper_bound=chosen is None,
        notes=(note,),
    )


def visit_loop(walker: _Walker, at: Visiting) -> Outcome:
    """The body once, its repeat being the trip count; carried values keep or lose their sizes."""
    graph = next((graph for name, graph in subgraphs(at.node) if name == "body"), None)
    if graph is None:
        return Outcome(outputs=[None] * len(at.call.outputs))
    limit = scalar(at.inputs[0]) if at.inputs else None
    goes_on = scalar(at.inputs[1]) if len(at.inputs) > 1 and at.inputs[1] else 1
    states = [value.main if value else World() for value in at.inputs[2:]]
    given = walker.trips_given(at.node, at.index)
    trips = given if given is not None else limit
    unknown = trips is None or trips >= _ENDLESS
    count = 0 if goes_on == 0 else 1 if unknown or trips is None else max(trips, 0)
    head = [
        World(type=onnx.helper.make_tensor_type_proto(onnx.TensorProto.INT64, ())),
        _flag(goes_on),
    ]
    results, scope = _walk_until_stable(walker, at, graph, head=head, states=states, count=count)
    ends_early = given is None and not is_true(results[0] if results else None)
    carried, rows = results[1 : 1 + len(states)], results[1 + len(states) :]
    mains = [joined(value, state) for value, state in zip(carried, states, strict=False)]
    mains += [with_axis(value, 0, None if unknown else count) for value in rows]
    notes = _trip_notes(count, given, unknown=unknown, ends_early=ends_early)
    outputs = walker.store.put_outputs(at, padded(mains, len(at.call.outputs)))
    return Outcome(
        outputs=outputs,
        container=True,
        captured=scope.captured,
        upper_bound=ends_early and not unknown,
        lower_bound=unknown,
        notes=notes,
    )


def visit_scan(walker: _Walker, at: Visiting) -> Outcome:
    """The body once per element of the scanned axis (opset 9 and later)."""
    graph = next((graph for name, graph in subgraphs(at.node) if name == "body"), None)
    numbers = {one.name: one.i for one in at.node.attribute}
    lists = {one.name: tuple(one.ints) for one in at.node.attribute}
    scanned = numbers.get("num_scan_inputs", 0)
    if (
        graph is None or at.operator.opset < 9 or not 0 < scanned <= len(at.inputs)
    ):  # Scan-8 has a batch axis
        return Outcome(outputs=walker.store.put_outputs(at, padded([], len(at.call.outputs))))
    split = len(at.inputs) - scanned
    states = [value.main if value else World() for value in at.inputs[:split]]
    axes = lists.get("scan_input_axes") or (0,) * scanned
    slices = [
        without_axis(value.main if value else World(), axis)
        for value, axis in zip(at.inputs[split:], axes, strict=False)
    ]
    lengths = [
        extent_of(value.main if value else World(), axis)
        for value, axis in zip(at.inputs[split:], axes, strict=False)
    ]
    length = next((size for size in lengths if size is not None), None)
    count = 1 if length is None else length
    results, scope = _walk_until_stable(
        walker, at, graph, head=[], states=states, count=count, tail=slices
    )
    out_axes = lists.get("scan_output_axes") or (0,) * len(results[split:])
    mains = [joined(value, state) for value, state in zip(results[:split], states, strict=False)]
    mains += [
        with_axis(value, axis, length)
        for value, axis in zip(results[split:], out_axes, strict=False)
    ]
    notes = _trip_notes(count, None, unknown=length is None, ends_early=False)
    return Outcome(
        outputs=walker.store.put_outputs(at, padded(mains, len(at.call.outputs))),
        container=True,
        captured=scope.captured,
        lower_bound=length is None,
        notes=notes,
    )


def _walk_until_stable(
    walker: _Walker,
    at: Visiting,
    graph: onnx.GraphProto,
    *,
    head: Sequence[World],
    states: Sequence[World],
    count: int,
    tail: Sequence[World] = (),
) -> tuple[list[Value | None], Scope]:
    """Walk a body; where a carried value changes its type, forget what changes and walk again."""
    current = [World(type=state.type) for state in states]
    mark = walker.mark()
    while True:
        scope = Scope(_path(at, "body"), outer=at.scope)
        for value, world in zip(graph.input, [*head, *current, *tail], strict=False):
            walker.store.put(scope, value.name, world)
        place = _inside(at, at.place.repeat * count)
        results = walker.walk_graph(graph, scope, place)
        first = 1 if head else 0  # a Loop's first result is its condition
        merged = [
            joined(value, state) for value, state in zip(results[first:], current, strict=False)
        ]
        if all(same_type(one, other) for one, other in zip(merged, current, strict=False)):
            return results, scope
        current = merged
        walker.rewind(mark)


def _inside(at: Visiting, repeat: int) -> Place:
    return replace(at.place, repeat=repeat, owner=at.index, depth=at.place.depth + 1)


def _path(at: Visiting, name: str) -> str:
    """`7.then_branch/23.body`: owners by index, with the attribute or function they own."""
    return f"{at.scope.path}/{at.index}.{name}".lstrip("/")


def _flag(goes_on: int | None) -> World:
    """The condition that a Loop's body sees."""
    world = World(type=onnx.helper.make_tensor_type_proto(onnx.TensorProto.BOOL, ()))
    if goes_on is not None:
        world.set_array(np.asarray(bool(goes_on)))
    return world


def _trip_notes(
    count: int, given: int | None, *, unknown: bool, ends_early: bool
) -> tuple[str, ...]:
    if unknown:
        return ("the trip count is not known: one trip is counted; --trip-count INDEX=N sets it",)
    source = "as given" if given is not None else "from the file and the input sizes"
    more = "; at most: the body may end it earlier" if ends_early else ""
    return (f"{count} trips, {source}{more}",)
