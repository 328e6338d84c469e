"""Networks of matrix products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import numpy as np

from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.layers import (
    gemm,
    global_pool,
    linear,
    matmul,
    transpose,
)
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.net import Net

_Chain: TypeAlias = tuple[int, Sequence[int]]
"""(rows, widths of the tensors in a chain of products)."""

_CACHED: Final[tuple[_Chain, ...]] = (
    *((1, (64, 256, 256, 64, 10)), (2, (256, 512, 256, 20)), (16, (384, 1536, 384))),
    *((197, (192, 576, 192, 768)), (6272, (16, 24, 1)), (49, (100, 100, 2, 100))),
    *((1, (384, 384, 1536, 384, 100)), (4, (512, 2048, 512)), (11, (300, 600))),
    *((128, (320, 960)), (3136, (96, 24, 96)), (13, (300, 81, 7)), (8, (1024, 512, 1000))),
    *((1, (200, 333, 1000, 48)), (3, (384, 384, 100)), (7, (768, 256, 768)), (32, (640, 128))),
    *((50, (512, 2048)), (784, (128, 512, 128)), (2000, (32, 9, 40))),
    *((1, (512, 2048, 512, 30)), (5, (320, 640, 10)), (24, (192, 768, 192))),
    *((64, (256, 1024, 256)), (96, (400, 100, 400)), (196, (1024, 256)), (1024, (64, 256, 64))),
)
_HOT: Final[tuple[_Chain, ...]] = (
    *((1, (256, 400, 128)), (1, (100, 300)), (4, (128, 100)), (32, (64, 64)), (128, (64, 16))),
)
_SHARED: Final[tuple[_Chain, ...]] = (
    *((1, (768, 3072, 768)), (12, (768, 3072, 768)), (1, (900, 1120)), (1, (2048, 512, 2048))),
    *((40, (512, 2048, 512)), (6, (1024, 1024, 1024)), (1, (512, 512, 512, 1536))),
    *((3136, (64, 400)), (784, (192, 768))),
)
_STREAMED: Final[tuple[_Chain, ...]] = (
    *((1, (1024, 4096, 1024)), (8, (1024, 4096, 1024)), (40, (2048, 1000))),
    *((1, (2000, 3000, 2000)), (64, (1024, 2048, 1024)), (4, (3072, 768, 3072))),
)
_HEADS: Final = (
    *((12, 64, 64, 64), (3, 197, 64, 197), (8, 49, 32, 49), (64, 49, 32, 49), (2, 500, 80, 500)),
    *((4, 128, 40, 77), (16, 1, 64, 200), (12, 7, 64, 33), (1, 384, 200, 384), (12, 1, 64, 100)),
    *((24, 150, 64, 150), (8, 1, 128, 300)),
)
"""(heads, rows, depth, columns) of the products in attention."""
_STACKS: Final = (
    *((1, 256, 256, 256), (6, 100, 32, 100), (6, 100, 100, 32), (32, 1, 64, 128)),
    *((32, 1, 128, 64), (1, 1, 512, 1000), (8, 256, 64, 1), (16, 20, 20, 20)),
    *((4, 300, 16, 300), (4, 300, 300, 16), (1, 50, 1024, 50), (2, 2, 700, 90)),
)
"""(batch, rows, depth, columns) of other products."""
_LEFT: Final = ((1000, 48, 16), (2000, 1000, 20))
"""(rows, depth, columns) of products whose left side is constant."""
_POOLED: Final = ((1, 512, 56), (1, 1280, 28), (4, 640, 20), (1, 2048, 14), (1, 300, 64))
"""(batch, channels, side) of what a classifier averages."""


def products() -> Iterator[Net]:
    """All of them."""
    for part in range(4):
        yield _chains(f"products_{part}", _CACHED[part::4])
    yield _chains("products_hot", _HOT)
    yield _chains("products_shared", _SHARED)
    for part in range(2):
        yield _chains(f"products_streamed_{part}", (*_STREAMED[part::2], *_STREAMED[part::2]))
    for part in range(2):
        yield _batched(part)
    yield _classifiers()


def _chains(name: str, chains: Sequence[_Chain]) -> Net:
    """Chains of products by constant matrices: Gemm, FusedGemm and MatMul in turn."""
    net = Net(name)
    for rows, widths in chains:
        y = net.input(rows, widths[0])
        for place, width in enumerate(widths[1:]):
            kind = place % 3
            y = linear(net, y, width, bias=False) if kind == 1 else gemm(net, y, width)
            if kind == 0:
                y = net.op("Relu", y)
        net.output(y)
    return net


def _batched(part: int) -> Net:
    """Products of computed tensors."""
    net = Net(f"products_batched_{part}")
    for heads, rows, depth, columns in _HEADS[part::2]:
        _attention(net, heads, rows, depth, columns)
    for batch, rows, depth, columns in _STACKS[part::2]:
        _stack(net, batch, rows, depth, columns)
    rows, inner, columns = _LEFT[part]
    right = net.op("Neg", net.input(2, inner, columns))
    weight = net.weight(rows, inner)
    net.output(net.op("MatMul", weight, right, shape=(2, rows, columns)))
    left = net.op("Neg", net.input(inner, 64))
    net.output(net.op("Gemm", left, net.weight(inner, 96), shape=(64, 96), transA=1))
    return net


def _attention(net: Net, heads: int, rows: int, depth: int, columns: int) -> None:
    """Scores and mixtures, each from tensors that were just written, as exporters write them.

    Few queries meet keys in the order of a cache.
    """
    query = transpose(net, net.op("Neg", net.input(1, rows, heads, depth)), 0, 2, 1, 3)
    if rows < columns // 2:
        key, value = (net.op("Neg", net.input(1, heads, columns, depth)) for _ in range(2))
        turned = transpose(net, key, 0, 1, 3, 2)
    else:
        key, value = (net.op("Neg", net.input(1, columns, heads, depth)) for _ in range(2))
        turned, value = transpose(net, key, 0, 2, 3, 1), transpose(net, value, 0, 2, 1, 3)
    scores = matmul(net, query, turned)
    scaled = net.op("Mul", scores, net.constant(np.float32(depth**-0.5)))
    net.output(matmul(net, net.op("Softmax", scaled, axis=-1), value))


def _stack(net: Net, batch: int, rows: int, depth: int, columns: int) -> None:
    """The right side as it is or transposed, scaled or not."""
    a, b, c = (
        net.op("Neg", net.input(batch, *side))
        for side in ((rows, depth), (depth, columns), (columns, depth))
    )
    shape = (batch, rows, columns)
    net.output(
        matmul(net, a, b),
        net.contrib("FusedMatMul", a, c, shape=shape, transB=1),
        net.contrib("FusedMatMul", a, c, shape=shape, transB=1, alpha=0.125),
    )


def _classifiers() -> Net:
    """Products of few rows, after images that have left their traces in the caches."""
    net = Net("products_classifiers")
    for batch, channels, side in _POOLED:
        x = net.op("Relu", net.op("Neg", net.input(batch, channels, side, side)))
        y = net.op("Flatten", global_pool(net, x), shape=(batch, channels), axis=1)
        net.output(gemm(net, gemm(net, y, channels), 1000))
    return net
