"""Lengths that operators take beside their data: whole sequences, caches that are full."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mlsys_lint.inputs.constants import Shape
from mlsys_lint.inputs.flow import Use


def _recurrent(use: Use, _elements: int) -> str | None:
    """X is [steps, batch, features], or [batch, steps, features] with layout 1."""
    return _size(use, 0, axis=1 if use.integer("layout", 0) else 0)


def _reversed(use: Use, _elements: int) -> str | None:
    return _size(use, 0, axis=use.integer("time_axis", 0))


def _keys(use: Use, _elements: int) -> str | None:
    """Key positions of ONNX's Attention, past ones included: [batch, heads, past, size]."""
    return _sum(_steps(use, 1), _size(use, 4, axis=2) if _given(use, 4) else "0")


def _grouped_total(use: Use, _elements: int) -> str | None:
    """Past and new positions of GroupQueryAttention; past keys are [batch, heads, past, size]."""
    return _sum(_size(use, 0, axis=1), _size(use, 3, axis=2) if _given(use, 3) else "0")


def _grouped_last(use: Use, elements: int) -> str | None:
    """The last position: seqlens_k is the total length minus 1."""
    return _sum(_grouped_total(use, elements), "-1")


def _multi_head_padding(use: Use, elements: int) -> str | None:
    """Key lengths where there is one per batch; ones where there is one per key."""
    query = use.shapes[0]
    if query is None or len(query) < 2 or elements != query[0] or not use.whole:
        return "1"
    new = _steps(use, 1) if _given(use, 1) else str(query[1])
    return _sum(new, _size(use, 6, axis=2) if _given(use, 6) else "0")


def _packed_mask(use: Use, elements: int) -> str | None:
    """Likewise for com.microsoft's Attention, whose past is [2, batch, heads, past, size]."""
    data = use.shapes[0]
    if data is None or len(data) < 2 or elements != data[0] or not use.whole:
        return "1"
    return _sum(str(data[1]), _size(use, 4, axis=3) if _given(use, 4) else "0")


def _size(use: Use, position: int, *, axis: int) -> str | None:
    shape = _shape(use, position)
    return str(shape[axis]) if shape is not None and axis < len(shape) else None


def _steps(use: Use, position: int) -> str | None:
    """Positions of a tensor that is [batch, steps, features] or [batch, heads, steps, features]."""
    shape = _shape(use, position)
    return str(shape[-2]) if shape is not None and len(shape) > 2 else None


def _shape(use: Use, position: int) -> Shape | None:
    return use.shapes[position] if position < len(use.shapes) else None


def _given(use: Use, position: int) -> bool:
    return position < len(use.node.input) and bool(use.node.input[position])


def _sum(*lengths: str | None) -> str | None:
    known = [int(one) for one in lengths if one is not None]
    return str(sum(known)) if len(known) == len(lengths) else None


LENGTHS: Final[Mapping[tuple[str, str, int], Callable[[Use, int], str | None]]] = {
    **{("", kind, 4): _recurrent for kind in ("GRU", "LSTM", "RNN")},
    ("com.microsoft", "AttnLSTM", 4): _recurrent,
    ("com.microsoft", "DynamicQuantizeLSTM", 4): _recurrent,
    ("", "ReverseSequence", 1): _reversed,
    ("", "Attention", 6): _keys,
    ("com.microsoft", "Attention", 3): _packed_mask,
    ("com.microsoft", "MultiHeadAttention", 4): _multi_head_padding,
    ("com.microsoft", "GroupQueryAttention", 5): _grouped_last,
    ("com.microsoft", "GroupQueryAttention", 6): _grouped_total,
}
"""By domain, operator and position of the input."""
