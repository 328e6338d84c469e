"""Predicted and executed kernels that stand for the same nodes, in one group.

Kernels with the same operator and the same nodes are partners. A group is a connected component of
kernels over the nodes they share, unless every kernel in it has a partner: then each pair is a
group. What a runtime inserts stands for no node: its partner is found by the tensor that it acts on,
else by its place among the other kernels or the kernel that reads what it makes; one without a
partner is charged to that reader.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from mlsys_lint.joining import ExecutedKernel
from mlsys_lint.validation.sides import Side

Group: TypeAlias = Hashable
_Token: TypeAlias = Callable[[Side], Hashable | None]

_NOWHERE: Final = frozenset[int]()


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """Positions of a group's kernels in the two lists; one of them may be empty."""

    predicted: tuple[int, ...]
    executed: tuple[int, ...]


def group_kernels(
    predicted: Sequence[Side], executed: Sequence[Side], known: Mapping[int, ExecutedKernel]
) -> tuple[list[Members], list[int]]:
    """Groups in the order of execution, and executed kernels that belong to none.

    Args:
        predicted: In the order of the prediction.
        executed: In the order of execution.
        known: What the saved graph says of the executed ones.
    """
    partner = _partners(predicted, executed)
    first, second = _components(predicted, executed, partner)
    neighbours = _Neighbours(executed, known)
    ours = {at: to for at, to in _next_ones(predicted) if at not in first and to in first}
    theirs = {one.at: neighbours.of(one.at, second) for one in executed if one.at not in second}
    charged = {at: second[to] for at, to in theirs.items() if to is not None}
    waiting: defaultdict[Group, deque[int]] = defaultdict(deque)
    for at, group in charged.items():
        waiting[known[at].op_type, group].append(at)
    for at, to in sorted(ours.items()):
        same = waiting[predicted[at].op.rpartition("::")[2], first[to]]
        if same:  # charged to the same kernel: partners after all
            charged[same.popleft()] = first[at] = ("pair", at)
        else:
            first[at] = first[to]
    for one in predicted:  # where no kernel stands for a node
        first.setdefault(one.at, ("alone", one.at))
    return _collected(first, second | charged), [at for at, to in theirs.items() if to is None]


def _partners(predicted: Sequence[Side], executed: Sequence[Side]) -> dict[int, int]:
    """Predicted -> executed; the i-th of several alike to the i-th."""
    found: dict[int, int] = {}
    after, before = _places(predicted, executed, step=-1), _places(predicted, executed, step=1)
    tokens: tuple[_Token, ...] = (
        lambda one: (one.op, one.key) if one.key else None,
        lambda one: (one.op, one.members) if one.members and not one.key else None,
        lambda one: (one.op, one.tensor) if one.tensor and not one.key else None,
        lambda one: None if one.key else (one.op, after[id(one)]),
        lambda one: None if one.key else (one.op, before[id(one)]),
    )
    for token in tokens:
        taken = set(found.values())
        waiting: defaultdict[Hashable, deque[int]] = defaultdict(deque)
        for one in executed:
            if one.at not in taken and (name := token(one)) is not None:
                waiting[name].append(one.at)
        for one in predicted:
            if one.at not in found and (same := waiting.get(token(one))):
                found[one.at] = same.popleft()
    return found


def _places(*lists: Sequence[Side], step: int) -> dict[int, frozenset[int]]:
    """Key of the nearest kernel with one, behind (step -1) or before."""
    found = {}
    for sides in lists:
        key = _NOWHERE
        for one in sides[::step]:
            key = one.key or key
            found[id(one)] = key
    return found


def _components(
    predicted: Sequence[Side], executed: Sequence[Side], partner: Mapping[int, int]
) -> tuple[dict[int, Group], dict[int, Group]]:
    """Group of each kernel that has a key or a partner, on both sides."""
    above: dict[Hashable, Hashable] = {}

    def root(one: Hashable) -> Hashable:
        while above.setdefault(one, one) != one:
            above[one] = above[above[one]]
            one = above[one]
        return one

    for one in (*predicted, *executed):
        start = min(one.key, default=None)
        for node in one.key:
            above[root(node)] = root(start)
    back = {theirs: ours for ours, theirs in partner.items()}
    mixed = {root(min(one.key)) for one in predicted if one.key and one.at not in partner}
    mixed |= {root(min(one.key)) for one in executed if one.key and one.at not in back}

    def group(one: Side, pair: int | None) -> Iterator[tuple[int, Group]]:
        if one.key and root(min(one.key)) in mixed:
            yield one.at, ("nodes", root(min(one.key)))
        elif pair is not None:
            yield one.at, ("pair", pair)

    return (
        dict(
            found
            for one in predicted
            for found in group(one, one.at if one.at in partner else None)
        ),
        dict(found for one in executed for found in group(one, back.get(one.at))),
    )


def _next_ones(sides: Sequence[Side]) -> Iterator[tuple[int, int]]:
    """Each kernel without a key with the nearest kernel that has one: behind, else before."""
    nearest = next((one.at for one in reversed(sides) if one.key), None)
    for one in reversed(sides):
        if one.key:
            nearest = one.at
        elif nearest is not None:
            yield one.at, nearest


class _Neighbours:
    """Who reads what an executed kernel makes, and who makes what it reads."""

    def __init__(self, executed: Sequence[Side], known: Mapping[int, ExecutedKernel]) -> None:
        self.known = known
        self.readers: dict[tuple[str, str], int] = {}
        self.makers: dict[tuple[str, str], int] = {}
        for one in executed:
            kernel = known[one.at]
            for name in kernel.inputs:
                self.readers.setdefault((kernel.scope, name), one.at)
            for name in kernel.outputs:
                self.makers[kernel.scope, name] = one.at

    def of(self, at: int, grouped: Mapping[int, Group]) -> int | None:
        """The nearest kernel with a group: along the readers, else along the makers."""
        reader = self._along(at, grouped, self.readers, lambda one: one.outputs)
        if reader is not None:
            return reader
        return self._along(at, grouped, self.makers, lambda one: one.inputs)

    def _along(
        self,
        at: int,
        grouped: Mapping[int, Group],
        links: Mapping[tuple[str, str], int],
        names: Callable[[ExecutedKernel], Sequence[str]],
    ) -> int | None:
        seen = set()
        while at not in grouped and at not in seen:
            seen.add(at)
            kernel = self.known[at]
            found = (links.get((kernel.scope, name)) for name in names(kernel))
            at = next((one for one in found if one is not None), at)
        return at if at in grouped else None


def _collected(first: Mapping[int, Group], second: Mapping[int, Group]) -> list[Members]:
    predicted: defaultdict[Group, list[int]] = defaultdict(list)
    executed: defaultdict[Group, list[int]] = defaultdict(list)
    for at in sorted(first):
        predicted[first[at]].append(at)
    for at in sorted(second):
        executed[second[at]].append(at)
    return [
        Members(predicted=tuple(predicted.get(one, ())), executed=tuple(executed.get(one, ())))
        for one in dict.fromkeys((*executed, *predicted))
    ]
