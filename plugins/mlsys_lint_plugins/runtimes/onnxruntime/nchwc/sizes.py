"""Sizes of blocked values as ONNX Runtime infers them when it loads a model.

The channels are padded to whole blocks. A size that the file leaves open keeps its symbol only where
the operator copies it: windows and Upsample forget symbols (ONNX Runtime 1.32.0's schemas).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, TypeVar

from mlsys_lint.program import Dim, Value

Dims: TypeAlias = tuple[Dim, ...] | None
_Size = TypeVar("_Size")


def padded(size: int, block: int) -> int:
    """The size in whole blocks."""
    return -(-size // block) * block


def with_channels(sizes: Sequence[int] | None, channels: int) -> tuple[int, ...] | None:
    """Sizes (N, C, ...) with other channels."""
    return None if sizes is None else (sizes[0], channels, *sizes[2:])


def reordered(value: Value, block: int) -> Dims:
    """Those of a plain value behind ReorderInput: symbols stay, but not that of the channels."""
    if value.dims is None:
        return None
    channels = value.dims[1]
    known = padded(channels, block) if isinstance(channels, int) else None
    return (value.dims[0], known, *value.dims[2:])


def windowed(source: Value | None, result: Value, channels: int) -> Dims:
    """Those of what a convolution or a pool makes of `source`; `result` is the plain value."""
    if source is None or source.dims is None or result.dims is None:
        return None
    pairs = zip(source.dims[2:], result.dims[2:], strict=True)
    spatial = [after if isinstance(before, int) else None for before, after in pairs]
    return (source.dims[0], channels, *spatial)


def pooled_globally(source: Value | None) -> Dims:
    """Those of what a global pool makes of `source`."""
    return None if source is None or source.dims is None else (*source.dims[:2], 1, 1)


def upsampled(source: Value, scales: Sequence[int]) -> Dims:
    """Those of `source` times whole numbers."""
    if source.dims is None:
        return None
    pairs = zip(source.dims, scales, strict=True)
    return tuple(size * scale if isinstance(size, int) else None for size, scale in pairs)


def broadcast(sources: Sequence[Dims]) -> Dims:
    """Those of an element-wise operator: a number other than 1, or else what all others agree on."""
    known = [one for one in sources if one is not None]
    if len(known) < len(sources):
        return None
    return tuple(_broadcast_axis(sizes) for sizes in zip(*known, strict=True))


def _broadcast_axis(sizes: Sequence[Dim]) -> Dim:
    numbers = [size for size in sizes if isinstance(size, int) and size != 1]
    others = {size for size in sizes if not isinstance(size, int)}
    if numbers or not others:
        return numbers[0] if numbers else 1
    return others.pop() if len(others) == 1 else None


def concatenated(sources: Sequence[Dims]) -> Dims:
    """Those of Concat along the channels: of the other axes, the first number or symbol."""
    known = [one for one in sources if one is not None]
    if len(known) < len(sources):
        return None
    channels = [one[1] for one in known]
    numbers = [size for size in channels if isinstance(size, int)]
    total = sum(numbers) if len(numbers) == len(channels) else None
    merged = [_merged(sizes) for sizes in zip(*known, strict=True)]
    return (merged[0], total, *merged[2:])


def _merged(sizes: Sequence[Dim]) -> Dim:
    ranked = sorted((size for size in sizes if size is not None), key=_is_symbol)
    return ranked[0] if ranked else None


def _is_symbol(size: Dim) -> bool:
    return isinstance(size, str)


def split(
    sizes: tuple[_Size, ...] | None, channels: int, block: int
) -> tuple[_Size | int, ...] | None:
    """(N, C, H, W) as (N, C / block, H, W, block)."""
    return None if sizes is None else (sizes[0], channels // block, *sizes[2:], block)


def joined(sizes: Dims, channels: int) -> Dims:
    """(N, C / block, H, W, block) as (N, C, H, W)."""
    return None if sizes is None else (sizes[0], channels, *sizes[2:-1])
