"""com.microsoft.SparseAttention: grouped queries that attend to blocks of keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec
from mlsys_lint_plugins.ops.attention import Heads, attention_cost
from mlsys_lint_plugins.ops.inference import element_type, given, integer, put, sizes
from mlsys_lint_plugins.ops.msft_caches import FULL_CACHE, in_place, known_scalar
from mlsys_lint_plugins.ops.msft_group_query import (
    grouped_heads,
    prepared_heads,
    ragged,
    rotary_tables,
)
from mlsys_lint_plugins.ops.msft_spec import contrib
from mlsys_lint_plugins.ops.rows import with_rows

_PAST, _ROWS, _COLUMNS, _TOTAL, _COS, _SIN = 3, 5, 6, 7, 9, 10


def sparse_attention(node: NodeView) -> OpCost | Declined:
    """Scores and weighted sum of attention_cost, dense; `macs_masked` has what blocks and causality hide.

    Per score 1 for the scale; 3 per rotated element of Q and K (do_rotary). Past and present share
    their buffers: what is held and seen by a query is read, what is new is written. Where the block
    mask is not known, only causality hides.
    """
    queries, capacity = node.input(0).dims[1], node.input(_PAST).dims[2]
    total = known_scalar(node.optional_input(_TOTAL))
    keys = capacity if total is None else total
    heads = grouped_heads(node, keys, max(0, keys - queries))
    if isinstance(heads, Declined):
        return heads
    shared = node.integer("kv_num_heads", 0)
    prepared, _ = prepared_heads(
        node, heads.batch * queries * (heads.heads + shared), heads.size, cosines=_COS
    )
    layouts = _layouts(node)
    notes = ragged(node, 8) + (FULL_CACHE,) * (total is None)
    notes += ("data-dependent: the block mask hides no block",) * (layouts is None)
    base = attention_cost(
        node,
        heads,
        causal=True,
        vector_ops=heads.scores + prepared,
        read=[at for at in range(len(node.inputs)) if at not in (_COS, _SIN)],
        assumptions=notes,
    )
    base = in_place(base, node, ((_PAST, 1), (_PAST + 1, 2)), heads.past, queries)
    if layouts is not None:
        hidden = heads.heads * queries * keys - visible_pairs(layouts, heads)
        unseen = shared * heads.past - seen_rows(layouts, heads, shared)
        read = base.bytes_read - _bytes(node, heads.batch * unseen * heads.size)
        base = replace(
            base,
            macs_masked=hidden * heads.batch * 2 * heads.size,
            bytes_read=read,
            weight_bytes=min(base.weight_bytes, read),
        )
    return with_rows(base, [(one, queries) for one in rotary_tables(node, (_COS, _SIN))])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Blocks of keys that each block of queries sees: row r of a block mask."""

    block: int
    rows: tuple[tuple[int, ...], ...]

    def seen(self, position: int) -> tuple[int, ...]:
        """Blocks that the query at a position sees."""
        return self.rows[position // self.block]

    def keys(self, blocks: Iterable[int], end: int) -> int:
        """Keys of these blocks that stand before a position."""
        return sum(min(self.block, max(0, end - at * self.block)) for at in blocks)


def _layouts(node: NodeView) -> list[_Layout] | None:
    """Layouts of the block mask, which is stored by rows; None where it is not known."""
    rows, columns = node.input(_ROWS).value, node.input(_COLUMNS).value
    block = node.integer("sparse_block_size", 0)
    if rows is None or columns is None or not block:
        return None
    return [
        _Layout(block=block, rows=tuple(tuple(seen[a:b]) for a, b in pairwise(starts)))
        for starts, seen in zip(rows.tolist(), columns.tolist(), strict=True)
    ]


def visible_pairs(layouts: Sequence[_Layout], heads: Heads) -> int:
    """(query, key) pairs of all heads that the block mask and causality leave; heads take layouts in turn."""
    positions = range(heads.past, heads.past + heads.queries)
    pairs = [sum(one.keys(one.seen(at), at + 1) for at in positions) for one in layouts]
    return sum(pairs[head % len(pairs)] for head in range(heads.heads))


def seen_rows(layouts: Sequence[_Layout], heads: Heads, shared: int) -> int:
    """Rows of the past, over all heads of keys, that some query of some head of their group sees."""
    positions = range(heads.past, heads.past + heads.queries)
    blocks = [{block for at in positions for block in one.seen(at)} for one in layouts]
    group = heads.heads // shared
    each = (range(first, first + group) for first in range(0, heads.heads, group))
    unions = (set().union(*(blocks[head % len(blocks)] for head in part)) for part in each)
    return sum(layouts[0].keys(union, heads.past) for union in unions)


def _bytes(node: NodeView, elements: int) -> int:
    """Bytes of so many elements of each distinct cache."""
    pasts = {one.uid: one for at in (_PAST, _PAST + 1) if (one := node.optional_input(at))}
    return sum(one.nbytes * elements // max(1, one.numel) for one in pasts.values())


def infer_sparse_attention(context: InferenceContext) -> None:
    """[B, S, H D]; the caches keep their shapes."""
    q = sizes(context, 0)
    count, shared = integer(context, "num_heads"), integer(context, "kv_num_heads")
    if q is None or len(q) != 3 or not count or not shared:
        return
    parts = count if given(context, 1) else count + 2 * shared
    width = None if q[2] is None else q[2] // parts * count
    put(context, 0, element_type(context, 0), (q[0], q[1], width))
    for position in (1, 2):
        cache = sizes(context, _PAST + position - 1)
        if cache is not None:
            put(context, position, element_type(context, _PAST), cache)


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib(
        "SparseAttention", sparse_attention, infer_sparse_attention, (_ROWS, _COLUMNS, _TOTAL, 8)
    ),
)
