"""Networks of operators that move elements and compute nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, Final

import numpy as np
from onnx import TensorProto

from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.layers import (
    close,
    conv,
    reshape,
    transpose,
)
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.net import Net

_TRANSPOSES: Final = (
    ((1, 197, 12, 64), (0, 2, 1, 3)),
    ((1, 197, 6, 32), (0, 2, 3, 1)),
    ((1, 56, 56, 96), (0, 3, 1, 2)),
    ((1, 192, 28, 28), (0, 2, 3, 1)),
    ((1, 8, 7, 8, 7, 96), (0, 1, 3, 2, 4, 5)),
    ((1, 2, 58, 28, 28), (0, 2, 1, 3, 4)),
    ((64, 49, 3, 4, 32), (2, 0, 3, 1, 4)),
    ((197, 768), (1, 0)),
    ((1, 384, 196), (0, 2, 1)),
    ((50, 8, 96), (1, 0, 2)),
    ((1, 8, 512, 64), (0, 2, 1, 3)),
    ((1, 3, 224, 224), (0, 2, 3, 1)),
    ((1, 16, 4, 16, 4, 12), (0, 5, 1, 3, 2, 4)),
    ((12, 128, 32), (0, 2, 1)),
    ((1, 3, 85, 40, 40), (0, 1, 3, 4, 2)),
    ((4, 30, 9, 17), (3, 1, 0, 2)),
    ((1, 512, 2048), (0, 2, 1)),
    ((3, 16, 10, 20, 30), (4, 2, 0, 1, 3)),
    ((2, 512, 16, 80), (0, 2, 1, 3)),
    ((1, 1, 300, 4), (0, 3, 1, 2)),
    ((16, 1024, 64), (0, 2, 1)),
    ((256, 1024), (1, 0)),
    ((1, 64, 150, 150), (0, 2, 3, 1)),
    ((1, 150, 150, 128), (0, 3, 1, 2)),
    ((1, 3, 4, 100, 100), (0, 3, 4, 1, 2)),
    ((4, 2048, 80), (0, 2, 1)),
    ((1, 1024, 16, 64), (0, 2, 1, 3)),
    ((1, 1500, 12, 64), (0, 2, 1, 3)),
)
_JOINED: Final = (
    ((1, 64, 56, 56), 1),
    ((1, 197, 384), 2),
    ((1, 16, 9, 30), 3),
    ((8, 100, 96), 0),
    ((1, 3136, 64), 1),
    ((1, 2, 1000, 3), -1),
    ((1, 256, 40, 40), 1),
    ((1, 1024, 16, 16), 2),
    ((1, 300, 1024), 2),
    ((1, 10, 143, 48), 2),
)
_BLOCKED: Final = (
    *((32, 56), (64, 28), (96, 100), (72, 90), (16, 112), (20, 64), (256, 7), (480, 14)),
    *((24, 40), (40, 120), (21, 160), (32, 200), (64, 256), (48, 300)),
)
_IMAGES: Final = ((1, 64, 40, 40), (1, 21, 65, 65), (1, 3, 112, 112), (1, 128, 14, 14))


def movement() -> Iterator[Net]:
    """All of them; those of one kind are spread over two networks."""
    for place, name in enumerate("ab"):
        transposes = Net(f"transpose_{name}")
        _transposes(transposes, _TRANSPOSES[place::2])
        yield transposes
        moves = Net(f"moves_{name}")
        _pieces(moves, _JOINED[place::2])
        _gathers(moves, (1, 3)[place])
        _copies(moves, (1, 4)[place])
        _sizes(moves)
        yield moves
        images = Net(f"images_{name}")
        _images(images, _IMAGES[place::2])
        _reorders(images, _BLOCKED[place::2])
        yield images


def _transposes(net: Net, cases: Sequence[tuple[Sequence[int], Sequence[int]]]) -> None:
    """Permutations there and back, between operators that they can't pass."""
    for shape, perm in cases:
        x = net.input(*shape)
        y = net.op("CumSum", transpose(net, x, *perm), net.constant(np.int64(0)))
        back = [perm.index(axis) for axis in range(len(perm))]
        y = net.op("CumSum", transpose(net, y, *back), net.constant(np.int64(0)))
        close(net, y)


