"""Amounts of non-maximum suppression, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mlsys_lint.records import Kernel, NodeView, OpCost, TensorInfo
from mlsys_lint_plugins.runtimes.onnxruntime.timing.detection import terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine

MACHINE = Machine(threads=1, lanes=16, caches={"l1": 1 << 15, "l2": 1 << 20, "l3": 1 << 25})


def _suppression(boxes: int, classes: int, most: int | None) -> Kernel:
    def tensor(*shape: int, value: object = None) -> TensorInfo:
        return TensorInfo(name="t", dtype="float", shape=shape, value=value)  # type: ignore[arg-type]

    limit = None if most is None else tensor(1, value=np.array([most]))
    view = NodeView(
        index=0,
        op_type="NonMaxSuppression",
        opset=11,
        inputs=(tensor(1, boxes, 4), tensor(1, classes, boxes), limit),
        outputs=(tensor(most or boxes, 3),),
    )
    return Kernel(
        nodes=(0,),
        op="ai.onnx::NonMaxSuppression",
        cost=OpCost(),
        kernel_class="other",
        dtype="int64",
        view=view,
    )


def test_every_box_is_compared_with_those_selected_before() -> None:
    """3 classes x 1000 boxes: 3 x 1000^2 / 2; with at most 100 kept 3 x 100^2 / 2."""
    _, every = terms(_suppression(1000, 3, None), MACHINE) or ("", {})
    _, some = terms(_suppression(1000, 3, 100), MACHINE) or ("", {})
    assert every["pair"] == 3 * 1000 * 1000 / 2
    assert some["pair"] == 3 * 100 * 100 / 2
    assert every["queue_step"] == pytest.approx(3 * 1000 * 9.965784)


def test_a_number_of_boxes_that_depends_on_data_has_no_class() -> None:
    kernel = _suppression(1000, 3, None)
    assert kernel.view is not None
    boxes, scores, limit = kernel.view.inputs
    assert scores is not None
    open_scores = TensorInfo(name="t", dtype="float", shape=scores.shape, bounded=frozenset({2}))
    view = replace(kernel.view, inputs=(boxes, open_scores, limit))
    assert terms(replace(kernel, view=view), MACHINE) is None
