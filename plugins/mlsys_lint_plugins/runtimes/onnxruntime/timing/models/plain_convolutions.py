"""Networks of convolutions that stay in plain layout: of sequences, volumes, thin groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnx import TensorProto

from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.layers import activation
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.net import Net


def plain_convolutions() -> Iterator[Net]:
    """All of them."""
    yield _wide()
    yield _narrow()
    yield _long()
    yield _cold()


def _wide() -> Net:
    """Large images, few channels."""
    net = Net("plain_wide")
    x = _series(net, net.input(1, 18, 80, 80), [(18, 3, 1), (30, 3, 2), (22, 1, 1), (50, 5, 2)])
    x = _series(net, x, [(70, 3, 1), (26, 1, 1)])
    _series(net, net.input(1, 128, 28, 28), [(128, 3, 1), (128, 3, 2)], groups=32)
    _depthwise(net, net.input(1, 30, 56, 56), [(3, 1), (5, 1), (3, 2)])
    _series(
        net, net.input(1, 80, 2400), [(128, 3, 1), (128, 3, 2), (128, 1, 1), (64, 5, 1)], rank=1
    )
    _depthwise(net, net.input(1, 128, 1200), [(15, 1), (7, 1), (3, 2)], rank=1)
    _volumes(net, net.input(1, 3, 8, 64, 64), 24, stem=(3, 7, 7))
    y = transposed(net, net.input(1, 64, 28, 28), 32, 2, 2)
    transposed(net, transposed(net, y, 16, 3, 2), 8, 4, 2)
    transposed(net, net.input(1, 96, 256), 48, 16, 8, rank=1)
    deformed(net, net.input(1, 32, 28, 28), 32, 3)
    return net


def _narrow() -> Net:
    """Small images, many channels: more filters than positions."""
    net = Net("plain_narrow")
    _series(net, net.input(1, 126, 14, 14), [(126, 3, 1), (250, 1, 1), (250, 3, 2), (90, 1, 1)])
    _series(net, net.input(1, 512, 14, 14), [(512, 3, 1), (512, 3, 2), (512, 3, 1)], groups=32)
    _series(net, net.input(1, 240, 14, 14), [(240, 1, 1), (960, 1, 1)], groups=3)
    _depthwise(net, net.input(1, 198, 14, 14), [(3, 1), (5, 2), (3, 1)])
    _series(net, net.input(1, 256, 300), [(512, 3, 1), (512, 1, 1), (256, 3, 2)], rank=1)
    _depthwise(net, net.input(1, 256, 300), [(31, 1), (9, 1)], rank=1)
    _volumes(net, net.input(1, 64, 4, 14, 14), 96, stem=None)
    _series(net, net.input(1, 1022, 10), [(1022, 3, 1)] * 3, rank=1)
    transposed(net, transposed(net, net.input(1, 128, 7, 7), 64, 4, 2), 64, 2, 2)
    transposed(net, net.input(1, 256, 64), 128, 8, 4, rank=1)
    deformed(net, deformed(net, net.input(1, 64, 14, 14), 128, 3), 64, 1)
    return net


def _long() -> Net:
    """Sequences as of sound, batches, weights that are computed."""
    net = Net("plain_long")
    x = _series(
        net, net.input(1, 1, 16000), [(32, 10, 5), (64, 3, 2), (64, 3, 2), (64, 1, 1)], rank=1
    )
    _dilated(net, x, (1, 2, 4, 8))
    _series(net, net.input(1, 256, 99), [(256, 64, 1)], rank=1, groups=16)
    _series(net, net.input(8, 17, 28, 28), [(34, 3, 1), (34, 1, 1), (17, 3, 2)])
    _computed(net, net.input(1, 64, 28, 28), 64, 3)
    _computed(net, net.input(1, 32, 15, 15), 1, 5)
    _series(net, net.input(4, 64, 250), [(96, 5, 1), (96, 1, 1), (64, 3, 1)], rank=1)
    _volumes(net, net.input(2, 16, 4, 28, 28), 32, stem=None)
    _series(net, net.input(1, 60, 28, 28), [(120, 1, 1), (60, 3, 1)], groups=15)
    transposed(net, net.input(1, 21, 32, 32), 21, 4, 2, groups=21)
    transposed(net, net.input(2, 48, 20, 20), 48, 3, 1)
    transposed(net, net.input(1, 128, 128), 64, 4, 2, rank=1)
    deformed(net, net.input(1, 16, 56, 56), 16, 3)
    _thin(net)
    return net


def _thin(net: Net) -> None:
    """Small and odd ones, where the call costs as much as the work."""
    _series(
        net, net.input(1, 1, 28, 28), [(6, 5, 1), (10, 3, 1), (18, 1, 1), (9, 3, 2), (35, 3, 1)]
    )
    _series(net, net.input(1, 48, 64), [(64, 3, 1), (48, 1, 1), (32, 5, 2), (16, 3, 1)], rank=1)
    _series(net, net.input(1, 64, 1, 60), [(64, 3, 1)], groups=16)
    _depthwise(net, net.input(1, 50, 7, 7), [(3, 1), (5, 1)])
    _depthwise(net, net.input(1, 64, 100), [(3, 1), (31, 1)], rank=1)
    _series(net, net.input(1, 66, 40, 40), [(33, 1, 1), (66, 3, 1), (10, 1, 1), (66, 7, 2)])
    _series(net, net.input(1, 1022, 7, 7), [(254, 1, 1), (510, 3, 1), (1022, 1, 1)])
    _volumes(net, net.input(1, 32, 8, 16, 16), 16, stem=None)
    transposed(net, net.input(1, 16, 8, 8), 16, 2, 2)
    transposed(net, net.input(1, 32, 40, 40), 2, 8, 4)
    transposed(net, net.input(1, 512, 7, 7), 128, 3, 2)
    deformed(net, net.input(1, 8, 20, 20), 24, 3)


def _cold() -> Net:
    """Weights and tensors that no cache keeps from run to run."""
    net = Net("plain_cold")
    _series(net, net.input(1, 1026, 8), [(1026, 3, 1)] * 5, rank=1)
    x = _conv(net, net.input(1, 6, 4, 384, 384), 12, (1, 1, 1))
    net.output(_conv(net, x, 6, (1, 3, 3), (1, 2, 2)))
    return net


def _series(
    net: Net, x: str, layers: Sequence[tuple[int, int, int]], *, rank: int = 2, groups: int = 1
) -> str:
    """Convolutions (outputs, kernel, stride) one after another, every other one with Relu."""
    for place, (channels, kernel, stride) in enumerate(layers):
        x = _conv(net, x, channels, (kernel,) * rank, (stride,) * rank, groups=groups)
        x = activation(net, x, "Relu") if place % 2 else x
    net.output(x)
    return x


def _depthwise(net: Net, x: str, layers: Sequence[tuple[int, int]], *, rank: int = 2) -> None:
    """Filters (kernel, stride) of one channel each."""
    channels = net.shape[x][1]
    for kernel, stride in layers:
        x = _conv(net, x, channels, (kernel,) * rank, (stride,) * rank, groups=channels)
    net.output(x)


def _dilated(net: Net, x: str, dilations: Sequence[int]) -> None:
    """Filters of three positions that lie apart, in a sequence."""
    for dilation in dilations:
        x = _conv(net, x, net.shape[x][1], (3,), (1,), dilation=dilation)
    net.output(x)


def _volumes(net: Net, x: str, width: int, *, stem: tuple[int, ...] | None) -> None:
    """Whole filters, flat and deep ones, one a channel, one a position."""
    if stem is not None:
        x = _conv(net, x, width, stem, (1, 2, 2))
    x = _conv(net, x, width, (3, 3, 3))
    x = _conv(net, x, width * 2, (1, 3, 3), (1, 2, 2))
    x = activation(net, _conv(net, x, width, (3, 1, 1)), "Relu")
    x = _conv(net, x, width, (3, 3, 3), groups=width)
    net.output(_conv(net, x, width * 2, (1, 1, 1)))


def _computed(net: Net, x: str, channels: int, kernel: int) -> None:
    """Weights that come from outside, as in trackers and hypernetworks."""
    inputs = net.shape[x][1]
    weight = net.input(channels, inputs, kernel, kernel)
    net.output(_conv(net, x, channels, (kernel, kernel), weight=weight))


def _conv(
    net: Net,
    x: str,
    channels: int,
    kernel: tuple[int, ...],
    stride: tuple[int, ...] | None = None,
    *,
    groups: int = 1,
    dilation: int = 1,
    weight: str | None = None,
) -> str:
    batch, inputs, *sizes = net.shape[x]
    steps = stride or (1,) * len(kernel)
    edges = [dilation * (one - 1) // 2 for one in kernel]
    spans = [dilation * (one - 1) + 1 for one in kernel]
    out = [
        (size + 2 * edge - span) // step + 1
        for size, edge, span, step in zip(sizes, edges, spans, steps, strict=True)
    ]
    stored = weight or net.weight(channels, inputs // groups, *kernel)
    return net.op(
        "Conv",
        x,
        stored,
        net.weight(channels),
        shape=(batch, channels, *out),
        kernel_shape=kernel,
        strides=steps,
        dilations=[dilation] * len(kernel),
        group=groups,
        pads=edges * 2,
    )


def transposed(
    net: Net, x: str, channels: int, kernel: int, stride: int, *, groups: int = 1, rank: int = 2
) -> str:
    """ConvTranspose that multiplies the sizes by the stride."""
    batch, inputs, *sizes = net.shape[x]
    edge = (max(0, kernel - stride) + 1) // 2
    extra = stride - kernel + 2 * edge
    weight = net.weight(inputs, channels // groups, *(kernel,) * rank, fan_in=inputs)
    y = net.op(
        "ConvTranspose",
        x,
        weight,
        net.weight(channels),
        shape=(batch, channels, *[size * stride for size in sizes]),
        kernel_shape=[kernel] * rank,
        strides=[stride] * rank,
        pads=[edge] * 2 * rank,
        output_padding=[extra] * rank,
        group=groups,
    )
    net.output(y)
    return y


def deformed(net: Net, x: str, channels: int, kernel: int) -> str:
    """DeformConv whose offsets come from outside."""
    batch, inputs, *sizes = net.shape[x]
    offset = net.input(batch, 2 * kernel * kernel, *sizes, dtype=TensorProto.FLOAT)
    y = net.op(
        "DeformConv",
        x,
        net.weight(channels, inputs, kernel, kernel, fan_in=inputs * kernel**2),
        offset,
        net.weight(channels),
        shape=(batch, channels, *sizes),
        kernel_shape=[kernel, kernel],
        pads=[kernel // 2] * 4,
    )
    net.output(y)
    return y
