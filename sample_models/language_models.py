"""Whole language models at their published sizes; their weights are filled, so the files stay small."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from parts import Weights, model


class Stack:
    """ONNX text of a stack of layers, line by line, with filled weights."""

    def __init__(self, *, width: int, heads: int, hidden: int, head_size: int = 64) -> None:
        self.weights = Weights(50)
        self.lines: list[str] = []
        self.width, self.heads, self.hidden = width, heads, hidden
        self.inner = heads * head_size

    def add(self, line: str) -> None:
        """One or more nodes."""
        self.lines.append(line)

    def store(self, name: str, *shape: int) -> str:
        """A filled weight."""
        self.add(self.weights.fill(name, *shape))
        return name

    def linear(self, y: str, x: str, inputs: int, outputs: int, *, bias: bool = True) -> str:
        """Y = x W + b; returns y."""
        weight = self.store(f"{y}_w", inputs, outputs)
        if not bias:
            self.add(f"{y} = MatMul({x}, {weight})")
            return y
        self.add(f"{y}_m = MatMul({x}, {weight}) {y} = Add({y}_m, {self.store(f'{y}_b', outputs)})")
        return y

    def layer_norm(self, y: str, x: str) -> str:
        """Layer normalization of the last axis; returns y."""
        scale, shift = self.store(f"{y}_g", self.width), self.store(f"{y}_o", self.width)
        self.add(f"{y} = LayerNormalization({x}, {scale}, {shift})")
        return y

    def rms_norm(self, y: str, x: str) -> str:
        """Normalization by the root mean square; returns y."""
        self.add(f"{y} = RMSNormalization({x}, {self.store(f'{y}_g', self.width)})")
        return y

    def attend(self, y: str, inputs: str, attributes: str = "", *, present: str = "") -> str:
        """Attention of all heads; returns y."""
        heads = f"q_num_heads={self.heads}, kv_num_heads={self.heads}"
        self.add(f"{y}{present} = Attention<{heads}{attributes}>({inputs})")
        return y

    def feed_forward(self, mark: str, x: str, gelu: str = "") -> str:
        """Up to the hidden width, GELU, and down; returns the result's name."""
        up = self.linear(f"up{mark}", x, self.width, self.hidden)
        self.add(f"act{mark} = Gelu{gelu}({up})")
        return self.linear(f"down{mark}", f"act{mark}", self.hidden, self.width)

    def model(self, name: str, inputs: str, outputs: str) -> onnx.ModelProto:
        """The finished model."""
        return model(name, inputs, outputs, " ".join(self.lines), self.weights, opset=23)


def bert_base() -> onnx.ModelProto:
    """BERT-base with its pooler (Devlin et al., arXiv:1810.04805): every token sees every other."""
    net = Stack(width=768, heads=12, hidden=3072)
    words, kinds = net.store("words", 30_522, 768), net.store("kinds", 2, 768)
    places = net.store("places", 512, 768)
    net.weights.integers("start", 0)
    net.weights.constant("first", np.array(0))
    net.add(f"word = Gather({words}, ids) kind = Gather({kinds}, segments)")
    net.add(f"length = Shape<start=1, end=2>(ids) place = Slice({places}, start, length, start)")
    net.add("typed = Add(word, kind) placed = Add(typed, place)")
    x = net.layer_norm("h0", "placed")
    for at in range(1, 13):
        q, k, v = (net.linear(f"{n}{at}", x, 768, 768) for n in "qkv")
        context = net.attend(f"context{at}", f"{q}, {k}, {v}")
        net.add(f"skip{at} = Add({x}, {net.linear(f'o{at}', context, 768, 768)})")
        middle = net.layer_norm(f"m{at}", f"skip{at}")
        net.add(f"out{at} = Add({middle}, {net.feed_forward(str(at), middle)})")
        x = net.layer_norm(f"h{at}", f"out{at}")
    net.add(f"cls = Gather<axis=1>({x}, first)")
    net.add(f"pooled = Tanh({net.linear('pool', 'cls', 768, 768)})")
    return net.model(
        "bert_base",
        "int64[B,S] ids, int64[B,S] segments",
        f"float[B,S,768] {x}, float[B,768] pooled",
    )


