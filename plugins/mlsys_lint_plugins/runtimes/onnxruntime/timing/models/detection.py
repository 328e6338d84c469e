"""Networks of non-maximum suppressions in which every box is kept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.net import Net


def detection() -> Iterator[Net]:
    """All of them."""
    for scale in (1, 2):
        net = Net(f"suppression_{scale}")
        for boxes, most in ((100, 100), (400, 400), (1500, 1500), (3000, 100), (2000, 800)):
            count, kept = boxes * scale, most * scale
            net.output(
                net.op(
                    "NonMaxSuppression",
                    net.constant(_apart(count)),
                    net.input(1, 1, count),
                    net.integers(kept),
                    net.constant(np.float32(0.5)),
                    shape=(kept, 3),
                    dtype=TensorProto.INT64,
                )
            )
        yield net


def _apart(count: int) -> npt.NDArray[np.float32]:
    """Boxes [1, count, 4] side by side: most pairs of a picture do not overlap."""
    left = np.arange(count, dtype=np.float32)
    zero = np.zeros_like(left)
    return np.stack([zero, left, zero + 1, left + 0.5], axis=-1)[None]
