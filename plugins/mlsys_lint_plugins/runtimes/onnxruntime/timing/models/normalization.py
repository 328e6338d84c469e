"""Networks of normalizations, softmax, reductions and searches along an axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from onnx import TensorProto

from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.layers import close, layer_norm
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.net import Net

_EPSILON: Final = 1e-5
_ROWS: Final = (
    *((1, 1, 768), (1, 197, 384), (1, 50, 768), (1, 3136, 96), (1, 128, 1024), (8, 49, 512)),
    *((1, 784, 180), (1, 16, 4096), (1, 1, 64), (2, 500, 256)),
    *((1, 3136, 256), (1, 900, 1024)),
)
_SCORES: Final = (
    *((12, 197, 197), (8, 128, 128), (64, 49, 49), (1, 1000), (12, 1, 300), (100, 21, 8)),
    *((4, 512, 512), (3, 32, 32), (16, 77, 77), (1, 30000)),
    *((32, 200, 200), (12, 400, 400)),
)
_IMAGES: Final = (
    (1, 64, 56, 56),
    (1, 256, 14, 14),
    (1, 512, 7, 7),
    (2, 32, 80, 80),
    (1, 96, 28, 28),
)
_REDUCED: Final[Sequence[tuple[tuple[int, ...], tuple[int, ...]]]] = (
    ((1, 197, 768), (2,)),
    ((1, 197, 768), (1,)),
    ((1, 64, 56, 56), (2, 3)),
    ((1, 64, 56, 56), (1,)),
    ((1, 512, 7, 7), (2, 3)),
    ((16, 128, 300), (0,)),
    ((4, 3000, 40), (2,)),
    ((1, 56, 56, 96), (1, 2)),
    ((8, 16, 20, 30), (1, 3)),
    ((300000,), (0,)),
    ((1, 1100, 8, 8), (2, 3)),
    ((64, 2048), (1,)),
    ((1, 49, 1024), (1,)),
    ((32, 40, 500), (0,)),
    ((1, 512, 50, 50), (2, 3)),
    ((1, 128, 600), (1,)),
    ((2000, 2000), (1,)),
    ((1, 96, 200, 200), (2, 3)),
)
_SEARCHED: Final = ((1, 21, 40, 65), (64, 1000), (1, 30000), (8, 100, 60), (4, 4000), (2, 6, 900))


def normalization() -> Iterator[Net]:
    """All of them; those of one kind are spread over two networks."""
    for place, name in enumerate("ab"):
        rows = Net(f"rows_{name}")
        _layers(rows, _ROWS[place::2])
        _softmax(rows, _SCORES[place::2])
        yield rows
        reduced = Net(f"reduce_{name}")
        _reductions(reduced, _REDUCED[place::2])
        _searches(reduced, _SEARCHED[place::2])
        _images(reduced, _IMAGES[place::2])
        yield reduced


def _layers(net: Net, sizes: Sequence[Sequence[int]]) -> None:
    """Normalization of the last axis, with and without a sum before it."""
    for shape in sizes:
        x, width = net.input(*shape), shape[-1]
        scale, shift = net.weight(width), net.weight(width)
        y = layer_norm(net, x)
        y = net.op("SimplifiedLayerNormalization", y, scale, epsilon=_EPSILON, axis=-1)
        y = net.contrib("SkipLayerNormalization", y, x, scale, shift, epsilon=_EPSILON)
        y = net.contrib("SkipLayerNormalization", y, x, scale, shift, shift, epsilon=_EPSILON)
        y = net.contrib("SkipSimplifiedLayerNormalization", y, x, scale, epsilon=_EPSILON)
        y = net.op("LayerNormalization", y, scale, axis=-1, epsilon=_EPSILON)
        close(net, net.op("LpNormalization", y, axis=-1, p=2))


def _softmax(net: Net, sizes: Sequence[Sequence[int]]) -> None:
    """Softmax of the last axis and of others, which are transposed inside."""
    for shape in sizes:
        y = net.op("Softmax", net.input(*shape), axis=-1)
        y = net.op("LogSoftmax", net.op("Sqrt", y), axis=-1)
        y = net.op("Softmax", net.op("Abs", y), axis=-2 if len(shape) > 2 else -1)
        close(net, y)


def _reductions(net: Net, cases: Sequence[tuple[Sequence[int], Sequence[int]]]) -> None:
    """Reductions of inner, outer and middle axes."""
    for shape, axes in cases:
        x = net.input(*shape)
        out = [size for axis, size in enumerate(shape) if axis not in axes]
        along = net.integers(*axes)
        for kind in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2", "ReduceSumSquare"):
            net.output(net.op(kind, x, along, shape=out, keepdims=0))
        net.output(net.op("ReduceMin", x, along, shape=out, keepdims=0))
        if net.size(x) < 200_000:
            net.output(net.op("ReduceLogSumExp", x, along, shape=out, keepdims=0))
        net.output(net.op("ReduceProd", net.op("Softsign", x), along, shape=out, keepdims=0))


def _images(net: Net, sizes: Sequence[Sequence[int]]) -> None:
    """Normalizations of feature maps in plain layout."""
    for shape in sizes:
        channels = shape[1]
        y = net.input(*shape)
        positive = net.constant(np.linspace(0.5, 1.5, channels, dtype=np.float32))
        stored = (positive, net.weight(channels), net.weight(channels), positive)
        y = net.op("BatchNormalization", y, *stored, epsilon=_EPSILON)
        y = net.op("InstanceNormalization", y, positive, stored[1], epsilon=_EPSILON)
        y = net.op("LRN", y, size=5)
        y = net.op("LpNormalization", y, axis=1, p=2)
        close(net, net.op("MeanVarianceNormalization", y, axes=[0, 2, 3]))


def _searches(net: Net, shapes: Sequence[Sequence[int]]) -> None:
    """Largest elements, running sums."""
    whole = TensorProto.INT64
    for shape in shapes:
        x = net.input(*shape)
        for axis in (-1, 1):
            out = list(shape)
            out[axis] = 1
            for kind in ("ArgMax", "ArgMin"):
                net.output(net.op(kind, x, shape=out, axis=axis, dtype=whole))
        for count in (1, 20, shape[-1] // 4):
            kept = (*shape[:-1], count)
            net.output(net.op("TopK", x, net.integers(count), shape=kept, outputs=2, axis=-1))
        for axis in (0, 1, len(shape) - 1):
            close(net, net.op("CumSum", x, net.constant(np.int64(axis))))
