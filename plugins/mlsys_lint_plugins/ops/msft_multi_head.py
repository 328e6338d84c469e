"""com.microsoft's attention on projected Q, K and V: multi-head, decoding, packed, grouped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec
from mlsys_lint_plugins.ops.attention import Heads, attention_cost, scores_and_values
from mlsys_lint_plugins.ops.inference import (
    Infer,
    element_type,
    given,
    integer,
    put,
    scalar_value,
    sizes,
    total,
)
from mlsys_lint_plugins.ops.msft_caches import FULL_CACHE, in_place, known_scalar
from mlsys_lint_plugins.ops.msft_spec import contrib

_NO_HEADS: Final = Declined("num_heads is required")
_FULL: Final = ("data-dependent: every sequence has full length",)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slots:
    """Positions of the optional inputs."""

    bias: int
    mask: int
    attention_bias: int
    past: int
    past_length: int


_MULTI_HEAD: Final = _Slots(bias=3, mask=4, attention_bias=5, past=6, past_length=8)
_DECODER: Final = _Slots(bias=10, mask=3, attention_bias=4, past=5, past_length=7)


def padded(node: NodeView, mask: int) -> tuple[str, ...]:
    """A mask of rank 1 holds lengths: kernels may stop at the end of each sequence."""
    lengths = node.optional_input(mask)
    return _FULL if lengths is not None and lengths.rank == 1 else ()


def _new_keys(node: NodeView, count: int) -> tuple[int, int, int]:
    """(new keys, width of a query head, width of a value head) for every form Q, K and V come in.

    Packed QKV [B, S, N, 3, D] or [B, S, 3 N D]; packed K and V [B, T, N, 2, D]; plain [B, T, N D];
    keys of another sequence that are stored as a cache is: [B, N, T, D].
    """
    q, key, value = node.input(0), node.optional_input(1), node.optional_input(2)
    if key is None:
        size = q.dims[4] if q.rank == 5 else q.dims[2] // (3 * count)
        return q.dims[1], size, size
    size = q.dims[2] // count
    if key.rank == 5:
        return key.dims[1], size, key.dims[4]
    if key.rank == 4:
        return key.dims[2], size, value.dims[3] if value is not None else size
    return key.dims[1], size, value.dims[2] // count if value is not None else size


def _cached(node: NodeView, slots: _Slots, fresh: int) -> int:
    """Keys before the new ones; a shared buffer holds at most its capacity of past and new keys."""
    past = node.optional_input(slots.past)
    if past is None:
        return 0
    if not _shares(node, slots):
        return past.dims[2]
    known = known_scalar(node.optional_input(slots.past_length))
    return max(0, past.dims[2] - fresh) if known is None else known


def _shares(node: NodeView, slots: _Slots) -> bool:
    """True where past and present are one buffer: MultiHeadAttention says so by past_sequence_length."""
    given_length = node.optional_input(slots.past_length) is not None
    return given_length or bool(node.integer("past_present_share_buffer", 0))


def _projected(node: NodeView, slots: _Slots) -> OpCost | Declined:
    q, count = node.input(0), node.integer("num_heads", 0)
    if not count:
        return _NO_HEADS
    fresh, size, value_size = _new_keys(node, count)
    cached = _cached(node, slots, fresh)
    heads = Heads(
        batch=q.dims[0],
        heads=count,
        queries=q.dims[1],
        keys=fresh + cached,
        size=size,
        value_size=value_size,
        past=cached,
    )
    biased = 0
    if node.optional_input(slots.bias) is not None:
        parts = (q, node.optional_input(1), node.optional_input(2))
        # Keys of another sequence (rank 4) come with their bias added.
        biased = sum(one.numel for one in parts if one is not None and one.rank != 4)
    masks = sum(node.optional_input(at) is not None for at in (slots.mask, slots.attention_bias))
    shared = node.optional_input(slots.past) is not None and _shares(node, slots)
    unknown = shared and known_scalar(node.optional_input(slots.past_length)) is None
    base = attention_cost(
        node,
        heads,
        causal=bool(node.integer("unidirectional", 0)),
        vector_ops=biased + heads.scores * (1 + masks),
        assumptions=(FULL_CACHE,) * unknown + padded(node, slots.mask),
    )
    caches = ((slots.past, 1), (slots.past + 1, 2))
    return in_place(base, node, caches, cached, fresh) if shared else base


def multi_head_attention(node: NodeView) -> OpCost | Declined:
    """com.microsoft.MultiHeadAttention: no projections; scores and weighted sum of attention_cost.

    Vector operations besides softmax: 1 per element of Q, K and V for a bias, 1 per score for the
    scale and for each of a padding mask and an attention bias. Where past and present share a
    buffer, only what is held is read and only what is new is written.
    """
    return _projected(node, _MULTI_HEAD)


def decoder_masked_attention(node: NodeView) -> OpCost | Declined:
    """com.microsoft.DecoderMaskedMultiHeadAttention: one query a sequence; as MultiHeadAttention."""
    return _projected(node, _DECODER)


def packed_cost(
    node: NodeView,
    heads: Heads,
    tokens: int,
    *,
    each: int,
    before: Sequence[Contraction] = (),
    vector_ops: int = 0,
) -> OpCost:
    """Cost of N tokens of B sequences that have at most S; `each` operations per score besides softmax.

    Scores are most where N // S sequences have full length and one has the rest.
    """
    full, rest = divmod(tokens, max(1, heads.queries))
    whole = replace(heads, batch=min(full, heads.batch))
    part = replace(heads, batch=int(full < heads.batch), queries=rest, keys=rest)
    products = scores_and_values(part, node.input(0).type_name) if part.scores else ()
    sure = heads.batch == 1 or tokens >= heads.batch * heads.queries
    return attention_cost(
        node,
        whole,
        causal=False,
        before=(*before, *products),
        vector_ops=vector_ops + part.softmax_ops + each * (whole.scores + part.scores),
        transcendentals=part.scores,
        assumptions=() if sure else ("data-dependent: as many sequences as can have full length",),
    )


def packed_multi_head_attention(node: NodeView) -> OpCost | Declined:
    """com.microsoft.PackedMultiHeadAttention: MultiHeadAttention without padded tokens: see packed_cost.

    Query [tokens, H] or [tokens, N, 3, D]; token_offset [B, S] tells how many sequences there are
    and the longest.
    """
    q, value, offsets = node.input(0), node.optional_input(2), node.input(4)
    count = node.integer("num_heads", 0)
    if not count:
        return _NO_HEADS
    size = q.dims[3] if q.rank == 4 else q.dims[1] // count
    batch, length = offsets.dims
    heads = Heads(
        batch=batch,
        heads=count,
        queries=length,
        keys=length,
        size=size,
        value_size=value.dims[1] // count if value is not None else size,
    )
    parts = (q, node.optional_input(1), value)
    given_bias = node.optional_input(3) is not None
    biased = sum(one.numel for one in parts if one is not None) if given_bias else 0
    each = 1 + (node.optional_input(6) is not None)
    return packed_cost(node, heads, q.dims[0], each=each, vector_ops=biased)


def _infer_projected(slots: _Slots) -> Infer:
    """[B, S, width of V], present keys and values [B, N, past + T, D], scores [B, N, S, total]."""

    def infer(context: InferenceContext) -> None:
        q, k, v = sizes(context, 0), sizes(context, 1), sizes(context, 2)
        if q is None or len(q) < 3:
            return
        count, kind = integer(context, "num_heads", 1), element_type(context, 0)
        keys, head, value_head = _inferred_keys(q, k, v, count)
        width = None if value_head is None else value_head * count
        put(context, 0, kind, (q[0], q[1], width))
        past = sizes(context, slots.past)
        joined: _Size | str = keys if past is None else total(past[2], keys)
        attended = joined
        shares = given(context, slots.past_length) or integer(context, "past_present_share_buffer")
        if past is not None and shares:
            joined, used = past[2], scalar_value(context, slots.past_length)
            attended = _at_most(past[2]) if used is None else total(used, keys)
        put(context, 1, kind, (q[0], count, joined, head))
        put(context, 2, kind, (q[0], count, joined, value_head))
        put(context, 3, kind, (q[0], count, q[1], attended))

    return infer


_Size = int | None


def _at_most(size: _Size) -> str | None:
    return None if size is None else f"max:{size}"


def _over(size: _Size, parts: int) -> _Size:
    return None if size is None else size // parts


def _inferred_keys(
    q: tuple[_Size, ...], k: tuple[_Size, ...] | None, v: tuple[_Size, ...] | None, count: int
) -> tuple[_Size, _Size, _Size]:
    """(new keys, width of a key head, width of a value head): see _new_keys."""
    if k is None:
        size = q[4] if len(q) == 5 else _over(q[2], 3 * count)
        return q[1], size, size
    size = _over(q[2], count)
    if len(k) == 5:
        return k[1], size, k[4]
    if len(k) == 4:
        return k[2], size, v[3] if v else size
    return k[1], size, _over(v[2], count) if v else size


def infer_packed_multi_head(context: InferenceContext) -> None:
    """[tokens, width of V]."""
    q, v = sizes(context, 0), sizes(context, 2)
    if q is None:
        return
    packed = len(q) == 4 and q[1] is not None and q[3] is not None
    width = q[1] * q[3] if packed else v[1] if v else None  # type: ignore[operator]
    put(context, 0, element_type(context, 0), (q[0], width))


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("MultiHeadAttention", multi_head_attention, _infer_projected(_MULTI_HEAD), (4, 8, 9)),
    contrib(
        "DecoderMaskedMultiHeadAttention",
        decoder_masked_attention,
        _infer_projected(_DECODER),
        (3, 7, 8, 9),
    ),
    contrib(
        "PackedMultiHeadAttention", packed_multi_head_attention, infer_packed_multi_head, (4, 5)
    ),
)
