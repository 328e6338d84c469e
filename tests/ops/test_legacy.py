"""Operators of the default domain that onnx has dropped, and TensorRT's plugins there."""

from __future__ import annotations

import pytest

from mlsys_lint import NodeStatus
from mlsys_lint.testing import estimate_text
from node_costs import cost_of, node_of
from runtime_outputs import assert_as_observed, text_model, zeros

OBSERVED = [
    "(float[2,3] x) => (float y) { y = Affine<alpha=2.0, beta=1.0>(x) }",
    "(float[1,3,2,2] x) => (float y) { y = ImageScaler<scale=2.0, bias=[1.0,1.0,1.0]>(x) }",
    "(float[2,3] x) => (float y) { y = ParametricSoftplus<alpha=2.0, beta=1.0>(x) }",
    "(float[2,3] x) => (float y) { y = ScaledTanh<alpha=2.0, beta=1.0>(x) }",
    "(float[1,3,9,8] x) => (float y) { y = Crop<border=[1,2,3,4]>(x) }",
    "(float[1,3,9,8] x) => (float y) { y = Crop<border=[1,2,0,0], scale=[4,3]>(x) }",
    "(float[4,5,6] x) => (float y) <int64[2] s = {-3,0}, int64[2] e = {100,-1}, int64[2] a = {0,-1}> { y = DynamicSlice(x, s, e, a) }",
    "(float[4,5,6] x) => (float y) <int32[1] s = {1}, int32[1] e = {3}> { y = DynamicSlice(x, s, e) }",
]


@pytest.mark.ort
@pytest.mark.parametrize("text", OBSERVED)
def test_shapes_are_those_that_onnx_runtime_produces(text: str) -> None:
    model = text_model(text, opset=9)
    assert_as_observed(model, zeros(model))


def test_a_slice_by_data_keeps_at_most_the_rest() -> None:
    text = "g (float[4,5] x, int64[1] e) => (float[?] y) <int64[1] s = {1}, int64[1] a = {0}> { y = DynamicSlice(x, s, e, a) }"
    (found,) = estimate_text(text)
    y = found.node.output()
    assert (y.shape, y.bounded, found.status) == (
        (3, 5),
        frozenset({0}),
        NodeStatus.ESTIMATED,
    )


def test_filled_shapes() -> None:
    for call, inputs, shape in (
        ("GivenTensorFill<shape=[2,3], values=[1.0]>()", "float u", (2, 3)),
        ("GivenTensorFill<extra_shape=[3], values=[1.0]>(x)", "float[2,5] x", (2, 5, 3)),
    ):
        found = node_of(call, inputs)
        assert found.node.output().shape == shape
        assert found.cost is not None
        # Values are copied from the file: nothing is computed.
        assert (found.cost.flops, found.cost.bytes_read) == (0, 0)
    text = "g (float u) => (float[?] y) <float[2] s = {4.0, 5.0}> { y = GivenTensorFill<input_as_shape=1, extra_shape=[3]>(s) }"
    (read,) = estimate_text(text)
    assert read.node.output().shape == (4, 5, 3)


def test_a_gated_unit() -> None:
    # 6 states: update and output gate (2 of 3 thirds), 4 operations, a sigmoid and a tanh each.
    cost = cost_of("GRUUnit(h, g, n, t)", "float[1,2,3] h, float[1,2,9] g, float[2] n, float[1] t")
    assert (cost.vector_ops, cost.transcendentals) == (24, 12)
    assert (cost.bytes_read, cost.bytes_written) == (24 + 48 + 8 + 4, 24)


def test_copies_across_a_link() -> None:
    for name in ("MemcpyFromHost", "MemcpyToHost"):
        cost = cost_of(f"{name}(x)", "float16[3,5] x")
        assert (cost.flops, cost.bytes_read, cost.bytes_written) == (0, 30, 30)
        assert cost.assumptions == ("crosses the link between host and device; counted as a copy",)
    text = "g (float[2,3] a) => (seq(float[?]) t) { s = SequenceConstruct(a) t = MemcpyToHost(s) }"
    (_, copied) = estimate_text(text)
    assert (copied.cost, copied.node.output().kind) == (None, "sequence")
    assert copied.reason == "how many tensors the sequence has is not known"


