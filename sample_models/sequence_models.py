"""Recurrent sample models and a state-space model: RNN, LSTM, GRU, Mamba.

Recurrent inputs are [T, B, I]: T steps, B sequences, I inputs. H is the width of the state.
"""

from __future__ import annotations

from collections.abc import Callable

import attention_models
import language_models
import numpy as np
import onnx
import transformer_models
from parts import Weights, model

INPUTS = 32
STATE = 48
CLASSES = 10


def rnn() -> onnx.ModelProto:
    """h_t = tanh(U x_t + V h_t-1), o_t = softmax(W h_t), without biases (Elman, 1990)."""
    w = _cell(20, gates=1, biased=False)
    w.add("w", STATE, CLASSES)
    w.integers("direction", 1)
    return model(
        "rnn",
        f"float[T,B,{INPUTS}] x",
        f"float[T,B,{CLASSES}] o",
        f"hs, last = RNN<hidden_size={STATE}>(x, u, v) h = Squeeze(hs, direction) "
        "z = MatMul(h, w) o = Softmax<axis=-1>(z)",
        w,
    )


def lstm() -> onnx.ModelProto:
    """Four gates a step (Hochreiter, Schmidhuber, Neural Computation 9(8), 1997)."""
    return model(
        "lstm",
        f"float[T,B,{INPUTS}] x",
        f"float[T,1,B,{STATE}] hs, float[1,B,{STATE}] h, float[1,B,{STATE}] c",
        f"hs, h, c = LSTM<hidden_size={STATE}>(x, u, v, b)",
        _cell(21, gates=4, biased=True),
    )


def gru() -> onnx.ModelProto:
    """Three gates a step (Cho et al., arXiv:1406.1078)."""
    return model(
        "gru",
        f"float[T,B,{INPUTS}] x",
        f"float[T,1,B,{STATE}] hs, float[1,B,{STATE}] h",
        f"hs, h = GRU<hidden_size={STATE}>(x, u, v, b)",
        _cell(22, gates=3, biased=True),
    )


def _cell(seed: int, *, gates: int, biased: bool) -> Weights:
    """Weights of the inputs (u), of the state (v), and one bias for each product (b)."""
    w = Weights(seed)
    w.add("u", 1, gates * STATE, INPUTS)
    w.add("v", 1, gates * STATE, STATE)
    if biased:
        w.add("b", 1, 2 * gates * STATE)
    return w


WIDTH = 32
INNER = 64
STATES = 16
RANK = 2


def mamba_block() -> onnx.ModelProto:
    """A Mamba block (Gu, Dao, arXiv:2312.00752): the scan goes once through the sequence.

    Width 32, twice as wide inside, 16 states a channel, step sizes of rank 2 (a 16th of the width).
    """
    return model(
        "mamba_block",
        f"float[B,S,{WIDTH}] x",
        f"float[B,S,{WIDTH}] y",
        f"normal = RMSNormalization(x, g) wide = MatMul(normal, w_in) "
        "u, z = Split<axis=-1, num_outputs=2>(wide) channels = Transpose<perm=[0,2,1]>(u) "
        f"mixed = Conv<group={INNER}, pads=[3,0]>(channels, w_conv, b_conv) "
        "mixed_s = Sigmoid(mixed) active = Mul(mixed, mixed_s) "
        "a = Transpose<perm=[0,2,1]>(active) select = MatMul(a, w_x) "
        "rank, bs, cs = Split<axis=-1>(select, parts) step = MatMul(rank, w_dt) "
        "shifted = Add(step, b_dt) dt = Softplus(shifted) "
        "batch = Shape<start=0, end=1>(x) size = Concat<axis=0>(batch, cells) "
        f"h0 = ConstantOfShape(size) {_SCAN} "
        "skip = Mul(a, d) with_skip = Add(ys, skip) z_s = Sigmoid(z) gate = Mul(z, z_s) "
        "gated = Mul(with_skip, gate) out = MatMul(gated, w_out) y = Add(x, out)",
        _mamba_weights(),
        opset=23,
    )


_SCAN = f"""last, ys = Scan<num_scan_inputs=4, scan_input_axes=[1,1,1,1], scan_output_axes=[1],
    body = recurrence (float[B,{INNER},{STATES}] h, float[B,{INNER}] dt_t, float[B,{INNER}] a_t,
                       float[B,{STATES}] b_t, float[B,{STATES}] c_t)
           => (float[B,{INNER},{STATES}] next, float[B,{INNER}] y_t) {{
        dt_column = Unsqueeze(dt_t, two) exponent = Mul(dt_column, decay) kept = Exp(exponent)
        stepped = Mul(dt_t, a_t) column = Unsqueeze(stepped, two) row = Unsqueeze(b_t, one)
        new = Mul(column, row) old = Mul(kept, h) next = Add(old, new)
        reader = Unsqueeze(c_t, two) read = MatMul(next, reader) y_t = Squeeze(read, two)
    }}>(h0, dt, a, bs, cs)"""
"""h_t = exp(dt A) h_t-1 + dt B x_t, y_t = C h_t: dt, B and C are computed from the input."""


def _mamba_weights() -> Weights:
    w = Weights(23)
    w.constant("g", np.ones(WIDTH, np.float32))
    w.add("w_in", WIDTH, 2 * INNER)
    w.add("w_conv", INNER, 1, 4)
    w.add("b_conv", INNER)
    w.add("w_x", INNER, RANK + 2 * STATES)
    w.add("w_dt", RANK, INNER)
    w.add("b_dt", INNER)
    # A = -1 .. -16 for the states of every channel, as S4D-real starts
    w.constant("decay", -np.tile(np.arange(1, STATES + 1, dtype=np.float32), (INNER, 1)))
    w.constant("d", np.ones(INNER, np.float32))
    w.add("w_out", INNER, WIDTH)
    w.integers("parts", RANK, STATES, STATES)
    w.integers("cells", INNER, STATES)
    w.integers("one", 1)
    w.integers("two", 2)
    return w


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    **{one.__name__: one for one in (rnn, lstm, gru, mamba_block)},
    **attention_models.MODELS,
    **transformer_models.MODELS,
    **language_models.MODELS,
}
