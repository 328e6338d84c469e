"""Networks of pools and blocked resizes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.layers import global_pool
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.net import Net


def pooling() -> Iterator[Net]:
    """All of them."""
    yield _large()
    yield _middle()
    yield _cold()


def _large() -> Net:
    """Large images; sound; video."""
    net = Net("pools_large")
    x = pool(net, net.input(1, 64, 112, 112), "MaxPool", 3, 2)
    x = pool(net, pool(net, x, "MaxPool", 3), "AveragePool", 3)
    x = pool(net, pool(net, x, "AveragePool", 2, 2), "MaxPool", 2, 2)
    x = resize(net, x, 2, "nearest")
    net.output(resize(net, x, 2, "linear"), global_pool(net, x))
    x = pool(net, net.input(1, 32, 80, 80), "AveragePool", 5)
    net.output(pool(net, resize(net, x, 2, "linear"), "MaxPool", 2, 2))
    _plain(net, net.input(1, 24, 112, 112))
    _plain(net, net.input(1, 36, 1500))
    _plain(net, net.input(1, 12, 8, 28, 28))
    return net


def _middle() -> Net:
    """Channels by the hundred; pyramids."""
    net = Net("pools_middle")
    x = net.input(1, 256, 28, 28)
    pooled = pool(net, x, "MaxPool", 5)
    x = net.op("Concat", x, pooled, pool(net, pooled, "MaxPool", 9), shape=(1, 768, 28, 28), axis=1)
    x = pool(net, pool(net, x, "MaxPool", 3, 2), "AveragePool", 3)
    net.output(global_pool(net, x))
    x = pool(net, net.input(1, 96, 35, 35), "AveragePool", 3)
    x = pool(net, pool(net, x, "MaxPool", 3, 2, pad=0), "AveragePool", 7, 7)
    net.output(x, net.op("GlobalMaxPool", pool(net, x, "MaxPool", 3), shape=(1, 96, 1, 1)))
    x = pool(net, net.input(1, 128, 20, 20), "MaxPool", 2)
    net.output(resize(net, resize(net, x, 2, "nearest"), 2, "linear"))
    x = pool(net, net.input(1, 512, 14, 14), "MaxPool", 3)
    x = pool(net, pool(net, x, "MaxPool", 2, 2), "AveragePool", 3)
    net.output(global_pool(net, x))
    net.output(global_pool(net, net.input(1, 1100, 8, 8)))
    x = pool(net, net.input(4, 128, 16, 16), "MaxPool", 2, 2)
    x = resize(net, pool(net, x, "AveragePool", 2), 4, "nearest")
    net.output(net.op("GlobalMaxPool", x, shape=(4, 128, 1, 1)))
    _plain(net, net.input(2, 42, 28, 28))
    _plain(net, net.input(4, 130, 100))
    _plain(net, net.input(1, 72, 4, 14, 14))
    return net


def _cold() -> Net:
    """Tensors that no cache keeps from layer to layer."""
    net = Net("pools_cold")
    x = pool(net, net.input(1, 64, 400, 400), "MaxPool", 3, 2)
    net.output(resize(net, x, 2, "nearest"), global_pool(net, x))
    x = net.input(1, 126, 200, 200)
    net.output(global_pool(net, x), pool(net, x, "MaxPool", 3, 2), pool(net, x, "MaxPool", 2, 2))
    return net


def _plain(net: Net, x: str) -> None:
    """Pools that no block fits: of channels by the odd number, sequences and volumes."""
    rank = len(net.shape[x]) - 2
    y = pool(net, x, "MaxPool", 3)
    y = pool(net, y, "AveragePool", 3)
    y = pool(net, y, "MaxPool", 3, 2)
    y = pool(net, y, "AveragePool", 2, 2)
    y = net.op("GlobalAveragePool", y, shape=(*net.shape[y][:2], *(1,) * rank))
    net.output(y, pool(net, x, "MaxPool", 2, 2, indices=True))
    net.output(net.op("GlobalAveragePool", x, shape=(*net.shape[x][:2], *(1,) * rank)))
    net.output(pool(net, x, "MaxPool", 4, 4), pool(net, x, "AveragePool", 4, 4))


def pool(
    net: Net,
    x: str,
    kind: str,
    kernel: int,
    stride: int = 1,
    *,
    pad: int | None = None,
    indices: bool = False,
) -> str:
    """A pool of all spatial axes, padded by half its kernel where that is odd."""
    batch, channels, *sizes = net.shape[x]
    edge = (kernel - 1) // 2 * (kernel % 2) if pad is None else pad
    return net.op(
        kind,
        x,
        shape=(batch, channels, *[(size + 2 * edge - kernel) // stride + 1 for size in sizes]),
        outputs=1 + indices,
        kernel_shape=[kernel] * len(sizes),
        strides=[stride] * len(sizes),
        pads=[edge] * 2 * len(sizes),
    )


def resize(net: Net, x: str, factor: int, mode: str) -> str:
    """Sizes times a whole number, as the blocked layout can do it."""
    nearest = mode == "nearest"
    batch, channels, *sizes = net.shape[x]
    return net.op(
        "Resize",
        x,
        "",
        net.constant(np.asarray([1, 1, factor, factor], np.float32)),
        shape=(batch, channels, *[size * factor for size in sizes]),
        mode=mode,
        coordinate_transformation_mode="asymmetric" if nearest else "half_pixel",
        nearest_mode="floor" if nearest else "round_prefer_floor",
    )
