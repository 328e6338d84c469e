"""com.microsoft.SparseAttention: grouped queries that attend to blocks of keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec
from mlsys_lint_plugins.ops.attention import Heads, attention_cost
from mlsys_lint_plugins.ops.inference import element_type, given, integer, put, sizes
from mlsys_lint_plugins.ops.msft_group_query import grouped_heads, prepared_heads, ragged
from mlsys_lint_plugins.ops.msft_multi_head import FULL_CACHE, in_place, known_scalar
from mlsys_lint_plugins.ops.rows import with_rows

_PAST, _ROWS, _COLUMNS, _TOTAL, _COS, _SIN = 3, 5, 6, 7, 9, 10


def sparse_attention(node: NodeView) -> OpCost | Declined:
    """Scores and weighted sum of attention_cost, dense; `macs_masked` has what blocks and causality hide.

    Per score 1 for the scale; 3 per rotated element of Q and K (do_rotary). Past and present share
    their buffers: what is held is read, what is new is written. Where the block mask is not known,
    only causality hides.
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
    visible = visible_pairs(node, heads)
    notes = ragged(node, 8) + (FULL_CACHE,) * (total is None)
    notes += ("data-dependent: the block mask hides no block",) * (visible is None)
    base = attention_cost(
        node,
        heads,
        causal=True,
        vector_ops=heads.scores + prepared,
        read=[at for at in range(len(node.inputs)) if at not in (_COS, _SIN)],
        assumptions=notes,
    )
    if visible is not None:
        hidden = heads.heads * queries * keys - visible
        base = replace(base, macs_masked=hidden * heads.batch * 2 * heads.size)
    base = in_place(base, node, ((_PAST, 1), (_PAST + 1, 2)), heads.past, queries)
    tables = [one for at in (_COS, _SIN) if (one := node.optional_input(at)) is not None]
    return with_rows(base, [(one, queries) for one in tables])


def visible_pairs(node: NodeView, heads: Heads) -> int | None:
    """(query, key) pairs of all heads that the block mask and causality leave; heads take layouts in turn.

    Row r of a layout lists the blocks that queries of block r see.
    """
    rows, columns = node.input(_ROWS).value, node.input(_COLUMNS).value
    block = node.integer("sparse_block_size", 0)
    if rows is None or columns is None or not block:
        return None
    layouts = []
    for starts, seen in zip(rows.tolist(), columns.tolist(), strict=True):
        pairs = 0
        for position in range(heads.past, heads.past + heads.queries):
            row = position // block
            for at in seen[starts[row] : starts[row + 1]]:
                pairs += min(block, max(0, position + 1 - at * block))
        layouts.append(pairs)
    return sum(layouts[head % len(layouts)] for head in range(heads.heads))


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
    OperatorSpec(
        domain="com.microsoft",
        op_type="SparseAttention",
        since_version=1,
        estimate=sparse_attention,
        infer=infer_sparse_attention,
        shape_inputs=(_ROWS, _COLUMNS, _TOTAL, 8),
    ),
)
