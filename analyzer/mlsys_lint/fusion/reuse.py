"""How far apart a run's accesses to the same tensor lie: what a cache would have to hold.

The reuse distance of an access is the number of bytes that a run touches between the previous
access to the tensor and this one (Mattson et al., IBM Systems Journal 9(2), 1970): kernels go
through tensors from end to end, so all that the earlier one touched lies in between. Buffers of dead
tensors are used again, so it is never more than all that a run touches: its constants, its inputs
and the most that is alive at once. A constant was read a whole run ago; what is written goes to a
buffer that was given back lately, at about the distance of what is alive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Final

from mlsys_lint.errors import UnknownSizeError
from mlsys_lint.program import Op, Value
from mlsys_lint.records import OpCost, Touch

_VIEWS: Final = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"})


def touches_of(order: Sequence[Op]) -> Mapping[Op, tuple[Touch, ...]]:
    """What each operator reads and writes, in execution order; bodies are looked at on their own.

    Args:
        order: The operators of one graph, in execution order.
    """
    roots = _roots(order)
    alive, footprint = _working_sets(order, roots)
    last: dict[Value, int] = {}
    clock = 0
    found: dict[Op, tuple[Touch, ...]] = {}
    for place, op in enumerate(order):
        read = _distinct(op.reads(), roots)
        written = _distinct(op.outputs, roots)
        touches = []
        for value, nbytes in read.items():
            since = clock - last[value] if value in last else footprint
            kind = "weight" if value.stored else "read"
            touches.append(Touch(kind=kind, nbytes=nbytes, distance=min(since, footprint)))
        for value, nbytes in written.items():
            if value not in read:
                touches.append(Touch(kind="written", nbytes=nbytes, distance=alive[place]))
        for value in (*read, *written):
            last[value] = clock
        clock += sum(read.values()) + sum(written.values())
        found[op] = tuple(touches)
    return found


def taken(touches: Sequence[Touch], cost: OpCost) -> tuple[Touch, ...]:
    """The touches of a kernel that takes only a part of what it reads: rows of a table, a slice."""
    limits = {"weight": cost.weight_bytes, "read": cost.bytes_read - cost.weight_bytes}
    shares = {
        kind: min(1.0, limit / whole)
        for kind, limit in limits.items()
        if (whole := sum(one.nbytes for one in touches if one.kind == kind))
    }
    if all(share == 1 for share in shares.values()):
        return tuple(touches)
    return tuple(
        replace(one, nbytes=round(one.nbytes * shares.get(one.kind, 1.0))) for one in touches
    )


def _roots(order: Sequence[Op]) -> Mapping[Value, Value]:
    """View -> the value whose bytes it shows."""
    roots: dict[Value, Value] = {}
    for op in order:
        source = op.input(0)
        if op.op_type in _VIEWS and not op.domain and source is not None:
            for value in op.outputs:
                if value is not None:
                    roots[value] = roots.get(source, source)
    return roots


def _distinct(values: Iterable[Value | None], roots: Mapping[Value, Value]) -> dict[Value, int]:
    """Each value behind the views once, with its bytes; what has no size counts nothing."""
    found: dict[Value, int] = {}
    for value in values:
        if value is not None:
            root = roots.get(value, value)
            found[root] = _nbytes(root)
    return found


def _nbytes(value: Value) -> int:
    try:
        return value.nbytes
    except UnknownSizeError:
        return 0


def _working_sets(order: Sequence[Op], roots: Mapping[Value, Value]) -> tuple[Sequence[int], int]:
    """Bytes of computed values alive at each operator, and all distinct bytes that a run touches."""
    made: dict[Value, int] = {}
    outer: dict[Value, int] = {}
    last: dict[Value, int] = {}
    for place, op in enumerate(order):
        for value in (*op.reads(), *op.outputs):
            if value is None:
                continue
            root = roots.get(value, value)
            last[root] = place
            if root.producer is not None:
                made.setdefault(root, place)
            else:
                outer[root] = _nbytes(root)
    steps = [0] * (len(order) + 1)
    for value, place in made.items():
        nbytes = _nbytes(value)
        steps[place] += nbytes
        steps[last[value] + 1] -= nbytes
    alive = list(accumulate(steps))
    return alive, max(alive) + sum(outer.values())
