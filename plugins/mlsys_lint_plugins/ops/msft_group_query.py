"""com.microsoft.GroupQueryAttention: several query heads share keys and values, which are cached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, TensorInfo
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
from mlsys_lint_plugins.ops.msft_caches import in_place, known_scalar, unread
from mlsys_lint_plugins.ops.msft_spec import contrib
from mlsys_lint_plugins.ops.rows import with_rows

_PAST, _SEQLENS, _TOTAL, _COS, _SIN, _POSITIONS = 3, 5, 6, 7, 8, 9
_BIAS, _SINK, _Q_NORM, _PADDED = 10, 11, 14, 16
_ONE_BUFFER: Final = "past and present are one buffer, as the cache has room"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    """Keys that are attended to: `held` from the cache, `fresh` ones after them.

    `static` says that the cache has room for the new ones, so that past and present may be one buffer.
    """

    held: int
    fresh: int
    static: bool = False

    @property
    def count(self) -> int:
        """All keys."""
        return self.held + self.fresh


def _keys(node: NodeView) -> _Keys:
    """What is attended to. Keys that another layer has appended come without new ones: [B, 0, Hkv D].

    total_sequence_length says how many keys there are; where it is not known, all past and all new
    keys. A window cache of capacity C holds what `_resident` says of the past ones.
    """
    key, past = node.optional_input(1), node.optional_input(_PAST)
    fresh = (key or node.input(0)).dims[1]
    capacity = past.dims[2] if past is not None else 0
    total = known_scalar(node.optional_input(_TOTAL))
    if total is None:
        return _Keys(held=capacity, fresh=fresh)
    before = max(0, total - fresh)
    if node.integer("sliding_window_cache", 0):
        window = node.integer("local_window_size", -1)
        return _Keys(held=_resident(before, capacity, window), fresh=fresh)
    return _Keys(held=before, fresh=fresh, static=past is not None and total <= capacity)


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
    read, of a cache what it holds. A cache that has room for the new keys may be updated in place:
    they are all that is written of it, and what a window hides from every query is not read.
    """
    keys = _keys(node)
    heads = grouped_heads(node, keys.count, max(0, keys.count - node.input(0).dims[1]))
    if isinstance(heads, Declined):
        return heads
    shared = node.integer("kv_num_heads", 0)
    biased = heads.scores if node.optional_input(_BIAS) is not None else 0
    scored, exponentials = score_work(node, heads, _SINK)
    prepared, roots = prepared_heads(
        node,
        heads.batch * (heads.queries * heads.heads + keys.fresh * shared),
        heads.size,
        cosines=_COS,
        norm=_Q_NORM,
    )
    base = attention_cost(
        node,
        heads,
        causal=bool(node.integer("causal", 1)),
        window=node.integer("local_window_size", -1),
        vector_ops=scored + biased + prepared + _quantization(node, heads, keys),
        transcendentals=exponentials + roots,
        read=[at for at in range(len(node.inputs)) if at not in (_COS, _SIN)],
        assumptions=_assumptions(node),
    )
    rows = heads.queries * (heads.batch if node.optional_input(_POSITIONS) is not None else 1)
    tables = [(one, rows) for one in rotary_tables(node, (_COS, _SIN))]
    return with_rows(_with_caches(node, base, keys, heads.past), tables)


def rotary_tables(node: NodeView, positions: Sequence[int]) -> list[TensorInfo]:
    """Cosines and sines, where they are used."""
    if not node.integer("do_rotary", 0):
        return []
    return [one for at in positions if (one := node.optional_input(at)) is not None]


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


def _quantization(node: NodeView, heads: Heads, keys: _Keys) -> int:
    kept = sum(node.text(name, "NONE") != "NONE" for name in ("k_quant_type", "v_quant_type"))
    scaled = keys.count if keys.held else 0
    elements = heads.batch * node.integer("kv_num_heads", 0) * heads.size
    return kept * elements * (QUANTIZE_OPS * keys.fresh + scaled)


def _with_caches(node: NodeView, base: OpCost, keys: _Keys, past: int) -> OpCost:
    """The cost without reading the rows of the caches that hold nothing, and in place where it may be.

    The first query sees from past + 1 - window on; a present of its own takes a copy of all rows.
    """
    window = node.integer("local_window_size", -1)
    unseen = max(0, past + 1 - window) if window > 0 else 0
    caches = ((_PAST, 1), (_PAST + 1, 2))
    if keys.static:
        shared = in_place(base, node, caches, max(0, keys.held - unseen), keys.fresh)
        return replace(shared, assumptions=(*base.assumptions, _ONE_BUFFER))
    empty = unread(node, [at for at, _ in caches], keys.held)
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
    one = node.optional_input(lengths)
    if node.input(0).dims[0] < 2 or one is None:
        return ()
    if one.value is not None and len(set(one.value.reshape(-1).tolist())) < 2:
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
    key = sizes(context, 1)
    fresh = q[1] if packed else key[1] if key and len(key) == 3 else None
    total = _total(context, fresh, past)
    stored = element_type(context, _PAST) or kind
    kept = total if past is None else _kept(context, past[2], fresh)
    # A cache of packed 4-bit values is narrower than a head.
    width = size if past is None else past[3]
    for position in (1, 2):
        put(context, position, stored, (q[0], shared, kept, width))
    put(context, 3, kind, (q[0], count, q[1], total))


def _total(context: InferenceContext, fresh: int | None, past: Sizes | None) -> int | str | None:
    known = scalar_value(context, _TOTAL)
    if known is not None or past is None:
        return fresh if known is None else known
    return None if past[2] is None or fresh is None else f"max:{past[2] + fresh}"


def _kept(context: InferenceContext, capacity: int | None, fresh: int | None) -> int | str | None:
    if integer(context, "sliding_window_cache") or capacity is None:
        return capacity
    known = scalar_value(context, _TOTAL)
    if known is not None:
        return max(known, capacity)
    return None if fresh is None else f"max:{capacity + fresh}"


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib(
        "GroupQueryAttention",
        group_query_attention,
        infer_group_query_attention,
        (_SEQLENS, _TOTAL, _POSITIONS, _PADDED),
    ),
)
