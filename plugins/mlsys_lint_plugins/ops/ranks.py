"""What an operator needs its inputs and attributes to be; a node that differs is declined.

Onnx's checker refuses such models, a file that nobody checked may hold them all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from types import MappingProxyType
from typing import Final, TypeAlias

from mlsys_lint import Declined, NodeView, OpCost

Formula: TypeAlias = Callable[[NodeView], OpCost | Declined]
Fault: TypeAlias = Callable[[NodeView], str | None]
"""What is wrong with a node whose ranks are right; None: nothing."""
_ANY: Final[Mapping[int, int]] = MappingProxyType({})


def ranked(
    estimate: Formula,
    *,
    exactly: Mapping[int, int] = _ANY,
    least: Mapping[int, int] = _ANY,
    positive: Sequence[str] = (),
    along: bool = False,
    fault: Fault | None = None,
) -> Formula:
    """The formula, where the inputs at these positions have so many axes, or at least so many.

    The attributes `positive` hold nothing below 1; `along` says that `axis` is one of the first
    input's axes; `fault` looks at the rest. An input that is omitted, or whose rank is not known, is
    left to the formula.
    """

    @wraps(estimate)
    def guarded(node: NodeView) -> OpCost | Declined:
        reason = (
            _wrong_rank(node, exactly, least)
            or _wrong_attribute(node, positive)
            or (_wrong_axis(node) if along else None)
            or (fault(node) if fault is not None else None)
        )
        return estimate(node) if reason is None else Declined(reason)

    return guarded


def _wrong_rank(node: NodeView, exactly: Mapping[int, int], least: Mapping[int, int]) -> str | None:
    for position, tensor in enumerate(node.inputs):
        if tensor is None or tensor.shape is None:
            continue
        rank = len(tensor.shape)
        if rank != exactly.get(position, rank):
            return f"input {position} has rank {rank}, {node.op_type} takes {exactly[position]}"
        if rank < least.get(position, 0):
            return (
                f"input {position} has rank {rank}, {node.op_type} takes {least[position]} or more"
            )
    return None


def _wrong_attribute(node: NodeView, names: Sequence[str]) -> str | None:
    for name in names:
        value = node.attributes.get(name)
        values = value if isinstance(value, tuple) else (value,)
        if any(isinstance(one, int) and one < 1 for one in values):
            return f"attribute {name} holds a number below 1"
    return None


def _wrong_axis(node: NodeView) -> str | None:
    data = node.optional_input(0)
    if data is None or data.shape is None:
        return None
    rank, axis = max(1, len(data.shape)), node.integer("axis", -1)
    return None if -rank <= axis < rank else f"axis {axis} is none of the input's {rank}"
