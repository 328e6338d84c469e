"""Loop and Scan: how often the body runs, and what it hands out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mlsys_lint.graph.bodies import (
    Pair,
    either,
    extent_of,
    joined,
    pair_of,
    scalar,
    typed,
    with_axis,
    without_axis,
)
from mlsys_lint.graph.iteration import Body, Course, follow, head_of
from mlsys_lint.graph.ordering import subgraphs
from mlsys_lint.graph.scopes import Value
from mlsys_lint.graph.visit import Outcome, Visiting

if TYPE_CHECKING:
    from mlsys_lint.graph.walker import _Walker

_ENDLESS: Final = 2**31
"""A trip count from here on is an exporter's way to say "until the condition fails"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trips:
    """How often a body runs.

    Attributes:
        count: Trips that are counted.
        unknown: Nothing tells the number: one trip is counted.
        at_most: Data may end the loop earlier.
        source: Where the count comes from.
    """

    count: int
    unknown: bool = False
    at_most: bool = False
    source: str = "from the file and the input sizes"

    @property
    def note(self) -> str:
        if self.unknown:
            return "the trip count is not known: one trip is counted; --trip-count INDEX=N sets it"
        more = "; at most: data may end it earlier" if self.at_most else ""
        return f"{self.count} trips, {self.source}{more}"


def visit_loop(walker: _Walker, at: Visiting) -> Outcome:
    """The body once, its repeat being the trip count; carried values keep or lose their sizes.

    Where the body decides on the end, or carries a list of tensors, the trips are followed one by
    one (iteration.py): small values may tell when the loop ends, and which tensors the list holds.
    """
    graph = dict(subgraphs(at.node)).get("body")
    if graph is None:
        return Outcome(outputs=[None] * len(at.call.outputs))
    body, states = Body(walker, at, graph), [pair_of(value) for value in at.inputs[2:]]
    given = walker.trips_given(at.node, at.index)
    trips, moves = _stated_trips(at, given)
    mark = walker.mark()
    results = body.walk_until_stable(head_of(None), states, (), trips.count)
    ends = given is None and not (results and scalar(results[0]) == 1)
    course = None
    knowable = trips.count and not walker.bindings.unbound  # a runtime does not look through loops
    if knowable and (ends or trips.unknown or any(one.main.is_sequence for one in states)):
        walker.rewind(mark)
        course = follow(body, states, None if trips.unknown else trips.count, ends=ends)
        trips = _followed(trips, course, ends=ends)
        first = 0 if trips.count == 1 and course is not None else None
        results = (
            body.walk_until_stable(head_of(None), states, (), trips.count)
            if course is None
            else body.walk([*head_of(first), *course.largest], trips.count)
        )
    trips = replace(trips, at_most=trips.at_most or moves)
    inner = [pair_of(one) for one in results[1:]]
    pairs = _carried(inner, states, course, at_most=trips.at_most)
    extent = None if trips.unknown or walker.bindings.unbound else trips.count
    pairs += [with_axis(one, 0, extent, at_most=trips.at_most) for one in inner[len(states) :]]
    return Outcome(
        outputs=walker.put_results(at, pairs),
        container=True,
        captured=body.captured,
        upper_bound=trips.at_most and not trips.unknown,
        lower_bound=trips.unknown,
        notes=(trips.note,),
    )


def _carried(
    inner: list[Pair], states: list[Pair], course: Course | None, *, at_most: bool
) -> list[Pair]:
    """What a Loop hands out of its carried values."""
    if course is None:
        return [joined(*two) for two in zip(inner, states, strict=False)]
    if at_most:  # data may end it after any trip
        return [either(*two) for two in zip(course.largest, course.final, strict=True)]
    return list(course.final)


def _stated_trips(at: Visiting, given: int | None) -> tuple[_Trips, bool]:
    """The trips that the user, or the file, states; and whether they depend on data."""
    if given is not None:
        return _Trips(count=given, source="as given"), False
    limit = at.inputs[0] if at.inputs else None
    condition = at.inputs[1] if len(at.inputs) > 1 else None
    if condition is not None and scalar(condition) == 0:
        return _Trips(count=0), False
    fed = condition is not None and scalar(condition) is None  # it may keep the loop from starting
    most = _most(limit)
    if most is None or most >= _ENDLESS:
        return _Trips(count=1, unknown=True), fed
    return _Trips(count=max(most, 0)), fed or (limit is not None and limit.alt is not None)


def _most(limit: Value | None) -> int | None:
    """The trip count; where it depends on data, at the data's maximum."""
    array = limit.main.array if limit is not None else None
    return int(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


def _followed(trips: _Trips, course: Course | None, *, ends: bool) -> _Trips:
    """The trips after an attempt to follow them."""
    if course is None:
        return replace(trips, at_most=ends and not trips.unknown)
    if course.trips == trips.count and not trips.unknown:
        return trips
    return _Trips(count=course.trips, source="found by following its condition")


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
    body = Body(walker, at, graph)
    results = body.walk_until_stable([], scan.states, scan.slices, count)
    inner = [pair_of(one) for one in results]
    pairs = [joined(*two) for two in zip(inner, scan.states, strict=False)]
    rows = inner[len(scan.states) :]
    axes = scan.out_axes or (0,) * len(rows)
    pairs += [with_axis(row, axis, length) for row, axis in zip(rows, axes, strict=False)]
    if scan.batch is not None:
        pairs = [with_axis(one, 0, scan.batch) for one in pairs]
    trips = _Trips(count=count, unknown=length is None)
    return Outcome(
        outputs=walker.put_results(at, pairs),
        container=True,
        captured=body.captured,
        lower_bound=trips.unknown,
        notes=(trips.note,),
    )
