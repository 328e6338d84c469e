"""Attention sample models: masks, heads, and the normalization beside them.

The width d is 64. Names of values: raw = Q K^T, scores (scaled, masked), weights (softmax).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import onnx
from parts import Weights, model

WIDTH = 64
QKV = f"float[B,S,{WIDTH}] q, float[B,S,{WIDTH}] k, float[B,S,{WIDTH}] v"


def attention_full() -> onnx.ModelProto:
    """softmax(Q K^T / sqrt(d)) V (Vaswani et al., arXiv:1706.03762): every query sees every key."""
    return model(
        "attention_full",
        QKV,
        f"float[B,S,{WIDTH}] y",
        f"{_SCORES} weights = Softmax<axis=-1>(scaled) y = MatMul(weights, v)",
        _constants(),
    )


def attention_causal() -> onnx.ModelProto:
    """Query i sees keys 0 .. i: scores above the diagonal are set to -inf, after they are computed."""
    return _masked("attention_causal", QKV, "causal", "")


def attention_prefix() -> onnx.ModelProto:
    """Query i sees keys 0 .. i and all keys of the prefix, whose length is an input."""
    return _masked(
        "attention_prefix",
        f"{QKV}, int64 prefix",
        "seen",
        "inside = Less(places, prefix) seen = Or(causal, inside) ",
    )


_SCORES = "turned = Transpose<perm=[0,2,1]>(k) raw = MatMul(q, turned) scaled = Mul(raw, scale) "


def _constants() -> Weights:
    w = Weights(30)
    w.constant("scale", np.array(WIDTH**-0.5, np.float32))
    return w


def _masked(name: str, inputs: str, mask: str, more: str) -> onnx.ModelProto:
    """Attention with the mask that `more` computes from the causal one."""
    w = _constants()
    w.constant("zero", np.array(0))
    w.constant("one", np.array(1))
    w.constant("never", np.array(-np.inf, np.float32))
    w.integers("down", 1)
    return model(
        name,
        inputs,
        f"float[B,S,{WIDTH}] y",
        f"{_SCORES} extent = Shape<start=1, end=2>(q) length = Squeeze(extent) "
        "places = Range(zero, length, one) rows = Unsqueeze(places, down) "
        f"causal = LessOrEqual(places, rows) {more} "
        f"scores = Where({mask}, scaled, never) weights = Softmax<axis=-1>(scores) "
        "y = MatMul(weights, v)",
        w,
    )


HEADS = 4
SIZE = 16
_CAUSAL = f"Attention<is_causal=1, q_num_heads={HEADS}, kv_num_heads={HEADS}>"


def attention_operator() -> onnx.ModelProto:
    """The causal mask as an attribute of one operator: a kernel may skip what it hides."""
    return model(
        "attention_operator",
        QKV,
        f"float[B,S,{WIDTH}] y",
        f"y = {_CAUSAL}(q, k, v)",
        Weights(0),
        opset=23,
    )


def attention_prefix_operator() -> onnx.ModelProto:
    """A prefix mask in two calls: the prefix in full, then the rest, causal, with the prefix as past."""
    each = ", ".join(f"float[B,{HEADS},{{0}},{SIZE}] {n}{{1}}" for n in "qkv")
    return model(
        "attention_prefix_operator",
        f"{each.format('P', '_prefix')}, {each.format('R', '')}",
        f"float[B,{HEADS},P,{SIZE}] y_prefix, float[B,{HEADS},R,{SIZE}] y",
        "y_prefix = Attention(q_prefix, k_prefix, v_prefix) "
        "y, keys, values = Attention<is_causal=1>(q, k, v, , k_prefix, v_prefix)",
        Weights(0),
        opset=23,
    )


def multi_head(heads: int) -> onnx.ModelProto:
    """Self-attention whose heads share the width: d = heads * size, weights filled."""
    w = Weights(31)
    made = "".join(w.fill(name, WIDTH, WIDTH) for name in ("wq", "wk", "wv", "wo"))
    w.integers("split", 0, 0, heads, WIDTH // heads)
    w.integers("merge", 0, 0, WIDTH)
    w.constant("scale", np.array((WIDTH // heads) ** -0.5, np.float32))
    project = " ".join(f"p{n} = MatMul(x, w{n}) h{n} = Reshape(p{n}, split)" for n in "qkv")
    return model(
        f"multi_head_{heads}",
        f"float[B,S,{WIDTH}] x",
        f"float[B,S,{WIDTH}] y",
        f"{made} {project} q = Transpose<perm=[0,2,1,3]>(hq) k = Transpose<perm=[0,2,3,1]>(hk) "
        "v = Transpose<perm=[0,2,1,3]>(hv) raw = MatMul(q, k) scores = Mul(raw, scale) "
        "weights = Softmax<axis=-1>(scores) context = MatMul(weights, v) "
        "together = Transpose<perm=[0,2,1,3]>(context) merged = Reshape(together, merge) "
        "y = MatMul(merged, wo)",
        w,
    )


def layer_norm() -> onnx.ModelProto:
    """Layer normalization (Ba et al., arXiv:1607.06450) of the last axis, scaled and shifted."""
    w = Weights(32)
    w.add("g", WIDTH)
    w.add("b", WIDTH)
    return model(
        "layer_norm",
        f"float[B,S,{WIDTH}] x",
        f"float[B,S,{WIDTH}] y",
        "y = LayerNormalization(x, g, b)",
        w,
    )


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    **{
        one.__name__: one
        for one in (
            attention_full,
            attention_causal,
            attention_prefix,
            attention_operator,
            attention_prefix_operator,
            layer_norm,
        )
    },
    **{f"multi_head_{heads}": partial(multi_head, heads) for heads in (1, 4, 8)},
}
