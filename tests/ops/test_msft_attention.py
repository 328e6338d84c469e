"""com.microsoft's attention: counts derived by hand."""

from __future__ import annotations

import pytest

from mlsys_lint import Contraction, NodeCost, NodeStatus, OpCost
from mlsys_lint.testing import estimate_text


def node_of(text: str) -> NodeCost:
    """The only node, its com.microsoft calls written with a leading dot."""
    (found,) = estimate_text(microsoft(text))
    assert found.cost is not None, found.reason
    maximum = any(text.startswith("data-dependent") for text in found.cost.assumptions)
    assert found.status is (NodeStatus.ESTIMATED if maximum else NodeStatus.EXACT)
    return found


def microsoft(text: str) -> str:
    return f"g {text}".replace(" .", " com.microsoft.")


def cost_of(text: str) -> OpCost:
    cost = node_of(text).cost
    assert cost is not None
    return cost


def test_attention_projects() -> None:
    # 2 * 5 tokens of 6 -> 3 * 8, a bias each; 2 heads of 4 meet 5 + 7 keys; 1 scale, 1 mask a score.
    text = "(float[2,5,6] x, float[6,24] w, float[24] b, int32[2,12] m, float[2,2,2,7,4] p) => (float[?,?,?] y, float[?,?,?,?,?] o) { y, o = .Attention<num_heads=2, unidirectional=1>(x, w, b, m, p) }"
    cost = cost_of(text)
    assert cost.contractions == (
        Contraction(m=10, n=24, k=6, dtype="float"),
        Contraction(batch=4, m=5, n=12, k=4, dtype="float"),
        Contraction(batch=4, m=5, n=4, k=12, dtype="float"),
    )
    scores = 4 * 5 * 12
    assert cost.vector_ops == 240 + scores * (2 + 4) - 2 * 20
    assert cost.transcendentals == scores
    # 4 + 3 + 2 + 1 pairs above the diagonal, 4 + 4 MACs each, 4 heads.
    assert cost.macs_masked == 10 * 8 * 4


def test_multi_head_attention_does_not_project() -> None:
    text = "(float[2,5,8] q, float[2,6,8] k, float[2,6,12] v, float[28] b) => (float[?,?,?] y) { y = .MultiHeadAttention<num_heads=2>(q, k, v, b) }"
    cost = cost_of(text)
    assert cost.macs == 4 * 5 * 6 * (4 + 6)
    # The bias meets each element of Q, K and V once; the scale each of 120 scores.
    assert cost.vector_ops == (80 + 96 + 144) + 120 * 5 - 2 * 20


@pytest.mark.parametrize(
    ("inputs", "operands", "macs"),
    [
        ("float[2,5,2,3,4] q", "q", 4 * 5 * 5 * 8),
        ("float[2,5,8] q, float[2,6,2,2,4] k", "q, k", 4 * 5 * 6 * 8),
        ("float[2,5,8] q, float[2,2,6,4] k, float[2,2,6,4] v", "q, k, v", 4 * 5 * 6 * 8),
    ],
)
def test_packed_and_cached_forms(inputs: str, operands: str, macs: int) -> None:
    text = f"({inputs}) => (float[?,?,?] y) {{ y = .MultiHeadAttention<num_heads=2>({operands}) }}"
    assert cost_of(text).macs == macs


GROUPED = "(float[2,{new},32] q, float[2,{new},16] k, float[2,{new},16] v{past}, int32[2] n) => (float[?,?,?] y, float[?,?,?,?] c, float[?,?,?,?] d) <int32 t = {{{total}}}, float[9,4] cos, float[9,4] sin> {{ y, c, d = .GroupQueryAttention<num_heads=4, kv_num_heads=2{more}>(q, k, v, {cache}, n, t{rotary}) }}"


def grouped(new: int, past: int, more: str = "", rotary: str = "") -> OpCost:
    cache = f", float[2,2,{past},8] pk, float[2,2,{past},8] pv" if past else ""
    text = GROUPED.format(
        new=new,
        past=cache,
        total=new + past,
        cache="pk, pv" if past else ", ",
        more=more,
        rotary=rotary,
    )
    return cost_of(text)


