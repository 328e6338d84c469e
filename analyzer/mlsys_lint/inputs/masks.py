"""Masks that hide nothing: ones or zeros, as the operators that apply them tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy.typing as npt

from mlsys_lint.inputs.flow import Use

_ADDED: Final[Mapping[tuple[str, str], int]] = {
    # operators that add an input to the logits of attention
    ("", "Attention"): 3,
    ("com.microsoft", "Attention"): 5,
    ("com.microsoft", "MultiHeadAttention"): 5,
}
_BLANK: Final = -100.0
"""A factor or constant at most this large makes exp() of what it is added to vanish."""


def mask_recipe(uses: Sequence[Use], *, logical: bool) -> str:
    """`1`, or `0` where 1 would hide: a mask that is added, or one of positions to leave out.

    Evidence, the first that is found: Where takes the data on one side and a constant on the other;
    a product with a large negative constant; any other product or `1 - mask`; a sum.
    """
    selected = next((found for one in uses if (found := _selected(one)) is not None), None)
    if selected is not None:
        return "1" if selected else "0"
    factors = [one for one in uses if one.node.op_type == "Mul"]
    if any(_is_blank(one, 1 - one.position) for one in factors):
        return "0"
    if logical or factors or any(one.node.op_type == "Sub" for one in uses):
        return "1"
    return "0" if any(_is_added(one) for one in uses) else "1"


def _selected(use: Use) -> bool | None:
    """The condition under which a Where takes its data instead of the constant that blanks it."""
    if use.node.op_type != "Where" or use.position != 0 or len(use.constants) != 3:
        return None
    yes, no = (_greatest(constant) for constant in use.constants[1:])
    if yes is None and no is None:
        return None
    takes = yes is None or (no is not None and yes > no)
    return takes != use.negated


def _greatest(constant: npt.NDArray[Any] | None) -> float | None:
    """The greatest of a constant's numbers; texts have none."""
    if constant is None or not constant.size or constant.dtype.kind in "OSU":
        return None
    return float(constant.astype(float).max())


def _is_blank(use: Use, position: int) -> bool:
    factor = _greatest(use.constants[position]) if position < len(use.constants) else None
    return factor is not None and factor <= _BLANK


def _is_added(use: Use) -> bool:
    return use.node.op_type == "Add" or _ADDED.get(use.operator) == use.position