def gpt2() -> onnx.ModelProto:
    """GPT-2 (Radford et al., 2019) with its cache: S tokens after P cached ones.

    P = 0 is a prefill, S = 1 a decode step. Logits of the last token only, as generation needs
    them; the embedding is also the last matrix.
    """
    net = Stack(width=768, heads=12, hidden=3072)
    net.add("length = Shape<start=1, end=2>(ids) cached = Shape<start=2, end=3>(past_k1)")
    net.add("end = Add(cached, length)")
    words = _gpt2_embedding(net)
    x, past, present = "placed", [], []
    for at in range(1, 13):
        x = _gpt2_layer(
            net,
            at,
            x,
            inputs=f", , past_k{at}, past_v{at}",
            attributes=", is_causal=1",
            present=f", present_k{at}, present_v{at}",
        )
        past += [f"float[B,12,P,64] past_{n}{at}" for n in "kv"]
        present += [f"float[B,12,T,64] present_{n}{at}" for n in "kv"]
    net.weights.constant("last", np.array(-1))
    net.add(f"tail = Gather<axis=1>({x}, last)")
    net.add(f"logits = Gemm<transB=1>({net.layer_norm('final', 'tail')}, {words})")
    return net.model(
        "gpt2",
        ", ".join(["int64[B,S] ids", *past]),
        ", ".join(["float[B,50257] logits", *present]),
    )


def _gpt2_embedding(net: Stack) -> str:
    """Tokens, and the places from `cached` to `end`; returns the embedding of the tokens."""
    words, places = net.store("words", 50_257, 768), net.store("places", 1024, 768)
    net.weights.integers("axis", 0)
    net.add(f"word = Gather({words}, ids) place = Slice({places}, cached, end, axis)")
    net.add("placed = Add(word, place)")
    return words


def _gpt2_layer(
    net: Stack, at: int, x: str, *, inputs: str = "", attributes: str = "", present: str = ""
) -> str:
    """A pre-norm layer; returns its output."""
    qkv = net.linear(f"qkv{at}", net.layer_norm(f"n{at}", x), net.width, 3 * net.width)
    net.add(f"q{at}, k{at}, v{at} = Split<axis=-1, num_outputs=3>({qkv})")
    context = net.attend(
        f"context{at}", f"q{at}, k{at}, v{at}{inputs}", attributes, present=present
    )
    net.add(f"skip{at} = Add({x}, {net.linear(f'o{at}', context, net.width, net.width)})")
    down = net.feed_forward(str(at), net.layer_norm(f"m{at}", f"skip{at}"), '<approximate="tanh">')
    net.add(f"h{at} = Add(skip{at}, {down})")
    return f"h{at}"


MASK = 50_256
SURE = 0.9


def diffusion_step() -> onnx.ModelProto:
    """One denoising step of a masked diffusion model (Nie et al., arXiv:2502.09992), sized as GPT-2.

    Every token sees every other. Masked tokens whose probability reaches 0.9 are set at once, the
    surest of each sequence in any case (Wu et al., arXiv:2505.22618).
    """
    net = Stack(width=768, heads=12, hidden=3072)
    net.weights.integers("cached", 0)
    net.weights.integers("columns", 1)
    net.weights.integers("rows", -1, 768)
    net.weights.constant("mask", np.array(MASK))
    net.weights.constant("never", np.array(0, np.float32))
    net.weights.constant("threshold", np.array(SURE, np.float32))
    net.add("end = Shape<start=1, end=2>(ids)")
    words, x = _gpt2_embedding(net), "placed"
    for at in range(1, 13):
        x = _gpt2_layer(net, at, x)
    net.add(f"flat = Reshape({net.layer_norm('final', x)}, rows)")
    net.add(f"logits = Gemm<transB=1>(flat, {words}) p = Softmax<axis=-1>(logits)")
    net.add("best = ReduceMax<keepdims=0>(p, columns) token = ArgMax<axis=1, keepdims=0>(p)")
    net.add("size = Shape(ids) sure = Reshape(best, size) choice = Reshape(token, size)")
    net.add("hidden = Equal(ids, mask) open = Where(hidden, sure, never)")
    net.add("surest = ReduceMax(open, columns) limit = Min(surest, threshold)")
    net.add("enough = GreaterOrEqual(open, limit) accepted = And(hidden, enough)")
    net.add("next = Where(accepted, choice, ids)")
    return net.model("diffusion_step", "int64[B,S] ids", "int64[B,S] next")


