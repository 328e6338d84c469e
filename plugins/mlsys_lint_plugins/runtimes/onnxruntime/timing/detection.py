"""Terms of non-maximum suppression.

Source: microsoft/onnxruntime, core/providers/cpu/object_detection/non_max_suppression.cc. Boxes of a
class are taken in the order of their scores from a queue; each is compared with those selected
before, until one overlaps too much or enough are selected. How many are kept depends on the data:
counted is the most, where nothing overlaps. Where the number of boxes depends on the data too, that
would be the square of a bound that real pictures are far from: then there is no class for it.
"""

from __future__ import annotations

from math import log2

from mlsys_lint.records import Kernel
from mlsys_lint.records.calibration import Terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine


def terms(kernel: Kernel, machine: Machine) -> Terms | None:  # noqa: ARG001  one thread does it all
    """Comparisons of boxes, and steps of the queue."""
    view = kernel.view
    if view is None or kernel.op != "ai.onnx::NonMaxSuppression" or view.input(1).bounded:
        return None
    batch, classes, boxes = view.input(1).dims
    limit = view.optional_input(2)
    most = boxes
    if limit is not None and limit.value is not None and limit.value.size == 1:
        most = min(boxes, int(limit.value.item()))
    each = batch * classes
    return "suppression", {
        "pair": each * most * most / 2,
        "queue_step": each * boxes * log2(max(2, boxes)),
        "kernel": 1.0,
    }
