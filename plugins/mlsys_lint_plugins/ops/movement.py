"""Data movement: views, copies, rearrangements, generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod
from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, TensorInfo, cost, view
from mlsys_lint_plugins.ops.bounds import infer_compress, infer_slice, infer_unique
from mlsys_lint_plugins.ops.first_versions import (
    concat_changes,
    first_version,
    infer_reshape,
    infer_tile,
    pad_changes,
    split_changes,
)
from mlsys_lint_plugins.ops.inference import element_type, infer_range, put, sizes
from mlsys_lint_plugins.ops.ranks import Formula, ranked

VIEWS: Final = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")


def moved(kernel_class: str) -> Callable[[NodeView], OpCost]:
    """Reads the first input, writes the outputs, computes nothing."""

    def estimate(node: NodeView) -> OpCost:
        return cost(node, kernel_class=kernel_class, read=(0,))

    return estimate


def reverse_sequence(node: NodeView) -> OpCost:
    """Reads the data and a length for each sequence, writes the output."""
    return cost(node, kernel_class="copy")


def concat(node: NodeView) -> OpCost:
    """Reads every input, writes the output."""
    return cost(node, kernel_class="concat")


def taken(kernel_class: str) -> Callable[[NodeView], OpCost]:
    """Reads as many elements as the output has, at most all of them."""

    def estimate(node: NodeView) -> OpCost:
        elements = min(node.output().numel, node.input(0).numel)
        return partly_read(node, kernel_class, elements)

    return estimate


def sliced(node: NodeView) -> OpCost:
    """Slice, CenterCropPad: on each axis as many entries are read as input and output share."""
    shared = map(min, node.input(0).dims, node.output().dims)
    return partly_read(node, "slice", prod(shared))


def pad(node: NodeView) -> OpCost | Declined:
    """Reads what negative pads leave of the data, whatever the mode, and writes all of the output."""
    x = node.input(0)
    kept = list(x.dims)
    for axis, begin, end in _pads(node):
        if not -len(kept) <= axis < len(kept):
            return Declined(f"axis {axis} is none of the input's {len(kept)}")
        kept[axis] = max(0, kept[axis] + min(0, begin) + min(0, end))
    return partly_read(node, "pad", prod(map(min, kept, node.output().dims)))


def _pads(node: NodeView) -> Iterator[tuple[int, int, int]]:
    """(axis, begin, end), as far as they are known: attributes before opset 11, then inputs."""
    pads = _integers(node.optional_input(1)) or node.integers("pads", node.integers("paddings"))
    half = len(pads) // 2
    axes = _integers(node.optional_input(3)) or range(half)
    return zip(axes, pads[:half], pads[half:], strict=False)


def _integers(tensor: TensorInfo | None) -> tuple[int, ...]:
    if tensor is None or tensor.value is None:
        return ()
    return tuple(map(int, tensor.value.reshape(-1)))


def trilu(node: NodeView) -> OpCost:
    """Reads the triangle that it keeps, writes that and zeros."""
    x, offset = node.input(0), node.optional_input(1)
    known = _integers(offset) if offset is not None else (0,)
    if not known:
        notes = ("data-dependent: k is not known, everything is kept",)
        return cost(node, kernel_class="copy", read=(0,), assumptions=notes)
    rows, columns = x.dims[-2:]
    upper = bool(node.integer("upper", 1))
    above = _triangle(rows, columns, known[0] + (not upper))
    kept = above if upper else rows * columns - above
    return partly_read(node, "copy", prod(x.dims[:-2]) * kept)


def _triangle(rows: int, columns: int, offset: int) -> int:
    """Pairs (i, j) of a matrix with j >= i + offset: full rows, then ever shorter ones."""
    full = min(rows, max(0, 1 - offset))
    last = min(rows, max(full, columns - offset))
    return full * columns + (last - full) * (2 * (columns - offset) - full - last + 1) // 2


def partly_read(node: NodeView, kernel_class: str, elements: int, *, vector_ops: int = 0) -> OpCost:
    """A cost that reads some elements of the first input, and nothing else."""
    data = node.input(0)
    taken = replace(data, shape=(elements,)).nbytes
    return cost(
        node,
        kernel_class=kernel_class,
        vector_ops=vector_ops,
        bytes_read=taken,
        weight_bytes=taken if data.constant else 0,
    )


def compress(node: NodeView) -> OpCost:
    """Reads the condition and the elements that it selects (at most: all of them)."""
    data, condition, taken_bytes = node.input(0), node.input(1), node.output().nbytes
    taken_bytes = min(taken_bytes, data.nbytes)
    weights = (taken_bytes if data.constant else 0) + condition.nbytes * condition.constant
    return cost(
        node,
        kernel_class="gather",
        bytes_read=condition.nbytes + taken_bytes,
        weight_bytes=weights,
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


def infer_scalar(context: InferenceContext) -> None:
    """A scalar stays as it is, which onnx's first version does not say."""
    if sizes(context, 0) == ():
        put(context, 0, element_type(context, 0), ())


def _spec(
    name: str,
    estimate: Formula,
    *shape_inputs: int,
) -> OperatorSpec:
    return OperatorSpec(
        domain="", op_type=name, since_version=1, estimate=estimate, shape_inputs=shape_inputs
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    replace(_spec("Reshape", view), infer=infer_reshape),
    replace(_spec("Reshape", view, 1), since_version=5),
    _spec("Flatten", view),
    _spec("Squeeze", view, 1),
    _spec("Unsqueeze", view, 1),
    _spec("Identity", view),
    _spec("Constant", constant),
    _spec("ConstantOfShape", generated("fill"), 0),
    _spec("Shape", shape, 0),
    _spec("Size", shape, 0),
    OperatorSpec(
        domain="",
        op_type="Range",
        since_version=11,
        estimate=stepped,
        shape_inputs=(0, 1, 2),
        infer=infer_range,
    ),
    _spec("EyeLike", generated("fill"), 0),
    *(_spec(name, generated("random"), 0) for name in ("RandomNormalLike", "RandomUniformLike")),
    *(_spec(name, generated("random")) for name in ("RandomNormal", "RandomUniform")),
    _spec("Bernoulli", bernoulli),
    _spec("Multinomial", ranked(multinomial, exactly={0: 2})),
    replace(_spec("Transpose", moved("transpose")), infer=infer_scalar),
    _spec("DepthToSpace", moved("transpose")),
    _spec("SpaceToDepth", moved("transpose")),
    _spec("ReverseSequence", reverse_sequence, 1),
    *first_version(_spec("Concat", concat), 4, concat_changes),
    *first_version(_spec("Split", moved("split"), 1), 2, split_changes),
    _spec("Expand", taken("expand"), 1),
    replace(_spec("Tile", taken("expand"), 1, 2), infer=infer_tile),
    replace(_spec("Tile", taken("expand"), 1), since_version=6),
    *first_version(_spec("Pad", pad, 1, 3), 2, pad_changes),
    _spec("Trilu", ranked(trilu, least={0: 2}), 1),
    _spec("CenterCropPad", sliced, 1),
    OperatorSpec(
        domain="",
        op_type="Slice",
        since_version=1,
        estimate=sliced,
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
        domain="",
        op_type="Unique",
        since_version=11,
        estimate=ranked(unique, along=True),
        infer=infer_unique,
    ),
)
