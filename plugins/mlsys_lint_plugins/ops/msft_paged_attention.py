"""com.microsoft: attention on packed tokens over a cache of blocks, or over keys that were selected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, TensorInfo
from mlsys_lint_plugins.ops.attention import Heads, attention_cost
from mlsys_lint_plugins.ops.inference import (
    element_type,
    given,
    integer,
    put,
    sizes,
)
from mlsys_lint_plugins.ops.msft_caches import known_scalar
from mlsys_lint_plugins.ops.msft_group_query import (
    QUANTIZE_OPS,
    prepared_heads,
    rotary_tables,
    score_work,
)
from mlsys_lint_plugins.ops.msft_spec import contrib
from mlsys_lint_plugins.ops.rows import with_rows

_NO_HEADS: Final = Declined("num_heads and kv_num_heads are required")
_FULL: Final = "data-dependent: every sequence fills the blocks of its table"
_SELECTED: Final = "data-dependent: every query selects as many entries as have room"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slots:
    """Positions of the inputs (-1: the operator has none), and the axis of heads in its caches."""

    heads_axis: int = 2
    caches: tuple[int, ...] = (3, 4)
    auxiliary: tuple[int, ...] = ()
    past_lengths: int
    table: int = -1
    metadata: int = -1
    selected: int = -1
    cos: int
    sink: int
    q_norm: int

    @property
    def tables(self) -> tuple[int, int]:
        """Cosines and sines."""
        return self.cos, self.cos + 1


_PAGED: Final = _Slots(past_lengths=6, table=7, cos=8, sink=11, q_norm=12, metadata=16)
_SPARSE: Final = _Slots(
    auxiliary=(11, 12),
    past_lengths=6,
    table=7,
    selected=9,
    cos=14,
    sink=16,
    q_norm=17,
    metadata=21,
)
_DYNAMIC: Final = _Slots(
    heads_axis=1, auxiliary=(5, 6), past_lengths=9, selected=7, cos=11, sink=16, q_norm=14
)


def _size(node: NodeView, count: int, shared: int) -> int:
    """Width of a head; Q may be packed with K and V."""
    packed = node.optional_input(1) is None
    return node.input(0).dims[-1] // (count + 2 * shared if packed else count)


def _longest(node: NodeView, slots: _Slots) -> int:
    """Keys that a sequence has at most: what its blocks hold, or the bound in attention_metadata."""
    room = node.input(slots.table).dims[1] * node.input(slots.caches[0]).dims[1]
    metadata = node.optional_input(slots.metadata)
    if metadata is None or metadata.value is None:
        return room
    return min(room, int(metadata.value.reshape(-1)[1].item()))


def paged_attention(node: NodeView) -> OpCost | Declined:
    """com.microsoft.PagedAttention: N tokens of B sequences, each against at most L keys of its blocks.

    N H L (D + Dv) MACs; `macs_masked` is what local_window_size hides. Work besides softmax as
    GroupQueryAttention's. The caches change in place: B L rows are read, N rows written.
    """
    count, shared = node.integer("num_heads", 0), node.integer("kv_num_heads", 0)
    if not count or not shared:
        return _NO_HEADS
    tokens, batch = node.input(0).dims[0], node.input(_PAGED.past_lengths).dims[0]
    keys, window = _longest(node, _PAGED), node.integer("local_window_size", -1)
    size = _size(node, count, shared)
    even = bool(batch) and tokens % batch == 0
    heads = Heads(
        batch=batch if even else tokens,
        heads=count,
        queries=tokens // batch if even else 1,
        keys=keys,
        size=size,
        value_size=node.integer("v_head_size", 0) or size,
    )
    base = _attended(node, _PAGED, heads, batch * keys, _FULL)
    far = max(0, keys - window) if window > 0 else 0
    hidden = heads.rows * far * (heads.size + heads.value_size)
    return _cached(replace(base, macs_masked=hidden), node, _PAGED, batch * keys, tokens)


def sparse_paged_attention(node: NodeView) -> OpCost | Declined:
    """com.microsoft.SparsePagedAttention: as PagedAttention, but a query meets the keys selected for it.

    With local_plus_selected those of its window come on top. Keys of both kinds join one softmax.
    """
    tokens, batch = node.input(0).dims[0], node.input(_SPARSE.past_lengths).dims[0]
    return _selected(node, _SPARSE, tokens, batch, _longest(node, _SPARSE))


def dynamic_sparse_attention(node: NodeView) -> OpCost | Declined:
    """com.microsoft.DynamicSparseAttention: as SparsePagedAttention with one cache [B, Hkv, P, D] each.

    A past has room for the new keys (its size is that of the present), so that it may be changed in place.
    """
    batch, length, _ = node.input(0).dims
    past = node.optional_input(3)
    total = known_scalar(node.optional_input(10))
    if total is None:
        total = length if past is None else past.dims[2]
    return _selected(node, _DYNAMIC, batch * length, batch, total)


def _selected(
    node: NodeView, slots: _Slots, tokens: int, batch: int, longest: int
) -> OpCost | Declined:
    count, shared = node.integer("num_heads", 0), node.integer("kv_num_heads", 0)
    if not count or not shared:
        return _NO_HEADS
    chosen, window = node.input(slots.selected).dims[-1], node.integer("local_window_size", -1)
    near = 0
    if node.text("attention_mode", "selected_only") == "local_plus_selected":
        near = min(longest, window) if window > 0 else longest
    size = _size(node, count, shared)
    heads = Heads(
        batch=tokens, heads=count, queries=1, keys=chosen + near, size=size, value_size=size
    )
    apart = node.text("selected_kv_source", "main") == "auxiliary"
    held = min(batch * longest, tokens * (near + (0 if apart else chosen)))
    base = _attended(node, slots, heads, held, _SELECTED)
    base = _reading(base, node, slots, slots.auxiliary, tokens * chosen)
    return _cached(base, node, slots, held, tokens)


def _attended(node: NodeView, slots: _Slots, heads: Heads, held: int, note: str) -> OpCost:
    """The attention without its caches; `held` rows of each cache are scaled if it is quantized."""
    tokens = heads.batch * heads.queries
    shared, size = node.integer("kv_num_heads", 0), heads.size
    scored, exponentials = score_work(node, heads, slots.sink)
    work, roots = prepared_heads(
        node,
        tokens * (heads.heads + shared),
        size,
        cosines=slots.cos,
        norm=slots.q_norm,
    )
    elements = shared * size * (QUANTIZE_OPS * tokens + held)
    kept = {*slots.caches, *slots.auxiliary, *slots.tables}
    base = attention_cost(
        node,
        heads,
        causal=False,
        vector_ops=scored + work + _quantized(node) * elements,
        transcendentals=exponentials + roots,
        read=[at for at in range(len(node.inputs)) if at not in kept],
        assumptions=(note,),
    )
    return with_rows(base, [(one, tokens) for one in rotary_tables(node, slots.tables)])


def _quantized(node: NodeView) -> int:
    """How many of the caches for K and V hold 8 bits or fewer."""
    if node.op_type == "DynamicSparseAttention":
        return sum(one is not None for one in node.inputs[18:20])
    return sum(node.text(name, "NONE") != "NONE" for name in ("k_quant_type", "v_quant_type"))


def _reading(
    base: OpCost, node: NodeView, slots: _Slots, caches: Sequence[int], rows: int
) -> OpCost:
    """`rows` more rows of each cache are read, at most all."""
    given_ones = [one for at in caches if (one := node.optional_input(at)) is not None]
    distinct = {one.uid: one for one in given_ones}.values()
    more = sum(_bytes_of(one, slots.heads_axis, rows) for one in distinct)
    return replace(base, bytes_read=base.bytes_read + more)


def _bytes_of(cache: TensorInfo, heads_axis: int, rows: int) -> int:
    """A row is a token's part of a cache: all heads, the last axis."""
    every = cache.numel // max(1, cache.dims[heads_axis] * cache.dims[-1])
    return cache.nbytes * min(rows, every) // every if every else 0


