"""com.microsoft.GroupQueryAttention: several query heads share keys and values, which are cached."""

from __future__ import annotations

from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec
from mlsys_lint_plugins.ops.attention import Heads, attention_cost
from mlsys_lint_plugins.ops.inference import (
    element_type,
    given,
    integer,
    put,
    scalar_value,
    sizes,
    total,
)
from mlsys_lint_plugins.ops.msft_multi_head import known_scalar
from mlsys_lint_plugins.ops.rows import with_rows

_PAST, _SEQLENS, _TOTAL, _COS, _SIN, _POSITIONS, _BIAS, _Q_NORM = 3, 5, 6, 7, 8, 9, 10, 14


def _heads(node: NodeView) -> Heads | Declined:
    """Query [B, S, H D], or packed with K and V: [B, S, (H + 2 Hkv) D].

    T is total_sequence_length; where it is not known, all past and all new keys.
    """
    q, key, past = node.input(0), node.optional_input(1), node.optional_input(_PAST)
    count, shared = node.integer("num_heads", 0), node.integer("kv_num_heads", 0)
    if not count or not shared:
        return Declined("num_heads and kv_num_heads are required")
    batch, queries, width = q.dims
    size = width // (count + 2 * shared if key is None else count)
    fresh = queries if key is None else key.dims[1]
    keys = known_scalar(node.optional_input(_TOTAL))
    if keys is None:
        keys = fresh + (past.dims[2] if past is not None else 0)
    return Heads(
        batch=batch,
        heads=count,
        queries=queries,
        keys=keys,
        size=size,
        value_size=size,
        past=max(0, keys - queries),
    )


def group_query_attention(node: NodeView) -> OpCost | Declined:
    """com.microsoft.GroupQueryAttention: scores and weighted sum of attention_cost, causal by default.

    With local_window_size a query sees that many keys at most: `macs_masked` has the rest. Vector
    operations besides softmax: per score 1 for the scale, 1 for an attention bias, 2 and a tanh for
    a soft cap; 3 per rotated element of Q and K (do_rotary); 4 per element, 2 and a root per head
    and token for norms of Q and K. Attention sinks and the arithmetic of a quantized cache are not
    counted. Of the cosines and sines the rows of the tokens are read.
    """
    heads = _heads(node)
    if isinstance(heads, Declined):
        return heads
    capped = heads.scores if node.attributes.get("softcap", 0.0) != 0.0 else 0
    biased = heads.scores if node.optional_input(_BIAS) is not None else 0
    # Heads of Q and K over all tokens: what norms and rotation work on.
    vectors = heads.batch * heads.queries * (heads.heads + node.integer("kv_num_heads", 0))
    normed = vectors if node.optional_input(_Q_NORM) is not None else 0
    cos, sin = node.optional_input(_COS), node.optional_input(_SIN)
    rotated = 2 * cos.dims[1] if cos is not None else heads.size
    rotation = 3 * vectors * rotated if node.integer("do_rotary", 0) else 0
    base = attention_cost(
        node,
        heads,
        causal=bool(node.integer("causal", 1)),
        window=node.integer("local_window_size", -1),
        vector_ops=heads.scores + biased + 2 * capped + rotation + normed * (4 * heads.size + 2),
        transcendentals=capped + normed,
        read=[at for at in range(len(node.inputs)) if at not in (_COS, _SIN)],
        assumptions=_assumptions(node),
    )
    rows = heads.queries * (heads.batch if node.optional_input(_POSITIONS) is not None else 1)
    return with_rows(base, [(one, rows) for one in (cos, sin) if one is not None])


def _assumptions(node: NodeView) -> tuple[str, ...]:
    cached = node.optional_input(_PAST) is not None
    if cached and known_scalar(node.optional_input(_TOTAL)) is None:
        return ("data-dependent: total_sequence_length is all past and all new keys",)
    return ()


def infer_group_query_attention(context: InferenceContext) -> None:
    """[B, S, H D]; present keys and values [B, Hkv, T, D]; scores [B, H, S, T].

    T is total_sequence_length, or the capacity of the past buffer where that is larger.
    """
    q, past = sizes(context, 0), sizes(context, _PAST)
    count, shared = integer(context, "num_heads"), integer(context, "kv_num_heads")
    if q is None or len(q) != 3 or not count or not shared:
        return
    kind, packed = element_type(context, 0), not given(context, 1)
    size = None if q[2] is None else q[2] // (count + 2 * shared if packed else count)
    put(context, 0, kind, (q[0], q[1], None if size is None else size * count))
    keys = _keys(context, q[1], past)
    stored = element_type(context, _PAST) or kind
    # A cache of packed 4-bit values is narrower than a head.
    width = size if past is None else past[3]
    for position in (1, 2):
        put(context, position, stored, (q[0], shared, keys, width))
    put(context, 3, kind, (q[0], count, q[1], keys))


def _keys(
    context: InferenceContext, queries: int | None, past: tuple[int | None, ...] | None
) -> int | None:
    known = scalar_value(context, _TOTAL)
    if past is None:
        return queries if known is None else known
    if known is None:
        return total(past[2], queries)
    return None if past[2] is None else max(known, past[2])


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    OperatorSpec(
        domain="com.microsoft",
        op_type="GroupQueryAttention",
        since_version=1,
        estimate=group_query_attention,
        infer=infer_group_query_attention,
        shape_inputs=(_SEQLENS, _TOTAL, _POSITIONS, 16),
    ),
)