def _pieces(net: Net, cases: Sequence[tuple[Sequence[int], int]]) -> None:
    """Tensors joined, cut in parts, and parts taken out."""
    for shape, axis in cases:
        x = net.op("Abs", net.input(*shape))
        size, rank = shape[axis], len(shape)
        wide = _sized(shape, axis, 3 * size)
        y = net.op("Concat", x, net.op("Neg", x), x, shape=wide, axis=axis)
        first = net.op("Split", y, shape=shape, outputs=3, axis=axis, num_outputs=3)
        last = first.replace("_0", "_2")
        y = net.op("Concat", last, first, shape=_sized(shape, axis, 2 * size), axis=axis)
        y = _slice(net, y, axis % rank, slice(1, size + 1, 1))
        y = _slice(net, y, axis % rank, slice(0, size, 2))
        y = (
            _slice(net, y, 0, slice(0, shape[0], 1))
            if rank < 4
            else _slice(net, y, rank - 1, slice(1, 9, 1))
        )
        close(net, y)


def _sized(shape: Sequence[int], axis: int, size: int) -> tuple[int, ...]:
    return tuple(size if place == axis % len(shape) else one for place, one in enumerate(shape))


def _slice(net: Net, x: str, axis: int, cut: slice) -> str:
    start, stop, step = cut.start, cut.stop, cut.step
    shape = net.shape[x]
    stop = min(stop, shape[axis])
    sizes = _sized(shape, axis, -(-(stop - start) // step))
    bounds = (net.integers(one) for one in (start, stop, axis, step))
    return net.op("Slice", x, *bounds, shape=sizes)


def _gathers(net: Net, factor: int) -> None:
    """Rows, columns and elements taken by index; elements put by index."""
    rng = np.random.default_rng(0)
    for rows, width, taken in (
        (30000 // factor, 384, 128),
        (5000, 96 * factor, 300),
        (49, 12, 2401),
    ):
        chosen = net.input(1, taken, dtype=TensorProto.INT64)
        picked = net.op("Mod", chosen, net.constant(np.int64(rows)))
        table = net.weight(rows, width)
        y = net.op("Gather", table, picked, shape=(1, taken, width), axis=0, dtype=1)
        close(net, net.op("Gather", y, net.integers(0, 2, 5), shape=(1, taken, 3), axis=2))
        close(net, net.op("Gather", y, net.constant(np.int64(1)), shape=(1, width), axis=1))
    for shape in ((1, 300 * factor, 64), (2, 100, 80 * factor)):
        x = net.input(*shape)
        where = rng.integers(0, shape[1], (shape[0], 200, shape[2]))
        y = net.op("GatherElements", x, net.constant(where), shape=where.shape, axis=1)
        close(net, net.op("ScatterElements", y, net.constant(where % 200), y, axis=1))
        pairs = net.constant(rng.integers(0, shape[:2], (500, 2)))
        y = net.op("GatherND", x, pairs, shape=(500, shape[2]))
        close(net, net.op("ScatterND", x, pairs, y))
        flags = net.op("Greater", x, net.constant(np.float32(0.5)), dtype=TensorProto.BOOL)
        places = net.op("NonZero", flags, shape=(3, 1), dtype=TensorProto.INT64)
        net.output(net.op("Shape", places, shape=(2,)))


def _copies(net: Net, factor: int) -> None:
    """Repetition, padding, and copies for results that are inputs in another shape."""
    for shape, repeats in (
        ((1, 1, 32 * factor, 64), (1, 8, 1, 1)),
        ((40 * factor, 1, 96), (1, 30, 1)),
        ((1, 200 * factor, 1), (4, 1, 60)),
        ((1, 4, 1, 128 * factor, 64), (1, 1, 8, 1, 1)),
    ):
        sizes = [size * times for size, times in zip(shape, repeats, strict=True)]
        x = net.op("Abs", net.input(*shape))
        close(net, net.op("Expand", x, net.integers(*sizes), shape=sizes))
        close(net, net.op("Tile", x, net.integers(*repeats), shape=sizes))
    for shape in ((1, 32, 28 * factor, 28), (1, 14 * factor, 14, 192), (1, 3, 112, 56 * factor)):
        x = net.op("Abs", net.input(*shape))
        for mode in ("constant", "reflect", "edge"):
            net.output(close_pad(net, x, mode))
        close(net, reshape(net, net.input(*shape), prod(shape)))


def close_pad(net: Net, x: str, mode: str) -> str:
    """Two elements around the two axes in the middle, and a number made of the result."""
    shape = net.shape[x]
    sizes = (shape[0], shape[1] + 4, shape[2] + 4, shape[3])
    pads = net.integers(0, 2, 2, 0, 0, 2, 2, 0)
    return net.op("ReduceMax", net.op("Pad", x, pads, shape=sizes, mode=mode), shape=(), keepdims=0)


def _images(net: Net, sizes: Sequence[Sequence[int]]) -> None:
    """Images made larger and smaller, and channels exchanged with positions."""
    for shape in sizes:
        batch, channels, height, width = shape
        x = net.op("Abs", net.input(*shape))
        close(net, _resize(net, x, 2.0, mode="nearest", **_ASYMMETRIC))
        close(net, _resize(net, x, 1.5, mode="nearest"))
        close(net, _resize(net, x, 2.0, mode="linear", **_ALIGNED))
        close(net, _resize(net, x, 3.0, mode="linear"))
        few = _slice(net, x, 2, slice(0, 6, 1))
        close(net, _resize(net, few, 1.5, mode="cubic"))
        y = net.op("Concat", x, x, x, x, shape=(batch, 4 * channels, height, width), axis=1)
        deep = (batch, channels, 2 * height, 2 * width)
        close(net, net.op("DepthToSpace", y, shape=deep, blocksize=2))
        y = net.op("DepthToSpace", y, shape=deep, blocksize=2, mode="CRD")
        close(
            net, net.op("SpaceToDepth", y, shape=(batch, 4 * channels, height, width), blocksize=2)
        )


_ASYMMETRIC: Final = {
    "coordinate_transformation_mode": "asymmetric",
    "nearest_mode": "floor",
}
_HALF: Final = {"coordinate_transformation_mode": "half_pixel"}
_ALIGNED: Final = {"coordinate_transformation_mode": "align_corners"}


def _resize(net: Net, x: str, factor: float, **attributes: Any) -> str:
    batch, channels, *sizes = net.shape[x]
    out = (batch, channels, *(int(size * factor) for size in sizes))
    scales = net.constant(np.array([1, 1, factor, factor], np.float32))
    return net.op("Resize", x, "", scales, shape=out, **attributes)


def _reorders(net: Net, sizes: Sequence[tuple[int, int]]) -> None:
    """Changes between plain and blocked layout, and images made larger in the blocked one."""
    for channels, side in sizes:
        x = conv(net, net.input(1, channels, side, side), 32)
        y = conv(net, net.op("Softsign", x), channels)
        close(net, net.op("Softsign", y))
        z = conv(net, net.op("Softsign", x), 16)
        for mode, how in (("nearest", _ASYMMETRIC), ("linear", _HALF)):
            if side < 100 or mode == "nearest":
                close(net, conv(net, _resize(net, z, 2.0, mode=mode, **how), 16))


def _sizes(net: Net) -> None:
    """Sizes and small tensors made of them, where sizes are not known before the run."""
    x = net.input(4, 6)
    for _ in range(3):
        kept = net.op("NonZero", net.op("Round", x), shape=(2, 24), dtype=TensorProto.INT64)
        shape = net.op("Shape", kept, shape=(2,))
        one = net.op("Gather", shape, net.constant(np.int64(1)), shape=(), axis=0)
        size = net.op(
            "Concat",
            net.op("Unsqueeze", one, net.integers(0), shape=(1,)),
            net.integers(8),
            shape=(2,),
            axis=0,
        )
        zeros = net.op("ConstantOfShape", size, shape=(24, 8), dtype=TensorProto.FLOAT)
        net.output(net.op("ReduceMax", zeros, shape=(), keepdims=0))
        x = net.op("Neg", x)
