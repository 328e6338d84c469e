"""Walks of a Loop's or Scan's body: once for all trips, or trip by trip with known values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Final

import numpy as np
import onnx

from mlsys_lint.graph.bodies import Pair, either, joined, pair_of, same_type, scalar, typed
from mlsys_lint.graph.scopes import Scope, Value
from mlsys_lint.graph.visit import Visiting, inside, path_of
from mlsys_lint.records import TensorInfo
from mlsys_lint.worlds import World

if TYPE_CHECKING:
    from mlsys_lint.graph.walker import _Walker

_MOST_FOLLOWED: Final = 20_000
"""Nodes visited in one model to follow its loops; longer ones keep an unknown end."""


@dataclass(slots=True)
class Body:
    """The body of the Loop or Scan that is being visited."""

    walker: _Walker
    at: Visiting
    graph: onnx.GraphProto
    captured: dict[int, TensorInfo] = field(default_factory=dict)

    def walk(self, inputs: Sequence[Pair], trips: int) -> list[Value | None]:
        """Visit the body's nodes, `trips` being their repeat; return its results."""
        scope = Scope(path_of(self.at, "body"), outer=self.at.scope)
        for value, pair in zip(self.graph.input, inputs, strict=False):
            self.walker.store.put(scope, value.name, pair.main, pair.alt)
        place = inside(self.at, self.at.place.repeat * trips)
        results = self.walker.walk_graph(self.graph, scope, place)
        self.captured = scope.captured
        return results

    def walk_until_stable(
        self, head: Sequence[Pair], states: Sequence[Pair], tail: Sequence[Pair], trips: int
    ) -> list[Value | None]:
        """Walk; where a carried value changes its type, forget what changes and walk again."""
        current = [typed(one) for one in states]
        mark = self.walker.mark()
        while True:
            results = self.walk([*head, *current, *tail], trips)
            first = 1 if head else 0  # a Loop's first result is its condition
            carried = [pair_of(one) for one in results[first:]]
            merged = [joined(*two) for two in zip(carried, current, strict=False)]
            if all(same_type(*two) for two in zip(merged, current, strict=False)):
                return results
            current = [typed(one) for one in merged]
            self.walker.rewind(mark)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A Loop that was followed to its end.

    Attributes:
        trips: How often the body ran.
        largest: The carried values at the start of a trip: their largest sizes.
        final: The carried values at the end.
    """

    trips: int
    largest: list[Pair]
    final: list[Pair]


def head_of(trip: int | None) -> list[Pair]:
    """What a Loop's body is told: the trip's number, and that the condition holds."""
    number, holds = World(dense=(onnx.TensorProto.INT64, ())), World()
    holds.set_array(np.asarray(True))
    if trip is not None:
        number.set_array(np.asarray(trip, np.int64))
    return [Pair(number), Pair(holds)]


def follow(body: Body, states: list[Pair], most: int | None, *, ends: bool) -> Course | None:
    """Run a Loop on types and small values; None where its end is not known, or is too far.

    Args:
        body: The Loop's body.
        states: The carried values at the start.
        most: The trip count at most; None without one.
        ends: True when the body's condition may end the loop; False when it is overruled.
    """
    walker, trip = body.walker, 0
    starts = [states]
    goes_on: int | None = 1
    while goes_on and (most is None or trip < most):
        if walker.followed > _MOST_FOLLOWED:
            return None
        mark, before = walker.mark(), len(walker.visits)
        results = body.walk([*head_of(trip), *starts[-1]], 1)
        walker.followed += len(walker.visits) - before
        walker.rewind(mark)
        starts.append([pair_of(one) for one in results[1 : 1 + len(states)]])
        goes_on = scalar(results[0]) if ends and results else 1
        trip += 1
    if goes_on is None:
        return None
    begun = starts[:-1] or starts
    largest = [reduce(either, (one[at] for one in begun)) for at in range(len(states))]
    exact = states if trip == 1 else [typed(one) for one in largest]
    return Course(trips=trip, largest=exact, final=starts[-1])
