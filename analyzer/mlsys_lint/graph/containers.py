"""If, Loop, Scan and function calls: which bodies run, how often, and what they hand out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx

from mlsys_lint.graph.ordering import subgraphs
from mlsys_lint.graph.scopes import Scope, Value
from mlsys_lint.records import TensorInfo
from mlsys_lint.worlds import World, resized, shape_of, take_value

if TYPE_CHECKING:
    from mlsys_lint.graph.functions import Body
    from mlsys_lint.graph.walker import Place, Visiting, _Walker

_ENDLESS: Final = 2**31
"""A trip count from here on is an exporter's way to say "until the condition fails"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a visit found: outputs, captured outer values, assumptions."""

    outputs: list[TensorInfo | None]
    container: bool = False
    captured: dict[int, TensorInfo] = field(default_factory=dict)
    upper_bound: bool = False
    lower_bound: bool = False
    notes: tuple[str, ...] = ()


def visit_function(walker: _Walker, at: Visiting, body: Body, key: str) -> Outcome:
    """A call: the body's nodes once, its inputs being the call's."""
    scope = Scope(_path(at, body.name))
    for name, value in zip(body.inputs, at.inputs, strict=False):
        if value is not None:
            scope.values[name] = value
    for name in body.inputs:
        scope.values.setdefault(name, Value(TensorInfo(name=name), World()))
    place = replace(
        _inside(at, at.place.repeat),
        opsets=walker.imports_of(body, at.place),
        calls=(*at.place.calls, key),
        declared={},
    )
    results = walker.walk_nodes(body.nodes, body.outputs, scope, place)
    mains, alts = _worlds(results, len(at.node.output))
    constant = all(value is None or value.info.constant for value in at.inputs) and bool(at.inputs)
    outputs = walker.put_outputs(at, mains, alts, constant=constant)
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
    count = len(at.node.output)
    if chosen is not None and chosen in results:
        mains, alts = _worlds(results[chosen], count)
        note = f"the condition is constant: {chosen} runs"
    else:
        mains, alts = _either(list(results.values()), count)
        note = "the condition is not known: the dearer branch is counted"
    outputs = walker.put_outputs(at, mains, alts)
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
        return Outcome(outputs=[None] * len(at.node.output))
    limit = _scalar(at.inputs[0]) if at.inputs else None
    goes_on = _scalar(at.inputs[1]) if len(at.inputs) > 1 and at.inputs[1] else 1
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
    ends_early = given is None and not _is_true(results[0] if results else None)
    carried, rows = results[1 : 1 + len(states)], results[1 + len(states) :]
    mains = [_joined(value, state) for value, state in zip(carried, states, strict=False)]
    mains += [_with_axis(value, 0, None if unknown else count) for value in rows]
    notes = _trip_notes(count, given, unknown=unknown, ends_early=ends_early)
    outputs = walker.put_outputs(at, _padded(mains, len(at.node.output)))
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
        graph is None or at.opset < 9 or not 0 < scanned <= len(at.inputs)
    ):  # Scan-8 has a batch axis
        return Outcome(outputs=walker.put_outputs(at, _padded([], len(at.node.output))))
    split = len(at.inputs) - scanned
    states = [value.main if value else World() for value in at.inputs[:split]]
    axes = lists.get("scan_input_axes") or (0,) * scanned
    slices = [
        _without_axis(value.main if value else World(), axis)
        for value, axis in zip(at.inputs[split:], axes, strict=False)
    ]
    lengths = [
        _extent(value.main if value else World(), axis)
        for value, axis in zip(at.inputs[split:], axes, strict=False)
    ]
    length = next((size for size in lengths if size is not None), None)
    count = 1 if length is None else length
    results, scope = _walk_until_stable(
        walker, at, graph, head=[], states=states, count=count, tail=slices
    )
    out_axes = lists.get("scan_output_axes") or (0,) * len(results[split:])
    mains = [_joined(value, state) for value, state in zip(results[:split], states, strict=False)]
    mains += [
        _with_axis(value, axis, length)
        for value, axis in zip(results[split:], out_axes, strict=False)
    ]
    notes = _trip_notes(count, None, unknown=length is None, ends_early=False)
    return Outcome(
        outputs=walker.put_outputs(at, _padded(mains, len(at.node.output))),
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
            walker.put(scope, value.name, world)
        place = _inside(at, at.place.repeat * count)
        results = walker.walk_graph(graph, scope, place)
        first = 1 if head else 0  # a Loop's first result is its condition
        merged = [
            _joined(value, state) for value, state in zip(results[first:], current, strict=False)
        ]
        if all(_same(one, other) for one, other in zip(merged, current, strict=False)):
            return results, scope
        current = merged
        walker.rewind(mark)


def _inside(at: Visiting, repeat: int) -> Place:
    return replace(at.place, repeat=repeat, owner=at.index, depth=at.place.depth + 1)


def _path(at: Visiting, name: str) -> str:
    """`7.then_branch/23.body`: owners by index, with the attribute or function they own."""
    return f"{at.scope.path}/{at.index}.{name}".lstrip("/")


def _worlds(results: Sequence[Value | None], count: int) -> tuple[list[World], list[World] | None]:
    mains = [value.main if value else World() for value in results]
    alts = [value.alt or value.main if value else World() for value in results]
    moving = any(value is not None and value.alt is not None for value in results)
    return _padded(mains, count), _padded(alts, count) if moving else None


def _either(
    branches: Sequence[Sequence[Value | None]], count: int
) -> tuple[list[World], list[World] | None]:
    """Outputs of an If whose branch is not known: the larger size where branches differ."""
    if len(branches) < 2:
        return _padded([], count), None
    mains, alts, moving = [], [], False
    for one, other in zip(*branches[:2], strict=False):
        first, second = (value.main if value else World() for value in (one, other))
        main, alt = World(type=_larger(first, second)), World(type=_smaller(first, second))
        moving = moving or shape_of(main.type) != shape_of(alt.type)
        mains.append(main)
        alts.append(alt)
    return _padded(mains, count), _padded(alts, count) if moving else None


def _larger(one: World, other: World) -> onnx.TypeProto | None:
    return _combined(one, other, max)


def _smaller(one: World, other: World) -> onnx.TypeProto | None:
    return _combined(one, other, min)


def _combined(one: World, other: World, choose: Callable[[int, int], int]) -> onnx.TypeProto | None:
    """A type that stands for both; a size that either lacks, or another rank, is unknown."""
    if one.type is None or other.type is None:
        return one.type or other.type
    left, right = shape_of(one.type), shape_of(other.type)
    if left == right:
        return one.type
    if left is None or right is None or len(left) != len(right):
        return resized(one.type, None)
    sizes = tuple(
        None if first is None or second is None else choose(first, second)
        for first, second in zip(left, right, strict=True)
    )
    return resized(one.type, sizes)


def _joined(value: Value | None, state: World) -> World:
    """Type of a carried value: sizes that an iteration changes are unknown."""
    if value is None or value.main.type is None:
        return World(type=state.type)
    one, other = shape_of(value.main.type), shape_of(state.type)
    if one == other or state.type is None:
        return World(type=value.main.type)
    if one is None or other is None or len(one) != len(other):
        return World(type=resized(value.main.type, None))
    sizes = tuple(
        first if first == second else None for first, second in zip(one, other, strict=True)
    )
    return World(type=resized(value.main.type, sizes))


def _same(one: World, other: World) -> bool:
    if (one.type is None) != (other.type is None):
        return False
    return shape_of(one.type) == shape_of(other.type)


def _with_axis(value: Value | None, axis: int, size: int | None) -> World:
    """Type of a body's output stacked along a new axis."""
    if value is None:
        return World()
    shape = shape_of(value.main.type)
    if shape is None:
        return World(type=value.main.type)
    place = axis if axis >= 0 else axis + len(shape) + 1
    return World(type=resized(value.main.type, (*shape[:place], size, *shape[place:])))


def _without_axis(world: World, axis: int) -> World:
    shape = shape_of(world.type)
    if shape is None or not -len(shape) <= axis < len(shape):
        return World(type=resized(world.type, None))
    place = axis % len(shape)
    return World(type=resized(world.type, (*shape[:place], *shape[place + 1 :])))


def _extent(world: World, axis: int) -> int | None:
    shape = shape_of(world.type)
    return shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None


def _scalar(value: Value | None) -> int | None:
    array = value.main.array if value is not None else None
    return int(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


def _flag(goes_on: int | None) -> World:
    """The condition that a Loop's body sees."""
    world = World(type=onnx.helper.make_tensor_type_proto(onnx.TensorProto.BOOL, ()))
    if goes_on is not None:
        take_value(world, np.asarray(bool(goes_on)))
    return world


def _is_true(value: Value | None) -> bool:
    return _scalar(value) == 1


def _padded(worlds: Sequence[World], count: int) -> list[World]:
    missing = count - len(worlds)
    return [*worlds, *(World() for _ in range(missing))][:count]


def _trip_notes(
    count: int, given: int | None, *, unknown: bool, ends_early: bool
) -> tuple[str, ...]:
    if unknown:
        return ("the trip count is not known: one trip is counted; --trip-count INDEX=N sets it",)
    source = "as given" if given is not None else "from the file and the input sizes"
    more = "; at most: the body may end it earlier" if ends_early else ""
    return (f"{count} trips, {source}{more}",)
