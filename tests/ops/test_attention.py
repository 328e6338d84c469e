"""ai.onnx Attention and RotaryEmbedding: sizes by hand, vector work against onnx's own body."""

from __future__ import annotations

from pathlib import Path

import onnx.inliner
import pytest

from mlsys_lint import Contraction, NodeStatus, OpCost
from mlsys_lint.analysis import analyse
from mlsys_lint.loading import prepare
from mlsys_lint.operators import OperatorTable
from mlsys_lint.pipeline import CheckOptions, report
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import check_text, estimate_text, model_from_text
from runtime_outputs import assert_as_observed, text_model, zeros

CUBE = "float[?,?,?,?] y"


def cost_of(text: str, opset: int = 23) -> OpCost:
    """The cost of the only node."""
    (found,) = estimate_text(text, opset=opset)
    assert found.cost is not None, found.reason
    maximum = any(text.startswith("data-dependent") for text in found.cost.assumptions)
    assert found.status is (NodeStatus.ESTIMATED if maximum else NodeStatus.EXACT)
    return found.cost


def test_scores_and_values_of_every_head() -> None:
    # 2 batches, 6 heads, 3 queries, 5 keys of 8, values of 4: 2*6*3*5*(8 + 4) MACs.
    text = f"g (float[2,6,3,8] q, float[2,6,5,8] k, float[2,6,5,4] v) => ({CUBE}) {{ y = Attention(q, k, v) }}"
    cost = cost_of(text)
    assert cost.contractions == (
        Contraction(batch=12, m=3, n=5, k=8, dtype="float"),
        Contraction(batch=12, m=3, n=4, k=5, dtype="float"),
    )
    assert (cost.macs, cost.macs_masked) == (2160, 0)
    assert cost.transcendentals == 180
    assert cost.kernel_class == "attention"


def test_grouped_queries_share_bytes_not_macs() -> None:
    text = f"g (float[2,6,3,8] q, float[2,2,5,8] k, float[2,2,5,4] v) => ({CUBE}) {{ y = Attention(q, k, v) }}"
    cost = cost_of(text)
    assert cost.macs == 2160
    assert cost.bytes_read == 4 * (2 * 6 * 3 * 8 + 2 * 2 * 5 * (8 + 4))


def test_heads_in_the_last_axis() -> None:
    text = "g (float[2,3,48] q, float[2,5,16] k, float[2,5,8] v) => (float[?,?,?] y) {{ y = Attention<{}>(q, k, v) }}"
    assert cost_of(text.format("q_num_heads=6, kv_num_heads=2")).macs == 2160


@pytest.mark.parametrize(
    ("queries", "keys", "past", "hidden"),
    [
        (4, 4, 0, 6),  # above the diagonal: 3 + 2 + 1
        (1, 1, 6, 0),  # one query sees what was before and itself
        (3, 3, 4, 3),  # 2 + 1
        (2, 5, 0, 7),  # without a past query i sees keys 0 .. i: 4 + 3
    ],
)
def test_causal_pairs(queries: int, keys: int, past: int, hidden: int) -> None:
    inputs = f"float[1,2,{queries},8] q, float[1,2,{keys},8] k, float[1,2,{keys},8] v"
    cache = f", float[1,2,{past},8] pk, float[1,2,{past},8] pv" if past else ""
    outputs = f"{CUBE}, float[?,?,?,?] kk, float[?,?,?,?] vv" if past else CUBE
    call = (
        "y, kk, vv = Attention<is_causal=1>(q, k, v, , pk, pv)"
        if past
        else "y = Attention<is_causal=1>(q, k, v)"
    )
    cost = cost_of(f"g ({inputs}{cache}) => ({outputs}) {{ {call} }}")
    assert cost.macs == 2 * queries * (keys + past) * 16
    assert cost.macs_masked == 2 * hidden * 16