def test_grouped_queries_are_causal_and_share_keys() -> None:
    prompt, step = grouped(5, 0), grouped(1, 7)
    assert prompt.macs == 8 * 5 * 5 * 16
    assert prompt.macs_masked == 8 * 10 * 16
    assert (step.macs, step.macs_masked) == (8 * 8 * 16, 0)
    # Q, the new K and V, both caches of 7, lengths and total; results and caches of 8.
    assert step.bytes_read == 4 * (64 + 32 + 32 + 2 * 2 * 2 * 7 * 8 + 2 + 1)
    assert step.bytes_written == 4 * (64 + 2 * 2 * 2 * 8 * 8)
    assert grouped(5, 0, ", causal=0").macs_masked == 0


def test_a_window_hides_what_is_far() -> None:
    # 4 queries see 1, 2, 2, 2 of 4 keys: 9 of 16 pairs are hidden.
    assert grouped(4, 0, ", local_window_size=2").macs_masked == 8 * 9 * 16


def test_rotation_inside() -> None:
    # 2 * 5 tokens, 4 + 2 heads of 8, 3 operations each; 5 rows of cosines and sines are read.
    plain, rotated = grouped(5, 0), grouped(5, 0, ", do_rotary=1", ", cos, sin")
    assert rotated.vector_ops - plain.vector_ops == 3 * 10 * 6 * 8
    assert rotated.bytes_read - plain.bytes_read == 2 * 5 * 4 * 4


def test_an_unknown_total_is_said() -> None:
    text = "(float[2,1,32] q, float[2,1,16] k, float[2,1,16] v, float[2,2,7,8] pk, float[2,2,7,8] pv, int32[2] n, int32 t) => (float[?,?,?] y, float[?,?,?,?] c, float[?,?,?,?] d) { y, c, d = .GroupQueryAttention<num_heads=4, kv_num_heads=2>(q, k, v, pk, pv, n, t) }"
    cost = cost_of(text)
    assert cost.macs == 8 * 8 * 16
    assert any("total_sequence_length" in note for note in cost.assumptions)


def test_sequences_of_unknown_lengths_are_said() -> None:
    # One sequence is as long as the total; of two, one may be shorter, and kernels stop at its end.
    text = "(float[{0},1,64] q{1}) => (float[?,?,?] y) <int32 t = {{1}}, int32[2] known = {{0, 0}}> {{ y = .GroupQueryAttention<num_heads=4, kv_num_heads=2>(q, , , , , {2}, t) }}"
    one, two, known = (
        node_of(text.format(*parts))
        for parts in (("1", ", int32[1] n", "n"), ("2", ", int32[2] n", "n"), ("2", "", "known"))
    )
    assert [found.status for found in (one, two, known)] == [
        NodeStatus.EXACT,
        NodeStatus.ESTIMATED,
        NodeStatus.EXACT,
    ]


def test_padding_of_a_chunk_is_said() -> None:
    text = "(float[1,4,64] q, int32[1] n, float[1,2,8,8] pk, float[1,2,8,8] pv, int32[1] c) => (float[?,?,?] y) <int32 t = {8}> { y = .GroupQueryAttention<num_heads=4, kv_num_heads=2>(q, , , pk, pv, n, t, , , , , , , , , , c) }"
    assert "padding" in cost_of(text).assumptions[0]


def test_packed_attention_at_most_full_sequences() -> None:
    # 7 tokens of 6 -> 24; 2 sequences, of at most 5 and 2; 2 heads of 4.
    text = "(float[7,6] x, float[6,24] w, float[24] b, int32[2,5] o, int32[3] c) => (float[?,?] y) { y = .PackedAttention<num_heads=2>(x, w, b, o, c) }"
    found = node_of(text)
    assert found.cost is not None
    assert found.cost.macs == 7 * 24 * 6 + 2 * (25 + 4) * 8
    assert found.node.output().dims == (7, 8)
    assert "data-dependent" in found.cost.assumptions[0]


