"""Networks of convolutions, in blocked layout where the runtime chooses it."""

from __future__ import annotations

from collections.abc import Iterator

from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.layers import (
    conv,
    depthwise,
    global_pool,
)
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.net import Net


def convolutions() -> Iterator[Net]:
    """All of them."""
    for side, width, batch in ((112, 32, 1), (56, 64, 1), (28, 128, 1), (14, 256, 1), (7, 512, 1)):
        yield _dense(side, width, batch)
        yield _pointwise(side, width)
    yield _dense(35, 96, 1)
    yield _dense(19, 192, 1)
    yield _dense(14, 64, 4)
    yield _pointwise(20, 112)
    yield _pointwise(10, 480)
    for side, width in ((112, 32), (56, 96), (28, 192), (14, 384), (7, 960), (20, 240)):
        yield _depthwise(side, width)
    yield _stems((224, 160, 128, 96))
    yield _stems((512, 64, 320, 192))
    yield _grouped()
    yield _large()
    for side, width in ((144, 32), (224, 48), (240, 64)):
        yield _beyond_caches(side, width)
    yield _activations(28, 128)
    yield _activations(80, 64)


def _dense(side: int, width: int, batch: int) -> Net:
    """3x3 and larger filters with and without stride, sums and activations."""
    net = Net(f"dense_{side}_{width}_{batch}")
    x = net.input(batch, width, side, side)
    y = conv(net, x, width, 3, act="Relu")
    z = conv(net, y, width, 3, add=y, act="Relu")
    z = conv(net, z, width // 2, 3)
    z = conv(net, z, width * 2, 3, act="Relu")
    z = conv(net, z, width, 3, dilation=2)
    z = conv(net, z, width // 2, 5, act="Relu")
    z = conv(net, z, width, 1)
    z = conv(net, z, width * 2, 3, stride=2, act="Relu")
    z = conv(net, z, width, 3, act="Relu")
    global_pool(net, z)
    return net


def _pointwise(side: int, width: int) -> Net:
    """1x1 filters that widen, narrow and keep the number of channels."""
    net = Net(f"pointwise_{side}_{width}")
    x = net.input(1, width, side, side)
    y = conv(net, x, width * 4, act="Relu")
    y = conv(net, y, width, add=x, act="Relu")
    y = conv(net, y, width * 6, act="Clip")
    y = conv(net, y, width)
    y = conv(net, y, width // 4 // 16 * 16 or 16)
    y = conv(net, y, width * 2, act="Relu")
    y = conv(net, y, width * 2, act="Relu")
    y = conv(net, y, width, stride=2)
    y = conv(net, y, width * 4, act="Relu")
    y = conv(net, y, width)
    global_pool(net, y)
    return net


def _depthwise(side: int, width: int) -> Net:
    """Filters of one channel, between pointwise ones so that the layout stays blocked."""
    net = Net(f"depthwise_{side}_{width}")
    x = conv(net, net.input(1, width, side, side), width, act="Relu")
    y = depthwise(net, x, 3, act="Relu")
    y = depthwise(net, y, 5, act="Clip")
    y = depthwise(net, y, 7)
    y = depthwise(net, y, 3, act="Relu")
    y = depthwise(net, y, 3, stride=2, act="Relu")
    y = depthwise(net, y, 5, act="Relu")
    y = depthwise(net, y, 3, act="Relu")
    global_pool(net, conv(net, y, width))
    return net


def _stems(sides: tuple[int, int, int, int]) -> Net:
    """First layers: three input channels in plain layout, and what follows."""
    net = Net(f"stems_{sides[0]}")
    large, small, middle, patches = sides
    for side, channels, kernel, stride, act in (
        (large, 64, 7, 2, "Relu"),
        (large, 32, 3, 2, "Clip"),
        (large, 16, 3, 2, "HardSwish"),
        (small, 16, 3, 1, "Relu"),
        (middle, 64, 3, 1, "Relu"),
        (middle, 96, 11, 4, "Relu"),
        (patches, 128, 4, 4, None),
        (patches, 192, 16, 16, None),
        (patches, 64, 5, 1, "Relu"),
    ):
        pad = 0 if kernel in (4, 11, 16) else None
        x = net.input(1, 3, side, side)
        y = conv(net, x, channels, kernel, stride=stride, pad=pad, act=act)
        net.output(global_pool(net, y))
    return net


def _grouped() -> Net:
    """Groups whose channels fill blocks."""
    net = Net("grouped")
    for side, width, groups in ((56, 128, 4), (28, 256, 8), (14, 512, 32), (7, 1024, 32)):
        x = conv(net, net.input(1, width, side, side), width)
        y = conv(net, x, width, 3, groups=groups, act="Relu")
        y = conv(net, y, width, 3, groups=groups, stride=2, act="Relu")
        net.output(global_pool(net, conv(net, y, width)))
    return net


def _large() -> Net:
    """Weights that no cache keeps from run to run."""
    net = Net("large")
    x = net.input(1, 512, 14, 14)
    y = x
    for _ in range(4):
        y = conv(net, y, 512, 3, act="Relu")
    y = conv(net, y, 1024, 3, stride=2, act="Relu")
    for _ in range(2):
        y = conv(net, y, 1024, 1, act="Relu")
    y = conv(net, y, 1024, 3, act="Relu")
    y = conv(net, y, 2048, 1, act="Relu")
    y = conv(net, y, 1024, 1)
    global_pool(net, y)
    return net


def _beyond_caches(side: int, width: int) -> Net:
    """Activations that the caches of a core, or all caches, can't hold."""
    net = Net(f"beyond_caches_{side}_{width}")
    x = net.input(1, width, side, side)
    y = conv(net, x, width * 2, act="Clip")
    y = depthwise(net, y, 3, stride=1, act="Clip")
    y = conv(net, y, width, add=x)
    y = conv(net, y, width, 3, act="Relu")
    y = conv(net, y, width * 2, act="HardSwish")
    y = depthwise(net, y, 5, stride=2, act="HardSwish")
    y = conv(net, y, width * 4, act="Relu")
    y = depthwise(net, y, 3, stride=2, act="Relu")
    y = conv(net, y, width, 3, stride=2, act="Relu")
    global_pool(net, y)
    return net


def _activations(side: int, width: int) -> Net:
    """Activations that are fused into convolutions of each kind."""
    net = Net(f"activations_{side}_{width}")
    y = net.input(1, width, side, side)
    for act in ("Clip", "HardSwish", "HardSigmoid", "Sigmoid", "Tanh", "LeakyRelu"):
        y = conv(net, y, width, act=act)
        y = depthwise(net, y, 3, act=act)
        y = conv(net, y, width // 2, 3, act=act)
        y = conv(net, y, width, act="Relu")
    global_pool(net, y)
    return net
