"""com.microsoft.AttnLSTM: an LSTM that attends to a memory at every step (Bahdanau)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec
from mlsys_lint_plugins.ops.inference import element_type, put, sizes
from mlsys_lint_plugins.ops.msft_spec import contrib
from mlsys_lint_plugins.ops.recurrent import CELLS, Sizes, recurrent_cost

_MEMORY, _STATES, _LENGTHS, _LAYER = 9, 11, 12, 13


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mechanism:
    """The memory [B, M, depth], its keys of `size`, the attention layer's width (0: none)."""

    entries: int
    depth: int
    size: int
    layer: int


def _mechanism(node: NodeView) -> _Mechanism:
    memory, layer = node.input(_STATES), node.optional_input(_LAYER)
    return _Mechanism(
        entries=memory.dims[1],
        depth=memory.dims[2],
        size=node.input(_MEMORY).dims[2],
        layer=0 if layer is None else layer.dims[2],
    )


def attn_lstm(node: NodeView) -> OpCost | Declined:
    """LSTM on [x, attention], then an attention to the memory, for each of D * T steps.

    MACs: the cell's with W as wide as x and attention together; once B M depth A for the keys; per
    step and sequence H A (query), M A (sum of v * tanh), M depth (context), (H + depth) times the
    attention layer's width. Vector operations besides the cell's: M A sums and as many tanh, softmax
    over M entries (4 M - 2, M exp).
    """
    steps, batch, _ = node.input(0).dims
    directions, _, inputs = node.input(1).dims
    cell, hidden = CELLS["LSTM"], node.input(2).dims[2]
    shape = Sizes(
        directions=directions,
        steps=steps,
        batch=batch,
        inputs=inputs,
        hidden=hidden,
        gates=cell.gates,
    )
    base = recurrent_cost(node, cell, shape, node.input(0))
    if isinstance(base, Declined):
        return base
    found = _mechanism(node)
    rows = directions * steps * batch
    scored = rows * found.entries * found.size
    notes = ("data-dependent: every memory has full length",)
    return replace(
        base,
        contractions=(*base.contractions, *_contractions(node, shape, found)),
        vector_ops=base.vector_ops + scored + rows * max(0, 4 * found.entries - 2),
        transcendentals=base.transcendentals + scored + rows * found.entries,
        assumptions=base.assumptions + notes * (node.optional_input(_LENGTHS) is not None),
    )


def _contractions(node: NodeView, shape: Sizes, found: _Mechanism) -> tuple[Contraction, ...]:
    kind = node.input(0).type_name
    steps, rows = shape.directions * shape.steps, shape.directions * shape.steps * shape.batch
    products = (
        # batch, m, n, k: keys, query, scores, context, attention layer
        (shape.directions, shape.batch * found.entries, found.size, found.depth),
        (steps, shape.batch, found.size, shape.hidden),
        (rows, found.entries, 1, found.size),
        (rows, 1, found.depth, found.entries),
        (steps, shape.batch, found.layer, shape.hidden + found.depth),
    )
    return tuple(
        Contraction(batch=batch, m=m, n=n, k=k, dtype=kind) for batch, m, n, k in products if n
    )


def infer_attn_lstm(context: InferenceContext) -> None:
    """Y [T, D, B, H], the last states [D, B, H]."""
    x, recurrent = sizes(context, 0), sizes(context, 2)
    if x is None or recurrent is None or len(x) != 3 or len(recurrent) != 3:
        return
    kind, state = element_type(context, 0), (recurrent[0], x[1], recurrent[2])
    put(context, 0, kind, (x[0], *state))
    put(context, 1, kind, state)
    put(context, 2, kind, state)


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("AttnLSTM", attn_lstm, infer_attn_lstm, (4, _LENGTHS)),
)
