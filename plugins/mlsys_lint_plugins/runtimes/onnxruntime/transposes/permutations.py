"""Arithmetic on permutations of axes. `perm[i]` is the axis of the source that lands at place i."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias, TypeVar

Permutation: TypeAlias = tuple[int, ...]
Item = TypeVar("Item")


def permuted(items: Sequence[Item], perm: Permutation) -> tuple[Item, ...]:
    """Items in the order of a permutation: (N, C, H, W) by (0, 2, 3, 1) is (N, H, W, C)."""
    return tuple(items[axis] for axis in perm)


def inverse(perm: Permutation) -> Permutation:
    """The permutation that undoes it."""
    return tuple(sorted(range(len(perm)), key=perm.__getitem__))


def composed(first: Permutation, second: Permutation) -> Permutation:
    """One permutation that does what both do, the first one first."""
    return permuted(first, second)


def is_identity(perm: Permutation) -> bool:
    """True where nothing moves."""
    return perm == tuple(range(len(perm)))


def doubled(perm: Permutation) -> Permutation:
    """For lists of all starts and then all ends, as pads are."""
    return perm + tuple(axis + len(perm) for axis in perm)


def normal_axes(axes: Iterable[int], rank: int) -> tuple[int, ...] | None:
    """Axes counted from the front; None where one is out of range or repeated."""
    found = tuple(axis + rank if axis < 0 else axis for axis in axes)
    valid = len(set(found)) == len(found) and all(0 <= axis < rank for axis in found)
    return found if valid else None


def moved(axes: Iterable[int], perm: Permutation) -> tuple[int, ...]:
    """Axes of the result of a permutation as axes of its source."""
    return tuple(perm[axis] for axis in axes)


def without_axes(perm: Permutation, axes: Iterable[int]) -> Permutation:
    """What is left of a permutation when axes of its source are squeezed away."""
    gone = frozenset(axes)
    kept = [axis for axis in range(len(perm)) if axis not in gone]
    place = {axis: position for position, axis in enumerate(kept)}
    return tuple(place[axis] for axis in perm if axis not in gone)


def with_axes(perm: Permutation, axes: Iterable[int]) -> Permutation:
    """The permutation of a source with new axes of size 1, which stay where they are."""
    added = frozenset(axes)
    old = [axis for axis in range(len(perm) + len(added)) if axis not in added]
    rest = iter(perm)
    return tuple(
        axis if axis in added else old[next(rest)] for axis in range(len(perm) + len(added))
    )


def unsqueezed_axis(axis: int, axes: Iterable[int]) -> int:
    """Where an axis is after new axes were inserted."""
    for one in sorted(axes):
        axis += one <= axis
    return axis


def unsqueezed(sizes: Sequence[Item], axes: Sequence[int], one: Item) -> tuple[Item, ...]:
    """Sizes with `one` at the new axes."""
    rest = iter(sizes)
    return tuple(one if axis in axes else next(rest) for axis in range(len(sizes) + len(axes)))


def squeezed(sizes: Sequence[Item], axes: Iterable[int]) -> tuple[Item, ...]:
    """Sizes without some axes."""
    gone = {axis % len(sizes) for axis in axes}
    return tuple(size for axis, size in enumerate(sizes) if axis not in gone)


def channels_first(rank: int) -> Permutation:
    """From channels last to channels first: (0, 3, 1, 2) at rank 4."""
    return (0, rank - 1, *range(1, rank - 1))


def channels_last(rank: int) -> Permutation:
    """From channels first to channels last: (0, 2, 3, 1) at rank 4."""
    return (0, *range(2, rank), 1)
