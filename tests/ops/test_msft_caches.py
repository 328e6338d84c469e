"""com.microsoft: what attention reads and writes of caches that are updated in place or shared."""

from __future__ import annotations

import numpy as np
import pytest

from mlsys_lint import OpCost
from mlsys_lint.records import NodeCost, NodeStatus
from mlsys_lint.testing import estimate_text, model_from_text


def node_of(text: str) -> NodeCost:
    (found,) = estimate_text("g " + text.replace(" .", " com.microsoft."))
    return found


def cost_of(text: str) -> OpCost:
    cost = node_of(text).cost
    assert cost is not None
    return cost


SHARED = "(float[1,5,32] q, float[1,0,16] k, float[1,0,16] v, float[1,2,9,8] pk, float[1,2,9,8] pv, int32[1] n{0}) => (float[?,?,?] y{1}) <{2}float[9,4] cos, float[9,4] sin> {{ y{3} = .GroupQueryAttention<num_heads=4, kv_num_heads=2{4}>(q, k, v, pk, pv, n, t, cos, sin) }}"


def shared(total: str = ", ", rotary: str = "", *, known: bool) -> NodeCost:
    caches = ", float[?,?,?,?] c, float[?,?,?,?] d"
    parts = ("", caches, "int32 t = {9}, ") if known else (", int32 t", caches, "")
    return node_of(SHARED.format(*parts, total + "c, d", rotary))


def test_keys_that_another_layer_appended_are_all_read() -> None:
    # No new keys: 9 of them, 5 queries at positions 4 .. 8 hide 4 + 3 + 2 + 1. 4 heads of 8. Both caches
    # (2 heads, 9 rows of 8) are read in full, nothing is written but y; q, n and t are 160, 1 and 1
    # words. Without a rotation the tables are not read.
    found = shared(known=True)
    cost = found.cost
    assert cost is not None
    assert found.status is NodeStatus.EXACT
    assert cost.macs == 4 * 5 * 9 * 16
    assert cost.macs_masked == 4 * 10 * 16
    assert cost.bytes_read == 4 * (160 + 2 * 2 * 9 * 8 + 2)
    assert cost.bytes_written == 4 * 160


def test_without_new_keys_only_queries_are_rotated() -> None:
    # 5 tokens of 4 heads of 8: 3 operations per element of Q, no K; 5 rows of 4 of both tables.
    plain, rotated = (shared(rotary=more, known=True).cost for more in ("", ", do_rotary=1"))
    assert plain is not None
    assert rotated is not None
    assert rotated.vector_ops - plain.vector_ops == 3 * 5 * 4 * 8
    assert rotated.bytes_read - plain.bytes_read == 4 * 2 * 5 * 4


def test_without_new_keys_the_cache_bounds_an_unknown_total() -> None:
    # At most the 9 keys that the cache has room for; present is as large as past.
    found = shared(known=False)
    assert found.cost is not None
    assert found.cost.macs == 4 * 5 * 9 * 16
    assert [one.shape for one in found.node.outputs if one is not None][1] == (1, 2, 9, 8)


STATIC = "(float[1,1,32] q, float[1,1,16] k, float[1,1,16] v, float[1,2,{0},8] pk, float[1,2,{0},8] pv, int32[1] n) => (float[?,?,?] y, float[?,?,?,?] c, float[?,?,?,?] d) <int32 t = {{10}}> {{ y, c, d = .GroupQueryAttention<num_heads=4, kv_num_heads=2{1}>(q, k, v, pk, pv, n, t) }}"


@pytest.mark.parametrize(
    ("capacity", "more", "read", "written"),
    [
        # 9 of 12 rows are held, 1 of 2 heads of 8 is written of both caches
        (12, "", 9, 1),
        # a window of 4: the query sees its own key and 3 before it
        (12, ", local_window_size=4", 3, 1),
        # no room: present is a buffer of its own, with a copy of what a window hides
        (9, "", 9, 10),
        (9, ", local_window_size=4", 9, 10),
    ],
)
def test_a_cache_with_room_is_updated_in_place(
    capacity: int, more: str, read: int, written: int
) -> None:
    found = node_of(STATIC.format(capacity, more))
    cost = found.cost
    assert cost is not None
    assert found.status is NodeStatus.EXACT
    assert cost.macs == 4 * 10 * 16
    assert cost.bytes_read == 4 * (32 + 2 * 16 + 2 + 2 * 2 * 8 * read)
    assert cost.bytes_written == 4 * (32 + 2 * 2 * 8 * written)
    assert bool(cost.aliases) == (capacity == 12)


