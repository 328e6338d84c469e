"""Linear attention and state-space operators: against onnx's bodies, loops and hand derivations."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from mlsys_lint import NodeCost, NodeStatus, OpCost
from mlsys_lint.testing import estimate_text, model_from_text

Array = npt.NDArray[np.float64]


def cost_of(text: str, opset: int = 27) -> OpCost:
    (found,) = estimate_text(f"g {text}", opset=opset)
    assert found.cost is not None, found.reason
    return found.cost


def totals(nodes: tuple[NodeCost, ...]) -> tuple[int, int, int]:
    """(MACs, operations, transcendentals) of nodes whose results are not known before the run."""
    macs = ops = transcendentals = 0
    for one in nodes:
        assert one.cost is not None, one.reason
        results = [tensor for tensor in one.node.outputs if tensor is not None]
        if not all(tensor.constant or tensor.value is not None for tensor in results):
            macs += one.cost.macs * one.node.repeat
            ops += one.cost.vector_ops * one.node.repeat
            transcendentals += one.cost.transcendentals * one.node.repeat
    return macs, ops, transcendentals


ATTENTION: Final = (
    "g ({kind}[2,5,12] q, {kind}[2,5,6] k, {kind}[2,5,8] v, {state}[2,2,3,4] p, {kind}[2,5,{decay}] g,"
    " {kind}[2,5,{rate}] b) => ({kind} y, {state} s) {{{{ y, s = {{domain}}LinearAttention"
    '<q_num_heads=4, kv_num_heads=2, update_rule="{rule}">(q, k, v, {past}, {given}) }}}}'
)
GIVEN: Final = {"linear": "", "gated": "g", "delta": ", b", "gated_delta": "g, b"}


@pytest.mark.parametrize("rule", GIVEN)
@pytest.mark.parametrize(("kind", "state"), list(product(["float", "float16"], repeat=2)))
def test_linear_attention_counts_what_the_body_of_onnx_counts(
    rule: str, kind: str, state: str
) -> None:
    for decay, rate, past in product([2, 6], [1, 2], ["", "p"]):
        text = ATTENTION.format(
            kind=kind,
            state=state,
            rule=rule,
            decay=decay,
            rate=rate,
            past=past,
            given=GIVEN[rule],
        )
        theirs = estimate_text(text.format(domain=""), opset=27)
        ours = estimate_text(text.format(domain="com.microsoft."), opset=27)
        assert theirs[0].status is NodeStatus.EXPANDED
        assert totals(ours) == totals(theirs)


CONVOLUTION: Final = (
    "g ({kind}[2,6,7] x, {kind}[6,1,4] w, {kind}[6] c, {kind}[2,6,3] p) => ({kind} y, {kind} s)"
    ' {{{{ y, s = {{domain}}CausalConvWithState<activation="{name}">(x, w, {given}) }}}}'
)


@pytest.mark.parametrize("name", ["none", "silu", "swish"])
@pytest.mark.parametrize("kind", ["float", "float16"])
def test_causal_convolution_counts_what_the_body_of_onnx_counts(name: str, kind: str) -> None:
    for given in ["", "c", ", p", "c, p"]:
        text = CONVOLUTION.format(kind=kind, name=name, given=given)
        theirs = estimate_text(text.format(domain=""), opset=27)
        ours = estimate_text(text.format(domain="com.microsoft."), opset=27)
        assert theirs[0].status is NodeStatus.EXPANDED
        # The body converts the 2 * 6 * 3 zeros that stand for a state that is not given.
        zeros = 36 if kind == "float16" and "p" not in given else 0
        macs, ops, transcendentals = totals(theirs)
        assert totals(ours) == (macs, ops - zeros, transcendentals)


def run(text: str, feeds: Mapping[str, npt.NDArray[np.generic]], opset: int = 17) -> list[Array]:
    onnxruntime = pytest.importorskip("onnxruntime")
    model = model_from_text(f"g {text}", opset).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found: list[Array] = session.run(None, dict(feeds))
    return found


def drawn(*shape: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).uniform(-1, 1, shape).astype(np.float32)


def declared(arrays: Mapping[str, npt.NDArray[np.float32]]) -> str:
    shapes = {name: ",".join(map(str, one.shape)) for name, one in arrays.items()}
    return ", ".join(f"float[{shape}] {name}" for name, shape in shapes.items())


def recurrence(*arrays: npt.NDArray[np.float32]) -> tuple[Array, Array, int]:
    """The definition, one multiplication at a time: q, k [T, Hq, Dk], v [T, H, Dv], decay, rate [T, H].

    Returns the results, the states [H, Dk, Dv], and the number of multiplications in sums.
    """
    q, k, v, decay, rate = arrays
    (steps, queries, key_size), (_, states, value_size) = q.shape, v.shape
    readers, count = max(queries, states), 0
    y, state = np.zeros((steps, readers, value_size)), np.zeros((states, key_size, value_size))
    for t in range(steps):
        for h in range(states):
            key = k[t, h * k.shape[1] // states]
            state[h] *= np.exp(decay[t, h])
            held = np.zeros(value_size)
            for i, j in product(range(key_size), range(value_size)):
                held[j] += state[h, i, j] * key[i]
                count += 1
            for i, j in product(range(key_size), range(value_size)):
                state[h, i, j] += key[i] * (rate[t, h] * (v[t, h, j] - held[j]))
                count += 1
        for h in range(readers):
            query = q[t, h * queries // readers]
            for i, j in product(range(key_size), range(value_size)):
                y[t, h, j] += query[i] * state[h * states // readers, i, j]
                count += 1
    return y / np.sqrt(key_size), state, count


@pytest.mark.ort
@pytest.mark.parametrize(("queries", "states"), [(4, 2), (2, 4), (1, 1)])
def test_macs_of_linear_attention_are_the_multiplications_of_its_sums(
    queries: int, states: int
) -> None:
    steps, key_size, value_size = 3, 2, 5
    q, k = drawn(steps, queries, key_size), drawn(steps, states, key_size)
    v, decay, rate = drawn(steps, states, value_size), drawn(steps, states), drawn(steps, states)
    y, state, count = recurrence(q, k, v, decay, rate)
    flat = {
        name: one.reshape(1, steps, -1)
        for name, one in zip("qkvdb", (q, k, v, decay, rate), strict=True)
    }
    inputs = declared(flat)
    text = (
        f"({inputs}) => (float y, float s) {{ y, s = com.microsoft.LinearAttention"
        f"<q_num_heads={queries}, kv_num_heads={states}>(q, k, v, , d, b) }}"
    )
    found, final = run(text, flat)
    assert np.allclose(found, y.reshape(1, steps, -1), atol=1e-5)
    assert np.allclose(final[0], state, atol=1e-5)
    assert cost_of(text).macs == count


@pytest.mark.ort
@pytest.mark.parametrize(("queries", "states"), [(2, 4), (1, 1)])
def test_macs_of_the_delta_network_are_the_multiplications_of_its_sums(
    queries: int, states: int
) -> None:
    steps, key_size, value_size = 3, 2, 5
    q, k = drawn(steps, queries, key_size), drawn(1 + steps, queries, key_size)[1:]
    v, decay, rate = drawn(steps, states, value_size), drawn(steps, states), drawn(steps, states)
    y, state, count = recurrence(q, k, v, decay, rate)
    flat = dict(zip("qkvdb", (q, k, v, decay, rate), strict=True))
    inputs = declared(flat)
    text = (
        f"({inputs}, int32[2] n) => (float y, float s)"
        " { y, s = com.microsoft.GatedDeltaNet(q, k, v, n, d, b) }"
    )
    found, final = run(text, {**flat, "n": np.array([0, steps], np.int32)})
    assert np.allclose(found, y, atol=1e-5)
    assert np.allclose(final[0], state.swapaxes(1, 2), atol=1e-5)
    assert cost_of(text).macs == count


def test_a_window_of_states_is_written_whole_and_read_in_one_slot() -> None:
    # States 2 * 2 * 3 * 4 floats = 192 bytes a slot. q 480, k 240, v 320 bytes; result 640.
    text = (
        "(float[2,5,12] q, float[2,5,6] k, float[2,5,8] v, float{window}[2,2,3,4] p) => (float y, float s)"
        " {{ y, s = com.microsoft.LinearAttention<q_num_heads=4, kv_num_heads=2,"
        ' update_rule="linear"{attribute}>(q, k, v, p) }}'
    )
    plain = cost_of(text.format(window="", attribute=""))
    text = text.replace("float{window}[2,2,3,4]", "float[3,2,2,3,4]")
    windowed = cost_of(text.format(attribute=", state_window=3"))
    assert plain.bytes_read == windowed.bytes_read == 480 + 240 + 320 + 192
    assert plain.bytes_written == 640 + 192
    assert windowed.bytes_written == 640 + 3 * 192
    assert (plain.macs, plain.vector_ops) == (windowed.macs, windowed.vector_ops)


def test_channels_that_a_convolution_does_not_select_are_not_read() -> None:
    # 6 of 9 channels of 2 * 7 positions, 4 taps: 2 * 7 * 6 * 4 = 336 MACs, 336 bytes in and out;
    # weights 96 bytes; the state holds 2 * 6 * 8 floats = 384 bytes.
    found = cost_of(
        "(float[2,7,9] x, float[6,1,4] w) => (float y, float s) { y, s = com.microsoft."
        "CausalConvWithState<channels_last=1, input_channels=6, state_length=8>(x, w) }"
    )
    assert found.macs == 336
    assert (found.bytes_read, found.bytes_written) == (336 + 96, 336 + 384)


def test_a_convolution_with_projected_taps() -> None:
    # 5 tokens, 6 channels in 3 groups, 4 projected taps of which 2 are read: 5 * 2 * 3 floats.
    # Per output two taps shifted and a product masked: 3 * 30. In: x 120, w 48, lengths 8,
    # state 24, delta 120, mask 20; out: 120 + 24.
    found = cost_of(
        "(float[5,6] x, float[6,1,2] w, int32[2] n, float[1,6,1] p, float[5,4,3] d, float[5,1] m) =>"
        " (float y, float s) { y, s = com.microsoft.VarlenCausalConvWithState<group_size=2>"
        "(x, w, n, , p, , d, m) }"
    )
    assert (found.macs, found.vector_ops, found.transcendentals) == (60, 90, 0)
    assert (found.bytes_read, found.bytes_written) == (120 + 48 + 8 + 24 + 120 + 20, 144)


GATED: Final = (
    "(float[6,2,3] q, float[6,2,3] k, float[6,4,5] v, int32[3] n, float[6,4] d, float[6,4] b, float[4] h)"
    " => (float y, float s) {{ y, s = com.microsoft.GatedDeltaNet<{0}>(q, k, v, n, d, b, , h, h) }}"
)


@pytest.mark.parametrize(
    ("attributes", "ops", "transcendentals"),
    [
        # 24 decays in 4 heads: bias, +1, factor; exp and log; exp(a_log) a head, negated
        ('gate_activation="softplus"', 3 * 24 + 4, 2 * 24 + 4),
        # bias, factor, bound; a sigmoid; exp(a_log) a head
        ('gate_activation="kda"', 3 * 24, 24 + 4),
        # 24 rates
        ('beta_activation="sigmoid"', 0, 24),
        # 12 queries and 12 keys of 3: squares, sums, divisions 3 * 3 - 1, an epsilon; a root each
        ("qk_l2_norm=1", 24 * 9, 24),
    ],
)
def test_what_the_delta_network_fuses(attributes: str, ops: int, transcendentals: int) -> None:
    plain, fused = cost_of(GATED.format("scale=1.0")), cost_of(GATED.format(attributes))
    assert fused.vector_ops - plain.vector_ops == ops
    assert fused.transcendentals - plain.transcendentals == transcendentals
    assert fused.macs == plain.macs


def test_packed_and_separate_queries_count_the_same() -> None:
    separate = cost_of(
        "(float[6,2,3] q, float[6,2,3] k, float[6,4,5] v, float[6,4] d, float[6,4] b, float[2,4,5,3] i)"
        " => (float y, float s) { y, s = com.microsoft.GatedDeltaNet<qk_l2_norm=1>(q, k, v, , d, b, i) }"
    )
    packed = cost_of(
        "(float[6,32] q, float[6,4] d, float[6,4] b, float[2,4,5,3] i) => (float y, float s)"
        " { y, s = com.microsoft.GatedDeltaNet<qk_l2_norm=1>(q, , , , d, b, i) }"
    )
    assert packed == separate


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ('LinearAttention<q_num_heads=1, kv_num_heads=1, update_rule="other">(x, x, x)', "other"),
        ("LinearAttention(x, x, x)", "q_num_heads"),
        ('GatedDeltaNet<gate_activation="other">(x, x, x, n, x, x)', "other"),
        ('CausalConvWithState<activation="relu">(x, x)', "relu"),
        ("GatedDeltaNetStateReplay(x, x, x, n)", "metadata"),
        ("ConvStateReplay(x, x, x, n)", "metadata"),
    ],
)
def test_what_is_declined(call: str, reason: str) -> None:
    text = f"g (float[2,2,2] x, int64[3] n) => (float y) {{ y = com.microsoft.{call} }}"
    (found,) = estimate_text(text)
    assert found.status is NodeStatus.DECLINED
    assert reason in (found.reason or "")


MAMBA: Final = (  # 3 heads of 64, a state of 128, 1 group: 192 inside, 448 channels, 643 projected
    "(bfloat16[{0},643] x, bfloat16[{1},448,3] c, float[{1},3,128,64] s, bfloat16[448,4] w,"
    " bfloat16[448] b, float[3] h, float[192] n, int32[1] i) => (bfloat16 y, bfloat16 d, float e)"
    " {{ y, d, e = com.microsoft.Mamba2Verify<n_groups=1, heads=3>(x, c, s, w, b, h, h, h, n, i) }}"
)


def test_snapshots_that_stay_are_copied() -> None:
    # A slot: 448 * 3 bfloat16 = 2,688 bytes, 3 * 128 * 64 floats = 98,304 bytes. Two tokens in four
    # slots: two stay, and one of the others is where the recurrence starts, at most three in all.
    slot = 2_688 + 98_304
    few, many = cost_of(MAMBA.format(2, 4)), cost_of(MAMBA.format(4, 2))
    weights = 448 * 4 * 2 + 448 * 2 + 12 + 192 * 4 + 4  # one tensor serves three inputs
    assert few.bytes_read == 2 * 643 * 2 + weights + 3 * slot
    assert few.bytes_written == 2 * 192 * 2 + 4 * slot
    assert few.assumptions[0].startswith("data-dependent")
    assert many.bytes_read == 4 * 643 * 2 + weights + slot
    assert many.bytes_written == 4 * 192 * 2 + 2 * slot
    assert many.assumptions == ()
