"""Types of what bodies take and hand out: branches joined, iterations stacked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx

from mlsys_lint.graph.scopes import Value
from mlsys_lint.worlds import World, resized


def worlds_of(
    results: Sequence[Value | None], count: int
) -> tuple[list[World], list[World] | None]:
    """Both worlds of a body's results, padded to a node's outputs."""
    mains = [value.main if value else World() for value in results]
    alts = [value.alt or value.main if value else World() for value in results]
    moving = any(value is not None and value.alt is not None for value in results)
    return padded(mains, count), padded(alts, count) if moving else None


def either_branch(
    branches: Sequence[Sequence[Value | None]], count: int
) -> tuple[list[World], list[World] | None]:
    """Outputs of an If whose branch is not known: the larger size where branches differ."""
    if len(branches) < 2:
        return padded([], count), None
    mains, alts, moving = [], [], False
    for one, other in zip(*branches[:2], strict=False):
        first, second = (value.main if value else World() for value in (one, other))
        main, alt = World(type=_larger(first, second)), World(type=_smaller(first, second))
        moving = moving or main.shape != alt.shape
        mains.append(main)
        alts.append(alt)
    return padded(mains, count), padded(alts, count) if moving else None


def _larger(one: World, other: World) -> onnx.TypeProto | None:
    return _combined(one, other, max)


def _smaller(one: World, other: World) -> onnx.TypeProto | None:
    return _combined(one, other, min)


def _combined(one: World, other: World, choose: Callable[[int, int], int]) -> onnx.TypeProto | None:
    """A type that stands for both; a size that either lacks, or another rank, is unknown."""
    if one.type is None or other.type is None:
        return one.type or other.type
    left, right = one.shape, other.shape
    if left == right:
        return one.type
    if left is None or right is None or len(left) != len(right):
        return resized(one.type, None)
    sizes = tuple(
        None if first is None or second is None else choose(first, second)
        for first, second in zip(left, right, strict=True)
    )
    return resized(one.type, sizes)


def joined(value: Value | None, state: World) -> World:
    """Type of a carried value: sizes that an iteration changes are unknown."""
    if value is None or value.main.type is None:
        return World(type=state.type)
    one, other = value.main.shape, state.shape
    if one == other or state.type is None:
        return World(type=value.main.type)
    if one is None or other is None or len(one) != len(other):
        return World(type=resized(value.main.type, None))
    sizes = tuple(
        first if first == second else None for first, second in zip(one, other, strict=True)
    )
    return World(type=resized(value.main.type, sizes))


def same_type(one: World, other: World) -> bool:
    """True when two values agree in shape."""
    if (one.type is None) != (other.type is None):
        return False
    return one.shape == other.shape


def with_axis(value: Value | None, axis: int, size: int | None) -> World:
    """Type of a body's output stacked along a new axis."""
    if value is None:
        return World()
    shape = value.main.shape
    if shape is None:
        return World(type=value.main.type)
    place = axis if axis >= 0 else axis + len(shape) + 1
    return World(type=resized(value.main.type, (*shape[:place], size, *shape[place:])))


def without_axis(world: World, axis: int) -> World:
    """Type of one element along an axis."""
    shape = world.shape
    if shape is None or not -len(shape) <= axis < len(shape):
        return World(type=resized(world.type, None))
    place = axis % len(shape)
    return World(type=resized(world.type, (*shape[:place], *shape[place + 1 :])))


def extent_of(world: World, axis: int) -> int | None:
    """Size of an axis, None when unknown."""
    shape = world.shape
    return shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None


def scalar(value: Value | None) -> int | None:
    """The only element of a value, when it is known."""
    array = value.main.array if value is not None else None
    return int(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


def is_true(value: Value | None) -> bool:
    """True when a condition is known to hold."""
    return scalar(value) == 1


def padded(worlds: Sequence[World], count: int) -> list[World]:
    """As many worlds as a node has outputs."""
    missing = count - len(worlds)
    return [*worlds, *(World() for _ in range(missing))][:count]