@pytest.mark.ort
def test_onnx_runtime_updates_a_cache_with_room_in_place() -> None:
    # Bound to one buffer, past and present give the result of two; of 12 rows only the new one changes.
    onnxruntime = pytest.importorskip("onnxruntime")
    text = "g " + STATIC.format(12, "").replace(" .", " com.microsoft.")
    model = model_from_text(text, opset=17)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    random = np.random.default_rng(0)
    shapes = {one.name: one.shape for one in session.get_inputs() if one.name != "n"}
    feeds = {name: random.random(shape, np.float32) for name, shape in shapes.items()}
    feeds["n"] = np.array([9], np.int32)
    expected, *_ = session.run(None, feeds)
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_cpu_input(name, array)
    buffers = {name: onnxruntime.OrtValue.ortvalue_from_numpy(feeds[name]) for name in ("pk", "pv")}
    before = {name: buffer.numpy().copy() for name, buffer in buffers.items()}
    for past, present in (("pk", "c"), ("pv", "d")):
        binding.bind_ortvalue_input(past, buffers[past])
        binding.bind_ortvalue_output(present, buffers[past])
    binding.bind_output("y")
    session.run_with_iobinding(binding)
    np.testing.assert_allclose(binding.copy_outputs_to_cpu()[-1], expected, rtol=1e-5)
    for name, buffer in buffers.items():
        changed = (buffer.numpy() != before[name]).any(axis=(0, 1, 3))
        assert changed.nonzero()[0].tolist() == [9]


def test_known_lengths_that_differ_are_a_maximum() -> None:
    # Each of two sequences counts as long as the longest: exact only where both are.
    text = "(float[2,1,64] q, float[2,2,9,8] pk, float[2,2,9,8] pv) => (float[?,?,?] y) <int32 t = {{9}}, int32[2] n = {{{0}}}> {{ y = .GroupQueryAttention<num_heads=4, kv_num_heads=2>(q, , , pk, pv, n, t) }}"
    assert node_of(text.format("8, 8")).status is NodeStatus.EXACT
    assert node_of(text.format("3, 8")).status is NodeStatus.ESTIMATED


def test_blocks_that_no_head_sees_are_not_read() -> None:
    # One query at position 63 of block 3 (16 keys a block), 4 heads in 2 groups; layouts in turn: heads
    # 0 and 2 see blocks 0 and 3, heads 1 and 3 blocks 2 and 3. Each group reads blocks 0 and 2 and 15
    # keys of block 3: 47 rows of 63. Pairs: 4 heads of 32. Others: q of 64 + 32, t, l, rows 10, columns 8.
    text = "(float[1,1,64] q, float[1,2,64,8] pk, float[1,2,64,8] pv, int32[1] l) => (float[?,?,?] y, float[?,?,?,?] c, float[?,?,?,?] d) <int32[2,5] r = {0, 0, 0, 0, 2, 0, 0, 0, 0, 2}, int32[2,2] k = {0, 3, 2, 3}, int32 t = {64}> { y, c, d = .SparseAttention<num_heads=4, kv_num_heads=2, sparse_block_size=16>(q, , , pk, pv, r, k, t, l) }"
    cost = cost_of(text)
    assert cost.macs_masked == 4 * (64 - 32) * 16
    assert cost.bytes_read == 4 * (64 + 10 + 4 + 2 + 2 * 2 * 47 * 8)
    assert cost.bytes_written == 4 * (32 + 2 * 2 * 8)


