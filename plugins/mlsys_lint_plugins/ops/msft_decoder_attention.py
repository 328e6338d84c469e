"""com.microsoft: attention of an early decoder form, and Longformer's local and global attention."""

from __future__ import annotations

from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, TensorInfo, cost
from mlsys_lint_plugins.ops.attention import Heads, attention_cost
from mlsys_lint_plugins.ops.inference import element_type, integers, put, same_as, sizes, total
from mlsys_lint_plugins.ops.msft_spec import contrib

_CACHE, _STATIC, _USES, _HAS_STATE, _HAS_MASK = 6, 8, 9, 10, 11
_NO_HEADS: Final = Declined("num_heads is required")
_MASKED: Final = "data-dependent: has_key_padding_mask is true"
_NO_SWITCH: Final = Declined("static_kv, use_past and has_layer_state must be constants")


def _switch(node: NodeView, position: int) -> bool | None:
    flag = node.optional_input(position)
    return None if flag is None or flag.value is None else bool(flag.value.any())


def decoder_attention(node: NodeView) -> OpCost | Declined:
    """com.microsoft.DecoderAttention: query [S, B, H]; three flags choose what keys and values are.

    Self-attention projects them from the query and appends them to a cache that is used;
    cross-attention (static_kv) projects them from `key` [T, B, H], or takes a cache that is used as
    it is. MACs: B S H^2 for Q, 2 B H^2 per projected key, and those of attention_cost. A bias per
    projected element, the scale per score, a mask per score where has_key_padding_mask is true.
    """
    q, key, count = node.input(0), node.input(1), node.integer("num_heads", 0)
    static, uses, state = (_switch(node, at) for at in (_STATIC, _USES, _HAS_STATE))
    if not count:
        return _NO_HEADS
    if static is None or uses is None or state is None:
        return _NO_SWITCH
    length, batch, hidden = q.dims
    held = uses and state
    cached = node.input(_CACHE).dims[2] if held else 0
    fresh = (0 if held else key.dims[0]) if static else length
    heads = Heads(
        batch=batch,
        heads=count,
        queries=length,
        keys=cached + fresh,
        size=hidden // count,
        value_size=hidden // count,
        past=cached,
    )
    projections = _projections(q, (length, 1), (fresh, 2))
    masked = _switch(node, _HAS_MASK)
    hides = node.optional_input(5) is not None and masked is not False
    return attention_cost(
        node,
        heads,
        causal=False,
        before=projections,
        vector_ops=sum(one.m * one.n for one in projections) + heads.scores * (1 + hides),
        read=_read(static=static, cached=held, masked=hides),
        assumptions=(_MASKED,) if hides and masked is None else (),
    )


def _projections(q: TensorInfo, *parts: tuple[int, int]) -> list[Contraction]:
    """(rows of a sequence, results as wide as the input) -> products with the weights."""
    _, batch, hidden = q.dims
    return [
        Contraction(m=batch * rows, n=many * hidden, k=hidden, dtype=q.type_name)
        for rows, many in parts
        if rows
    ]


def _read(*, static: bool, cached: bool, masked: bool) -> list[int]:
    """Positions of the inputs that are needed."""
    used = [0, 2, 4, _STATIC, _USES, _HAS_STATE, _HAS_MASK]
    used += [1] if static and not cached else []
    used += [] if static and cached else [3]
    used += [_CACHE, _CACHE + 1] if cached else []
    return used + ([5] if masked else [])


def infer_decoder_attention(context: InferenceContext) -> None:
    """The query's shape; keys and values [B, heads, T, D] of all keys."""
    q, key, cache = sizes(context, 0), sizes(context, 1), sizes(context, _CACHE)
    if q is None or len(q) != 3:
        return
    kind, count = element_type(context, 0), _heads(context)
    put(context, 0, kind, q)
    flags = [integers(context, at) for at in (_STATIC, _USES, _HAS_STATE)]
    keys: int | None = None
    if all(flag is not None for flag in flags):
        static, uses, state = (bool(flag and flag[0]) for flag in flags)
        cached = (cache[2] if cache else None) if uses and state else 0
        fresh = (0 if uses and state else key[0] if key else None) if static else q[0]
        keys = total(cached, fresh)
    size = None if q[2] is None or not count else q[2] // count
    for position in (1, 2):
        put(context, position, kind, (q[1], count, keys, size))


def _heads(context: InferenceContext) -> int | None:
    attribute = context.get_attribute("num_heads")
    return int(attribute.i) if attribute is not None and attribute.i else None


def longformer_attention(node: NodeView) -> OpCost | Declined:
    """com.microsoft.LongformerAttention: W keys to each side, and G tokens that see and are seen by all.

    MACs: 3 B S H^2 for local Q, K and V, 2 B S H^2 for global K and V, B G H^2 for global Q; per
    head and sequence (pairs + S G) D twice for local rows, G S D twice for global ones; pairs are
    those within the window, cut at both ends. Vector operations: a bias per projected element, per
    score the scale and the mask, softmax (4 less 2 a row). At most all S tokens are global.
    """
    x, count, window = node.input(0), node.integer("num_heads", 0), node.integer("window", 0)
    if not count or not window:
        return Declined("num_heads and window are required")
    batch, length, hidden = x.dims
    chosen, size, kind = length, hidden // count, x.type_name
    local, everywhere = local_pairs(length, window) + length * chosen, chosen * length
    products = [
        Contraction(m=batch * rows, n=parts * hidden, k=hidden, dtype=kind)
        for rows, parts in ((length, 3), (length, 2), (chosen, 1))
    ]
    attended = [
        Contraction(batch=2 * batch * count, m=pairs, n=1, k=size, dtype=kind)
        for pairs in (local, everywhere)
    ]
    scores = batch * count * (local + everywhere)
    rows = batch * count * (length + chosen)
    return cost(
        node,
        kernel_class="attention",
        contractions=(*products, *attended),
        vector_ops=sum(one.m * one.n for one in products) + 6 * scores - 2 * rows,
        transcendentals=scores,
        assumptions=("data-dependent, at most: every token is global",),
    )


def local_pairs(length: int, window: int) -> int:
    """Pairs of positions that are at most `window` apart."""
    reach = min(window, length - 1) if length else 0
    return length + 2 * sum(length - far for far in range(1, reach + 1))


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib(
        "DecoderAttention",
        decoder_attention,
        infer_decoder_attention,
        (5, _STATIC, _USES, _HAS_STATE, _HAS_MASK),
    ),
    contrib("LongformerAttention", longformer_attention, same_as(0), (3, 6)),
)
