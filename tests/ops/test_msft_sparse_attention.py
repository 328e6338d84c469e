"""com.microsoft's attention to some keys only: block masks, window caches, pages, selections, indexers."""

from __future__ import annotations

from itertools import product

import pytest

from mlsys_lint import NodeCost, NodeStatus, OpCost
from mlsys_lint.testing import estimate_text
from mlsys_lint_plugins.ops.msft_sparse_indexer import closed_windows


def node_of(text: str) -> NodeCost:
    """The only node, its com.microsoft calls written with a leading dot."""
    (found,) = estimate_text(f"g {text}".replace(" .", " com.microsoft."))
    return found


def cost_of(text: str) -> OpCost:
    found = node_of(text)
    assert found.cost is not None, found.reason
    maximum = any(text.startswith("data-dependent") for text in found.cost.assumptions)
    assert found.status is (NodeStatus.ESTIMATED if maximum else NodeStatus.EXACT)
    return found.cost


# Two layouts of 4 x 4 blocks of 16 tokens, rows from the top.
LAYOUTS = (
    ((1, 0, 0, 0), (1, 1, 0, 0), (0, 1, 1, 0), (0, 1, 1, 1)),
    ((1, 0, 0, 0), (1, 1, 0, 0), (1, 1, 1, 0), (1, 0, 1, 1)),
)
COLUMNS = "0, 0, 1, 1, 2, 1, 2, 3, -1, 0, 0, 1, 0, 1, 2, 0, 2, 3"
ROWS = "0, 1, 3, 5, 8, 0, 1, 3, 6, 9"
BLOCKS = "(float[1,{new},128] q, float[1,2,64,16] pk, float[1,2,64,16] pv, int32[1] l{more}) => (float[?,?,?] y, float[?,?,?,?] e, float[?,?,?,?] f) <{stored}> {{ y, e, f = .SparseAttention<num_heads=4, kv_num_heads=2, sparse_block_size=16>(q, , , pk, pv, r, c, t, l) }}"