def test_quantized_attention_projects_in_eight_bits() -> None:
    # 10 tokens of 8 -> 24: 240 results rescaled and biased (2); 80 inputs and 192 weights shifted;
    # 2 * 2 heads, 5 x 5 scores: the scale, and softmax's 4 less 2 a row.
    text = "(uint8[2,5,8] x, uint8[8,24] w, float[24] b, float s, uint8 z) => (float[?,?,?] y) { y = .QAttention<num_heads=2>(x, w, b, s, s, , z, z) }"
    cost = cost_of(text)
    assert cost.contractions[0] == Contraction(m=10, n=24, k=8, dtype="uint8")
    assert cost.contractions[1].dtype == "float"
    assert cost.vector_ops == 240 * 2 + 80 + 192 + 100 * (1 + 4) - 2 * 20


def test_a_shared_cache_is_used_as_far_as_it_is_filled() -> None:
    # Room for 9 keys; one query. 6 are said to be there: it meets 7. Not said: at most all 9.
    text = "(float[1,1,8] x, float[8,24] w, float[24] b, float[2,1,2,9,4] p{extra}) => (float[?,?,?] y, float[?,?,?,?,?] o) <{weights}> {{ y, o = .DecoderMaskedSelfAttention<num_heads=2, past_present_share_buffer=1>(x, w, b, , p, , n) }}"
    known = node_of(text.format(extra="", weights="int32[1] n = {6}"))
    unknown = node_of(text.format(extra=", int32[1] n", weights="float[1] unused"))
    assert known.cost is not None
    assert unknown.cost is not None
    assert known.cost.macs == 24 * 8 + 2 * 7 * 8
    assert unknown.cost.macs == 24 * 8 + 2 * 9 * 8
    assert known.node.output(1).dims == (2, 1, 2, 9, 4)


def test_a_decoder_step_reads_its_cache() -> None:
    # One query of 2 heads of 4 meets 6 + 1 keys; cache and result are [1, 2, 7, 4] then.
    text = "(float[1,1,8] q, float[1,1,8] k, float[1,1,8] v, float[1,2,6,4] c, float[1,2,6,4] d) => (float[?,?,?] y, float[?,?,?,?] e, float[?,?,?,?] f) { y, e, f = .DecoderMaskedMultiHeadAttention<num_heads=2>(q, k, v, , , c, d) }"
    found = node_of(text)
    assert found.cost is not None
    assert found.cost.macs == 2 * 7 * 8
    assert found.node.output(1).dims == (1, 2, 7, 4)


@pytest.mark.parametrize(
    ("inputs", "operands"),
    [
        ("float[7,8] q, float[7,8] k, float[7,8] v, float[24] b", "q, k, v, b, o, c"),
        ("float[7,2,3,4] q", "q, , , , o, c"),
    ],
)
def test_packed_multi_head_attention(inputs: str, operands: str) -> None:
    text = f"({inputs}, int32[2,5] o, int32[3] c) => (float[?,?] y) {{ y = .PackedMultiHeadAttention<num_heads=2>({operands}) }}"
    found = node_of(text)
    assert found.cost is not None
    # Sequences of 5 and 2: 2 * 29 scores of 2 * 7 rows. 7 tokens of Q, K and V meet the bias.
    assert found.cost.macs == 58 * 8
    biased = 7 * 24 if "b" in operands else 0
    assert found.cost.vector_ops == 58 * 5 - 2 * 14 + biased
    assert found.node.output().dims == (7, 8)