NMS = "background_class=-1, iou_threshold=0.5, score_threshold=0.2, max_output_boxes=3"


@pytest.mark.parametrize(
    ("attributes", "anchors", "operations", "functions"),
    [
        # 2 images of 5 boxes and 2 classes: 10 candidates, 3 kept: 9 + 8 + 7 pairs of 13 operations;
        # 10 areas of 3; 10 comparisons.
        ("box_coding=0, score_activation=0", False, 24 * 13 + 30 + 10, 0),
        ("box_coding=0, score_activation=1", False, 24 * 13 + 30 + 10, 3),
        ("box_coding=1, score_activation=0", False, 24 * 13 + 30 + 10 + 60, 0),
        ("box_coding=0, score_activation=0", True, 24 * 13 + 30 + 10 + 40, 0),
        ("box_coding=1, score_activation=0", True, 24 * 13 + 30 + 10 + 120, 20),
    ],
)
def test_suppression(attributes: str, *, anchors: bool, operations: int, functions: int) -> None:
    call = f"EfficientNMS_TRT<{NMS}, {attributes}>(b, s{', a' if anchors else ''})"
    inputs = f"float[2,5,4] b, float[2,5,2] s{', float[1,5,4] a' if anchors else ''}"
    found = node_of(call, inputs, outputs="n, d, c, k")
    cost = found.cost
    assert cost is not None
    assert found.status is NodeStatus.ESTIMATED
    assert (cost.vector_ops, cost.transcendentals) == (2 * operations, 2 * functions)
    assert cost.bytes_read == 4 * (40 + 20 + (20 if anchors else 0))
    # Per image a count, 3 boxes, 3 scores and 3 classes.
    assert cost.bytes_written == 2 * 4 * (1 + 12 + 3 + 3)
    kinds = [(one.dtype, one.shape) for one in found.node.outputs if one is not None]
    assert kinds == [
        ("int32", (2, 1)),
        ("float", (2, 3, 4)),
        ("float", (2, 3)),
        ("int32", (2, 3)),
    ]


def test_suppression_takes_the_highest_scores() -> None:
    # Of 9,000 scores 4,096 are candidates: 4,095 pairs, areas, comparisons of all scores; their
    # boxes of 16 bytes.
    call = f"EfficientNMS_TRT<{NMS.replace('=3', '=1')}, box_coding=0, score_activation=0>(b, s)"
    cost = cost_of(call, "float[1,9000,4] b, float[1,9000,1] s", outputs="n, d, c, k")
    assert cost.vector_ops == 13 * 4095 + 3 * 4096 + 9000
    assert cost.bytes_read == 4096 * 16 + 36000


LEVELS = "float[2,3,16,16] p, float[2,3,8,8] q, float[2,3,4,4] r, float[2,3,2,2] s"


@pytest.mark.parametrize(
    "call",
    [
        "PyramidROIAlign_TRT<pooled_size=7>(b, p, q, r, s)",
        "MultilevelCropAndResize_TRT<pooled_size=7, image_size=[3,64,64]>(b, p, q, r, s)",
    ],
)
def test_patches_of_a_pyramid(call: str) -> None:
    found = node_of(call, f"float[2,5,4] b, {LEVELS}")
    assert found.node.output().shape == (2, 5, 3, 7, 7)
    cost = found.cost
    assert cost is not None
    # 10 regions: 7 for each of 3 * 49 values, 12 for each of 49 places, 3 + 3 for the level.
    assert cost.vector_ops == 10 * (7 * 147 + 12 * 49 + 6)
    # All levels: 6 * (256 + 64 + 16 + 4) elements, fewer than 4 for each of 1,470 values.
    assert cost.bytes_read == 4 * (40 + 6 * 340)


def test_disentangled_attention() -> None:
    # 8 heads of 6 by 6: two sums and a product; terms of 2 k = 8 positions.
    inputs = "float16[8,6,6] c, float16[8,6,8] p, float16[8,6,8] q"
    cost = cost_of("DisentangledAttention_TRT<span=4, factor=0.1>(c, p, q)", inputs)
    assert (cost.vector_ops, cost.transcendentals) == (3 * 288, 0)
    assert (cost.bytes_read, cost.bytes_written) == (2 * (288 + 384 + 384), 576)
