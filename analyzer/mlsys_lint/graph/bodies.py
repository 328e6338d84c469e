"""Types of what bodies take and hand out: branches joined, iterations stacked.

Everything is done in both worlds (worlds.py), so that a size that depends on data stays marked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mlsys_lint.graph.scopes import Value
from mlsys_lint.maxima import other_size
from mlsys_lint.onnx_types import resized
from mlsys_lint.records import Shape
from mlsys_lint.worlds import World


@dataclass(slots=True)
class Pair:
    """A value in both worlds; `alt` is None where they are the same."""

    main: World = field(default_factory=World)
    alt: World | None = None

    @property
    def other(self) -> World:
        """The value in the world where data-dependent sizes are not at their maximum."""
        return self.main if self.alt is None else self.alt


def pair_of(value: Value | None) -> Pair:
    """Both worlds of a value; of an omitted one nothing is known."""
    return Pair() if value is None else Pair(value.main, value.alt)


def split(pairs: Sequence[Pair], count: int) -> tuple[list[World], list[World] | None]:
    """Outputs of a node with `count` outputs in both worlds, None where these are the same."""
    padded = [*pairs, *(Pair() for _ in range(count - len(pairs)))][:count]
    moving = any(one.alt is not None for one in padded)
    return [one.main for one in padded], [one.other for one in padded] if moving else None


def either(one: Pair, other: Pair) -> Pair:
    """A result of an If whose branch is not known: the larger size, marked where they differ."""
    if one.main.type is None or other.main.type is None:
        return one if other.main.type is None else other
    left, right = one.main.shape, other.main.shape
    if left is None or right is None or len(left) != len(right):
        return Pair(World(type=resized(one.main.type, None)))
    sizes = [
        None if first is None or second is None else max(first, second)
        for first, second in zip(left, right, strict=True)
    ]
    main = World(type=resized(one.main.type, tuple(sizes)))
    moving = [
        len(set(all_sizes)) > 1
        for all_sizes in zip(
            left, right, one.other.shape or left, other.other.shape or right, strict=True
        )
    ]
    return _marked(main, moving)


def _marked(main: World, moving: Sequence[bool]) -> Pair:
    """A value some of whose axes depend on data and stand at their maximum."""
    if main.shape is None or not any(moving):
        return Pair(main)
    sizes = tuple(
        other_size(size) if moves and size is not None else size
        for size, moves in zip(main.shape, moving, strict=True)
    )
    return Pair(main, World(type=resized(main.type, sizes)))


def joined(result: Pair, state: Pair) -> Pair:
    """A carried value: sizes that an iteration changes are unknown."""
    if result.main.type is None or state.main.type is None:
        return state if result.main.type is None else Pair(World(type=result.main.type))
    one, other = result.main.shape, state.main.shape
    if one is None or other is None or len(one) != len(other):
        return Pair(World(type=resized(result.main.type, None)))
    same = tuple(
        first if first == second else None for first, second in zip(one, other, strict=True)
    )
    moving = [
        size != first or size != second
        for size, first, second in zip(
            same, result.other.shape or one, state.other.shape or other, strict=False
        )
    ]
    return _marked(World(type=resized(result.main.type, same)), moving)


def same_type(one: Pair, other: Pair) -> bool:
    """True when two values agree in shape, in both worlds."""
    if (one.main.type is None) != (other.main.type is None):
        return False
    return one.main.shape == other.main.shape and one.other.shape == other.other.shape


def with_axis(result: Pair, axis: int, size: int | None, *, at_most: bool = False) -> Pair:
    """A body's output stacked along a new axis; `at_most`: the trips depend on data."""

    def stacked(world: World, extent: int | None) -> World:
        shape = world.shape
        if shape is None:
            return World(type=world.type)
        place = axis if axis >= 0 else axis + len(shape) + 1
        return World(type=resized(world.type, (*shape[:place], extent, *shape[place:])))

    moves = at_most and size is not None
    if result.alt is None and not moves:
        return Pair(stacked(result.main, size))
    extent = other_size(size) if moves and size is not None else size
    return Pair(stacked(result.main, size), stacked(result.other, extent))


def without_axis(value: Pair, axis: int) -> Pair:
    """One element along an axis."""

    def taken(world: World) -> World:
        shape: Shape | None = world.shape
        if shape is None or not -len(shape) <= axis < len(shape):
            return World(type=resized(world.type, None))
        place = axis % len(shape)
        return World(type=resized(world.type, (*shape[:place], *shape[place + 1 :])))

    return _lifted(taken, value)


def _lifted(function: Callable[[World], World], value: Pair) -> Pair:
    return Pair(function(value.main), None if value.alt is None else function(value.alt))


def typed(value: Pair) -> Pair:
    """The value without its elements: those of a later iteration are others."""
    return _lifted(lambda world: World(type=world.type), value)


def extent_of(world: World, axis: int) -> int | None:
    """Size of an axis, None when unknown."""
    shape = world.shape
    return shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None


def scalar(value: Value | None) -> int | None:
    """The only element of a value, when it is known."""
    if value is None or value.alt is not None:
        return None
    array = value.main.array
    return int(array.reshape(-1)[0]) if array is not None and array.size == 1 else None