@pytest.mark.parametrize(("new", "total"), [(64, 64), (1, 64), (5, 40), (20, 20)])
def test_a_block_mask_hides_pairs(new: int, total: int) -> None:
    stored = f"int32[2,5] r = {{{ROWS}}}, int32[2,9] c = {{{COLUMNS}}}, int32 t = {{{total}}}"
    cost = cost_of(BLOCKS.format(new=new, more="", stored=stored))
    seen = 0
    for head, query, key in product(range(4), range(total - new, total), range(total)):
        seen += key <= query and LAYOUTS[head % 2][query // 16][key // 16]
    assert cost.macs == 4 * new * total * 32
    assert cost.macs - cost.macs_masked == seen * 32
    # Two caches of 2 heads: what is held is read, what is new is written.
    small = 4 * (new * 128 + 10 + 18 + 1 + 1)
    assert cost.bytes_read == small + 2 * 2 * (total - new) * 16 * 4
    assert cost.bytes_written == 4 * (new * 64 + 2 * 2 * new * 16)
    assert cost.aliases == ((3, 1), (4, 2))


def test_an_unknown_block_mask_hides_nothing_but_the_future() -> None:
    cost = cost_of(
        BLOCKS.format(new=4, more=", int32[2,5] r, int32[2,9] c", stored="int32 t = {4}")
    )
    assert cost.macs_masked == 4 * 6 * 32
    assert "block mask" in cost.assumptions[0]


def test_an_unknown_length_fills_the_cache() -> None:
    stored = f"int32[2,5] r = {{{ROWS}}}, int32[2,9] c = {{{COLUMNS}}}"
    cost = cost_of(BLOCKS.format(new=1, more=", int32 t", stored=stored))
    assert cost.macs == 4 * 64 * 32


WINDOW = "(float[1,{new},32] q, float[1,{new},16] k, float[1,{new},16] v, float[1,2,{room},8] pk, float[1,2,{room},8] pv, int32[1] n{more}) => (float[?,?,?] y, float[?,?,?,?] c, float[?,?,?,?] d) {stored} {{ y, c, d = .GroupQueryAttention<num_heads=4, kv_num_heads=2, local_window_size={window}, sliding_window_cache=1>(q, k, v, pk, pv, n, t) }}"


def resident(tokens: int, capacity: int, window: int) -> int:
    """Token after token: one that does not fit makes room by dropping all but window - 1."""
    held = 0
    for _ in range(tokens):
        held = window - 1 if held == capacity else held
        held += 1
    return held


@pytest.mark.parametrize(
    ("new", "total", "room", "window"),
    [(1, 3, 4, 4), (1, 8, 4, 4), (1, 12, 6, 3), (5, 8, 4, 3), (5, 5, 4, 2), (2, 21, 8, 3)],
)
def test_a_window_cache_holds_the_latest_keys(new: int, total: int, room: int, window: int) -> None:
    text = WINDOW.format(
        new=new, room=room, window=window, more="", stored=f"<int32 t = {{{total}}}>"
    )
    cost = cost_of(text)
    held = resident(total - new, room, window)
    assert cost.macs == 4 * new * (held + new) * 16
    seen = sum(min(total - new + at + 1, window) for at in range(new))
    assert cost.macs - cost.macs_masked == 4 * seen * 16
    assert cost.bytes_read == 4 * (new * 64 + 2 * 2 * held * 8 + 2)
    assert cost.bytes_written == 4 * (new * 32 + 2 * 2 * room * 8)


def test_a_window_cache_of_unknown_age_is_full() -> None:
    text = WINDOW.format(new=1, room=4, window=4, more=", int32 t", stored="")
    found = node_of(text)
    assert found.cost is not None
    assert found.cost.macs == 4 * 5 * 16
    assert found.status is NodeStatus.ESTIMATED
    assert found.node.output(1).dims == (1, 2, 4, 8)


def test_a_sink_joins_the_softmax() -> None:
    # 2 * 4 heads of 5 queries: maximum, difference, sum and an exp a row.
    text = "(float[2,5,32] q, float[2,5,16] k, float[2,5,16] v, int32[2] n, float[4] h) => (float[?,?,?] y, float[?,?,?,?] c, float[?,?,?,?] d) <int32 t = {{5}}> {{ y, c, d = .GroupQueryAttention<num_heads=4, kv_num_heads=2{0}>(q, k, v, , , n, t, , , , , {1}) }}"
    plain, smooth, sink = (
        cost_of(text.format(more, tail))
        for more, tail in (("", ""), (", smooth_softmax=1", ""), ("", "h"))
    )
    for one in (smooth, sink):
        assert one.vector_ops - plain.vector_ops == 3 * 40
        assert one.transcendentals - plain.transcendentals == 40


@pytest.mark.parametrize(("past", "new", "scaled"), [(9, 1, 10), (0, 5, 0)])
def test_a_cache_of_eight_bits(past: int, new: int, scaled: int) -> None:
    # What is new is quantized (4 an element of 2 heads of 8), what comes from the cache is scaled (1).
    # A first prompt meets its own keys in float.
    cache = f", int8[1,2,{past},8] pk, int8[1,2,{past},8] pv"
    text = "(float[1,{new},32] q, float[1,{new},16] k, float[1,{new},16] v{cache}, int32[1] n, float[1] s) => (float[?,?,?] y, int8[?,?,?,?] c, int8[?,?,?,?] d) <int32 t = {{{total}}}> {{ y, c, d = .GroupQueryAttention<num_heads=4, kv_num_heads=2{more}>(q, k, v, {operands}, n, t, , , , , , s, s) }}"
    plain, quantized = (
        cost_of(
            text.format(
                new=new,
                cache=cache if past else "",
                total=past + new,
                more=more,
                operands="pk, pv" if past else ", ",
            )
        )
        for more in ("", ', k_quant_type="PER_TENSOR", v_quant_type="PER_TENSOR"')
    )
    assert quantized.vector_ops - plain.vector_ops == 2 * 16 * (4 * new + scaled)


PAGES = "(float16[7,{q}] q{keys}, {kind}[6,4,{kv},8] kc{values}, int32[3] c, int32[2] p, int32[2,3] t) => (float16[?,?] y, {kind}[?,?,?,?] e) <int32[2] bound = {{{{5, 10}}}}, float16[16,4] cos, float16[16,4] sin, float16[4] sink, float16[8] g, float[1] s> {{{{ y, e = .PagedAttention<num_heads=4, kv_num_heads={kv}{{more}}>({call}{{tail}}) }}}}"
SEPARATE = PAGES.format(
    q=32,
    keys=", float16[7,16] k, float16[7,16] v",
    kind="float16",
    kv=2,
    values=", float16[6,4,2,8] vc",
    call="q, k, v, kc, vc, c, p, t",
)
PACKED = PAGES.format(
    q=64,
    keys="",
    kind="float16",
    kv=2,
    values=", float16[6,4,2,8] vc",
    call="q, , , kc, vc, c, p, t",
)
LATENT = PAGES.format(
    q=32, keys=", float16[7,8] k", kind="float16", kv=1, values="", call="q, k, , kc, , c, p, t"
)
EIGHT_BITS = PAGES.format(
    q=64, keys="", kind="int8", kv=2, values=", int8[6,4,2,8] vc", call="q, , , kc, vc, c, p, t"
)


def pages(form: str, more: str = "", tail: str = "") -> OpCost:
    return cost_of(form.format(more=more, tail=tail))


def test_forms_of_pages() -> None:
    # 7 tokens, 4 heads, at most 3 blocks of 4 keys.
    for form in (SEPARATE, PACKED, EIGHT_BITS):
        assert pages(form).macs == 7 * 4 * 12 * 16
    latent = ', kv_cache_layout="LATENT", v_head_size=6, scale=0.5'
    assert pages(LATENT, latent).macs == 7 * 4 * 12 * (8 + 6)
    assert node_of(LATENT.format(more=latent, tail="")).node.output().dims == (7, 24)


def test_a_bound_and_a_window() -> None:
    # At most 10 keys are said to be there; 4 of them are in the window.
    bounded = pages(SEPARATE, ", local_window_size=4", ", , , , , , , , , bound")
    assert bounded.macs == 7 * 4 * 10 * 16
    assert bounded.macs_masked == 7 * 4 * 6 * 16


def test_work_before_and_after_scores() -> None:
    plain = pages(SEPARATE)
    full = pages(SEPARATE, ", do_rotary=1, softcap=2.0", ", cos, sin, , sink, g, g")
    # 28 rows of 12 scores: a cap 2 and a tanh, a sink 3 and an exp a row; 7 tokens of 4 + 2 heads of
    # 8: rotation 3, norm 4 an element, 1 and a root a head.
    assert full.vector_ops - plain.vector_ops == 28 * 12 * 2 + 28 * 3 + 42 * (3 * 8 + 33)
    assert full.transcendentals - plain.transcendentals == 28 * 12 + 28 + 42


def test_a_quantized_cache_is_scaled() -> None:
    # 7 tokens of 2 heads of 8 are quantized (4), 2 * 12 rows of them scaled (1), for K and V.
    more = ', k_quant_type="PER_TENSOR", v_quant_type="PER_TENSOR"'
    plain, scaled = pages(EIGHT_BITS), pages(EIGHT_BITS, more, ", , , , , , , s, s")
    assert scaled.vector_ops - plain.vector_ops == 2 * 16 * (4 * 7 + 24)


SELECTED = "(float16[1,3,64] q, float16[1,2,16,8] kc, float16[1,2,16,8] vc{more}, int32[3,5] s, int32[3] m, int32[1] l) => (float16[?,?,?] y, float16[?,?,?,?] e, float16[?,?,?,?] f) <int32 t = {{16}}> {{ y, e, f = .DynamicSparseAttention<num_heads=4, kv_num_heads=2{attributes}>(q, , , kc, vc, {auxiliary}, s, m, l, t) }}"


def test_a_window_joins_what_is_selected() -> None:
    # 3 queries of 4 heads meet 4 keys of the window and 5 of another cache, whose 15 rows of 16
    # elements are read (of 20); 3 * 4 of 16 rows of the main ones.
    text = SELECTED.format(
        more=", float16[1,2,20,8] a",
        attributes=', attention_mode="local_plus_selected", selected_kv_source="auxiliary", local_window_size=4, auxiliary_kv_shared=1',
        auxiliary="a, ",
    )
    cost = cost_of(text)
    assert cost.macs == 3 * 4 * 9 * 16
    assert cost.bytes_read == 2 * 192 + 4 * (15 + 3 + 1 + 1) + 2 * 16 * (15 + 2 * 12)


def test_selection_from_the_main_cache() -> None:
    cost = cost_of(SELECTED.format(more="", attributes=", smooth_softmax=1", auxiliary=", "))
    assert cost.macs == 3 * 4 * 5 * 16
    # 60 scores, 12 rows: scale and softmax 5 less 2 a row; the sink 3 a row.
    assert cost.vector_ops == 60 * 5 - 24 + 36


@pytest.mark.parametrize("ratio", [1, 3, 4])
@pytest.mark.parametrize("fresh", [0, 1, 5, 9])
def test_windows_close_as_token_after_token(ratio: int, fresh: int) -> None:
    for buffered in range(2 * ratio):
        # The buffer holds the last complete window, if there is one, and the tokens after it.
        last, pending, closed = buffered >= ratio, buffered, 0
        pending -= ratio if last else 0
        for _ in range(fresh):
            pending += 1
            if pending == ratio:
                last, pending, closed = True, 0, closed + 1
        assert closed_windows(buffered, fresh, ratio) == (closed, pending + (ratio if last else 0))


def test_compressed_keys_of_gated_windows() -> None:
    # 12 queries of 3 heads of 8. A buffer of 4 + 1 tokens and 6 more close a window of 4: 5 + 1 keys.
    # Pairs 72: scale, ReLU, weight, sum 11, choice of 3 takes 2. Norm 33 and rotation 12 for 36 + 2
    # vectors; 2 windows of 8 slots, 8 channels: 7 a slot less 3 a channel; 36 weights are scaled.
    text = '(float[2,6,24] q, float[2,6,16] k, float[8] a, float[8] d, float[40,2] c, float[40,2] s, float[2,5,8] p, float[2,6,16] g, float[4,16] b, float[2,6,3] h, int64[2,6] i, float[2,2,5,16] u) => (int32[?,?,?] y, float[?,?,?] o, float[?,?,?,?] z) { y, o, z = .SparseAttentionIndexer<policy_mode="csa", compress_ratio=4, index_topk=3>(q, k, a, d, c, s, , p, g, b, h, i, , u) }'
    cost = cost_of(text)
    assert cost.macs == 12 * 3 * 6 * 8
    assert cost.vector_ops == 72 * 13 + 38 * 45 + 2 * (7 * 64 - 3 * 8) + 36
    assert cost.transcendentals == 38 + 2 * 64


QSA = '(float[2,6,32] q, float[8] a, float[8] d, float[2,40,4] c, float[2,40,4] s, float[2,20,8] p{more}) => (int32[?,?,?] y, float[?,?,?] o) {stored} {{ y, o = .SparseAttentionIndexer<policy_mode="qsa"{attributes}>(q, , a, d, c, s, , p, , , , , n) }}'
RATIO = ", compress_ratio=4, token_budget=8"


def test_a_cache_with_room() -> None:
    # Q and K are packed: 3 heads. 9 of 20 keys are there: 15 tokens, 3 blocks; not said: 14 + 6, 5.
    known = node_of(QSA.format(more="", stored="<int32[1] n = {9}>", attributes=RATIO))
    unknown = cost_of(QSA.format(more=", int32[1] n", stored="", attributes=RATIO))
    assert known.cost is not None
    assert known.cost.macs == 12 * 3 * 3 * 8
    assert known.node.output(1).dims == (2, 20, 8)
    assert unknown.macs == 12 * 3 * 5 * 8


def test_what_is_missing_is_said() -> None:
    for text, word in (
        (QSA.format(more=", int32[1] n", stored="", attributes=""), "compress_ratio"),
        (
            SELECTED.format(more="", attributes="", auxiliary=", ").replace("num_heads=4, ", ""),
            "num_heads",
        ),
        (SEPARATE.format(more="", tail="").replace("num_heads=4, ", ""), "num_heads"),
    ):
        found = node_of(text)
        assert found.status is NodeStatus.DECLINED
        assert found.reason is not None
        assert word in found.reason