def _cached(base: OpCost, node: NodeView, slots: _Slots, held: int, tokens: int) -> OpCost:
    """Reads the rows that are held, writes those of the tokens in place; without a past all of them."""
    read = _reading(base, node, slots, slots.caches, held)
    results = [
        (source, target)
        for target, source in enumerate(slots.caches, start=1)
        if node.optional_input(source) is not None
        and target < len(node.outputs)
        and node.outputs[target] is not None
    ]
    written = base.bytes_written - sum(node.output(target).nbytes for _, target in results)
    caches = [one for at in slots.caches if (one := node.optional_input(at)) is not None]
    written += sum(_bytes_of(one, slots.heads_axis, tokens) for one in caches)
    return replace(read, bytes_written=written, aliases=tuple(results))


def infer_paged(context: InferenceContext) -> None:
    """[tokens, H Dv]; the caches keep their shapes."""
    q = sizes(context, 0)
    count, shared = integer(context, "num_heads"), integer(context, "kv_num_heads")
    if q is None or not count or not shared or q[-1] is None:
        return
    size = q[-1] // (count if given(context, 1) else count + 2 * shared)
    width = (integer(context, "v_head_size") or size) * count
    put(context, 0, element_type(context, 0), (*q[:-1], width))
    for position in (1, 2):
        cache = sizes(context, position + 2)
        if cache is not None:
            put(context, position, element_type(context, position + 2), cache)


def infer_dynamic(context: InferenceContext) -> None:
    """[B, S, H D]; the caches keep their shapes, or are [B, Hkv, S, D]; the status is int32 [1]."""
    q = sizes(context, 0)
    count, shared = integer(context, "num_heads"), integer(context, "kv_num_heads")
    if q is None or len(q) != 3 or not count or not shared or q[2] is None:
        return
    size = q[2] // (count if given(context, 1) else count + 2 * shared)
    kind = TensorProto.BFLOAT16 if integer(context, "output_bf16") else element_type(context, 0)
    put(context, 0, kind, (q[0], q[1], size * count))
    for position in (1, 2):
        past = sizes(context, position + 2)
        stored = element_type(context, position + 2) or element_type(context, 0)
        put(context, position, stored, past or (q[0], shared, q[1], size))
    put(context, 3, TensorProto.INT32, (1,))


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("PagedAttention", paged_attention, infer_paged, (5, 6, 7, 10, 16)),
    contrib(
        "SparsePagedAttention", sparse_paged_attention, infer_paged, (5, 6, 7, 8, 9, 10, 13, 21)
    ),
    contrib(
        "DynamicSparseAttention", dynamic_sparse_attention, infer_dynamic, (7, 8, 9, 10, 13, 17)
    ),
)