def test_an_indexer_appends_in_place() -> None:
    # 8 of 40 raw keys of 8 are held, 4 come: 12 * 8 are pooled to 3 blocks. The table has 40 rows of 4, of
    # which 4 queries and 3 blocks take 7. Written: 4 rows of keys, a selection of 4 x 11.
    text = '(float[1,4,24] q, float[1,4,8] k, float[8] a, float[8] b, float[40,4] c, float[40,4] s, float[1,40,8] p) => (int32[?,?,?] y, float[?,?,?] o) <int32[1] n = {8}> { y, o = .SparseAttentionIndexer<policy_mode="qsa", compress_ratio=4, token_budget=8>(q, k, a, b, c, s, , p, , , , , n) }'
    cost = cost_of(text)
    assert cost.macs == 4 * 3 * 3 * 8
    assert cost.bytes_read == 4 * (96 + 32 + 16 + 2 * 7 * 4 + 8 * 8 + 1)
    assert cost.bytes_written == 4 * (4 * 11 + 4 * 8)
    assert cost.aliases == ((7, 1),)


@pytest.mark.parametrize(
    "call",
    [
        "RotaryEmbedding<num_heads=2>(x, c, s, p)",
        ".RotaryEmbedding<num_heads=2>(x, p, c, s)",
    ],
)
def test_positions_that_are_stored_are_read_once_each(call: str) -> None:
    # Two sequences of 3 tokens at positions 0, 1, 2: 3 rows of 2 of either table; x has 48
    # elements, positions 8 bytes.
    text = f"(float[2,3,8] x, float[9,2] c, float[9,2] s) => (float[?,?,?] y) <int64[2,3] p = {{0, 1, 2, 0, 1, 2}}> {{ y = {call} }}"
    cost = cost_of(text)
    assert cost.bytes_read == 4 * 48 + 8 * 6 + 4 * 2 * 3 * 2


@pytest.mark.parametrize(
    ("batch", "tokens", "pairs", "status"),
    [
        (2, 10, 50, NodeStatus.EXACT),  # no padding
        (1, 3, 9, NodeStatus.EXACT),  # one sequence has all tokens
        (3, 7, 29, NodeStatus.ESTIMATED),  # 5, 2 and none have most
    ],
)
def test_packed_sequences(batch: int, tokens: int, pairs: int, status: NodeStatus) -> None:
    # 2 heads of 4: 8 MACs a pair.
    text = f"(float[{tokens},2,3,4] q, int32[{batch},5] o, int32[{batch + 1}] c) => (float[?,?] y) {{ y = .PackedMultiHeadAttention<num_heads=2>(q, , , , o, c) }}"
    found = node_of(text)
    assert found.status is status
    assert found.cost is not None
    assert found.cost.macs == 2 * pairs * 8
    assert found.cost.transcendentals == 2 * pairs


def test_a_square_mask_is_read_where_it_is_needed() -> None:
    # [2, 1, 9, 9] of which 5 queries take 5 keys; x 60, w 144, b 24.
    text = "(float[2,5,6] x, float[6,24] w, float[24] b, int32[2,1,9,9] m) => (float[?,?,?] y) { y = .Attention<num_heads=2>(x, w, b, m) }"
    assert cost_of(text).bytes_read == 4 * (60 + 144 + 24 + 2 * 5 * 5)


@pytest.mark.parametrize(
    "call",
    [
        ".Attention<num_heads=2>(x, w, b, m)",
        ".MultiHeadAttention<num_heads=2>(x, x, x, , m)",
    ],
)
def test_lengths_of_sequences_are_taken_for_full(call: str) -> None:
    # A mask of rank 1 says where each sequence ends; one of rank 2 hides keys of dense scores.
    text = "(float[2,5,8] x, float[8,24] w, float[24] b, int32[{0}] m) => (float[?,?,?] y) {{ y = {1} }}"
    lengths, dense = (node_of(text.format(shape, call)) for shape in ("2", "2,5"))
    assert lengths.status is NodeStatus.ESTIMATED
    assert dense.status is NodeStatus.EXACT
    assert lengths.cost is not None
    assert dense.cost is not None
    assert lengths.cost.macs == dense.cost.macs


def test_a_switch_that_is_fed_is_said() -> None:
    # Whether the mask is used is not known before the run.
    text = "(float[5,2,8] q, float[6,2,8] k, bool[2,5] p, bool[1] m) => (float[?,?,?] y) <float[8,8] w, float[8,16] v, float[24] b, bool[1] f = {0}> { y = .DecoderAttention<num_heads=2>(q, k, w, v, b, p, , , f, f, f, m) }"
    found = node_of(text)
    assert found.status is NodeStatus.ESTIMATED
    assert found.cost is not None
    assert "has_key_padding_mask" in found.cost.assumptions[0]
