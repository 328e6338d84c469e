"""Transformer blocks: an encoder, a prefix decoder, one block in a loop and four in a stack."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from parts import Weights, model


def transformer_encoder() -> onnx.ModelProto:
    """One encoder block (Vaswani et al., arXiv:1706.03762), width 64, 4 heads, post-norm."""
    w = Weights(18)
    for name in ("wq", "wk", "wv", "wo"):
        w.add(name, 64, 64)
    for name in ("bq", "bk", "bv", "bo", "g1", "o1", "g2", "o2", "b2"):
        w.add(name, 64)
    w.add("w1", 64, 128)
    w.add("b1", 128)
    w.add("w2", 128, 64)
    w.integers("split", 0, 0, 4, 16)
    w.integers("merge", 0, 0, 64)
    w.constant("scale", np.array(0.25, np.float32))
    project = " ".join(
        f"m{n} = MatMul(x, w{n}) p{n} = Add(m{n}, b{n}) h{n} = Reshape(p{n}, split)" for n in "qkv"
    )
    return model(
        "transformer_encoder",
        "float[batch,seq,64] x",
        "float[batch,seq,64] y",
        f"{project} q = Transpose<perm=[0,2,1,3]>(hq) k = Transpose<perm=[0,2,3,1]>(hk) "
        "v = Transpose<perm=[0,2,1,3]>(hv) raw = MatMul(q, k) scores = Mul(raw, scale) "
        "weights = Softmax<axis=-1>(scores) context = MatMul(weights, v) "
        "turned = Transpose<perm=[0,2,1,3]>(context) merged = Reshape(turned, merge) "
        "mo = MatMul(merged, wo) attended = Add(mo, bo) skip1 = Add(x, attended) "
        "n1 = LayerNormalization(skip1, g1, o1) f1 = MatMul(n1, w1) f2 = Add(f1, b1) "
        "f3 = Relu(f2) f4 = MatMul(f3, w2) f5 = Add(f4, b2) skip2 = Add(n1, f5) "
        "y = LayerNormalization(skip2, g2, o2)",
        w,
    )


WIDTH = 32
HEADS = 4
HIDDEN = 128
TURNS = 4

_MATRICES = {
    "wq": (WIDTH, WIDTH),
    "wk": (WIDTH, WIDTH),
    "wv": (WIDTH, WIDTH),
    "wo": (WIDTH, WIDTH),
    "w1": (WIDTH, HIDDEN),
    "w2": (HIDDEN, WIDTH),
}
_NORMS = ("g1", "o1", "g2", "o2")


def _block_weights(w: Weights) -> None:
    for name, shape in _MATRICES.items():
        w.add(name, *shape)
    for name in _NORMS:
        w.add(name, WIDTH)


def _block(x: str, y: str, mark: str, weights: str, attend: str, *, past: str = "") -> str:
    """A pre-norm block from x to y; `mark` ends the names of its values, `weights` of its weights.

    Args:
        x: The input's name.
        y: The output's name.
        mark: Ends the names of the block's values.
        weights: Ends the names of its weights.
        attend: Attributes of the attention besides its heads.
        past: Further inputs of the attention: mask, cached keys and values.
    """
    heads = f"q_num_heads={HEADS}, kv_num_heads={HEADS}"
    present = ", keys, values" if past else ""
    lines = (
        "n1@ = LayerNormalization(X, g1#, o1#)",
        "q@ = MatMul(n1@, wq#) k@ = MatMul(n1@, wk#) v@ = MatMul(n1@, wv#)",
        f"c@{present} = Attention<{heads}{attend}>(q@, k@, v@{past})",
        "a@ = MatMul(c@, wo#) s@ = Add(X, a@) n2@ = LayerNormalization(s@, g2#, o2#)",
        "u@ = MatMul(n2@, w1#) r@ = Relu(u@) d@ = MatMul(r@, w2#) Y = Add(s@, d@) ",
    )
    text = " ".join(lines).replace("X", x).replace("Y", y)
    return text.replace("@", mark).replace("#", weights)


def prefix_decoder() -> onnx.ModelProto:
    """A block with a visible prefix: P tokens see each other, R tokens the prefix and their past."""
    w = Weights(40)
    _block_weights(w)
    w.integers("heads", 0, 0, HEADS, WIDTH // HEADS)
    cache = " ".join(
        f"{n}_split = Reshape({n}_p, heads) {n}_past = Transpose<perm=[0,2,1,3]>({n}_split)"
        for n in "kv"
    )
    prefix = _block("prefix", "y_prefix", "_p", "", "")
    rest = _block("x", "y", "_r", "", ", is_causal=1", past=", , k_past, v_past")
    return model(
        "prefix_decoder",
        f"float[B,P,{WIDTH}] prefix, float[B,R,{WIDTH}] x",
        f"float[B,P,{WIDTH}] y_prefix, float[B,R,{WIDTH}] y",
        f"{prefix} {cache} {rest}",
        w,
        opset=23,
    )


def looped_transformer() -> onnx.ModelProto:
    """One block applied 4 times (Dehghani et al., arXiv:1807.03819), by a Loop."""
    w = Weights(41)
    _block_weights(w)
    w.constant("turns", np.array(TURNS))
    w.constant("always", np.array(True))
    return model(
        "looped_transformer",
        f"float[B,S,{WIDTH}] x",
        f"float[B,S,{WIDTH}] y",
        "y = Loop<body = turn (int64 at, bool on, float[B,S,32] h) => "
        f"(bool stays, float[B,S,32] next) {{ stays = Identity(on) {_block('h', 'next', '', '', '')} }}"
        ">(turns, always, x)",
        w,
        opset=23,
    )


def stacked_transformer() -> onnx.ModelProto:
    """The same block four times with weights of its own each time; weights are filled."""
    w = Weights(42)
    made = "".join(
        w.fill(f"{name}_{layer}", *shape)
        for layer in range(TURNS)
        for name, shape in (*_MATRICES.items(), *((norm, (WIDTH,)) for norm in _NORMS))
    )
    return model(
        "stacked_transformer",
        f"float[B,S,{WIDTH}] x",
        f"float[B,S,{WIDTH}] y",
        made + unrolled("_0", "_1", "_2", "_3"),
        w,
        opset=23,
    )


def unrolled(*weights: str) -> str:
    """ONNX text of blocks from x to y, one for each ending of the weights' names."""
    values = ["x", *(f"h{layer}" for layer in range(1, len(weights))), "y"]
    return "".join(
        _block(values[layer], values[layer + 1], f"_{layer}", mark, "")
        for layer, mark in enumerate(weights)
    )


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    one.__name__: one
    for one in (transformer_encoder, prefix_decoder, looped_transformer, stacked_transformer)
}