def t5_small() -> onnx.ModelProto:
    """T5-small (Raffel et al., arXiv:1910.10683): S source tokens to the encoder, T to the decoder.

    Keys and values of the cross-attention come from the encoder. Relative positions are clipped to
    32 buckets, where T5 widens the far ones.
    """
    net = Stack(width=512, heads=8, hidden=2048)
    words = net.store("words", 32_128, 512)
    _t5_constants(net.weights)
    memory, bias = _t5_start(net, "source", words, "column@, row@", (-16, 15))
    for at in range(1, 7):
        memory = _t5_attention(net, f"_e{at}", memory, bias=bias)
        memory = _t5_feed_forward(net, f"_e{at}", memory)
    memory = net.rms_norm("memory", memory)
    x, bias = _t5_start(net, "target", words, "row@, column@", (0, 31))
    for at in range(1, 7):
        x = _t5_attention(net, f"_d{at}", x, bias=bias, attributes=", is_causal=1")
        x = _t5_attention(net, f"_c{at}", x, memory=memory)
        x = _t5_feed_forward(net, f"_d{at}", x)
    net.add(f"smaller = Mul({net.rms_norm('final', x)}, shrink) flat = Reshape(smaller, rows)")
    net.add(f"scores = Gemm<transB=1>(flat, {words}) size = Shape(target)")
    net.add("shape = Concat<axis=0>(size, classes) logits = Reshape(scores, shape)")
    return net.model("t5_small", "int64[B,S] source, int64[B,T] target", "float[B,T,32128] logits")


def _t5_constants(w: Weights) -> None:
    w.constant("zero", np.array(0))
    w.constant("one", np.array(1))
    w.constant("shrink", np.array(512**-0.5, np.float32))
    w.integers("axis0", 0)
    w.integers("axis1", 1)
    w.integers("rows", -1, 512)
    w.integers("classes", 32_128)


def _t5_start(
    net: Stack, ids: str, words: str, distance: str, near: tuple[int, int]
) -> tuple[str, str]:
    """Embedded tokens and the bias [1, H, S, S] of a stack: one weight for each head and bucket.

    Args:
        net: The text so far.
        ids: The input with the tokens.
        words: The embedding.
        distance: The two places that are subtracted.
        near: The least and the greatest distance that have a bucket of their own.
    """
    table = net.store(f"buckets_{ids}", 32, net.heads)
    w = net.weights
    for name, value in (("low", near[0]), ("high", near[1]), ("shift", -near[0])):
        w.constant(f"{name}_{ids}", np.array(value))
    text = (
        f"start@ = Gather({words}, {ids}) extent@ = Shape<start=1, end=2>({ids}) "
        "length@ = Squeeze(extent@) column@ = Range(zero, length@, one) "
        f"row@ = Unsqueeze(column@, axis1) distance@ = Sub({distance}) "
        "near@ = Clip(distance@, low@, high@) bucket@ = Add(near@, shift@) "
        f"far@ = Gather({table}, bucket@) turned@ = Transpose<perm=[2,0,1]>(far@) "
        "bias@ = Unsqueeze(turned@, axis0)"
    )
    net.add(text.replace("@", f"_{ids}"))
    return f"start_{ids}", f"bias_{ids}"


def _t5_attention(
    net: Stack, mark: str, x: str, *, memory: str = "", bias: str = "", attributes: str = ""
) -> str:
    """Attention of x to itself or to the memory, without bias vectors and scale; returns the sum."""
    normal = net.rms_norm(f"n{mark}", x)
    q = net.linear(f"q{mark}", normal, net.width, net.inner, bias=False)
    k, v = (
        net.linear(f"{n}{mark}", memory or normal, net.width, net.inner, bias=False) for n in "kv"
    )
    inputs = f"{q}, {k}, {v}" + (f", {bias}" if bias else "")
    context = net.attend(f"context{mark}", inputs, f", scale=1.0{attributes}")
    out = net.linear(f"o{mark}", context, net.inner, net.width, bias=False)
    net.add(f"skip{mark} = Add({x}, {out})")
    return f"skip{mark}"


def _t5_feed_forward(net: Stack, mark: str, x: str) -> str:
    normal = net.rms_norm(f"m{mark}", x)
    up = net.linear(f"up{mark}", normal, net.width, net.hidden, bias=False)
    net.add(f"act{mark} = Relu({up})")
    down = net.linear(f"down{mark}", f"act{mark}", net.hidden, net.width, bias=False)
    net.add(f"out{mark} = Add({x}, {down})")
    return f"out{mark}"


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    one.__name__: one for one in (bert_base, gpt2, diffusion_step, t5_small)
}
