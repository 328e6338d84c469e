"""TensorRT's plugins that ONNX Runtime registers in the default domain."""

from __future__ import annotations

from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.conv import interpolation_ops
from mlsys_lint_plugins.ops.inference import Infer, element_type, integer, put, same_as, sizes
from mlsys_lint_plugins.ops.ranks import Formula, ranked

_CANDIDATES: Final = 4096
"""Boxes with the highest scores of an image that EfficientNMS compares (the plugin's README)."""
_PAIR_OPS: Final = 13
"""Intersection over union of two boxes and its comparison: as NonMaxSuppression."""
_AREA_OPS: Final = 3
"""Two differences and a product."""
_CORNERS: Final = 6
"""A box by its centre turned into corners: half of each extent (2), centre less and plus that (4)."""


def disentangled_attention(node: NodeView) -> OpCost:
    """(c2c + gathered c2p + gathered p2c) factor: two sums and a product per element.

    Which positions are gathered follows from the places alone; finding them is not counted. The
    position terms are read whole.
    """
    return cost(node, kernel_class="elementwise", vector_ops=3 * node.output().numel)


def efficient_nms(node: NodeView) -> OpCost:
    """At most: for an image with M candidates, M scores above the threshold and K boxes kept.

    M is the number of scores, at most 4,096; K at most max_output_boxes. A comparison per score; per
    candidate its area and its decoding (see `_decoding`); 13 operations for each pair of a kept box and a
    candidate behind it, K M - K (K + 1) / 2 pairs. With score_activation a sigmoid per kept box. Sorting is
    not counted.
    """
    boxes, scores = node.input(0), node.input(1)
    images = scores.dims[0]
    each_image = scores.numel // images if images else 0
    candidates = min(each_image, _CANDIDATES)
    kept = min(candidates, node.integer("max_output_boxes", 0))
    operations, functions = _decoding(node)
    pairs = kept * candidates - kept * (kept + 1) // 2
    work = _PAIR_OPS * pairs + (_AREA_OPS + operations) * candidates + each_image
    sigmoids = kept if node.integer("score_activation", 0) else 0
    located = min(boxes.nbytes, images * candidates * boxes.nbytes * 4 // max(1, boxes.numel))
    anchors = node.optional_input(2)
    return cost(
        node,
        kernel_class="nms",
        vector_ops=images * work,
        transcendentals=images * (functions * candidates + sigmoids),
        bytes_read=scores.nbytes + located + (anchors.nbytes if anchors is not None else 0),
        weight_bytes=anchors.nbytes if anchors is not None and anchors.constant else 0,
        assumptions=("data-dependent, at most: every candidate is compared with every kept box",),
    )


def _decoding(node: NodeView) -> tuple[int, int]:
    """Operations and exponentials per candidate.

    box_coding 0: corners, each shifted by the anchor's (4). 1: centre and size become corners (6),
    after the anchor has scaled and shifted the centre (4) and scaled exp of the size (2, 2 exp).
    """
    anchored = node.optional_input(2) is not None
    if node.integer("box_coding", 0) == 0:
        return (4, 0) if anchored else (0, 0)
    return (_CORNERS + 6, 2) if anchored else (_CORNERS, 0)


def pyramid_align(node: NodeView) -> OpCost:
    """One bilinear sample per output: 7 operations, and 12 for a location, which all channels share.

    A region chooses its level by its area (3 operations) and a comparison for all levels but one. At most
    4 elements per output are read, at most all levels.
    """
    boxes, patches = node.input(0), node.output()
    levels = [level for level in node.inputs[1:] if level is not None]
    regions = boxes.numel // 4
    channels = patches.dims[2]
    each_value, each_location = interpolation_ops(2)
    locations = patches.numel // channels if channels else 0
    read = min(sum(level.nbytes for level in levels), 4 * patches.nbytes)
    return cost(
        node,
        kernel_class="pool",
        vector_ops=each_value * patches.numel
        + each_location * locations
        + (_AREA_OPS + max(0, len(levels) - 1)) * regions,
        bytes_read=boxes.nbytes + read,
        weight_bytes=0,
    )


def aligned(node: NodeView) -> OpCost | Declined:
    """See `pyramid_align`; a result of another rank is none of theirs."""
    if node.output().rank != 5:
        return Declined("the output has not 5 axes")
    return pyramid_align(node)


def infer_nms(context: InferenceContext) -> None:
    """Counts [N, 1], boxes [N, K, 4], scores [N, K] and classes [N, K] for K = max_output_boxes."""
    shape = sizes(context, 0)
    images, kept = shape[0] if shape else None, integer(context, "max_output_boxes")
    put(context, 0, TensorProto.INT32, (images, 1))
    put(context, 1, element_type(context, 0), (images, kept, 4))
    put(context, 2, element_type(context, 1), (images, kept))
    put(context, 3, TensorProto.INT32, (images, kept))


def infer_patches(context: InferenceContext) -> None:
    """[N, regions, C, pooled_size, pooled_size]."""
    boxes, level = sizes(context, 0), sizes(context, 1)
    if boxes is not None and level is not None and len(boxes) == 3 and len(level) == 4:
        extent = integer(context, "pooled_size")
        put(context, 0, element_type(context, 1), (*boxes[:2], level[1], extent, extent))


def _spec(name: str, estimate: Formula, infer: Infer) -> OperatorSpec:
    return OperatorSpec(domain="", op_type=name, since_version=1, estimate=estimate, infer=infer)


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    _spec("DisentangledAttention_TRT", disentangled_attention, same_as(0)),
    _spec("EfficientNMS_TRT", ranked(efficient_nms, least={0: 3, 1: 3}), infer_nms),
    _spec("MultilevelCropAndResize_TRT", aligned, infer_patches),
    _spec("PyramidROIAlign_TRT", aligned, infer_patches),
)
