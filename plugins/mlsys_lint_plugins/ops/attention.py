"""Scaled dot-product attention and rotary embeddings of ai.onnx (opset 23 and later)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, TensorInfo, cost
from mlsys_lint_plugins.ops.attention_shapes import infer_attention
from mlsys_lint_plugins.ops.linear import broadcast
from mlsys_lint_plugins.ops.rows import with_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Sizes of an attention: B batches, H query heads, S queries, T keys, D and Dv per head.

    `past` is the number of keys before the first query's own.
    """

    batch: int
    heads: int
    queries: int
    keys: int
    size: int
    value_size: int
    past: int = 0

    @property
    def rows(self) -> int:
        """Rows of the score matrices: B * H * S."""
        return self.batch * self.heads * self.queries

    @property
    def scores(self) -> int:
        """Elements of the score matrices: B * H * S * T."""
        return self.rows * self.keys

    @property
    def softmax_ops(self) -> int:
        """Per row of T scores the maximum T - 1, the difference T, the sum T - 1, the division T."""
        return 4 * self.scores - 2 * self.rows if self.keys else 0


def scores_and_values(heads: Heads, dtype: str) -> tuple[Contraction, Contraction]:
    """Q K^T: S * T * D, and P V: S * T * Dv MACs for each batch and query head.

    Grouped queries share K and V, which saves bytes and no MACs.
    """
    count = heads.batch * heads.heads
    return (
        Contraction(batch=count, m=heads.queries, n=heads.keys, k=heads.size, dtype=dtype),
        Contraction(batch=count, m=heads.queries, n=heads.value_size, k=heads.keys, dtype=dtype),
    )


def masked_pairs(heads: Heads, window: int = 0, ahead: int = 0) -> int:
    """(query, key) pairs of a head that a causal mask hides: query i sees keys 0 .. past + i.

    With a window it sees the last `window` of them only, and `ahead` keys beyond its own.
    """
    seen = 0
    for own in range(heads.past, heads.past + heads.queries):
        first = max(0, own + 1 - window) if window > 0 else 0
        seen += max(0, min(heads.keys, own + 1 + ahead) - first)
    return heads.queries * heads.keys - seen


def attention_cost(
    node: NodeView,
    heads: Heads,
    *,
    causal: bool,
    window: int = 0,
    ahead: int = 0,
    dtype: str | None = None,
    before: Sequence[Contraction] = (),
    vector_ops: int = 0,
    transcendentals: int = 0,
    read: Sequence[int] | None = None,
    assumptions: Sequence[str] = (),
) -> OpCost:
    """Cost of softmax(Q K^T) V, dense, and of what the caller adds; K and V are read once.

    `macs_masked` is what a causal mask makes unnecessary. Softmax takes what Heads says, and one exp
    per score. Memory for the scores is not counted: some kernels hold all of them, others a tile.
    """
    element = dtype or node.input(0).type_name
    pairs = masked_pairs(heads, window, ahead) if causal else 0
    return cost(
        node,
        kernel_class="attention",
        contractions=(*before, *scores_and_values(heads, element)),
        vector_ops=heads.softmax_ops + vector_ops,
        transcendentals=heads.scores + transcendentals,
        macs_masked=pairs * heads.batch * heads.heads * (heads.size + heads.value_size),
        read=read,
        assumptions=assumptions,
    )


def heads_of(node: NodeView) -> Heads | Declined:
    """Sizes of ai.onnx Attention: Q, K, V of rank 4 [B, H, S, D] or 3 [B, S, H * D].

    An external cache (nonpad_kv_seqlen, opset 24) holds the queries' own keys at its end.
    """
    q, k, v = (node.input(position) for position in range(3))
    past = node.optional_input(4)
    cached = past.dims[2] if past is not None else 0
    if q.rank == 4:
        batch, heads, queries, size = q.dims
        keys, value_size = k.dims[2] + cached, v.dims[3]
    else:
        heads, shared = node.integer("q_num_heads", 0), node.integer("kv_num_heads", 0)
        if not heads or not shared:
            return Declined("q_num_heads and kv_num_heads are required for inputs of rank 3")
        batch, queries, size = q.dims[0], q.dims[1], q.dims[2] // heads
        keys, value_size = k.dims[1] + cached, v.dims[2] // shared
    if node.optional_input(6) is not None:
        cached = keys - queries
    return Heads(
        batch=batch,
        heads=heads,
        queries=queries,
        keys=keys,
        size=size,
        value_size=value_size,
        past=cached,
    )


_PRECISIONS: Final = {1: "float", 10: "float16", 11: "double", 16: "bfloat16"}


def attention(node: NodeView) -> OpCost | Declined:
    """ai.onnx Attention: softmax(Q K^T * scale + bias) V without projections, as onnx's body counts.

    The body scales Q and K (of every query head), adds a bias to every score even where no mask is
    given, and protects rows that are masked whole (a selection per score, a maximum over the bias).
    A soft cap takes a division, a product and a tanh per score; a softmax_precision that is not Q's
    type two conversions. Arithmetic on shapes and the root of the scale are not counted;
    present_key, present_value and qk_matmul_output move bytes only.
    """
    heads = heads_of(node)
    if isinstance(heads, Declined):
        return heads
    bias_ops, bias = _bias(node, heads)
    capped = heads.scores if node.attributes.get("softcap", 0.0) != 0.0 else 0
    scaled = heads.batch * heads.heads * (heads.queries + heads.keys) * heads.size
    lengths = node.optional_input(6) is not None
    precision = _PRECISIONS.get(node.integer("softmax_precision", 0))
    converted = heads.scores if precision not in (None, node.input(0).dtype) else 0
    each = scaled + 2 * capped + 2 * converted + 2 * heads.scores
    left, right = _window(node)
    return attention_cost(
        node,
        heads,
        causal=bool(node.integer("is_causal", 0)) or left >= 0 or right >= 0,
        window=left + 1,
        ahead=_ahead(node, heads),
        vector_ops=each + bias_ops + bias,
        transcendentals=capped,
        assumptions=("data-dependent: every key of the cache is valid",) if lengths else (),
    )