def test_an_external_cache_ends_with_the_queries_own_keys() -> None:
    # 2 queries, 5 keys, all valid: the first query misses the last key: 1 pair a head and batch.
    inputs = "float[3,2,2,8] q, float[3,2,5,8] k, float[3,2,5,8] v, int64[3] n"
    text = f"g ({inputs}) => ({CUBE}) {{ y = Attention<is_causal=1>(q, k, v, , , , n) }}"
    cost = cost_of(text, opset=24)
    assert cost.macs_masked == 6 * 16
    assert "data-dependent" in cost.assumptions[0]


BODIES = [
    "float[2,6,5,8] k, float[2,6,5,4] v) => (float[?,?,?,?] y) { y = Attention(q, k, v) }",
    "float[2,2,5,8] k, float[2,2,5,4] v) => (float[?,?,?,?] y) { y = Attention<is_causal=1>(q, k, v) }",
    "float[2,2,5,8] k, float[2,2,5,4] v, bool[3,5] m) => (float[?,?,?,?] y) { y = Attention<softcap=2.0>(q, k, v, m) }",
    "float[2,2,5,8] k, float[2,2,5,4] v, float[2,1,3,5] m) => (float[?,?,?,?] y) { y = Attention(q, k, v, m) }",
    (
        "float[2,2,3,8] k, float[2,2,3,4] v, float[2,1,3,7] m, float[2,2,4,8] c, float[2,2,4,4] d) "
        "=> (float[?,?,?,?] y, float[?,?,?,?] kk, float[?,?,?,?] vv) "
        "{ y, kk, vv = Attention<is_causal=1>(q, k, v, m, c, d) }"
    ),
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("opset", [23, 24])
def test_work_is_that_of_the_function_body(body: str, opset: int) -> None:
    model = model_from_text(f"g (float[2,6,3,8] q, {body}", opset)
    inlined = onnx.inliner.inline_selected_functions(
        model, [("", "Attention")], inline_schema_functions=True
    )
    ours, theirs = totals(model), totals(inlined)
    assert theirs[0] == ours[0]
    # What the body computes on shapes and the scale: some ten sizes, the positions of queries and keys
    # (Range, an addition each), and the scale's two roots.
    assert 0 <= theirs[1] - ours[1] <= 10 + 3 + 8
    assert 0 <= theirs[2] - ours[2] <= 2


QKV = "T[2,6,3,8] q, T[2,2,{0},8] k, T[2,2,{0},4] v"
CACHE = ", T[2,2,4,8] c, T[2,2,4,4] d"
MASKS = ["", "bool[3,7] m", "T[1,1,3,7] m", "bool[2,6,3,7] m"]
FORMS = [
    "",
    "is_causal=1",
    "softcap=2.0, qk_matmul_output_mode=1",
    "softmax_precision=1, is_causal=1",
    "softmax_precision=10, scale=0.5",
]


@pytest.mark.parametrize("kind", ["float", "float16"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("mask", "opset"),
    [(mask, opset) for mask in MASKS for opset in (23, 24)] + [("T[3,5] m", 24)],
)
def test_work_is_that_of_the_body_in_every_form(
    mask: str, opset: int, form: str, kind: str
) -> None:
    for past in (0, 4):
        inputs = QKV.format(7 - past) + (f", {mask}" if mask else "") + (CACHE if past else "")
        operands = f"q, k, v, {'m' if mask else ''}" + (", c, d" if past else "")
        results = "y, kk, vv, s" if past else "y, , , s"
        named = ", ".join(f"T[?,?,?,?] {one.strip()}" for one in results.split(",") if one.strip())
        call = f"Attention<{form}>" if form else "Attention"
        text = f"g ({inputs}) => ({named}) {{ {results} = {call}({operands}) }}"
        model = model_from_text(text.replace("T[", f"{kind}["), opset)
        ours, theirs = totals(model), totals(model, without="Attention")
        assert theirs[0] == ours[0]
        # Sizes, positions (3 + 7), the scale and constants in its type: all of them scalars.
        assert 0 <= theirs[1] - ours[1] <= 20 + 3 + 4
        assert 0 <= theirs[2] - ours[2] <= 2


@pytest.mark.parametrize("kind", ["float", "float16"])
@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("mask", ["", ", bool[2,5] m", ", T[1,1,2,5] m"])
def test_work_with_valid_lengths_is_that_of_the_body(mask: str, causal: int, kind: str) -> None:
    text = f"g (T[3,4,2,8] q, T[3,2,5,8] k, T[3,2,5,8] v, int64[3] n{mask}) => (T[?,?,?,?] y) {{ y = Attention<is_causal={causal}>(q, k, v, {'m' if mask else ''}, , , n) }}"
    model = model_from_text(text.replace("T[", f"{kind}["), 24)
    ours, theirs = totals(model), totals(model, without="Attention")
    assert theirs[0] == ours[0]
    assert 0 <= theirs[1] - ours[1] <= 20 + 7 + 4
    assert 0 <= theirs[2] - ours[2] <= 2


ROTATED = [
    "float[2,3,16] x, float[9,4] c, float[9,4] s, int64[2,3] p) => (float[?,?,?] y) { y = RotaryEmbedding<num_heads=2>(x, c, s, p) }",
    "float[2,2,3,8] x, float[2,3,4] c, float[2,3,4] s) => (float[?,?,?,?] y) { y = RotaryEmbedding(x, c, s) }",
    "float[2,2,3,8] x, float[2,3,2] c, float[2,3,2] s) => (float[?,?,?,?] y) { y = RotaryEmbedding<rotary_embedding_dim=4, interleaved=1>(x, c, s) }",
]


@pytest.mark.parametrize("text", ROTATED)
def test_rotation_is_that_of_the_body(text: str) -> None:
    model = model_from_text(f"g ({text}")
    ours, theirs = totals(model), totals(model, without="RotaryEmbedding")
    # Sizes of the halves: two divisions at most, and their differences.
    assert 0 <= theirs[1] - ours[1] <= 4
    assert (ours[0], ours[2]) == (theirs[0], theirs[2])


FLEX = """<ir_version: 10, opset_import: ["": 26, "ai.onnx.preview": 1]>
g (float[2,6,3,8] q, float[2,2,7,8] k, float[2,2,7,4] v) => (float[?,?,?,?] y) {{
  y = ai.onnx.preview.FlexAttention{}(q, k, v)
}}"""
SCORE = "score_mod = a (float[2,6,3,7] s) => (float[2,6,3,7] o) { t = Tanh(s) o = Add(t, s) }"
CHANCE = "prob_mod = c (float[2,6,3,7] s) => (float[2,6,3,7] o) { o = Mul(s, s) }"


@pytest.mark.parametrize(
    ("attributes", "operations", "transcendentals"),
    [
        ("", 0, 0),
        (f"<{SCORE}>", 252, 252),  # a sum and a tanh per score
        (f"<{SCORE}, {CHANCE}>", 504, 252),
    ],
)
def test_flexible_attention_is_its_body(
    attributes: str, operations: int, transcendentals: int
) -> None:
    # 252 scores of 8, results of 4; the scale of 288 + 672 elements of Q and K of every head, softmax
    # 4 less 2 a row of 36; what the body computes of sizes and of the scale: 4 and two roots.
    model = onnx.parser.parse_model(FLEX.format(attributes))
    assert totals(model) == (
        252 * 12,
        288 + 672 + 4 * 252 - 2 * 36 + operations + 3,
        252 + transcendentals + 2,
    )


def totals(model: onnx.ModelProto, without: str = "") -> tuple[int, int, int]:
    """Figures of the model; `without` our formula of an operator those of its body."""
    host = PluginHost(third_party=False)
    if without:
        keep = [entry.spec for entry in host.operators if entry.spec.op_type != without]
        host.operators = OperatorTable()
        host.operators.merge(keep, "built-in")
    analysis = analyse(prepare(model, Path("text.onnx")), host, Bindings())
    found = report(analysis, host, CheckOptions()).totals
    assert not found.is_lower_bound
    return found.macs, found.vector_ops, found.transcendentals


def test_rotation() -> None:
    # 2 * 3 * 16 elements, 3 operations each; of 9 rows of 4 cosines and sines, 6 tokens take 6.
    inputs = "float[2,3,16] x, int64[2,3] p"
    text = f"g ({inputs}) => (float[?,?,?] y) <float[9,4] c, float[9,4] s> {{ y = RotaryEmbedding<num_heads=2>(x, c, s, p) }}"
    cost = cost_of(text)
    assert cost.vector_ops == 3 * 96
    assert cost.bytes_read == 96 * 4 + 6 * 8 + 2 * 6 * 4 * 4
    assert cost.weight_bytes == 2 * 6 * 4 * 4
    assert check_text(text).model.parameters == 2 * 9 * 4


def test_rotation_of_a_part_of_each_head() -> None:
    # Heads of 8, of which 4 are rotated; one row of cosines for each token.
    text = "g (float[2,2,3,8] x, float[2,3,2] c, float[2,3,2] s) => (float[?,?,?,?] y) { y = RotaryEmbedding<rotary_embedding_dim=4>(x, c, s) }"
    cost = cost_of(text)
    assert cost.vector_ops == 3 * 48
    assert cost.bytes_read == 4 * (96 + 2 * 12)


def test_one_base_position_serves_all_sequences() -> None:
    # 2 * 3 tokens; rows of 4 elements: 3 with a base position, 6 with positions of their own.
    text = "g (float[2,3,8] x, int64[{}] p) => (float[?,?,?] y) <float[9,4] c, float[9,4] s> {{ y = com.microsoft.RotaryEmbedding(x, p, c, s) }}"
    base, own = cost_of(text.format("1")), cost_of(text.format("2,3"))
    assert base.bytes_read == 4 * 48 + 8 + 2 * 3 * 16
    assert own.bytes_read == 4 * 48 + 48 + 2 * 6 * 16


def test_the_name_means_something_else_at_microsoft() -> None:
    # There it projects: 3 * 8 * 24 MACs more.
    text = "g (float[1,3,8] x) => (float[?,?,?] y) <float[8,24] w> { y = com.microsoft.Attention<num_heads=2>(x, w) }"
    assert cost_of(text).macs == 3 * 8 * 24 + 2 * 2 * 3 * 3 * 4


@pytest.mark.parametrize(
    "text",
    [
        "g (float[2,3,16] x) => (float[?,?,?] y) { y = Attention(x, x, x) }",
        "g (float[2,3,16] x, float[2,3,2] c) => (float[?,?,?] y) { y = RotaryEmbedding<rotary_embedding_dim=4>(x, c, c) }",
    ],
)
def test_a_missing_number_of_heads_is_declined(text: str) -> None:
    (found,) = estimate_text(text)
    assert found.status is NodeStatus.DECLINED


PRESENT = "float[?] c, float[?] d"


@pytest.mark.ort
@pytest.mark.parametrize(
    "text",
    [
        f"(float[2,4,5,8] q, float[2,2,6,8] k, float[2,2,6,12] v) => (float[?] y, {PRESENT}) {{ y, c, d = Attention(q, k, v) }}",
        f"(float[2,5,32] q, float[2,6,16] k, float[2,6,24] v) => (float[?] y, {PRESENT}, float[?] s) {{ y, c, d, s = Attention<q_num_heads=4, kv_num_heads=2>(q, k, v) }}",
        f"(float[2,5,32] q, float[2,6,16] k, float[2,6,24] v, float[2,2,3,8] p, float[2,2,3,12] w) => (float[?] y, {PRESENT}, float[?] s) {{ y, c, d, s = Attention<q_num_heads=4, kv_num_heads=2>(q, k, v, , p, w) }}",
    ],
)
def test_present_keys_and_values_without_a_past(text: str) -> None:
    # Onnx leaves them open where no past is given.
    model = text_model(text, opset=23)
    assert_as_observed(model, zeros(model))
