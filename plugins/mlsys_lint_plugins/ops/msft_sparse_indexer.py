"""com.microsoft: which keys a sparse attention may read: indexers, and the union of selections."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, log2
from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.inference import (
    element_type,
    given,
    integer,
    put,
    sizes,
    total,
)
from mlsys_lint_plugins.ops.msft_caches import in_place, known_scalar
from mlsys_lint_plugins.ops.msft_spec import contrib
from mlsys_lint_plugins.ops.rows import with_rows

_COS, _SIN = 4, 5
_POLICIES: Final = ("qsa", "csa")
_STATES: Final = "data-dependent: the state is full, no request starts a window of its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What an indexer does.

    Attributes:
        queries: Query tokens, of all sequences.
        sequences: Sequences, each with its own keys.
        entries: Compressed keys that a query is scored against.
        fresh: Keys that are compressed in this call, of all sequences.
        hidden: (query, entry) pairs that causality hides.
    """

    queries: int
    sequences: int
    entries: int
    fresh: int
    hidden: int = 0


def sparse_attention_indexer(node: NodeView) -> OpCost | Declined:
    """com.microsoft.SparseAttentionIndexer: see _indexer_cost.

    qsa pools the T // r complete blocks of all T tokens at each call; csa the windows that the new
    tokens close, and scores against all compressed keys. With a past_sequence_length past and present
    may be one buffer: the keys that it holds are read, the new ones written.
    """
    batch, length, _ = node.input(0).dims
    ratio, policy = node.integer("compress_ratio", 0), node.text("policy_mode")
    if not ratio or policy not in _POLICIES:
        return Declined("compress_ratio and policy_mode are required")
    past, used = node.input(7), node.optional_input(12)
    held = past.dims[1] if used is None else known_scalar(used)
    notes: tuple[str, ...] = ()
    added = length
    if held is None:
        held, notes = max(0, past.dims[1] - length), ("data-dependent: the cache is full",)
    if policy == "qsa":
        blocks = (held + length) // ratio
        seen = sum((held + at + 1) // ratio for at in range(length))
        plan = _Plan(
            queries=batch * length,
            sequences=batch,
            entries=blocks,
            fresh=batch * blocks,
            hidden=batch * (length * blocks - seen),
        )
    else:
        added = closed_windows(_buffered(node), length, ratio)[0]
        plan = _Plan(
            queries=batch * length, sequences=batch, entries=held + added, fresh=batch * added
        )
    base = _indexer_cost(node, plan, notes)
    if used is None:
        return base
    return in_place(base, node, ((7, 1),), held, added)


def _buffered(node: NodeView) -> int:
    buffer = node.optional_input(13)
    return 0 if buffer is None else buffer.dims[2]


def closed_windows(buffered: int, fresh: int, ratio: int) -> tuple[int, int]:
    """(windows that close, tokens that stay in the buffer).

    A buffer of `ratio` tokens or more begins with the last complete window, which stays as the
    first half of the next.
    """
    complete = buffered >= ratio
    pending = (buffered - ratio if complete else buffered) + fresh
    closed, rest = divmod(pending, ratio)
    return closed, rest + (ratio if complete or closed else 0)


def packed_sparse_attention_indexer(node: NodeView) -> OpCost | Declined:
    """com.microsoft.PackedSparseAttentionIndexer: see _indexer_cost, at most.

    Every query is scored against `state_capacity` keys; N tokens of B requests close at most
    (N + B (r - 1)) / r blocks.
    """
    ratio, policy = node.integer("compress_ratio", 0), node.text("policy_mode")
    capacity = node.integer("state_capacity", 0)
    if not ratio or not capacity or policy not in _POLICIES:
        return Declined("compress_ratio, state_capacity and policy_mode are required")
    tokens, batch = node.input(0).dims[0], node.input(7).dims[0]
    plan = _Plan(
        queries=tokens,
        sequences=batch,
        entries=capacity,
        fresh=min(batch * capacity, (tokens + batch * (ratio - 1)) // ratio),
    )
    return _indexer_cost(node, plan, (_STATES,))


def _indexer_cost(node: NodeView, plan: _Plan, notes: tuple[str, ...]) -> OpCost:
    """MACs: queries * heads * entries * D, the scores of heads of D elements.

    Vector operations: per score scale and ReLU (2; csa a head's weight: 3), per pair the sum over
    heads (heads - 1); selection as TopK: ceil(log2(k + 1)) comparisons per pair. Per query head and
    per compressed key RMS normalization (4 D + 1, a root) and 3 per rotated element. A compressed
    key of qsa is a mean (r D); one of csa takes 2 r slots a channel: bias 1, softmax 4 less 2 a
    channel, product 1, sum 1 less 1 a channel, an exp each; the weights of heads are scaled.
    """
    size, gated = node.input(2).numel, node.text("policy_mode") == "csa"
    heads = node.input(0).dims[-1] // size - (node.optional_input(1) is None)
    rotated = (2 if gated else 1) * node.input(_COS).dims[-1]
    vectors = plan.queries * heads + plan.fresh
    scored = plan.queries * plan.entries * _pair_ops(node, heads, gated=gated)
    pooled, exponentials = _pooling(node, size, gated=gated)
    even = plan.sequences and plan.queries % plan.sequences == 0
    parts = plan.sequences if even else 1
    product = Contraction(
        batch=parts,
        m=plan.queries // parts * heads,
        n=plan.entries,
        k=size,
        dtype=node.input(0).type_name,
    )
    base = cost(
        node,
        kernel_class="attention",
        contractions=(product,),
        vector_ops=scored
        + vectors * (4 * size + 1 + 3 * rotated)
        + plan.fresh * pooled
        + (plan.queries * heads if gated else 0),
        transcendentals=vectors + plan.fresh * exponentials,
        macs_masked=plan.hidden * heads * size,
        read=[at for at in range(len(node.inputs)) if at not in (_COS, _SIN)],
        assumptions=("comparisons of a heap of the entries that are kept", *notes),
    )
    return _with_tables(base, node, plan.queries + plan.fresh)


def _pair_ops(node: NodeView, heads: int, *, gated: bool) -> int:
    """Per query and entry: scale, ReLU, weight of each head, their sum, comparisons of the selection."""
    wanted = node.integer("index_topk", 0)
    if not gated:
        wanted = node.integer("token_budget", 0) // node.integer("compress_ratio", 1)
    return (3 if gated else 2) * heads + heads - 1 + ceil(log2(wanted + 1))


def _pooling(node: NodeView, size: int, *, gated: bool) -> tuple[int, int]:
    """(operations, exponentials) of a compressed key: a mean of r tokens, or 2 r gated slots a channel."""
    ratio = node.integer("compress_ratio", 1)
    slots = 2 * ratio * size
    return (7 * slots - 3 * size, slots) if gated else (ratio * size, 0)


def _with_tables(base: OpCost, node: NodeView, rows: int) -> OpCost:
    """Cosines and sines: a row for each vector that is rotated, of one table or one per sequence."""
    tables = [node.input(at) for at in (_COS, _SIN)]
    base = with_rows(base, [(one, rows) for one in tables if one.rank == 2])
    for one in tables:
        if one.rank == 3:
            every = one.dims[0] * one.dims[1]
            taken = one.nbytes * min(rows, every) // every if every else 0
            base = replace(base, bytes_read=base.bytes_read + taken)
    return base


def _width(context: InferenceContext) -> int | None:
    """Columns of the selection: token_budget + compress_ratio - 1, or index_topk."""
    if integer(context, "index_topk"):
        return integer(context, "index_topk")
    budget = integer(context, "token_budget")
    return budget + integer(context, "compress_ratio") - 1 if budget else None


def infer_sparse_attention_indexer(context: InferenceContext) -> None:
    """Selection int32 [B, S, width]; keys [B, past + new, D] or as they are; projections [2, B, rest, 2 D]."""
    query, past, buffer = sizes(context, 0), sizes(context, 7), sizes(context, 13)
    ratio, gated = integer(context, "compress_ratio"), bool(integer(context, "index_topk"))
    if query is None or len(query) != 3 or past is None or not ratio:
        return
    put(context, 0, TensorProto.INT32, (query[0], query[1], _width(context)))
    buffered = buffer[2] if buffer else (None if given(context, 13) else 0)
    closed: int | None = None
    rest: int | None = None
    if buffered is not None and query[1] is not None:
        closed, rest = closed_windows(buffered, query[1], ratio)
    kept = past[1]
    if not given(context, 12):
        kept = total(past[1], closed if gated else query[1])
    put(context, 1, element_type(context, 7), (past[0], kept, past[2]))
    if gated:
        wide = None if past[2] is None else 2 * past[2]
        put(context, 2, element_type(context, 0), (2, query[0], rest, wide))


def infer_packed_indexer(context: InferenceContext) -> None:
    """Selection int32 [N, width] and its counts; states keep their shapes; one status per query or request."""
    query, past = sizes(context, 0), sizes(context, 12)
    if query is None or past is None:
        return
    tokens, batch = query[0], past[0]
    width = integer(context, "max_output_entries") or _width(context)
    put(context, 0, TensorProto.INT32, (tokens, width))
    put(context, 1, TensorProto.INT32, (tokens,))
    for position in range(2, 6):
        shape = sizes(context, position + 10)
        if shape is not None:
            put(context, position, element_type(context, position + 10), shape)
    captured = integer(context, "state_update_capacity")
    put(context, 6, element_type(context, 0), (batch, captured, past[2]))
    put(context, 7, TensorProto.INT32, (tokens,))
    put(context, 8, TensorProto.INT32, (batch,))


def packed_merge(node: NodeView) -> OpCost:
    """Union of two selections per row: a sort's comparisons, n ceil(log2 n) for n entries.

    n is what both hold: C base entries, and the additional ones or what the output has room for.
    """
    rows = node.output().dims[0]
    more = node.optional_input(5)
    entries = node.input(0).dims[1] + (more or node.output()).dims[1]
    return cost(
        node,
        kernel_class="topk",
        vector_ops=rows * entries * (entries - 1).bit_length(),
        assumptions=("comparisons of a sort", "data-dependent: every selection is full"),
    )


def infer_packed_merge(context: InferenceContext) -> None:
    """Int32: merged [N, max_output_entries], counts and status [N]."""
    rows = sizes(context, 2)
    count = rows[0] if rows else None
    width = integer(context, "max_output_entries") or None
    put(context, 0, TensorProto.INT32, (count, width))
    put(context, 1, TensorProto.INT32, (count,))
    put(context, 2, TensorProto.INT32, (count,))


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib(
        "SparseAttentionIndexer",
        sparse_attention_indexer,
        infer_sparse_attention_indexer,
        (6, 11, 12),
    ),
    contrib(
        "PackedSparseAttentionIndexer",
        packed_sparse_attention_indexer,
        infer_packed_indexer,
        (6, 7, 11, *range(15, 22)),
    ),
    contrib("PackedSparseAttentionIndexerMerge", packed_merge, infer_packed_merge, tuple(range(7))),
)
