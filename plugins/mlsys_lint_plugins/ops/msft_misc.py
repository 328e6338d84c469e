"""com.microsoft: data movement, hashing, matching and what other tools have compiled."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, Unsupported, cost, view
from mlsys_lint_plugins.ops.conv import interpolation_ops
from mlsys_lint_plugins.ops.indexing import gather
from mlsys_lint_plugins.ops.inference import (
    element_type,
    given,
    integer,
    integers,
    numbers,
    put,
    same_as,
    scalar_value,
    sizes,
)
from mlsys_lint_plugins.ops.movement import pad, stepped, trilu
from mlsys_lint_plugins.ops.msft_qpacked import unpack_ops
from mlsys_lint_plugins.ops.msft_spec import contrib

_BLOCK_OPS: Final = 7
"""MurmurHash3 per 4 bytes: product, rotation, product, xor; rotation, product, sum."""
_FINAL_OPS: Final = 9
"""Xor with the length, three shifts each with an xor, two products."""
_COMPILED: Final = Unsupported("what it computes was compiled for a device and is not in the graph")
_LENGTHS: Final = Unsupported("the work depends on the lengths of the strings")


def bifurcation(node: NodeView) -> OpCost:
    """At most: predicted tokens are compared with the source's, then n-grams are searched in it.

    With S source and P predicted tokens: P - 1 comparisons, and for each n of min_ngram_size ..
    max_ngram_size the n items of a suffix at each of S - n + 1 places.
    """
    source, predicted = node.input(0).numel, node.optional_input(3)
    grams = range(node.integer("min_ngram_size", 1), node.integer("max_ngram_size", 1) + 1)
    searched = sum(n * max(0, source - n + 1) for n in grams)
    compared = max(0, predicted.numel - 1) if predicted is not None else 0
    return cost(
        node,
        kernel_class="gather",
        vector_ops=searched + compared,
        assumptions=("data-dependent, at most: n-grams differ in their last token only",),
    )


def infer_bifurcation(context: InferenceContext) -> None:
    """The current tokens, and at most all predicted ones behind them; an index as the one before."""
    current, predicted = sizes(context, 1), sizes(context, 3)
    if current is not None and len(current) == 1:
        extent: int | str | None = current[0]
        if given(context, 3):
            more = predicted[0] if predicted else None
            known = current[0] is not None and more is not None
            extent = f"max:{(current[0] or 0) + (more or 0)}" if known else None
        put(context, 0, TensorProto.INT64, (extent,))
    put(context, 1, TensorProto.INT64, sizes(context, 2))


def crop_and_resize(node: NodeView) -> OpCost:
    """One sample per output: bilinear 7 operations, and 12 for a location, which all channels share.

    Nearest copies, and rounds two coordinates per location. As many samples as needed are read, at
    most all of the images.
    """
    x, y, rois, images = node.input(0), node.output(), node.input(1), node.input(2)
    locations = y.numel // y.dims[1] if y.dims[1] else 0
    nearest = node.text("mode", "bilinear") == "nearest"
    each_value, each_location = (0, 2) if nearest else interpolation_ops(2)
    read = min(x.nbytes, (1 if nearest else 4) * y.nbytes)
    fixed = [one for one in (rois, images) if one.constant]
    return cost(
        node,
        kernel_class="resize",
        vector_ops=each_value * y.numel + each_location * locations,
        bytes_read=read + rois.nbytes + images.nbytes,
        weight_bytes=(read if x.constant else 0) + sum(one.nbytes for one in fixed),
    )


def infer_crop_and_resize(context: InferenceContext) -> None:
    """[regions, C, crop_height, crop_width]."""
    x, rois = sizes(context, 0), sizes(context, 1)
    if x is not None and rois is not None and len(x) == 4 and rois:
        extents: list[int | None] = [*(integers(context, 3) or (None, None))]
        put(context, 0, element_type(context, 0), (rois[0], x[1], *extents))


def infer_expand_dims(context: InferenceContext) -> None:
    """An axis of one entry more."""
    shape, axis = sizes(context, 0), scalar_value(context, 1)
    if shape is None:
        return
    kept: list[int | None] = [None] * (len(shape) + 1)
    if axis is not None:
        place = axis % (len(shape) + 1)
        kept = [*shape[:place], 1, *shape[place:]]
    put(context, 0, element_type(context, 0), kept)


def infer_gather_nd(context: InferenceContext) -> None:
    """[indices.. less their last axis, the axes of data that they leave open]."""
    data, indices = sizes(context, 0), sizes(context, 1)
    if data is not None and indices and indices[-1] is not None:
        put(context, 0, element_type(context, 0), (*indices[:-1], *data[indices[-1] :]))


def gather_packed(node: NodeView) -> OpCost | Declined:
    """Rows of a table in a block format are read and unpacked, as MatMulPacked unpacks its weights.

    Indices count as different ones: as many rows are read, at most all of the table.
    """
    table, indices = node.input(0), node.input(1)
    packed_type = node.integer("packed_type", -1)
    operations = unpack_ops(packed_type, indices.numel * node.integer("K", 0))
    if operations is None:
        return Declined(f"packed format {packed_type} has no formula")
    rows = min(indices.numel, table.dims[0])
    read = replace(table, shape=(rows, *table.dims[1:])).nbytes
    weights = (read if table.constant else 0) + (indices.nbytes if indices.constant else 0)
    return cost(
        node,
        kernel_class="gather",
        vector_ops=operations,
        bytes_read=read + indices.nbytes,
        weight_bytes=weights,
    )


def packed_elements(node: NodeView, position: int) -> int:
    """K weights in each row of the table."""
    table = node.input(position)
    return table.dims[0] * node.integer("K", 0) if position == 0 else table.numel


def infer_gather_packed(context: InferenceContext) -> None:
    """[indices.., K] of output_dtype, bfloat16 by default."""
    shape = sizes(context, 1)
    if shape is not None:
        kind = integer(context, "output_dtype", TensorProto.BFLOAT16)
        put(context, 0, kind, (*shape, integer(context, "K")))


def murmur_hash(node: NodeView) -> OpCost | Declined:
    """Integer operations of MurmurHash3_x86_32 per element: 7 for each 4 bytes, and 9."""
    x = node.input(0)
    if x.dtype == "string":
        return Declined("the work depends on the lengths of the strings")
    blocks = x.nbytes // (4 * x.numel) if x.numel else 0
    return cost(
        node,
        kernel_class="elementwise",
        vector_ops=(_BLOCK_OPS * blocks + _FINAL_OPS) * x.numel,
    )


def infer_hash(context: InferenceContext) -> None:
    """32 bits for each element."""
    shape = sizes(context, 0)
    if shape is not None:
        positive = integer(context, "positive", 1)
        put(context, 0, TensorProto.UINT32 if positive else TensorProto.INT32, shape)


def infer_pad(context: InferenceContext) -> None:
    """Every axis with its padding before and behind, which may be negative."""
    shape, pads = sizes(context, 0), integers(context, 1)
    if shape is None:
        return
    padded: list[int | None] = [None] * len(shape)
    if pads is not None and len(pads) == 2 * len(shape):
        pairs = zip(shape, pads[: len(shape)], pads[len(shape) :], strict=True)
        padded = [None if size is None else size + before + end for size, before, end in pairs]
    put(context, 0, element_type(context, 0), padded)


def infer_stepped(context: InferenceContext) -> None:
    """ceil((limit - start) / delta) elements, at least none; delta is 1 where it is omitted."""
    parts = [numbers(context, position) for position in range(2)]
    parts.append(numbers(context, 2) if given(context, 2) else [1])
    values = [part[0] for part in parts if part]
    count = None
    if len(values) == 3 and values[2]:
        count = max(0, ceil((values[1] - values[0]) / values[2]))
    put(context, 0, element_type(context, 0), (count,))


def infer_tokens(context: InferenceContext) -> None:
    """An axis of tokens more, whose extent has no bound."""
    shape = sizes(context, 0)
    if shape is not None:
        put(context, 0, TensorProto.STRING, (*shape, None))


def unique(node: NodeView) -> OpCost:
    """A look-up per element; of n elements all but one, at most, add to the count of an earlier one."""
    return cost(node, kernel_class="gather", vector_ops=max(0, node.input(0).numel - 1))


def infer_unique_values(context: InferenceContext) -> None:
    """At most all values and counts; an index for each element."""
    shape = sizes(context, 0)
    if shape is None or len(shape) != 1:
        return
    bound = (None if shape[0] is None else f"max:{shape[0]}",)
    put(context, 0, element_type(context, 0), bound)
    put(context, 1, TensorProto.INT64, shape)
    put(context, 2, TensorProto.INT64, bound)


def _unknown(name: str, reason: Unsupported, *, tokens: bool = False) -> OperatorSpec:
    return OperatorSpec(
        domain="com.microsoft",
        op_type=name,
        since_version=1,
        estimate=reason,
        infer=infer_tokens if tokens else None,
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("BifurcationDetector", bifurcation, infer_bifurcation, (2,)),
    contrib("CropAndResize", crop_and_resize, infer_crop_and_resize, (2, 3)),
    contrib("ExpandDims", view, infer_expand_dims, (1,)),
    contrib("GatherND", gather, infer_gather_nd, (1,)),
    contrib("GatherPacked", gather_packed, infer_gather_packed, (1,), packed_elements),
    contrib("MurmurHash3", murmur_hash, infer_hash),
    contrib("Pad", pad, infer_pad, (1, 2)),
    contrib("Range", stepped, infer_stepped, (0, 1, 2)),
    contrib("Trilu", trilu, same_as(0), (1,)),
    contrib("Unique", unique, infer_unique_values),
    _unknown("Tokenizer", _LENGTHS, tokens=True),
    _unknown("EPContext", _COMPILED),
    _unknown("Snpe", _COMPILED),
)
