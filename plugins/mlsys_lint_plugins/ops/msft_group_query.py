"""com.microsoft.GroupQueryAttention: several query heads share keys and values, which are cached."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec
from mlsys_lint_plugins.ops.attention import Heads, attention_cost
from mlsys_lint_plugins.ops.inference import (
    Sizes,
    element_type,
    given,
    integer,
    put,
    scalar_value,
    sizes,
)
from mlsys_lint_plugins.ops.msft_multi_head import known_scalar
from mlsys_lint_plugins.ops.rows import with_rows

_PAST, _SEQLENS, _TOTAL, _COS, _SIN, _POSITIONS = 3, 5, 6, 7, 8, 9
_BIAS, _SINK, _Q_NORM, _PADDED = 10, 11, 14, 16
QUANTIZE_OPS: Final = 4
"""Per element that goes into a cache of 8 or 4 bits: scale, round, clamp (min and max)."""


def grouped_heads(node: NodeView, keys: int, past: int) -> Heads | Declined:
    """Query [B, S, H D], or packed with K and V: [B, S, (H + 2 Hkv) D]."""
    q, count, shared = node.input(0), node.integer("num_heads", 0), node.integer("kv_num_heads", 0)
    if not count or not shared:
        return Declined("num_heads and kv_num_heads are required")
    batch, queries, width = q.dims
    size = width // (count + 2 * shared if node.optional_input(1) is None else count)
    return Heads(
        batch=batch,
        heads=count,
        queries=queries,
        keys=keys,
        size=size,
        value_size=size,
        past=past,
    )


def _keys(node: NodeView) -> tuple[int, int]:
    """(keys that are attended to, how many of them come from the cache).

    total_sequence_length says how many keys there are; where it is not known, all past and all new
    keys. A window cache of capacity C holds what `_resident` says of the past ones.
    """
    queries, past = node.input(0).dims[1], node.optional_input(_PAST)
    capacity = past.dims[2] if past is not None else 0
    total = known_scalar(node.optional_input(_TOTAL))
    if node.integer("sliding_window_cache", 0):
        before = capacity
        if total is not None:
            window = node.integer("local_window_size", -1)
            before = _resident(max(0, total - queries), capacity, window)
        return before + queries, before
    keys = queries + capacity if total is None else total
    return keys, max(0, keys - queries)


def _resident(tokens: int, capacity: int, window: int) -> int:
    """Tokens that a window cache still holds: it drops C - W + 1 at once when they exceed C."""
    step = max(1, capacity - window + 1)
    return tokens - step * max(0, -(-(tokens - capacity) // step))


def group_query_attention(node: NodeView) -> OpCost | Declined:
    """com.microsoft.GroupQueryAttention: scores and weighted sum of attention_cost, causal by default.

    With local_window_size a query sees that many keys at most: `macs_masked` has the rest. Vector
    operations besides softmax: per score 1 for the scale, 1 for an attention bias, 2 and a tanh for
    a soft cap; 3 per rotated element of Q and K (do_rotary); 4 per element, 1 and a root per head
    and token for norms of Q and K; per row 3 and an exp for an attention sink (it joins maximum,
    difference and sum). A quantized cache takes 4 per new element of K and V; what is in it when
    there is a past is scaled once per element. Of the cosines and sines the rows of the tokens are
    read, of a cache what it holds.
    """
    keys, past = _keys(node)
    heads = grouped_heads(node, keys, past)
    if isinstance(heads, Declined):
        return heads
    shared = node.integer("kv_num_heads", 0)
    biased = heads.scores if node.optional_input(_BIAS) is not None else 0
    scored, exponentials = score_work(node, heads, _SINK)
    prepared, roots = prepared_heads(
        node,
        heads.batch * heads.queries * (heads.heads + shared),
        heads.size,
        cosines=_COS,
        norm=_Q_NORM,
    )
    base = attention_cost(
        node,
        heads,
        causal=bool(node.integer("causal", 1)),
        window=node.integer("local_window_size", -1),
        vector_ops=scored + biased + prepared + _quantization(node, heads, shared),
        transcendentals=exponentials + roots,
        read=[at for at in range(len(node.inputs)) if at not in (_COS, _SIN)],
        assumptions=_assumptions(node),
    )
    cos, sin = node.optional_input(_COS), node.optional_input(_SIN)
    rows = heads.queries * (heads.batch if node.optional_input(_POSITIONS) is not None else 1)
    tables = [(one, rows) for one in (cos, sin) if one is not None]
    return with_rows(_without_room(node, base, past), tables)


def prepared_heads(
    node: NodeView, vectors: int, size: int, *, cosines: int, norm: int | None = None
) -> tuple[int, int]:
    """(operations, roots) of `vectors` heads of Q and K before they meet: norms and rotation."""
    normed = vectors if norm is not None and node.optional_input(norm) is not None else 0
    table = node.optional_input(cosines)
    rotated = 2 * table.dims[-1] if table is not None else size
    rotation = 3 * vectors * rotated if node.integer("do_rotary", 0) else 0
    return rotation + normed * (4 * size + 1), normed


def score_work(node: NodeView, heads: Heads, sink: int) -> tuple[int, int]:
    """(operations, transcendentals) besides softmax: scale, soft cap, attention sink."""
    capped = heads.scores if node.attributes.get("softcap", 0.0) != 0.0 else 0
    sinks = node.optional_input(sink) is not None or node.integer("smooth_softmax", 0) == 1
    rows = heads.rows if sinks else 0
    return heads.scores + 2 * capped + 3 * rows, capped + rows


def _quantization(node: NodeView, heads: Heads, shared: int) -> int:
    kept = sum(node.text(name, "NONE") != "NONE" for name in ("k_quant_type", "v_quant_type"))
    scaled = heads.keys if heads.past else 0
    return kept * heads.batch * shared * heads.size * (QUANTIZE_OPS * heads.queries + scaled)


def _without_room(node: NodeView, base: OpCost, past: int) -> OpCost:
    """The cost without reading the rows of the caches that hold nothing."""
    caches = {
        one.uid: one for at in (_PAST, _PAST + 1) if (one := node.optional_input(at)) is not None
    }
    empty = sum(
        one.nbytes * max(0, one.dims[2] - past) // one.dims[2]
        for one in caches.values()
        if one.dims[2]
    )
    return replace(base, bytes_read=max(base.weight_bytes, base.bytes_read - empty))


def _assumptions(node: NodeView) -> tuple[str, ...]:
    notes = ragged(node, _SEQLENS)
    if node.optional_input(_PADDED) is not None:
        notes += ("data-dependent: no token of a chunk is padding",)
    cached = node.optional_input(_PAST) is not None
    if cached and known_scalar(node.optional_input(_TOTAL)) is None:
        notes += ("data-dependent: total_sequence_length is all past and all new keys",)
    return notes


def ragged(node: NodeView, lengths: int) -> tuple[str, ...]:
    """Kernels stop at the end of each sequence; the longest of them is as long as the total."""
    given_lengths = node.optional_input(lengths)
    if node.input(0).dims[0] < 2 or given_lengths is None or given_lengths.value is not None:
        return ()
    return ("data-dependent: every sequence is as long as the longest",)


def infer_group_query_attention(context: InferenceContext) -> None:
    """[B, S, H D]; present keys and values [B, Hkv, P, D]; scores [B, H, S, T].

    T is total_sequence_length; P as well, or the capacity of the past buffer where that is larger
    or a window.
    """
    q, past = sizes(context, 0), sizes(context, _PAST)
    count, shared = integer(context, "num_heads"), integer(context, "kv_num_heads")
    if q is None or len(q) != 3 or not count or not shared:
        return
    kind, packed = element_type(context, 0), not given(context, 1)
    size = None if q[2] is None else q[2] // (count + 2 * shared if packed else count)
    put(context, 0, kind, (q[0], q[1], None if size is None else size * count))
    total = _total(context, q[1], past)
    stored = element_type(context, _PAST) or kind
    kept = total if past is None else _kept(context, past[2], q[1])
    # A cache of packed 4-bit values is narrower than a head.
    width = size if past is None else past[3]
    for position in (1, 2):
        put(context, position, stored, (q[0], shared, kept, width))
    put(context, 3, kind, (q[0], count, q[1], total))


def _total(context: InferenceContext, queries: int | None, past: Sizes | None) -> int | str | None:
    known = scalar_value(context, _TOTAL)
    if known is not None or past is None:
        return queries if known is None else known
    return None if past[2] is None or queries is None else f"max:{past[2] + queries}"


def _kept(context: InferenceContext, capacity: int | None, queries: int | None) -> int | str | None:
    if integer(context, "sliding_window_cache") or capacity is None:
        return capacity
    known = scalar_value(context, _TOTAL)
    if known is not None:
        return max(known, capacity)
    return None if queries is None else f"max:{capacity + queries}"


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    OperatorSpec(
        domain="com.microsoft",
        op_type="GroupQueryAttention",
        since_version=1,
        estimate=group_query_attention,
        infer=infer_group_query_attention,
        shape_inputs=(_SEQLENS, _TOTAL, _POSITIONS, _PADDED),
    ),
)
