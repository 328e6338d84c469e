"""com.microsoft's attention that projects Q, K and V itself, and its rotary embedding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec
from mlsys_lint_plugins.ops.attention import Heads, attention_cost, rotary_cost
from mlsys_lint_plugins.ops.inference import (
    Infer,
    element_type,
    integer,
    put,
    same_as,
    sizes,
    total,
)
from mlsys_lint_plugins.ops.linear import shift_ops
from mlsys_lint_plugins.ops.msft_caches import FULL_CACHE, in_place, known_scalar
from mlsys_lint_plugins.ops.msft_multi_head import packed_cost, padded
from mlsys_lint_plugins.ops.msft_spec import contrib


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slots:
    """Positions of optional inputs; -1: the operator has none."""

    mask: int = -1
    past: int = -1
    attention_bias: int = -1
    past_length: int = -1


_PLAIN: Final = _Slots(mask=3, past=4, attention_bias=5, past_length=6)
_QUANTIZED: Final = _Slots(mask=5, past=8)


def _has(node: NodeView, position: int) -> bool:
    return position >= 0 and node.optional_input(position) is not None


def _used(node: NodeView, slots: _Slots) -> int | None:
    """past_sequence_length, where it is known."""
    return known_scalar(node.optional_input(slots.past_length)) if slots.past_length > 0 else None


def _cached(node: NodeView, slots: _Slots) -> int:
    """Keys before the new ones: past is [2, B, N, P, D].

    With a shared buffer P is its capacity: past_sequence_length says how much of it is used; where
    that is not known, all but the new keys.
    """
    past = node.optional_input(slots.past)
    if past is None:
        return 0
    capacity, used = past.dims[3], _used(node, slots)
    if not node.integer("past_present_share_buffer", 0):
        return capacity
    return max(0, capacity - node.input(0).dims[1]) if used is None else used


def _shared(node: NodeView, slots: _Slots) -> bool:
    return _has(node, slots.past) and bool(node.integer("past_present_share_buffer", 0))


def _assumptions(node: NodeView, slots: _Slots) -> tuple[str, ...]:
    unknown = _shared(node, slots) and _used(node, slots) is None
    return (FULL_CACHE,) * unknown + padded(node, slots.mask)


def _stored(base: OpCost, node: NodeView, slots: _Slots, heads: Heads) -> OpCost:
    """The cost, with what a shared buffer does not move taken off."""
    if not _shared(node, slots):
        return base
    return in_place(base, node, ((slots.past, 1),), heads.past, heads.queries)


def _heads(node: NodeView, slots: _Slots) -> Heads | Declined:
    count = node.integer("num_heads", 0)
    if not count:
        return Declined("num_heads is required")
    batch, length, _ = node.input(0).dims
    parts = node.integers("qkv_hidden_sizes") or (node.input(1).dims[1] // 3,) * 3
    cached = _cached(node, slots)
    return Heads(
        batch=batch,
        heads=count,
        queries=length,
        keys=length + cached,
        size=parts[0] // count,
        value_size=parts[2] // count,
        past=cached,
    )


def _score_ops(node: NodeView, heads: Heads, *biases: int) -> int:
    """Per score 1 for the scale, 1 for each mask or bias that is given."""
    return heads.scores * (1 + sum(_has(node, position) for position in biases))


def _rotation(node: NodeView, heads: Heads) -> int:
    """do_rotary: 3 operations per rotated element of Q and K."""
    if not node.integer("do_rotary", 0):
        return 0
    size = node.integer("rotary_embedding_dim", 0) or heads.size
    return 3 * 2 * heads.batch * heads.queries * heads.heads * size


def attention(node: NodeView) -> OpCost | Declined:
    """com.microsoft.Attention: projects Q, K and V ([B, S, I] x [I, Hq + Hk + Hv]), then attends.

    MACs: B * S * I * (Hq + Hk + Hv), and scores and weighted sum as in attention_cost. The bias
    counts once per projected element, a mask or attention bias once per score. Of a square mask
    [B, 1, M, M] the part of the queries and keys is read.
    """
    x, w = node.input(0), node.input(1)
    heads = _heads(node, _PLAIN)
    if isinstance(heads, Declined):
        return heads
    projection = Contraction(
        m=heads.batch * heads.queries, n=w.dims[1], k=x.dims[2], dtype=x.type_name
    )
    biased = projection.m * projection.n if _has(node, 2) else 0
    base = attention_cost(
        node,
        heads,
        causal=bool(node.integer("unidirectional", 0)),
        before=(projection,),
        vector_ops=biased + _rotation(node, heads) + _score_ops(node, heads, 3, 5),
        assumptions=_assumptions(node, _PLAIN),
    )
    return _stored(_cut_mask(base, node, heads), node, _PLAIN, heads)


def _cut_mask(base: OpCost, node: NodeView, heads: Heads) -> OpCost:
    mask = node.optional_input(_PLAIN.mask)
    if mask is None or mask.rank != 4:
        return base
    needed = heads.batch * heads.queries * heads.keys
    unread = mask.nbytes - mask.nbytes * min(needed, mask.numel) // max(1, mask.numel)
    weights = base.weight_bytes - (unread if mask.constant else 0)
    return replace(base, bytes_read=base.bytes_read - unread, weight_bytes=weights)


def quantized_attention(node: NodeView) -> OpCost | Declined:
    """com.microsoft.QAttention: projects in 8 bits, rescales and adds the bias, attends in float.

    Zero points count 1 per element of input and weight, a projected element 2 (scale, bias).
    """
    x, w = node.input(0), node.input(1)
    heads = _heads(node, _QUANTIZED)
    if isinstance(heads, Declined):
        return heads
    projection = Contraction(
        m=heads.batch * heads.queries, n=w.dims[1], k=x.dims[2], dtype=x.type_name
    )
    rescaled = 2 * projection.m * projection.n + shift_ops(node, (0, 6), (1, 7))
    base = attention_cost(
        node,
        heads,
        causal=bool(node.integer("unidirectional", 0)),
        dtype=node.output().type_name,
        before=(projection,),
        vector_ops=rescaled + _rotation(node, heads) + _score_ops(node, heads, 5),
        assumptions=_assumptions(node, _QUANTIZED),
    )
    return _stored(base, node, _QUANTIZED, heads)


def packed_attention(node: NodeView) -> OpCost | Declined:
    """com.microsoft.PackedAttention: Attention without padded tokens: see packed_cost.

    Input [tokens, I]; token_offset [B, S] tells how many sequences there are and the longest.
    """
    x, w, offsets = node.input(0), node.input(1), node.input(3)
    count = node.integer("num_heads", 0)
    if not count:
        return Declined("num_heads is required")
    parts = node.integers("qkv_hidden_sizes") or (w.dims[1] // 3,) * 3
    batch, length = offsets.dims
    heads = Heads(
        batch=batch,
        heads=count,
        queries=length,
        keys=length,
        size=parts[0] // count,
        value_size=parts[2] // count,
    )
    projection = Contraction(m=x.dims[0], n=w.dims[1], k=x.dims[1], dtype=x.type_name)
    return packed_cost(
        node,
        heads,
        x.dims[0],
        each=1 + _has(node, 5),
        before=(projection,),
        vector_ops=projection.m * projection.n,
    )


def _value_width(context: InferenceContext) -> int | None:
    attribute = context.get_attribute("qkv_hidden_sizes")
    if attribute is not None and len(attribute.ints) == 3:
        return int(attribute.ints[2])
    weights = sizes(context, 1)
    return weights[1] // 3 if weights and weights[1] is not None else None


def _infer(slots: _Slots) -> Infer:
    """[B, S, Hv], and present [2, B, N, past + S, D] (a shared buffer keeps its shape)."""

    def infer(context: InferenceContext) -> None:
        x, width = sizes(context, 0), _value_width(context)
        if x is None or width is None:
            return
        kind = element_type(context, 3 if slots is _QUANTIZED else 0)
        put(context, 0, kind, (x[0], x[1], width))
        count = integer(context, "num_heads", 1)
        past = sizes(context, slots.past)
        keys = x[1] if past is None else total(past[3], x[1])
        if past is not None and integer(context, "past_present_share_buffer"):
            keys = past[3]
        put(context, 1, kind, (2, x[0], count, keys, width // count))

    return infer


def infer_packed(context: InferenceContext) -> None:
    """[tokens, Hv]."""
    x, width = sizes(context, 0), _value_width(context)
    if x is not None and width is not None:
        put(context, 0, element_type(context, 0), (x[0], width))


def rotary_embedding(node: NodeView) -> OpCost | Declined:
    """com.microsoft.RotaryEmbedding: 3 operations per rotated element; positions are input 1."""
    return rotary_cost(node, positions=1, caches=(2, 3))


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("Attention", attention, _infer(_PLAIN), (3, 6)),
    contrib("DecoderMaskedSelfAttention", attention, _infer(_PLAIN), (3, 6, 7, 8)),
    contrib("QAttention", quantized_attention, _infer(_QUANTIZED), (5,)),
    contrib("PackedAttention", packed_attention, infer_packed, (3, 4)),
    contrib("RotaryEmbedding", rotary_embedding, same_as(0), (1,)),
)
