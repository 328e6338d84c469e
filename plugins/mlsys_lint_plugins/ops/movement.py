"""Data movement: views, copies, rearrangements, generators, resampling."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Final

from mlsys_lint import NodeView, OpCost, OperatorSpec, cost, view
from mlsys_lint_plugins.ops.bounds import infer_compress, infer_slice, infer_unique

VIEWS: Final = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")


def moved(kernel_class: str) -> Callable[[NodeView], OpCost]:
    """Reads the first input, writes the outputs, computes nothing."""

    def estimate(node: NodeView) -> OpCost:
        return cost(node, kernel_class=kernel_class, read=(0,))

    return estimate


def concat(node: NodeView) -> OpCost:
    """Reads every input, writes the output."""
    return cost(node, kernel_class="concat")


def taken(kernel_class: str) -> Callable[[NodeView], OpCost]:
    """Reads only the elements that appear in the output: Slice, Compress, Trilu, CenterCropPad."""

    def estimate(node: NodeView) -> OpCost:
        data = node.input(0)
        read = min(node.output().nbytes, data.nbytes)
        return cost(
            node,
            kernel_class=kernel_class,
            bytes_read=read,
            weight_bytes=read if data.constant else 0,
        )

    return estimate


def generated(node: NodeView) -> OpCost:
    """Constants, ranges, windows, random numbers: written, not computed from data."""
    return cost(node, kernel_class="fill", bytes_read=0)


def constant(node: NodeView) -> OpCost:
    """A stored tensor: nothing moves when it is defined."""
    return cost(node, kernel_class="view", bytes_read=0, bytes_written=0)


def shape(node: NodeView) -> OpCost:
    """Shape and Size read no data."""
    return cost(node, kernel_class="fill", bytes_read=0)


def window(node: NodeView) -> OpCost:
    """Hann and Hamming: one cosine per element, two of them for Blackman; 4 operations each."""
    cosines = 2 if node.op_type == "BlackmanWindow" else 1
    elements = node.output().numel
    return cost(
        node,
        kernel_class="fill",
        bytes_read=0,
        vector_ops=4 * cosines * elements,
        transcendentals=cosines * elements,
    )


_TAPS: Final = {"nearest": 1, "linear": 2, "cubic": 4, "bilinear": 2, "bicubic": 4}
"""Samples per interpolated axis."""


def resize(node: NodeView) -> OpCost:
    """Interpolation with t taps on each resized axis: t^d products and t^d - 1 sums per output element.

    Nearest is a copy. Weights depend on positions, not on channels, and are not counted. What is read is
    at most the input, and at most the taps of every output element.
    """
    x, y = node.input(0), node.output()
    taps = _TAPS.get(node.text("mode", "nearest"), 1)
    axes = sum(one != other for one, other in zip(x.dims, y.dims, strict=True))
    samples = taps**axes
    read = min(x.nbytes, y.nbytes * samples)
    return cost(
        node,
        kernel_class="resize",
        vector_ops=(2 * samples - 1) * y.numel if taps > 1 else 0,
        bytes_read=read,
        weight_bytes=0,
    )


def grid_sample(node: NodeView) -> OpCost:
    """Interpolation at given positions: t^d products and sums per output; 2 d operations per position."""
    grid, y = node.input(1), node.output()
    rank = grid.dims[-1]
    taps = _TAPS.get(node.text("mode", "linear"), 2)
    samples = taps**rank
    positions = prod(grid.dims[:-1])
    return cost(
        node,
        kernel_class="resize",
        vector_ops=(2 * samples - 1 if taps > 1 else 0) * y.numel + 2 * rank * positions,
    )


def col2im(node: NodeView) -> OpCost:
    """Overlapping columns are added: one operation per element of the columns beyond the image's."""
    x, y = node.input(0), node.output()
    return cost(node, kernel_class="copy", vector_ops=max(0, x.numel - y.numel), read=(0,))


def _spec(
    name: str,
    estimate: Callable[[NodeView], OpCost],
    *shape_inputs: int,
) -> OperatorSpec:
    return OperatorSpec(
        domain="", op_type=name, since_version=1, estimate=estimate, shape_inputs=shape_inputs
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    _spec("Reshape", view, 1),
    _spec("Flatten", view),
    _spec("Squeeze", view, 1),
    _spec("Unsqueeze", view, 1),
    _spec("Identity", view),
    _spec("Constant", constant),
    _spec("ConstantOfShape", generated, 0),
    _spec("Shape", shape, 0),
    _spec("Size", shape, 0),
    _spec("Range", generated, 0, 1, 2),
    _spec("EyeLike", generated, 0),
    *(_spec(name, generated, 0) for name in ("RandomNormalLike", "RandomUniformLike")),
    *(_spec(name, generated) for name in ("RandomNormal", "RandomUniform")),
    *(_spec(name, moved("copy")) for name in ("Bernoulli", "Multinomial")),
    *(_spec(name, window, 0) for name in ("HannWindow", "HammingWindow", "BlackmanWindow")),
    _spec("Transpose", moved("transpose")),
    _spec("DepthToSpace", moved("transpose")),
    _spec("SpaceToDepth", moved("transpose")),
    _spec("ReverseSequence", moved("copy"), 1),
    _spec("Concat", concat),
    _spec("Split", moved("split"), 1),
    _spec("Expand", moved("expand"), 1),
    _spec("Tile", moved("expand"), 1),
    _spec("Pad", moved("pad"), 1, 3),
    _spec("Trilu", moved("copy"), 1),
    _spec("CenterCropPad", taken("slice"), 1),
    OperatorSpec(
        domain="",
        op_type="Slice",
        since_version=1,
        estimate=taken("slice"),
        shape_inputs=(1, 2, 3, 4),
        infer=infer_slice,
    ),
    OperatorSpec(
        domain="",
        op_type="Compress",
        since_version=9,
        estimate=taken("gather"),
        shape_inputs=(1,),
        infer=infer_compress,
    ),
    OperatorSpec(
        domain="", op_type="Unique", since_version=11, estimate=moved("topk"), infer=infer_unique
    ),
    _spec("Resize", resize, 1, 2, 3),
    _spec("Upsample", resize, 1),
    _spec("GridSample", grid_sample),
    _spec("Col2Im", col2im, 1, 2),
)
