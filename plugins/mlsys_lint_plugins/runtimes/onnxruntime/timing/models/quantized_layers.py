"""Quantized layers: pairs of QuantizeLinear and DequantizeLinear as static quantization writes them.

Activations are uint8, weights int8 with one scale for each output channel, biases int32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.net import Net

SCALE: Final = 0.05
"""Of all activations: one scale lets pools and moves run on integers."""
MIDDLE: Final = 128
_LARGEST: Final = 127


def pair(net: Net, x: str, zero: int = MIDDLE) -> str:
    """The tensor quantized and dequantized."""
    scale, point = scalar(net, SCALE), net.constant(np.asarray(zero, np.uint8))
    integers = net.op("QuantizeLinear", x, scale, point, dtype=2)
    return net.op("DequantizeLinear", integers, scale, point, dtype=1)


def scalar(net: Net, value: float) -> str:
    """A stored float without axes."""
    return net.constant(np.asarray(value, np.float32))


def stored(net: Net, *shape: int, axis: int = 0, fan_in: int, unsigned: bool = False) -> str:
    """Dequantized weights; unsigned ones have one scale and a zero point in the middle."""
    size = 1 / (_LARGEST * fan_in**0.5)
    if unsigned:
        integers = net.weight(*shape, dtype=np.uint8)
        scale, point = scalar(net, size), net.constant(np.asarray(MIDDLE, np.uint8))
        return net.op("DequantizeLinear", integers, scale, point, dtype=1)
    integers = net.weight(*shape, dtype=np.int8)
    scales = net.constant(np.full(shape[axis], size, np.float32))
    points = net.constant(np.zeros(shape[axis], np.int8))
    return net.op("DequantizeLinear", integers, scales, points, dtype=1, axis=axis)


def bias(net: Net, channels: int, *, fan_in: int, unsigned: bool = False) -> str:
    """A dequantized bias, whose scale is that of activations times that of weights."""
    size = SCALE / (_LARGEST * fan_in**0.5)
    integers = net.constant(np.arange(channels, dtype=np.int32))
    if unsigned:
        point = net.constant(np.asarray(0, np.int32))
        return net.op("DequantizeLinear", integers, scalar(net, size), point, dtype=1)
    scales = net.constant(np.full(channels, size, np.float32))
    points = net.constant(np.zeros(channels, np.int32))
    return net.op("DequantizeLinear", integers, scales, points, dtype=1, axis=0)


def quantized_conv(
    net: Net,
    x: str,
    channels: int,
    kernel: int = 1,
    *,
    stride: int = 1,
    groups: int = 1,
    relu: bool = False,
    unsigned: bool = False,
) -> str:
    """Convolution of integers, with Relu where asked for."""
    batch, inputs, *sizes = net.shape[x]
    rank, edge = len(sizes), (kernel - 1) // 2
    fan_in = inputs // groups * kernel**rank
    shape = (channels, inputs // groups, *(kernel,) * rank)
    y = net.op(
        "Conv",
        x,
        stored(net, *shape, fan_in=fan_in, unsigned=unsigned),
        bias(net, channels, fan_in=fan_in, unsigned=unsigned),
        shape=(batch, channels, *[(size + 2 * edge - kernel) // stride + 1 for size in sizes]),
        kernel_shape=[kernel] * rank,
        strides=[stride] * rank,
        pads=[edge] * 2 * rank,
        group=groups,
    )
    return pair(net, net.op("Relu", y), 0) if relu else pair(net, y)


def quantized_depthwise(net: Net, x: str, kernel: int, **options: Any) -> str:
    """A filter of its own for every channel."""
    channels = net.shape[x][1]
    return quantized_conv(net, x, channels, kernel, groups=channels, **options)


def between(
    net: Net,
    op_type: str,
    *inputs: str,
    shape: Sequence[int] | None = None,
    zero: int = MIDDLE,
    **attributes: Any,
) -> str:
    """An operator between pairs."""
    return pair(net, net.op(op_type, *inputs, shape=shape, **attributes), zero)


def quantized_linear(net: Net, x: str, width: int, *, unsigned: bool = False) -> str:
    """MatMul with a stored matrix of integers."""
    *rows, inner = net.shape[x]
    weight = stored(net, inner, width, axis=1, fan_in=inner, unsigned=unsigned)
    return pair(net, net.op("MatMul", x, weight, shape=(*rows, width)))


def quantized_gemm(net: Net, x: str, width: int) -> str:
    """Gemm with a transposed stored matrix of integers and a bias."""
    rows, inner = net.shape[x]
    weight = stored(net, width, inner, fan_in=inner)
    added = bias(net, width, fan_in=inner)
    return pair(net, net.op("Gemm", x, weight, added, shape=(rows, width), transB=1))


def signed_conv(
    net: Net, x: str, channels: int, kernel: int = 1, *, stride: int = 1, groups: int = 1
) -> str:
    """QLinearConv of int8, as quantization to operators of integers writes it."""
    batch, inputs, *sizes = net.shape[x]
    edge, fan_in = (kernel - 1) // 2, inputs // groups * kernel**2
    weight = net.weight(channels, inputs // groups, kernel, kernel, dtype=np.int8)
    size, zero = scalar(net, 1 / (_LARGEST * fan_in**0.5)), net.constant(np.asarray(0, np.int8))
    return net.op(
        "QLinearConv",
        *(x, scalar(net, SCALE), zero, weight, size, zero, scalar(net, SCALE), zero),
        net.constant(np.arange(channels, dtype=np.int32)),
        shape=(batch, channels, *[(side + 2 * edge - kernel) // stride + 1 for side in sizes]),
        kernel_shape=[kernel] * 2,
        strides=[stride] * 2,
        pads=[edge] * 4,
        group=groups,
    )


def signed_linear(net: Net, x: str, width: int) -> str:
    """QLinearMatMul of int8."""
    *rows, inner = net.shape[x]
    weight = net.weight(inner, width, dtype=np.int8)
    size, zero = scalar(net, 1 / (_LARGEST * inner**0.5)), net.constant(np.asarray(0, np.int8))
    return net.op(
        "QLinearMatMul",
        *(x, scalar(net, SCALE), zero, weight, size, zero, scalar(net, SCALE), zero),
        shape=(*rows, width),
    )


def signed(net: Net, x: str) -> str:
    """The tensor as int8."""
    zero = net.constant(np.asarray(0, np.int8))
    return net.op("QuantizeLinear", x, scalar(net, SCALE), zero, dtype=3)
