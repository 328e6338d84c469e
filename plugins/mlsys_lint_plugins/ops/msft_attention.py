"""com.microsoft's attention family and its positional embeddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, NodeView, OpCost, OperatorSpec, TensorInfo
from mlsys_lint_plugins.ops.attention import Heads, attention_cost, rotary_cost
from mlsys_lint_plugins.ops.inference import (
    Infer,
    element_type,
    integer,
    put,
    same_as,
    scalar_value,
    sizes,
)

_DOMAIN: Final = "com.microsoft"


def attention(node: NodeView) -> OpCost:
    """com.microsoft.Attention: projects Q, K and V ([B, S, I] x [I, Hq + Hk + Hv]), then attends.

    MACs: B * S * I * (Hq + Hk + Hv), and scores and weighted sum as in attention_cost. The bias
    counts once per projected element, a mask or attention bias once per score.
    """
    x, w = node.input(0), node.input(1)
    batch, length, width = x.dims
    parts = node.integers("qkv_hidden_sizes") or (w.dims[1] // 3,) * 3
    count = node.integer("num_heads", 1)
    past = node.optional_input(4)
    cached = past.dims[3] if past is not None else 0
    heads = Heads(
        batch=batch,
        heads=count,
        queries=length,
        keys=length + cached,
        size=parts[0] // count,
        value_size=parts[2] // count,
        past=cached,
    )
    projection = Contraction(m=batch * length, n=w.dims[1], k=width, dtype=x.type_name)
    biased = projection.m * projection.n if node.optional_input(2) is not None else 0
    extra = sum(node.optional_input(at) is not None for at in (3, 5))
    return attention_cost(
        node,
        heads,
        causal=bool(node.integer("unidirectional", 0)),
        score_ops=1 + extra,
        extra=(projection,),
        extra_ops=biased,
    )


def infer_attention(context: InferenceContext) -> None:
    """[B, S, Hv], and present [2, B, N, past + S, D]."""
    x, w = sizes(context, 0), sizes(context, 1)
    if x is None or w is None or w[1] is None:
        return
    attribute = context.get_attribute("qkv_hidden_sizes")
    parts = list(attribute.ints) if attribute is not None else []
    width = parts[2] if parts else w[1] // 3
    count = integer(context, "num_heads", 1)
    put(context, 0, element_type(context, 0), (x[0], x[1], width))
    past = sizes(context, 4)
    total = x[1] if past is None else None if x[1] is None or past[3] is None else x[1] + past[3]
    put(context, 1, element_type(context, 0), (2, x[0], count, total, width // count))


def multi_head_attention(node: NodeView) -> OpCost:
    """com.microsoft.MultiHeadAttention: no projections; Q [B, S, H], K and V [B, T, H].

    Packed K and V ([B, T, N, 2, D]), packed QKV ([B, S, N, 3, D]) and projected caches
    ([B, N, T, D]) are read as such. A bias counts once per element of Q, K and V, a mask and an
    attention bias once per score.
    """
    q = node.input(0)
    key, value, count = node.optional_input(1), node.optional_input(2), node.integer("num_heads", 1)
    batch, length = q.dims[:2]
    packed = q.rank == 5
    size = q.dims[4] if packed else q.dims[2] // count
    past = node.optional_input(6)
    cached = past.dims[2] if past is not None else 0
    fresh, value_size = _keys(key, value, length, size, count)
    heads = Heads(
        batch=batch,
        heads=count,
        queries=length,
        keys=fresh + cached,
        size=size,
        value_size=value_size,
        past=cached,
    )
    biased = 0
    if node.optional_input(3) is not None:
        biased = sum(tensor.numel for tensor in (q, key, value) if tensor is not None)
    extra = sum(node.optional_input(at) is not None for at in (4, 5))
    return attention_cost(
        node,
        heads,
        causal=bool(node.integer("unidirectional", 0)),
        score_ops=1 + extra,
        extra_ops=biased,
    )


def _keys(
    key: TensorInfo | None, value: TensorInfo | None, length: int, size: int, count: int
) -> tuple[int, int]:
    """(number of keys, width of a value head) for every form K and V come in."""
    if key is None:
        return length, size
    if key.rank == 5:  # packed K and V
        return key.dims[1], key.dims[4]
    if key.rank == 4:  # projected: [B, N, T, D]
        return key.dims[2], value.dims[3] if value is not None else size
    return key.dims[1], value.dims[2] // count if value is not None else size


def infer_multi_head_attention(context: InferenceContext) -> None:
    """[B, S, width of V], and present keys and values [B, N, past + T, D]."""
    q, k, v = sizes(context, 0), sizes(context, 1), sizes(context, 2)
    if q is None:
        return
    count, kind = integer(context, "num_heads", 1), element_type(context, 0)
    if len(q) == 5:
        width = None if q[4] is None or q[2] is None else q[2] * q[4]
        keys, head = q[1], q[4]
    elif v is None:
        width, keys = q[2], k[1] if k else q[1]
        head = None if width is None else width // count
    elif len(v) == 4:
        head, keys = v[3], v[2]
        width = None if head is None else head * count
    else:
        width, keys = v[2], v[1]
        head = None if width is None else width // count
    put(context, 0, kind, (q[0], q[1], width))
    past = sizes(context, 6)
    total = keys if past is None else None if keys is None or past[2] is None else keys + past[2]
    for position in (1, 2):
        put(context, position, kind, (q[0], count, total, head))


def group_query_attention(node: NodeView) -> OpCost:
    """com.microsoft.GroupQueryAttention: causal, K and V of fewer heads, cached.

    Keys are those of present_key: past and new ones. Rotary embedding inside (do_rotary) counts 3
    operations per element of Q and K.
    """
    q, key = node.input(0), node.optional_input(1)
    count, shared = node.integer("num_heads", 1), node.integer("kv_num_heads", 1)
    batch, length, width = q.dims
    size = width // count if key is not None else width // (count + 2 * shared)
    present = node.output(1).dims[2]
    heads = Heads(
        batch=batch,
        heads=count,
        queries=length,
        keys=present,
        size=size,
        value_size=size,
        past=present - length,
    )
    rotated = 3 * batch * length * size * (count + shared) if node.integer("do_rotary", 0) else 0
    return attention_cost(
        node,
        heads,
        causal=True,
        score_ops=1 + 2 * (node.attributes.get("softcap", 0.0) != 0.0),
        read=(0, 1, 2, 3, 4, 5, 6, 7, 8),
        extra_ops=rotated,
    )


def infer_group_query_attention(context: InferenceContext) -> None:
    """[B, S, H], present keys and values [B, Nkv, T, D]; T is total_sequence_length or more."""
    q, k, past = sizes(context, 0), sizes(context, 1), sizes(context, 3)
    if q is None or len(q) != 3:
        return
    kind = element_type(context, 0)
    count, shared = integer(context, "num_heads", 1), integer(context, "kv_num_heads", 1)
    packed = k is None
    size = None if q[2] is None else q[2] // (count + 2 * shared if packed else count)
    width = q[2] if not packed else None if size is None else size * count
    put(context, 0, kind, (q[0], q[1], width))
    total = scalar_value(context, 6)
    if total is None:
        total = q[1] if past is None else _sum(past[2], q[1])
    elif past is not None and past[2] is not None:
        total = max(total, past[2])
    for position in (1, 2):
        put(context, position, kind, (q[0], shared, total, size))


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def rotary_embedding(node: NodeView) -> OpCost:
    """com.microsoft.RotaryEmbedding: 3 operations per rotated element; positions are input 1."""
    return rotary_cost(node, node.input(0), (2, 3))


def _spec(
    name: str,
    estimate: Callable[[NodeView], OpCost],
    infer: Infer,
    shape_inputs: tuple[int, ...],
) -> OperatorSpec:
    return OperatorSpec(
        domain=_DOMAIN,
        op_type=name,
        since_version=1,
        estimate=estimate,
        infer=infer,
        shape_inputs=shape_inputs,
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    _spec("Attention", attention, infer_attention, (3, 6)),
    _spec("MultiHeadAttention", multi_head_attention, infer_multi_head_attention, (4,)),
    _spec("GroupQueryAttention", group_query_attention, infer_group_query_attention, (5, 6, 9)),
    _spec("RotaryEmbedding", rotary_embedding, same_as(0), (1,)),
)
