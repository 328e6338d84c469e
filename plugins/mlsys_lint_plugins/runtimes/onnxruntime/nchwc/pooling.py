"""Pools, resizes and transposes of the blocked layout."""

from __future__ import annotations

from typing import Final

from mlsys_lint.program import Op, Value
from mlsys_lint.records.graph import Attribute
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.layout import NCHWC, Layout
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.origins import window_origins
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.sizes import (
    pooled_globally,
    upsampled,
    windowed,
)

_TO_CHANNELS_LAST: Final = (0, 2, 3, 1)
_TO_CHANNELS_FIRST: Final = (0, 3, 1, 2)
_OPSET_WITH_COORDINATES: Final = 11
"""Resize has coordinate modes and target sizes from here on."""


def pool(layout: Layout, op: Op) -> None:
    """A pool over two spatial axes, of channels in whole blocks; plain ones are reordered for it."""
    value, plain = op.input(0), op.output
    if value is None or value.dims is None or value.dtype != "float" or len(op.outputs) > 1:
        return
    channels = value.dims[1] if len(value.dims) == 4 else None
    if not isinstance(channels, int) or channels % layout.block:
        return
    made = layout.convert(op, op.op_type, op.inputs, channels, op.attributes)
    source, kernel = layout.read_first(made), made.integers("kernel_shape")
    origins = window_origins(made, source, plain, kernel)
    read = made.input(0)
    dims = pooled_globally(read) if "Global" in op.op_type else windowed(read, plain, channels)
    layout.register(made, plain, channels, dims, origins)


def track_transpose(layout: Layout, op: Op) -> None:
    """Remember a Transpose from channels last to first that one edge reads: a reorder may do it."""
    if op.integers("perm") == _TO_CHANNELS_FIRST and op.output.only_reader is not None:
        layout.transpose = op


def transpose(layout: Layout, op: Op) -> None:
    """Transpose of a blocked value to channels last: the reorder does it."""
    source = layout.of(op.input(0))
    if source is not None and op.integers("perm") == _TO_CHANNELS_LAST:
        last = {"channels": source.channels, "channels_last": 1}
        layout.program.fuse([op], "ReorderOutput", [source.value], domain=NCHWC, attributes=last)


def resize(layout: Layout, op: Op) -> None:
    """Resize or Upsample of a blocked value by whole constant factors, of its spatial axes only.

    Nearest with asymmetric coordinates rounded down; linear with asymmetric, half_pixel or
    align_corners. Target sizes need a source of known sizes.
    """
    source, plain = layout.of(op.input(0)), op.output
    if source is None or not _interpolates(op, layout.program.opset):
        return
    scales = _scales(op, layout.program.opset)
    if scales is None or min(scales) < 1 or scales[:2] != (1, 1):
        return
    attributes: dict[str, Attribute] = {"scales": scales, "mode": op.text("mode", "nearest")}
    made = layout.convert(op, "Upsample", [source.value], source.channels, attributes)
    layout.register(made, plain, source.channels, upsampled(source.value, scales))


def _interpolates(op: Op, opset: int) -> bool:
    """Whether the kernel knows the operator's mode."""
    mode = op.text("mode", "nearest")
    if opset < _OPSET_WITH_COORDINATES:
        return mode in ("nearest", "linear")
    coordinates = op.text("coordinate_transformation_mode", "half_pixel")
    if mode == "nearest":
        return coordinates == "asymmetric" and op.text("nearest_mode") == "floor"
    return mode == "linear" and coordinates in ("asymmetric", "half_pixel", "align_corners")


def _scales(op: Op, opset: int) -> tuple[int, ...] | None:
    """Four whole factors; None where they are not known to be that."""
    if opset < _OPSET_WITH_COORDINATES:
        return _whole(op.input(1))
    if len(op.inputs) < 4:
        return _whole(op.input(2))
    before, after = op.inputs[0], _whole(op.input(3))
    sizes = None if before is None else before.static
    if sizes is None or after is None or 0 in sizes:
        return None
    fits = all(new % old == 0 for old, new in zip(sizes, after, strict=True))
    return tuple(new // old for old, new in zip(sizes, after, strict=True)) if fits else None


def _whole(value: Value | None) -> tuple[int, ...] | None:
    if value is None or not value.constant or value.array is None or value.array.shape != (4,):
        return None
    found = tuple(int(one) for one in value.array)
    return found if (value.array == found).all() else None