def test_caps_norms_and_biases_of_grouped_queries() -> None:
    # 8 * 25 scores: an attention bias 1, a soft cap 2 and a tanh; 2 * 5 tokens of 4 + 2 heads of 8
    # are normalized: 4 per element, 1 and a root per head.
    text = "(float[2,5,32] q, float[2,5,16] k, float[2,5,16] v, int32[2] n, float[1,1,5,5] a, float[8] g) => (float[?,?,?] y, float[?,?,?,?] c, float[?,?,?,?] d) <int32 t = {{5}}> {{ y, c, d = .GroupQueryAttention<num_heads=4, kv_num_heads=2{0}>(q, k, v, , , n, t, , , {1}) }}"
    plain, full = (
        cost_of(text.format(more, tail))
        for more, tail in (("", ""), (", softcap=2.0", ", a, , , , g, g"))
    )
    assert full.vector_ops - plain.vector_ops == 200 * 3 + 60 * (4 * 8 + 1)
    assert full.transcendentals - plain.transcendentals == 200 + 60


@pytest.mark.parametrize(
    "text",
    [
        "(float[1,3,8] x, float[8,24] w) => (float[?,?,?] y) { y = .Attention(x, w) }",
        "(uint8[1,3,8] x, uint8[8,24] w, float[24] b, float s) => (float[?,?,?] y) { y = .QAttention(x, w, b, s, s) }",
        "(float[7,6] x, float[6,24] w, float[24] b, int32[2,5] o, int32[3] c) => (float[?,?] y) { y = .PackedAttention(x, w, b, o, c) }",
        "(float[2,5,8] q, float[2,6,8] k, float[2,6,8] v) => (float[?,?,?] y) { y = .MultiHeadAttention(q, k, v) }",
        "(float[7,8] q, float[7,8] k, int32[2,5] o, int32[3] c) => (float[?,?] y) { y = .PackedMultiHeadAttention(q, k, k, , o, c) }",
        "(float[2,5,32] q, float[2,5,16] k, int32[2] n, int32 t) => (float[?,?,?] y) { y = .GroupQueryAttention<num_heads=4>(q, k, k, , , n, t) }",
    ],
)
def test_a_missing_number_of_heads_is_declined(text: str) -> None:
    (found,) = estimate_text(microsoft(text))
    assert found.status is NodeStatus.DECLINED
    assert found.reason is not None
    assert "num_heads" in found.reason


@pytest.mark.parametrize(
    "text",
    [
        "(float[] x, float[] w) => (float[] y) { y = .Attention<num_heads=2>(x, w) }",
        "(float[] x, float[] w, float[] b, int32[2,5] o, int32[3] c) => (float[] y) { y = .PackedAttention<num_heads=2>(x, w, b, o, c) }",
        "(float[] x) => (float[] y) { y = .MultiHeadAttention<num_heads=2>(x, x, x) }",
        "(float[] x, int32[2,5] o, int32[3] c) => (float[] y) { y = .PackedMultiHeadAttention<num_heads=2>(x, x, x, , o, c) }",
        "(float[] x, int32[2] n, int32 t) => (float[] y) { y = .GroupQueryAttention<num_heads=4, kv_num_heads=2>(x, x, x, , , n, t) }",
        "(float[] x, int64[2,3] p, float[9,4] c) => (float[] y) { y = .RotaryEmbedding(x, p, c, c) }",
    ],
)
def test_unknown_sizes_are_declined(text: str) -> None:
    (found,) = estimate_text(microsoft(text))
    assert found.status is NodeStatus.DECLINED


def test_attention_may_rotate() -> None:
    # Q and K of 2 * 3 tokens, 2 heads of 4: 3 operations each.
    text = "(float[2,3,8] x, float[8,24] w) => (float[?,?,?] y) {{ y = .Attention<num_heads=2, do_rotary={}>(x, w) }}"
    rotated, plain = cost_of(text.format(1)), cost_of(text.format(0))
    assert rotated.vector_ops - plain.vector_ops == 3 * 2 * 6 * 8


