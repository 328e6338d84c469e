"""Search, padding, biases, normalization and AttnLSTM of com.microsoft: counts by hand and by nested loops."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from mlsys_lint import NodeCost, NodeStatus, OpCost
from mlsys_lint.testing import estimate_text, model_from_text
from mlsys_lint_plugins.ops.msft_decoder_attention import local_pairs

Array: TypeAlias = npt.NDArray[np.float32]


def node_of(text: str) -> NodeCost:
    """The only node, its com.microsoft calls written with a leading dot."""
    (found,) = estimate_text(f"g {text}".replace(" .", " com.microsoft."))
    return found


def cost_of(text: str) -> OpCost:
    found = node_of(text)
    assert found.cost is not None, found.reason
    return found.cost


BODY = "decoder = d (float[1,1] i) => (float[1,1] l) { l = Relu(i) }"
BEAMS = "int32[1] m = {20}, int32[1] k = {4}, int32[1] r = {2}, float[1] p = {1}"


def types_of(found: NodeCost) -> list[tuple[str, tuple[int | None, ...] | None]]:
    return [(one.type_name, one.shape) for one in found.node.outputs if one is not None]


SEARCHES = [
    (
        f"(int32[3,5] i) => (int32[] y, float[] s, float[] a) <{BEAMS}> {{ y, s, a = .BeamSearch<{BODY}, eos_token_id=1, pad_token_id=1, vocab_size=9>(i, m, , k, r, p) }}",
        [("int32", (3, 2, 20)), ("float", (3, 2)), ("float", (15, 3, 4, 9))],
    ),
    (
        f"(float[3,80,100] i) => (int32[] y, float[] s, float[] a, float[] q, float[] n) <{BEAMS}, int32[6,2] c> {{ y, s, a, q, n = .WhisperBeamSearch<eos_token_id=1, pad_token_id=1, vocab_size=9>(i, m, , k, r, p, , , , , , , c) }}",
        [
            ("int32", (3, 2, 20)),
            ("float", (3, 2)),
            ("float", (None, 3, 4, 9)),
            ("float", (3, 2, 6, None, None)),
            ("float", (3,)),
        ],
    ),
    (
        "(int32[3,5] i) => (int32[] y) <int32[1] m = {20}> { y = .GreedySearch<eos_token_id=1, pad_token_id=1>(i, m) }",
        [("int32", (3, 20))],
    ),
    (
        "(int32[3,5] i, int32[1] m) => (int32[] y, float[] f) { y, f = .Sampling<eos_token_id=1, pad_token_id=1, vocab_size=9>(i, m) }",
        [("int32", (3, None)), ("float", (3, 9))],
    ),
]


@pytest.mark.parametrize(("text", "types"), SEARCHES)
def test_a_search_has_types_but_no_cost(
    text: str, types: list[tuple[str, tuple[int | None, ...]]]
) -> None:
    found = node_of(text)
    assert found.status is NodeStatus.UNSUPPORTED
    assert found.cost is None
    assert found.reason is not None
    assert "depends on data" in found.reason
    assert "decoder" in found.reason
    assert types_of(found) == types


def test_padding_is_removed_at_most_not_at_all() -> None:
    text = "(float[2,5,8] x, int32[2] n) => (float[?,?] y, int32[?,?] o, int32[?] c, int32[?] m) { y, o, c, m = .RemovePadding(x, n) }"
    found = node_of(text)
    assert found.status is NodeStatus.ESTIMATED
    assert found.node.output().dims == (10, 8)
    assert found.node.output().bounded == {0}


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)), dtype=np.float32)


def attn_lstm(x: Array, given: dict[str, Array]) -> tuple[Array, int]:
    """Hidden states [T, B, H] and the multiplications of all products."""
    count = 0

    def product(a: Array, b: Array) -> Array:
        nonlocal count
        count += a.shape[0] * a.shape[1] * b.shape[1]
        return a @ b

    steps, batch, _ = x.shape
    memory, hidden = given["m"], given["r"].shape[1]
    keys = [product(one, given["mw"]) for one in memory]
    h, c = np.zeros((2, batch, hidden), np.float32)
    attention = np.zeros((batch, given["aw"].shape[1]), np.float32)
    states = []
    for t in range(steps):
        gates = product(np.concatenate([x[t], attention], 1), given["w"].T)
        gates = gates + product(h, given["r"].T) + given["b"]
        i, o, f, g = np.split(gates, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        query = product(h, given["qw"])
        contexts = []
        for one in range(batch):
            score = product(np.tanh(keys[one] + query[one]), given["v"][:, None])[:, 0]
            align = np.exp(score - score.max())
            contexts.append(product((align / align.sum())[None], memory[one])[0])
        attention = product(np.concatenate([h, np.stack(contexts)], 1), given["aw"])
        states.append(h)
    return np.stack(states), count


@pytest.mark.ort
def test_an_lstm_that_attends_multiplies_as_often_as_a_loop() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    shapes = {
        "x": (3, 2, 5),
        "w": (1, 12, 11),
        "r": (1, 12, 3),
        "b": (1, 24),
        "qw": (1, 3, 4),
        "mw": (1, 7, 4),
        "v": (1, 4),
        "m": (2, 9, 7),
        "aw": (1, 10, 6),
    }
    random = np.random.default_rng(0)
    feeds = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    inputs = ", ".join(
        f"float[{','.join(map(str, shape))}] {name}" for name, shape in shapes.items()
    )
    text = f"g ({inputs}) => (float[?,?,?,?] y) {{ y = com.microsoft.AttnLSTM<hidden_size=3>(x, w, r, b, , , , , qw, mw, v, m, , aw) }}"
    session = onnxruntime.InferenceSession(
        model_from_text(text, opset=17).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (observed,) = session.run(None, feeds)
    one = {name: array if name == "m" else array[0] for name, array in feeds.items() if name != "x"}
    one["b"] = one["b"].reshape(2, 12).sum(0)
    states, count = attn_lstm(feeds["x"], one)
    assert np.allclose(observed[:, 0], states, atol=1e-5)
    (found,) = estimate_text(text, opset=17)
    assert found.cost is not None
    assert found.cost.macs == count


def test_an_attention_layer_and_lengths_are_optional() -> None:
    # Without AW the context of 7 is the attention: W is 5 + 7 wide, no last product.
    text = "(float[4,2,5] x, float[1,12,12] w, float[1,12,3] r, float[1,3,4] q, float[1,7,4] k, float[1,4] v, float[2,9,7] m, int32[2] n) => (float[?,?,?,?] y) { y = .AttnLSTM<hidden_size=3>(x, w, r, , , , , , q, k, v, m, n) }"
    cost = cost_of(text)
    assert cost.macs == 8 * (12 * 12 + 12 * 3 + 3 * 4 + 9 * 4 + 9 * 7) + 2 * 9 * 7 * 4
    assert any("memory" in note for note in cost.assumptions)


def test_an_activation_without_formula_is_declined() -> None:
    text = '(float[4,2,5] x, float[1,12,12] w, float[1,12,3] r, float[1,3,4] q, float[1,7,4] k, float[1,4] v, float[2,9,7] m) => (float[?,?,?,?] y) { y = .AttnLSTM<hidden_size=3, activations=["Sigmoid", "Softmax", "Tanh"]>(x, w, r, , , , , , q, k, v, m) }'
    assert node_of(text).status is NodeStatus.DECLINED


FLAGS = "(float[5,2,8] q, float[6,2,8] k, float[2,2,7,4] c, float[2,2,7,4] d, bool[2,12] p) => (float[?,?,?] y, float[?,?,?,?] e, float[?,?,?,?] f) <float[8,8] w, float[8,16] v, float[24] b, bool[1] static = {{{0}}}, bool[1] uses = {{{1}}}, bool[1] state = {{{2}}}, bool[1] mask = {{0}}> {{ y, e, f = .DecoderAttention<num_heads=2>(q, k, w, v, b, p, c, d, static, uses, state, mask) }}"


@pytest.mark.parametrize(
    ("static", "uses", "state", "fresh", "keys"),
    [
        (0, 0, 0, 5, 5),  # keys of the query
        (1, 0, 0, 6, 6),  # keys of `key`
        (0, 1, 1, 5, 12),  # the query's after a cache of 7
        (1, 1, 1, 0, 7),  # the cache
        (1, 1, 0, 6, 6),  # no state: no cache
    ],
)
def test_flags_choose_keys(static: int, uses: int, state: int, fresh: int, keys: int) -> None:
    found = node_of(FLAGS.format(static, uses, state))
    assert found.cost is not None
    # Q for 5 queries, K and V for the fresh keys of 2 sequences; 4 heads, 5 queries, 4 + 4.
    assert found.cost.macs == 2 * 5 * 8 * 8 + 2 * fresh * 8 * 16 + 4 * 5 * keys * 8
    assert found.node.output(1).dims == (2, 2, keys, 4)
    read = 80 + 64 + 24 + (128 if fresh else 0) + (96 if fresh == 6 else 0)
    cached = 2 * 2 * 2 * 7 * 4 if uses and state else 0
    assert found.cost.bytes_read == 4 * (read + cached) + 4


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (FLAGS.format(0, 0, 0).replace(" = {0}", "", 1), "constants"),
        (FLAGS.format(0, 0, 0).replace("num_heads=2", "mask_filter_value=0.0"), "num_heads"),
        (
            "(float[1,8,8] x, float[8,24] w, float[24] b, float[1,8] m, int32[1,8] g) => (float[?,?,?] y) { y = .LongformerAttention<num_heads=2>(x, w, b, m, w, b, g) }",
            "window",
        ),
        (
            "(float[32,4] t, int64[1] q) => (float[?,?,?,?] y) { y = .RelativePositionBias<max_distance=128>(t, q, q) }",
            "static shape",
        ),
    ],
)
def test_what_is_missing_is_said(text: str, word: str) -> None:
    found = node_of(text)
    assert found.status is NodeStatus.DECLINED
    assert found.reason is not None
    assert word in found.reason


@pytest.mark.parametrize(("length", "window"), [(8, 2), (8, 7), (3, 5), (1, 2)])
def test_pairs_within_a_window(length: int, window: int) -> None:
    pairs = sum(abs(i - j) <= window for i in range(length) for j in range(length))
    assert local_pairs(length, window) == pairs


def test_buckets_of_both_directions() -> None:
    # 25 pairs: 2 more operations each; 4 heads share them.
    text = "(float[32,4] t) => (float[?,?,?,?] y) <int64[1] n = {{5}}> {{ y = .RelativePositionBias<max_distance=128{}>(t, n, n) }}"
    both, one = cost_of(text.format(", is_bidirectional=1")), cost_of(text.format(""))
    assert (one.vector_ops, both.vector_ops) == (250, 300)


def test_a_gate_without_padding() -> None:
    # 7 tokens of 2 sequences of at most 5: 2 * 2 * 5 rows of 4 -> 6.
    text = "(float[7,8] q, float[8] b, float[1,2,5,5] r, float[4,6] w, float[6] g, float[1,2,1,1] e, int32[2,5] o) => (float[?,?,?,?] y) { y = .GatedRelativePositionBias<num_heads=2>(q, b, r, w, g, e, o) }"
    assert cost_of(text).macs == 20 * 24


def test_unknown_training_mode_counts_as_training() -> None:
    text = "(float[4,8] x, float[8] b, bool t) => (float[?,?] y) { y = .BiasDropout(x, b, , , t) }"
    cost = cost_of(text)
    assert cost.vector_ops == 32 * 4
    assert cost.assumptions
    assert node_of(text).status is NodeStatus.ESTIMATED


def test_words_of_several_sentences_are_declined() -> None:
    # ONNX Runtime makes one row per index of the first axis, whatever follows.
    text = "(int32[2,5,9] w, float[6,1,3,4] a, float[6] b, float[20,4] e) => (float[?,?,?] y) { y = .WordConvEmbedding(w, a, b, e) }"
    assert node_of(text).status is NodeStatus.DECLINED


def test_heads_without_elements_rotate_nothing() -> None:
    text = "(float[2,3,0] x, int64[2,3] p, float[9,2] c) => (float[?,?,?] y) { y = .RotaryEmbedding<num_heads=2, rotary_embedding_dim=4>(x, p, c, c) }"
    assert cost_of(text).vector_ops == 0


@pytest.mark.ort
def test_ngrams_that_repeat_are_blocked() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    text = "g (int64[1,6] i, float[1,9] s) => (float[?,?] y) { y = com.microsoft.NGramRepeatBlock<ngram_size=3>(i, s) }"
    tokens = [1, 2, 3, 5, 1, 2]
    # Four windows of three tokens; the first two of each against 1, 2. The third of a match is blocked.
    compared, blocked = 0, set()
    for start in range(4):
        compared += 2
        if tokens[start : start + 2] == tokens[-2:]:
            blocked.add(tokens[start + 2])
    session = onnxruntime.InferenceSession(
        model_from_text(text, opset=17).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feeds = {"i": np.array([tokens], np.int64), "s": np.ones((1, 9), np.float32)}
    (scores,) = session.run(None, feeds)
    assert set(np.flatnonzero(np.isinf(scores[0]))) == blocked
    (found,) = estimate_text(text, opset=17)
    assert found.cost is not None
    assert found.cost.vector_ops == compared


def test_a_half_type_is_normalized_in_float() -> None:
    # 2 conversions an element, as RMSNormalization; the result has the scale's type.
    text = "(float16[3,8] x, {} g) => ({} y, float[?,?] s) {{ y, s = SimplifiedLayerNormalization(x, g) }}"
    found = node_of(text.format("float16[8]", "float16[?,?]"))
    assert found.cost is not None
    assert found.cost.vector_ops == 24 * (4 + 2) + 3
    assert node_of(text.format("float[8]", "float[?,?]")).node.output().dtype == "float"
