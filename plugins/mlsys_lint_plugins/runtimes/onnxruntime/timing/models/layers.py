"""Layers as exporters write them, so that the runtime fuses them as it does in real models."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.net import Net

_EPSILON: Final = 1e-5


def conv(
    net: Net,
    x: str,
    channels: int,
    kernel: int = 1,
    *,
    stride: int = 1,
    groups: int = 1,
    dilation: int = 1,
    pad: int | None = None,
    act: str | None = None,
    add: str | None = None,
    rank: int = 2,
) -> str:
    """Convolution with bias, then the addition of `add`, then an activation."""
    batch, inputs, *sizes = net.shape[x]
    weight = net.weight(
        channels, inputs // groups, *(kernel,) * rank, fan_in=inputs // groups * kernel**rank
    )
    edge = dilation * (kernel - 1) // 2 if pad is None else pad
    span = dilation * (kernel - 1) + 1
    out = [(size + 2 * edge - span) // stride + 1 for size in sizes]
    y = net.op(
        "Conv",
        x,
        weight,
        net.weight(channels),
        shape=(batch, channels, *out),
        kernel_shape=[kernel] * rank,
        strides=[stride] * rank,
        dilations=[dilation] * rank,
        group=groups,
        pads=[edge] * 2 * rank,
    )
    if add is not None:
        y = net.op("Add", y, add)
    return y if act is None else activation(net, y, act)


def depthwise(net: Net, x: str, kernel: int, **options: Any) -> str:
    """A filter of its own for every channel."""
    channels = net.shape[x][1]
    return conv(net, x, channels, kernel, groups=channels, **options)


def activation(net: Net, x: str, kind: str) -> str:
    """An operator of one input, or the composites `Swish`, `GeluErf` and `HardSwish6`."""
    if kind == "Swish":
        return net.op("Mul", x, net.op("Sigmoid", x))
    if kind == "Clip":
        return net.op("Clip", x, net.constant(np.float32(0)), net.constant(np.float32(6)))
    if kind == "GeluErf":
        erf = net.op("Erf", net.op("Div", x, net.constant(np.float32(2**0.5))))
        shifted = net.op("Add", erf, net.constant(np.float32(1)))
        return net.op("Mul", net.op("Mul", x, shifted), net.constant(np.float32(0.5)))
    return net.op(kind, x)


def pool(net: Net, x: str, kind: str, kernel: int, stride: int, *, pad: int = 0) -> str:
    """MaxPool or AveragePool of two axes."""
    batch, channels, *sizes = net.shape[x]
    out = [(size + 2 * pad - kernel) // stride + 1 for size in sizes]
    return net.op(
        kind,
        x,
        shape=(batch, channels, *out),
        kernel_shape=[kernel] * 2,
        strides=[stride] * 2,
        pads=[pad] * 4,
    )


def global_pool(net: Net, x: str) -> str:
    """Mean over all spatial positions."""
    batch, channels, *sizes = net.shape[x]
    return net.op("GlobalAveragePool", x, shape=(batch, channels, *[1 for _ in sizes]))


def linear(net: Net, x: str, width: int, *, bias: bool = True) -> str:
    """MatMul with a stored matrix, and a bias."""
    *rows, inner = net.shape[x]
    y = net.op("MatMul", x, net.weight(inner, width, fan_in=inner), shape=(*rows, width))
    return net.op("Add", y, net.weight(width)) if bias else y


def gemm(net: Net, x: str, width: int) -> str:
    """Gemm with a transposed stored matrix, as torch's Linear of rank 2 is written."""
    rows, inner = net.shape[x]
    weight = net.weight(width, inner, fan_in=inner)
    return net.op("Gemm", x, weight, net.weight(width), shape=(rows, width), transB=1)


def layer_norm(net: Net, x: str) -> str:
    """Normalization of the last axis."""
    width = net.shape[x][-1]
    return net.op(
        "LayerNormalization", x, net.weight(width), net.weight(width), axis=-1, epsilon=_EPSILON
    )


def reshape(net: Net, x: str, *sizes: int) -> str:
    """Other sizes for the same elements."""
    return net.op("Reshape", x, net.integers(*sizes), shape=sizes)


def transpose(net: Net, x: str, *perm: int) -> str:
    """Axes in another order."""
    sizes = net.shape[x]
    return net.op("Transpose", x, shape=[sizes[axis] for axis in perm], perm=list(perm))


def matmul(net: Net, a: str, b: str) -> str:
    """Product of two computed tensors."""
    return net.op("MatMul", a, b, shape=(*net.shape[a][:-1], net.shape[b][-1]))


def attention(net: Net, x: str, heads: int) -> str:
    """Self-attention over [batch, rows, width] in plain operators."""
    batch, rows, width = net.shape[x]
    depth = width // heads
    query, key, value = (
        reshape(net, linear(net, x, width), batch, rows, heads, depth) for _ in range(3)
    )
    scores = matmul(net, transpose(net, query, 0, 2, 1, 3), transpose(net, key, 0, 2, 3, 1))
    scaled = net.op("Mul", scores, net.constant(np.float32(depth**-0.5)))
    mixed = matmul(net, net.op("Softmax", scaled, axis=-1), transpose(net, value, 0, 2, 1, 3))
    merged = reshape(net, transpose(net, mixed, 0, 2, 1, 3), batch, rows, width)
    return linear(net, merged, width)


def close(net: Net, *tensors: str) -> None:
    """Make a number of each tensor a result: large results would lie in buffers of their own."""
    for tensor in tensors:
        net.output(net.op("ReduceMax", tensor, shape=(), keepdims=0))