def test_multi_head_attention_over_a_shared_cache() -> None:
    # Room for 9 keys, 6 of them are filled; one query brings one more.
    text = "(float[1,1,8] x, float[1,2,9,4] c) => (float[?,?,?] y, float[?,?,?,?] e, float[?,?,?,?] f) <int32[1] n = {6}> { y, e, f = .MultiHeadAttention<num_heads=2>(x, x, x, , , , c, c, n) }"
    found = node_of(text)
    assert found.cost is not None
    assert found.cost.macs == 2 * 7 * 8
    assert found.node.output(1).dims == (1, 2, 9, 4)


SHARED = "(float[1,1,8] x, float[1,2,9,4] c, float[1,2,9,4] d{more}) => (float[?,?,?] y, float[?,?,?,?] e, float[?,?,?,?] f, float[?,?,?,?] s) <{stored}> {{ y, e, f, s = .MultiHeadAttention<num_heads=2>(x, x, x, , , , c, d, n) }}"


def test_a_shared_cache_moves_what_is_held_and_what_is_new() -> None:
    # Query, key and value are one tensor of 8; 6 of 9 rows are held in each cache, 2 heads of 4; the
    # length. One row is written to each; the results; 2 rows of 7 scores.
    known = node_of(SHARED.format(more="", stored="int32[1] n = {6}"))
    assert known.cost is not None
    assert known.cost.bytes_read == 4 * (8 + 2 * 6 * 8 + 1)
    assert known.cost.bytes_written == 4 * (8 + 2 * 8 + 2 * 7)
    assert known.cost.aliases == ((6, 1), (7, 2))
    assert known.node.output(3).dims == (1, 2, 1, 7)


def test_a_shared_cache_of_unknown_length_is_full() -> None:
    unknown = node_of(SHARED.format(more=", int32[1] n", stored="float[1] unused"))
    assert unknown.cost is not None
    assert unknown.cost.macs == 2 * 9 * 8
    assert unknown.cost.bytes_read == 4 * (8 + 2 * 8 * 8 + 1)
    assert unknown.status is NodeStatus.ESTIMATED
    assert unknown.node.output(3).bounded == {3}
    assert unknown.node.output(1).bounded == frozenset()


def test_a_shared_cache_of_self_attention() -> None:
    # 6 of 9 rows of 2 * 2 * 4 are read, one is written; not said: 8.
    text = "(float[1,1,8] x, float[8,24] w, float[2,1,2,9,4] p{extra}) => (float[?,?,?] y, float[?,?,?,?,?] o) <{weights}> {{ y, o = .Attention<num_heads=2, past_present_share_buffer=1>(x, w, , , p, , n) }}"
    known = cost_of(text.format(extra="", weights="int32[1] n = {6}"))
    unknown = cost_of(text.format(extra=", int32[1] n", weights="float[1] unused"))
    assert known.bytes_read == 4 * (8 + 192 + 6 * 16 + 1)
    assert unknown.bytes_read == 4 * (8 + 192 + 8 * 16 + 1)
    assert known.bytes_written == unknown.bytes_written == 4 * (8 + 16)
    assert not known.assumptions
    assert "data-dependent" in unknown.assumptions[0]


def test_room_in_a_cache_is_not_read() -> None:
    # 5 of 9 keys are there, one of them is new: past and present may be one buffer, and a new row of
    # 2 heads of 8 for 2 sequences is written of both.
    text = "(float[2,1,32] q, float[2,1,16] k, float[2,1,16] v, float[2,2,9,8] pk, float[2,2,9,8] pv, int32[2] n) => (float[?,?,?] y, float[?,?,?,?] c, float[?,?,?,?] d, float[?,?,?,?] s) <int32 t = {5}> { y, c, d, s = .GroupQueryAttention<num_heads=4, kv_num_heads=2, qk_output=1>(q, k, v, pk, pv, n, t) }"
    cost = cost_of(text)
    assert cost.macs == 8 * 5 * 16
    assert cost.bytes_read == 4 * (128 + 2 * 2 * 2 * 4 * 8 + 3)
    assert cost.bytes_written == 4 * (64 + 2 * 2 * 2 * 8 + 8 * 5)
    assert cost.aliases == ((3, 1), (4, 2))
