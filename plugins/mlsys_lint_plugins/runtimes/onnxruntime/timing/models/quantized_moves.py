"""What runs between products of integers: conversions, sums, tables, pools, transposes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from onnx import TensorProto

from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.net import Net
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.quantized_layers import (
    SCALE,
    between,
    pair,
)
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.quantized_products import gathered

_HEADS: Final = 4


def moves() -> Net:
    """Large images, short sequences."""
    net = Net("q_moves")
    for channels, side in ((64, 56), (30, 28)):
        _image(net, channels, side)
    for rows, width in ((128, 512), (16, 100)):
        _sequence(net, rows, width)
    for rows, count in ((1000, 100), (500, 8)):
        net.output(gathered(net, rows, 384, count))
    return net


def other_moves() -> Net:
    """Many channels, few channels, long rows."""
    net = Net("q_other_moves")
    for channels, side in ((256, 14), (16, 112)):
        _image(net, channels, side)
    for rows, width in ((197, 192), (16, 2048)):
        _sequence(net, rows, width)
    return net


def _image(net: Net, channels: int, side: int) -> None:
    x, y = (pair(net, net.input(1, channels, side, side)) for _ in range(2))
    z = between(net, "Add", x, y)
    z = between(net, "Mul", z, x)
    gate = pair(net, net.input(1, channels, 1, 1))
    z = between(net, "Mul", z, gate)
    z = between(net, "LeakyRelu", z, alpha=0.1)
    z = between(net, "Sigmoid", z)
    half = side // 2
    pooled: dict[str, Any] = {
        "kernel_shape": [2, 2],
        "strides": [2, 2],
        "shape": (1, channels, half, half),
    }
    average = between(net, "AveragePool", z, **pooled)
    largest = between(net, "MaxPool", z, **pooled)
    joined = between(net, "Concat", largest, largest, shape=(1, 2 * channels, half, half), axis=1)
    apart = between(
        net, "Concat", largest, average, shape=(1, 2 * channels, half, half), axis=1, zero=120
    )
    net.output(apart)
    net.output(between(net, "GlobalAveragePool", joined, shape=(1, 2 * channels, 1, 1)))
    net.output(between(net, "Transpose", x, shape=(1, side, side, channels), perm=[0, 2, 3, 1]))


def _sequence(net: Net, rows: int, width: int) -> None:
    x, y = (pair(net, net.input(1, rows, width)) for _ in range(2))
    bias = pair(net, net.input(width), 100)
    z = between(net, "Add", between(net, "Add", x, bias), y)
    z = between(net, "Softmax", z, axis=-1)
    depth = width // _HEADS
    sizes = (1, rows, _HEADS, depth)
    z = between(net, "Reshape", z, net.integers(*sizes), shape=sizes)
    z = between(net, "Transpose", z, shape=(1, _HEADS, rows, depth), perm=[0, 2, 1, 3])
    net.output(z)
    net.output(net.op("Gelu", z))
    for axis in (0, 1):
        _by_channel(net, net.input(rows, width), axis)


def _by_channel(net: Net, x: str, axis: int) -> None:
    """There and back, with a scale for each row or each column."""
    count = net.shape[x][axis]
    scales = net.constant(np.full(count, SCALE, np.float32))
    points = net.constant(np.zeros(count, np.int8))
    integers = net.op("QuantizeLinear", x, scales, points, axis=axis, dtype=TensorProto.INT8)
    back = net.op("DequantizeLinear", integers, scales, points, axis=axis, dtype=TensorProto.FLOAT)
    net.output(integers, back)
