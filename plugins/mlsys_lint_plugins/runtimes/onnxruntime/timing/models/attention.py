"""Networks of attention operators, rotary embeddings and Einsum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

import numpy as np

from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.net import Net

_Shape: TypeAlias = tuple[int, ...]
_Sizes: TypeAlias = tuple[int, int, int, int, int]
_Cached: TypeAlias = tuple[int, int, int, int, int, int]

_OPSET: Final = 23
"""The first with Attention and RotaryEmbedding."""
_SELF: Final[tuple[_Sizes, ...]] = (
    *((1, 128, 128, 8, 64), (2, 50, 50, 6, 32), (1, 197, 197, 3, 64), (1, 16, 16, 12, 64)),
    *((1, 300, 77, 4, 40), (1, 384, 384, 2, 80), (1, 1, 64, 8, 64), (4, 20, 20, 4, 24)),
)
"""(batch, queries, keys, heads, width of a head)."""
_CACHED: Final[tuple[_Cached, ...]] = (
    *((1, 64, 0, 8, 2, 64), (1, 1, 150, 8, 2, 64), (1, 200, 0, 4, 4, 32), (1, 1, 512, 12, 12, 64)),
    *(
        (2, 1, 300, 16, 4, 128),
        (1, 16, 240, 8, 8, 64),
        (1, 128, 0, 6, 1, 128),
        (1, 1, 31, 32, 8, 64),
    ),
    *((1, 20, 0, 12, 4, 64), (1, 1, 1000, 4, 1, 128), (4, 1, 60, 6, 6, 64), (1, 90, 30, 4, 2, 96)),
)
"""(batch, new tokens, tokens in the cache, heads, heads of keys and values, width of a head)."""
_PROJECTED: Final = ((1, 128, 4, 64), (2, 32, 8, 64), (1, 197, 3, 64), (1, 1, 8, 64))
"""(batch, tokens, heads, width of a head)."""
_EINSUMS: Final = (
    ("bhid,bhjd->bhij", (1, 8, 128, 64), (1, 8, 100, 64), (1, 8, 128, 100)),
    ("bhij,bhjd->bhid", (1, 8, 128, 100), (1, 8, 100, 64), (1, 8, 128, 64)),
    ("bqhd,bkhd->bhqk", (1, 128, 8, 32), (1, 64, 8, 32), (1, 8, 128, 64)),
    ("bij,jk->bik", (4, 100, 96), (96, 200), (4, 100, 200)),
    ("ij,kj->ik", (30, 300), (50, 300), (30, 50)),
    ("nctv,vw->nctw", (1, 32, 60, 25), (25, 25), (1, 32, 60, 25)),
    ("bshd,hde->bse", (1, 64, 8, 32), (8, 32, 256), (1, 64, 256)),
    ("bnm,bmd->bnd", (2, 70, 90), (2, 90, 300), (2, 70, 300)),
    ("bhwc,hkc->bhwk", (1, 14, 14, 64), (14, 14, 64), (1, 14, 14, 14)),
    ("bihd,bjhd->bhij", (1, 50, 4, 64), (1, 50, 4, 64), (1, 4, 50, 50)),
)


_PARTS: Final = 4


def attention() -> Iterator[Net]:
    """All of them, each with a part of every kind."""
    for part in range(_PARTS):
        net = Net(f"attention_{part}", _OPSET)
        for place, sizes in enumerate(_SELF[part::_PARTS]):
            _multi_head(net, sizes, biased=place % 2 == part % 2)
            _standard(net, sizes)
        for cached in _CACHED[part::_PARTS]:
            _grouped(net, cached)
        for projected in _PROJECTED[part::_PARTS]:
            _projected(net, *projected)
        for equation, left, right, shape in _EINSUMS[part::_PARTS]:
            _einsum(net, equation, left, right, shape)
        yield net


def _multi_head(net: Net, sizes: _Sizes, *, biased: bool) -> None:
    """Attention of projected queries, keys and values."""
    batch, queries, keys, heads, size = sizes
    query = net.op("Neg", net.input(batch, queries, heads * size))
    key, value = (net.op("Neg", net.input(batch, keys, heads * size)) for _ in range(2))
    bias = [net.weight(3 * heads * size)] if biased else []
    shape = (batch, queries, heads * size)
    operands = query, key, value, *bias
    net.output(net.contrib("MultiHeadAttention", *operands, shape=shape, num_heads=heads))


def _standard(net: Net, sizes: _Sizes) -> None:
    """Attention and RotaryEmbedding of ai.onnx."""
    batch, queries, keys, heads, size = sizes
    shape = (batch, heads, queries, size)
    tables = *_tables(net, queries, size), _places(net, batch, queries)
    rotated = net.op("RotaryEmbedding", net.input(*shape), *tables)
    key, value = (net.op("Neg", net.input(batch, heads, keys, size)) for _ in range(2))
    causal = int(queries == keys)
    net.output(net.op("Attention", rotated, key, value, shape=shape, is_causal=causal))


def _grouped(net: Net, sizes: _Cached) -> None:
    """Queries that share keys and values of a cache: first tokens and one after the other."""
    batch, fresh, past, heads, shared, size = sizes
    query = net.op("Neg", net.input(batch, fresh, heads * size))
    key, value = (net.op("Neg", net.input(batch, fresh, shared * size)) for _ in range(2))
    caches = [net.input(batch, shared, past, size) for _ in range(2)] if past else ["", ""]
    total = past + fresh
    lengths = np.full((batch,), total - 1, np.int32), np.full((1,), total, np.int32)
    net.output(
        net.contrib(
            *("GroupQueryAttention", query, key, value, *caches),
            *(net.constant(one) for one in lengths),
            *_tables(net, total, size),
            shape=(batch, fresh, heads * size),
            outputs=3,
            num_heads=heads,
            kv_num_heads=shared,
            do_rotary=1,
        )
    )


def _projected(net: Net, batch: int, tokens: int, heads: int, size: int) -> None:
    """com.microsoft.Attention, which projects its input, and its rotary embedding."""
    width = heads * size
    x = net.op("Neg", net.input(batch, tokens, width))
    weights = net.weight(width, 3 * width, fan_in=width), net.weight(3 * width)
    tables = _places(net, batch, tokens), *_tables(net, tokens, size)
    net.output(
        net.contrib("Attention", x, *weights, num_heads=heads),
        net.contrib("RotaryEmbedding", x, *tables, num_heads=heads),
    )


def _einsum(net: Net, equation: str, left: _Shape, right: _Shape, shape: _Shape) -> None:
    """A product named by indices, with axes in and out of order."""
    operands = [net.op("Neg", net.input(*sizes)) for sizes in (left, right)]
    net.output(net.op("Einsum", *operands, shape=shape, equation=equation))


def _tables(net: Net, tokens: int, size: int) -> tuple[str, str]:
    """Cosines and sines of all positions."""
    return net.weight(tokens, size // 2), net.weight(tokens, size // 2)


def _places(net: Net, batch: int, tokens: int) -> str:
    """Positions of the tokens of each sequence."""
    return net.constant(np.tile(np.arange(tokens, dtype=np.int64), (batch, 1)))
