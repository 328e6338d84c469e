"""Softmax that adds its mask itself, on CUDA only (bias_softmax_fusion.cc)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from mlsys_lint.program import Dim, Op, Program, Rule, rule
from mlsys_lint_plugins.runtimes.onnxruntime.cpu_kernels import version_of
from mlsys_lint_plugins.runtimes.onnxruntime.matching import follower

_TYPES: Final = frozenset({"float", "float16", "double"})
_ONE_AXIS: Final = 13
"""Version of Softmax before which it runs over all axes from its `axis` on, by default from 1."""
_Dims: TypeAlias = tuple[Dim, ...]


@rule("BiasSoftmaxFusion", "Add")
def bias_softmax(program: Program, op: Op) -> bool:
    """Softmax, over the last axis from version 13 on, and the Add of a mask broadcast before it.

    From the axis on both operands have the same sizes, numbers or symbols. Before it, the mask has
    ones where it differs: on the axes next to the softmax, or on the outermost ones, which it may
    lack as well.
    """
    softmax = follower(op, "Softmax")
    first, second = op.inputs
    if (
        softmax is None
        or first is None
        or second is None
        or not {first.dtype, second.dtype} <= _TYPES
    ):
        return False
    axis = _axis(softmax, max(first.rank or 0, second.rank or 0))
    if axis is None or not first.dims or not second.dims:
        return False
    found = _swapped(first.dims, second.dims, axis)
    if found is None:
        return False
    swapped, inner = found
    program.fuse(
        [op, softmax],
        "BiasSoftmax",
        [second, first] if swapped else [first, second],
        domain="com.microsoft",
        attributes={"axis": axis, "is_inner_broadcast": int(inner)},
    )
    return True


def _axis(softmax: Op, rank: int) -> int | None:
    """The first axis of the softmax; None where others follow it that are no part of it."""
    one_axis = version_of(softmax) >= _ONE_AXIS
    axis = softmax.integer("axis", -1 if one_axis else 1)
    axis += rank if axis < 0 else 0
    return None if one_axis and axis != rank - 1 else axis


def _swapped(first: _Dims, second: _Dims, axis: int) -> tuple[bool, bool] | None:
    """(the second operand is the data, the mask is broadcast along inner axes).

    None where neither operand is a mask.
    """
    size = max(len(first), len(second)) - axis
    if size > min(len(first), len(second)) or not all(map(_same, first[-size:], second[-size:])):
        return None
    one, other = first[:-size], second[:-size]
    if len(one) == len(other):
        outer = _common(one, other)
        swapped = outer < axis and one[outer] == 1
        if _are_ones((one if swapped else other)[outer:]):
            return swapped, True
    inner = _common(one[::-1], other[::-1])
    one, other = one[: len(one) - inner], other[: len(other) - inner]
    swapped = len(one) < len(other) or (len(one) == len(other) > 0 and one[-1] == 1)
    return (swapped, False) if _are_ones(one if swapped else other) else None


def _common(one: Sequence[Dim], other: Sequence[Dim]) -> int:
    """Number of first sizes that are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, pair in pairs if not _same(*pair)), min(len(one), len(other)))


def _same(one: Dim, other: Dim) -> bool:
    return one is not None and one == other


def _are_ones(dims: Sequence[Dim]) -> bool:
    return all(size == 1 for size in dims)


RULES: Final[tuple[Rule, ...]] = (bias_softmax,)
