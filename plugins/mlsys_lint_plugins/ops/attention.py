"""Scaled dot-product attention and rotary embeddings of ai.onnx (opset 23 and later)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mlsys_lint import Contraction, NodeView, OpCost, OperatorSpec, TensorInfo, cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Sizes of an attention: B batches, H query heads, S queries, T keys, D and Dv per head."""

    batch: int
    heads: int
    queries: int
    keys: int
    size: int
    value_size: int
    past: int = 0


def scores_and_values(heads: Heads, dtype: str) -> tuple[Contraction, Contraction]:
    """Q K^T: S * T * D, and P V: S * T * Dv MACs for each batch and query head.

    Grouped queries share K and V, which saves bytes and no MACs.
    """
    count = heads.batch * heads.heads
    return (
        Contraction(batch=count, m=heads.queries, n=heads.keys, k=heads.size, dtype=dtype),
        Contraction(batch=count, m=heads.queries, n=heads.value_size, k=heads.keys, dtype=dtype),
    )


def causal_pairs(heads: Heads) -> int:
    """(query, key) pairs above the diagonal: query i sees keys 0 .. past + i."""
    visible = sum(min(heads.keys, heads.past + i + 1) for i in range(heads.queries))
    return heads.queries * heads.keys - visible


def attention_cost(
    node: NodeView,
    heads: Heads,
    *,
    causal: bool,
    score_ops: int = 1,
    score_transcendentals: int = 1,
    read: Sequence[int] | None = None,
    extra: Sequence[Contraction] = (),
    extra_ops: int = 0,
) -> OpCost:
    """Cost of softmax(scale * Q K^T + bias) V, dense; `macs_masked` is what a causal mask saves.

    Vector operations per score: `score_ops` (scale, mask, soft cap), and softmax's 4: maximum,
    subtraction, sum, division (less 2 per row); one exp per score.
    """
    dtype = node.input(0).type_name
    rows = heads.batch * heads.heads * heads.queries
    scores = rows * heads.keys
    masked = causal_pairs(heads) * heads.batch * heads.heads if causal else 0
    return cost(
        node,
        kernel_class="attention",
        contractions=(*extra, *scores_and_values(heads, dtype)),
        vector_ops=scores * (score_ops + 4) - 2 * rows * (heads.keys > 0) + extra_ops,
        transcendentals=scores * score_transcendentals,
        macs_masked=masked * (heads.size + heads.value_size),
        read=read,
    )


def heads_of(node: NodeView) -> Heads:
    """Sizes of ai.onnx Attention: Q, K, V of rank 4 [B, H, S, D] or 3 [B, S, H * D]."""
    q, k, v = (node.input(position) for position in range(3))
    past = node.optional_input(4)
    cached = past.dims[2] if past is not None else 0
    if q.rank == 4:
        batch, heads, queries, size = q.dims
        return Heads(
            batch=batch,
            heads=heads,
            queries=queries,
            keys=k.dims[2] + cached,
            size=size,
            value_size=v.dims[3],
            past=cached,
        )
    heads, shared = node.integer("q_num_heads", 1), node.integer("kv_num_heads", 1)
    return Heads(
        batch=q.dims[0],
        heads=heads,
        queries=q.dims[1],
        keys=k.dims[1] + cached,
        size=q.dims[2] // heads,
        value_size=v.dims[2] // shared,
        past=cached,
    )


def attention(node: NodeView) -> OpCost:
    """ai.onnx Attention-23: no projections. Scores, softmax and weighted sum; see attention_cost.

    The scale counts once per score, a mask once more, a soft cap three times (division, product and
    a tanh). Copies into present_key and present_value move bytes only.
    """
    masked = node.optional_input(3) is not None
    capped = float(node.attributes.get("softcap", 0.0) or 0.0) != 0.0  # type: ignore[arg-type]
    return attention_cost(
        node,
        heads_of(node),
        causal=bool(node.integer("is_causal", 0)),
        score_ops=1 + masked + 2 * capped,
        score_transcendentals=1 + capped,
    )


def rotary_embedding(node: NodeView) -> OpCost:
    """x1' = x1 cos - x2 sin, x2' = x2 cos + x1 sin: 3 operations per rotated element.

    cos and sin come from caches, of which the rows of the positions are read.
    """
    return rotary_cost(node, node.input(0), (1, 2))


def rotary_cost(node: NodeView, data: TensorInfo, caches: tuple[int, int]) -> OpCost:
    """Rotation of a whole head unless rotary_embedding_dim says less."""
    heads = node.integer("num_heads", 0)
    size = data.dims[3] if data.rank == 4 else data.dims[2] // max(heads, 1)
    rotated = node.integer("rotary_embedding_dim", 0) or size
    share = data.numel // size * min(rotated, size)
    return cost(
        node,
        kernel_class="elementwise",
        vector_ops=3 * share,
        bytes_read=data.nbytes + sum(node.input(one).nbytes for one in caches),
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    OperatorSpec(domain="", op_type="Attention", since_version=23, estimate=attention),
    OperatorSpec(
        domain="",
        op_type="RotaryEmbedding",
        since_version=23,
        estimate=rotary_embedding,
        shape_inputs=(3,),
    ),
)
