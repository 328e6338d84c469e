"""Resampling: interpolation at other positions, grids of positions, columns back to images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Final

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.first_versions import first_version, upsample_changes
from mlsys_lint_plugins.ops.movement import partly_read
from mlsys_lint_plugins.ops.ranks import Formula, ranked

_TAPS: Final = {"nearest": 1, "linear": 2, "cubic": 4, "bilinear": 2, "bicubic": 4}
"""Samples per interpolated axis."""


def resize(node: NodeView) -> OpCost:
    """Interpolation: s products and s - 1 sums per output element, s = product of taps by axis.

    An axis that is scaled takes 2 taps (linear) or 4 (cubic), with `antialias` ceil(taps *
    in / out) where it shrinks. Nearest copies. Weights depend on positions, not on channels, and are
    not counted. Along each axis at most the input is read, and at most the taps of every output.
    """
    x, y = node.input(0), node.output()
    taps = _TAPS.get(node.text("mode", "nearest"), 1)
    smooth = bool(node.integer("antialias", 0)) and taps > 1
    each = {axis: _axis_taps(taps, *pair, smooth=smooth) for axis, *pair in _resampled(node)}
    samples = prod(each.values())
    reached = (size * each.get(axis, 1) for axis, size in enumerate(y.dims))
    return partly_read(
        node,
        "resize",
        prod(map(min, x.dims, reached)),
        vector_ops=(2 * samples - 1) * y.numel if samples > 1 else 0,
    )


def resized(node: NodeView) -> OpCost | Declined:
    """Resize, Upsample: see `resize`; a result of another rank is none of theirs."""
    if node.input(0).rank != node.output().rank:
        return Declined("input and output have different ranks")
    return resize(node)


def _resampled(node: NodeView) -> Iterator[tuple[int, int, int]]:
    """(axis, in, out) of each axis whose size changes, or whose scale is not 1 though its size stays."""
    scales = _scales(node)
    for axis, pair in enumerate(zip(node.input(0).dims, node.output().dims, strict=True)):
        if pair[0] != pair[1] or scales.get(axis, 1.0) != 1.0:
            yield axis, *pair


def _scales(node: NodeView) -> Mapping[int, float]:
    """Known scales by axis: an input, before opset 9 an attribute."""
    position = 2 if node.op_type == "Resize" and node.opset >= 11 else 1
    given, rank = node.optional_input(position), node.input(0).rank
    values: object = node.attributes.get("scales", ())
    if given is not None and given.value is not None:
        values = given.value.reshape(-1).tolist()
    scales = values if isinstance(values, list | tuple) else ()
    axes = [axis % max(1, rank) for axis in node.integers("axes", range(rank))]
    return dict(zip(axes, map(float, scales), strict=False))


def _axis_taps(taps: int, before: int, after: int, *, smooth: bool) -> int:
    shrinks = smooth and 0 < after < before
    return -(-taps * before // after) if shrinks else taps


def grid_sample(node: NodeView) -> OpCost:
    """Interpolation at given positions: s products and s - 1 sums per output, s = taps^d.

    Scaling a position to the image takes 2 d operations. Weights are not counted. The samples of
    all positions are read, at most the input.
    """
    x, grid, y = node.input(0), node.input(1), node.output()
    rank = grid.dims[-1]
    samples = _TAPS.get(node.text("mode", "linear"), 2) ** rank
    positions = prod(grid.dims[:-1])
    interpolation = (2 * samples - 1) * y.numel if samples > 1 else 0
    read = min(x.nbytes, samples * y.nbytes)
    weights = (read if x.constant else 0) + (grid.nbytes if grid.constant else 0)
    return cost(
        node,
        kernel_class="resize",
        vector_ops=interpolation + 2 * rank * positions,
        bytes_read=read + grid.nbytes,
        weight_bytes=weights,
    )


def affine_grid(node: NodeView) -> OpCost:
    """Every position [1, x, y(, z)] times theta [N, d, d + 1]: d (d + 1) MACs for each of N images.

    Onnx's body extends two axes to three, which is not counted, nor are the positions themselves.
    """
    theta, grid = node.input(0), node.output()
    images, coordinates, terms = theta.dims
    return cost(
        node,
        kernel_class="gemm",
        contractions=(
            Contraction(
                batch=images,
                m=prod(grid.dims[1:-1]),
                n=coordinates,
                k=terms,
                dtype=theta.type_name,
            ),
        ),
        read=(0,),
    )


def col2im(node: NodeView) -> OpCost | Declined:
    """Columns are added where they overlap: one operation less than columns for each pixel they meet.

    Columns that fall on padding are neither read nor added.
    """
    x, y, block = node.input(0), node.output(), node.input(2).value
    if block is None:
        return Declined("block_shape is not known")
    if not _fits(node, block.size):
        return Declined("attributes, block_shape and the image have different numbers of axes")
    meeting, pixels = 1, 1
    for axis, extent in enumerate(map(int, block.reshape(-1))):
        places = list(_places(node, axis, extent, y.dims[2 + axis]))
        meeting *= len(places)
        pixels *= len(set(places))
    images = prod(y.dims[:2])
    return partly_read(
        node, "copy", min(x.numel, images * meeting), vector_ops=images * (meeting - pixels)
    )


def _fits(node: NodeView, axes: int) -> bool:
    listed = {name: len(node.integers(name)) for name in ("strides", "dilations", "pads")}
    return (
        node.output().rank == axes + 2
        and listed["strides"] in (0, axes)
        and listed["dilations"] in (0, axes)
        and listed["pads"] in (0, 2 * axes)
    )


def _places(node: NodeView, axis: int, extent: int, size: int) -> Iterator[int]:
    """Where an axis of the image is met: by each element of each block that isn't on padding."""
    pads = node.integers("pads")
    before, after = (pads[axis], pads[axis + len(pads) // 2]) if pads else (0, 0)
    step = (node.integers("strides") or (1,) * (axis + 1))[axis]
    apart = (node.integers("dilations") or (1,) * (axis + 1))[axis]
    last = size + before + after - apart * (extent - 1)
    for start in range(0, last, step):
        for place in range(start - before, start - before + apart * extent, apart):
            if 0 <= place < size:
                yield place


def _spec(name: str, estimate: Formula, *shape_inputs: int) -> OperatorSpec:
    return OperatorSpec(
        domain="", op_type=name, since_version=1, estimate=estimate, shape_inputs=shape_inputs
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    _spec("Resize", resized, 1, 2, 3),
    *first_version(_spec("Upsample", resized, 1), 7, upsample_changes),
    _spec("GridSample", ranked(grid_sample, least={0: 3, 1: 3})),
    _spec("AffineGrid", ranked(affine_grid, exactly={0: 3}), 1),
    _spec("Col2Im", ranked(col2im, exactly={0: 3}, positive=("strides", "dilations")), 1, 2),
)
