"""Data movement: views, copies, rearrangements, generators, resampling."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Final

from mlsys_lint import Contraction, NodeView, OpCost, OperatorSpec, cost, view
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
    """Reads only the elements that appear in the output: Slice, Pad, CenterCropPad."""

    def estimate(node: NodeView) -> OpCost:
        data = node.input(0)
        return _partly_read(node, kernel_class, min(node.output().nbytes, data.nbytes))

    return estimate


def _partly_read(
    node: NodeView, kernel_class: str, taken_bytes: int, *, vector_ops: int = 0
) -> OpCost:
    """A cost that reads some of the first input, and nothing else."""
    return cost(
        node,
        kernel_class=kernel_class,
        vector_ops=vector_ops,
        bytes_read=taken_bytes,
        weight_bytes=taken_bytes if node.input(0).constant else 0,
    )


def compress(node: NodeView) -> OpCost:
    """Reads the condition and the elements that it selects (at most: all of them)."""
    data, condition, taken_bytes = node.input(0), node.input(1), node.output().nbytes
    return cost(
        node,
        kernel_class="gather",
        bytes_read=condition.nbytes + min(taken_bytes, data.nbytes),
        weight_bytes=taken_bytes if data.constant else 0,
    )


def unique(node: NodeView) -> OpCost:
    """A sort: n ceil(log2 n) comparisons of n entries, each as long as an entry has elements."""
    x = node.input(0)
    entries = x.dims[node.integer("axis", 0)] if "axis" in node.attributes else x.numel
    steps = (entries - 1).bit_length() if entries > 1 else 0
    return cost(
        node,
        kernel_class="topk",
        vector_ops=x.numel * steps,
        assumptions=("comparisons of a sort",),
    )


def generated(kernel_class: str) -> Callable[[NodeView], OpCost]:
    """Written, not computed from data: constants, unit matrices, random numbers (not counted)."""

    def estimate(node: NodeView) -> OpCost:
        return cost(node, kernel_class=kernel_class, bytes_read=0)

    return estimate


def stepped(node: NodeView) -> OpCost:
    """Range: one addition per element, as in onnx's body; the number of elements is not counted."""
    return cost(node, kernel_class="fill", bytes_read=0, vector_ops=node.output().numel)


def bernoulli(node: NodeView) -> OpCost:
    """As onnx's body: a comparison with a random number and a conversion per element (2).

    Drawing random numbers is not counted.
    """
    return cost(node, kernel_class="random", vector_ops=2 * node.output().numel)


def multinomial(node: NodeView) -> OpCost:
    """Per class an exp and a running sum, per sample a search: ceil(log2 classes) comparisons."""
    rows, classes = node.input(0).dims
    search = (classes - 1).bit_length() if classes > 1 else 0
    return cost(
        node,
        kernel_class="random",
        vector_ops=rows * max(0, classes - 1) + search * node.output().numel,
        transcendentals=rows * classes,
    )


def constant(node: NodeView) -> OpCost:
    """A stored tensor: nothing moves when it is defined."""
    return cost(node, kernel_class="view", bytes_read=0, bytes_written=0)


def shape(node: NodeView) -> OpCost:
    """Shape and Size read no data."""
    return cost(node, kernel_class="fill", bytes_read=0)


_TAPS: Final = {"nearest": 1, "linear": 2, "cubic": 4, "bilinear": 2, "bicubic": 4}
"""Samples per interpolated axis."""


def resize(node: NodeView) -> OpCost:
    """Interpolation: s products and s - 1 sums per output element, s = product of taps by axis.

    An axis that changes its size takes 2 taps (linear) or 4 (cubic), with `antialias` ceil(taps *
    in / out) where it shrinks. Nearest copies. Weights depend on positions, not on channels, and are
    not counted. What is read is at most the input, and at most the taps of every output element.
    """
    x, y = node.input(0), node.output()
    taps = _TAPS.get(node.text("mode", "nearest"), 1)
    smooth = bool(node.integer("antialias", 0)) and taps > 1
    pairs = [(one, other) for one, other in zip(x.dims, y.dims, strict=True) if one != other]
    samples = prod(_axis_taps(taps, *pair, smooth=smooth) for pair in pairs)
    return _partly_read(
        node,
        "resize",
        min(x.nbytes, y.nbytes * samples),
        vector_ops=(2 * samples - 1) * y.numel if samples > 1 else 0,
    )


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


def col2im(node: NodeView) -> OpCost:
    """Overlapping columns are added: one operation per element of the columns beyond the image's.

    Columns that fall on padding are dropped and count all the same.
    """
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
    _spec("ConstantOfShape", generated("fill"), 0),
    _spec("Shape", shape, 0),
    _spec("Size", shape, 0),
    _spec("Range", stepped, 0, 1, 2),
    _spec("EyeLike", generated("fill"), 0),
    *(_spec(name, generated("random"), 0) for name in ("RandomNormalLike", "RandomUniformLike")),
    *(_spec(name, generated("random")) for name in ("RandomNormal", "RandomUniform")),
    _spec("Bernoulli", bernoulli),
    _spec("Multinomial", multinomial),
    _spec("Transpose", moved("transpose")),
    _spec("DepthToSpace", moved("transpose")),
    _spec("SpaceToDepth", moved("transpose")),
    _spec("ReverseSequence", moved("copy"), 1),
    _spec("Concat", concat),
    _spec("Split", moved("split"), 1),
    _spec("Expand", moved("expand"), 1),
    _spec("Tile", moved("expand"), 1),
    _spec("Pad", taken("pad"), 1, 3),
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
        estimate=compress,
        shape_inputs=(1,),
        infer=infer_compress,
    ),
    OperatorSpec(
        domain="", op_type="Unique", since_version=11, estimate=unique, infer=infer_unique
    ),
    _spec("Resize", resize, 1, 2, 3),
    _spec("Upsample", resize, 1),
    _spec("GridSample", grid_sample),
    _spec("AffineGrid", affine_grid, 1),
    _spec("Col2Im", col2im, 1, 2),
)
