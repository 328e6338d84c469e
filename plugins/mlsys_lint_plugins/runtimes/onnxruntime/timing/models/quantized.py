"""Networks of integers: convolutions, products, and what runs between them."""

from __future__ import annotations

from collections.abc import Iterator

from mlsys_lint_plugins.runtimes.onnxruntime.timing.models import (
    quantized_moves,
    quantized_products,
)
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.net import Net
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.quantized_layers import (
    between,
    pair,
    quantized_conv,
    quantized_depthwise,
    quantized_gemm,
    signed,
    signed_conv,
)


def quantized() -> Iterator[Net]:
    """All of them."""
    yield _residual()
    yield _inverted()
    yield _bottleneck()
    yield quantized_products.many_rows()
    yield quantized_products.few_rows()
    yield quantized_products.cold("q_cold", 4096, 400)
    yield quantized_products.cold("q_cold_too", 3072, 512)
    yield quantized_moves.moves()
    yield quantized_moves.other_moves()


def _residual() -> Net:
    """A stem, blocks of two 3x3 filters, sums."""
    net = Net("q_residual")
    x = quantized_conv(net, pair(net, net.input(1, 3, 128, 128)), 64, 7, stride=2, relu=True)
    x = _pool(net, x, "MaxPool", 3, 2)
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        y = quantized_conv(net, x, width, 3, stride=stride, relu=True)
        y = quantized_conv(net, y, width, 3)
        if stride > 1:
            x = quantized_conv(net, x, width, 1, stride=stride)
        x = pair(net, net.op("Relu", net.op("Add", y, x)), 0)
    x = _flat(net, x)
    net.output(quantized_gemm(net, x, 1000))
    x = pair(net, net.input(2, 40, 24, 24))
    x = quantized_conv(net, x, 72, 3, relu=True)
    x = quantized_conv(net, x, 40, 5, unsigned=True)
    x = quantized_conv(net, x, 30, 3)
    x = quantized_conv(net, x, 96, 3, relu=True)
    x = quantized_depthwise(net, quantized_depthwise(net, x, 3), 5, stride=2)
    net.output(quantized_depthwise(net, quantized_conv(net, x, 22), 3))
    return net


def _inverted() -> Net:
    """Pointwise filters that widen and narrow, filters of one channel between them."""
    net = Net("q_inverted")
    _signed(net, 28, 32)
    x = quantized_conv(net, pair(net, net.input(1, 3, 160, 160)), 32, 3, stride=2, relu=True)
    for width, kernel, stride in (
        (16, 3, 1),
        (24, 3, 2),
        (40, 5, 2),
        (40, 5, 1),
        (80, 3, 2),
        (112, 5, 1),
        (192, 5, 2),
        (192, 3, 1),
    ):
        y = quantized_conv(net, x, net.shape[x][1] * 6, 1, relu=True)
        y = quantized_depthwise(net, y, kernel, stride=stride, relu=True)
        y = quantized_conv(net, y, width)
        same = net.shape[x] == net.shape[y]
        x = between(net, "Add", x, y) if same else y
    x = quantized_conv(net, x, 1280, 1, relu=True)
    net.output(quantized_gemm(net, _flat(net, x), 1000))
    x = quantized_depthwise(net, pair(net, net.input(1, 30, 28, 28)), 3)
    net.output(quantized_depthwise(net, x, 7, unsigned=True))
    return net


def _bottleneck() -> Net:
    """1x1, 3x3, 1x1; branches that are joined; groups; sequences."""
    net = Net("q_bottleneck")
    _signed(net, 14, 48)
    for side, width in ((28, 128), (14, 256), (7, 512)):
        x = pair(net, net.input(1, width * 4, side, side))
        y = quantized_conv(net, x, width, 1, relu=True)
        y = quantized_conv(net, y, width, 3, relu=True)
        net.output(between(net, "Add", quantized_conv(net, y, width * 4), x))
    x = pair(net, net.input(1, 64, 40, 40))
    y = quantized_conv(net, x, 32, 1, relu=True)
    z = quantized_conv(net, quantized_conv(net, y, 32, 3), 64, 5)
    joined = between(net, "Concat", x, y, z, shape=(1, 160, 40, 40), axis=1)
    z = quantized_conv(net, joined, 96, 1, stride=2)
    z = quantized_conv(net, z, 96, 3, groups=4)
    net.output(quantized_conv(net, z, 96, 3, groups=32))
    z = quantized_conv(net, pair(net, net.input(1, 3, 96, 96)), 64, 4, stride=4)
    z = quantized_depthwise(net, z, 7)
    z = quantized_conv(net, quantized_depthwise(net, z, 3, stride=2), 144)
    net.output(quantized_depthwise(net, quantized_conv(net, z, 18, 3, unsigned=True), 5))
    x = pair(net, net.input(1, 80, 400))
    x = quantized_conv(net, quantized_conv(net, x, 160, 3), 160, 5, stride=2)
    net.output(quantized_depthwise(net, quantized_conv(net, x, 160, unsigned=True), 9))
    return net


def _signed(net: Net, side: int, width: int) -> None:
    """Operators of int8, which no instruction multiplies."""
    x = signed_conv(net, signed(net, net.input(1, 3, side * 2, side * 2)), width, 3, stride=2)
    x = signed_conv(net, x, width, 3, groups=width)
    x = signed_conv(net, signed_conv(net, x, width // 2), width * 3)
    x = signed_conv(net, x, width * 3, 3, groups=width * 3)
    net.output(signed_conv(net, x, width, 3, stride=2))


def _pool(net: Net, x: str, kind: str, kernel: int, stride: int) -> str:
    batch, channels, *sizes = net.shape[x]
    edge = (kernel - 1) // 2
    return between(
        net,
        kind,
        x,
        shape=(batch, channels, *[(size + 2 * edge - kernel) // stride + 1 for size in sizes]),
        kernel_shape=[kernel] * 2,
        strides=[stride] * 2,
        pads=[edge] * 4,
        zero=0,
    )


def _flat(net: Net, x: str) -> str:
    """Mean over all positions, as a matrix."""
    batch, channels, *_ = net.shape[x]
    y = between(net, "GlobalAveragePool", x, shape=(batch, channels, 1, 1))
    return between(net, "Flatten", y, shape=(batch, channels), axis=1)
