"""The order in which ONNX Runtime executes a graph's operators."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlsys_lint.program.ops import Op

_INDEX = attrgetter("index")


def execution_order(ops: Iterable[Op]) -> list[Op]:
    """Reverse depth-first search over node indexes, ONNX Runtime's default (sequential) order.

    Sinks are visited from the highest index down, and an operator's producers likewise: of two
    branches, the one whose last operator stands later in the node list runs first (ONNX Runtime
    1.32.0, observed in the graphs that it saves; Graph::ReverseDFSFrom).
    """
    stack = [(op, False) for op in sorted(ops, key=_INDEX) if not _is_read(op)]
    entered: set[Op] = set()
    order: list[Op] = []
    while stack:
        op, done = stack.pop()
        if done:
            order.append(op)
        elif op not in entered:
            entered.add(op)
            stack.append((op, True))
            stack += [(one, False) for one in _producers(op) if one not in entered]
    return order


def listed_order(ops: Iterable[Op]) -> list[Op]:
    """The order of the file, or a valid one where the file's is none."""
    return list(ops)


def _is_read(op: Op) -> bool:
    return any(value is not None and value.readers for value in op.outputs)


def _producers(op: Op) -> list[Op]:
    found = {value.producer for value in op.reads() if value.producer is not None}
    home = op.program
    return sorted((one for one in found if one.program is home), key=_INDEX)