def _window(node: NodeView) -> tuple[int, int]:
    """Keys to the left and to the right of its own that a query sees (opset 25); -1: all of them."""
    return node.integer("left_window_size", -1), node.integer("right_window_size", -1)


def _ahead(node: NodeView, heads: Heads) -> int:
    """Keys beyond its own that a query sees."""
    right = _window(node)[1]
    if node.integer("is_causal", 0):
        return 0
    return right if right >= 0 else heads.keys


def _bias(node: NodeView, heads: Heads) -> tuple[int, int]:
    """(operations, elements) of the bias that is added to the scores: mask, causal part, padding.

    A boolean mask takes a selection per element; the causal part a sum per query, a comparison and
    a selection per pair; a window a sum per query, and per pair a difference, a comparison for each
    bound (the right one after a change of sign), their conjunction and a selection; padding a
    comparison and a selection per key; joining two of them a sum.
    What is made in float is converted where Q is of another type: all of the bias, unless a mask of
    Q's type is given. From opset 24 on a mask may end before the keys do.
    """
    mask, lengths = node.optional_input(3), node.optional_input(6)
    square = (heads.queries, heads.keys)
    shape = square if mask is None else broadcast(_padded(node, mask, heads.keys), square)
    ops = mask.numel if mask is not None and mask.dtype == "bool" else 0
    each = (heads.batch, 1) if lengths is not None else ()
    made = 0
    if node.integer("is_causal", 0):
        shape = broadcast(shape, (*each, *square))
        ops += prod(each) * heads.queries * (1 + 2 * heads.keys) + prod(shape)
        made += prod((*each, *square))
    left, right = (bound >= 0 for bound in _window(node))
    if left or right:
        shape = broadcast(shape, (*each, *square))
        tests = left + 2 * right + (left and right)
        ops += prod(each) * heads.queries * (1 + (2 + tests) * heads.keys) + prod(shape)
        made += prod((*each, *square))
    if lengths is not None:
        shape = broadcast(shape, (*each, *square))
        ops += 2 * heads.batch * heads.keys + prod(shape)
        made += heads.batch * heads.keys
    typed = mask is not None and mask.dtype != "bool"
    if node.input(0).dtype != "float":
        ops += made if typed else prod(shape)
    return ops, prod(shape)


def _padded(node: NodeView, mask: TensorInfo, keys: int) -> tuple[int, ...]:
    return (*mask.dims[:-1], keys) if node.opset >= 24 else mask.dims


def rotary_embedding(node: NodeView) -> OpCost | Declined:
    """x1' = x1 cos - x2 sin, x2' = x2 cos + x1 sin: 3 operations per rotated element.

    cos_cache and sin_cache hold a row for each position ([P, D / 2]), of which those of
    position_ids are read, or one for each token ([B, S, D / 2]).
    """
    return rotary_cost(node, positions=3, caches=(1, 2))


def rotary_cost(node: NodeView, *, positions: int, caches: tuple[int, int]) -> OpCost | Declined:
    """Rotation of [B, S, H * D] or [B, H, S, D]; of the whole head without rotary_embedding_dim."""
    data, given = node.input(0), node.integer("rotary_embedding_dim", 0)
    rotated = data.numel
    if given:
        heads = node.integer("num_heads", 0)
        if data.rank != 4 and not heads:
            return Declined("num_heads is required for an input of rank 3")
        size = data.dims[3] if data.rank == 4 else data.dims[2] // heads
        rotated = data.numel // max(1, size) * min(given, size)
    tables = [node.input(one) for one in caches]
    tokens = _tokens(data, node.optional_input(positions))
    base = cost(
        node,
        kernel_class="elementwise",
        vector_ops=3 * rotated,
        read=[0, positions],
    )
    return with_rows(base, [(one, _cache_rows(one, tokens)) for one in tables])


def _tokens(data: TensorInfo, positions: TensorInfo | None) -> int:
    """Tokens that read rows of their own: as in Gather, positions that are stored count once each.

    A single position is that of every sequence's first token: all sequences read the same rows.
    """
    length = data.dims[2] if data.rank == 4 else data.dims[1]
    if positions is not None and positions.rank == 1:
        return length
    if positions is not None and positions.rank == 2 and positions.value is not None:
        return len(set(positions.value.reshape(-1).tolist()))
    return data.dims[0] * length


def _cache_rows(cache: TensorInfo, tokens: int) -> int:
    return cache.dims[0] if cache.rank == 3 else tokens


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    OperatorSpec(
        domain="",
        op_type="Attention",
        since_version=23,
        estimate=attention,
        infer=infer_attention,
        shape_inputs=(6,),
    ),
    OperatorSpec(
        domain="",
        op_type="RotaryEmbedding",
        since_version=23,
        estimate=rotary_embedding,
        shape_inputs=(3,),
    ),
)
