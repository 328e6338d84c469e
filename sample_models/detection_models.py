"""A detection head: feature maps of three scales become boxes (after YOLOv3, arXiv:1804.02767)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from parts import Weights, model

CLASSES = 80
VALUES = 4 + 1 + CLASSES
"""A box has a place, a size, a confidence, and a probability for each class."""

SCALES = (
    # grid cells a side, channels, pixels a cell, anchors (width, height) in pixels of a 416 x 416 image
    (13, 1024, 32, ((116, 90), (156, 198), (373, 326))),
    (26, 512, 16, ((30, 61), (62, 45), (59, 119))),
    (52, 256, 8, ((10, 13), (16, 30), (33, 23))),
)


def yolo_head() -> onnx.ModelProto:
    """Three scales, three anchors a cell: [N, 10647, 85] boxes of a 416 x 416 image."""
    w = Weights(20)
    w.integers("parts", 2, 2, 1 + CLASSES)
    w.integers("flat", 0, -1, VALUES)
    body = "".join(_scale(w, place) for place in range(3))
    return model(
        "yolo_head",
        ", ".join(
            f"float[N,{channels},{grid},{grid}] f{place}"
            for place, (grid, channels, _, _) in enumerate(SCALES)
        ),
        f"float[N,10647,{VALUES}] boxes",
        f"{body} boxes = Concat<axis=1>(b0, b1, b2)",
        w,
    )


def _scale(w: Weights, s: int) -> str:
    """Text of one scale: centre = (sigmoid + cell) * stride, size = exp * anchor, sigmoid for the rest."""
    grid, channels, stride, anchors = SCALES[s]
    rows, columns = np.indices((grid, grid))
    w.constant(f"cell{s}", np.stack([columns, rows], -1)[None, None].astype(np.float32))
    w.constant(f"anchor{s}", np.array(anchors, np.float32).reshape(1, 3, 1, 1, 2))
    w.constant(f"stride{s}", np.array(stride, np.float32))
    w.integers(f"apart{s}", 0, 3, VALUES, grid, grid)
    w.add(f"bias{s}", 3 * VALUES)
    return (
        w.fill(f"w{s}", 3 * VALUES, channels, 1, 1, value=0.001)
        + f"t{s} = Conv(f{s}, w{s}, bias{s}) r{s} = Reshape(t{s}, apart{s}) "
        f"last{s} = Transpose<perm=[0,1,3,4,2]>(r{s}) "
        f"place{s}, size{s}, class{s} = Split<axis=-1>(last{s}, parts) "
        f"inside{s} = Sigmoid(place{s}) moved{s} = Add(inside{s}, cell{s}) "
        f"xy{s} = Mul(moved{s}, stride{s}) grown{s} = Exp(size{s}) "
        f"wh{s} = Mul(grown{s}, anchor{s}) p{s} = Sigmoid(class{s}) "
        f"box{s} = Concat<axis=-1>(xy{s}, wh{s}, p{s}) b{s} = Reshape(box{s}, flat) "
    )


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {"yolo_head": yolo_head}
