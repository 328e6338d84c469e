"""Operators of the default domain that onnx has dropped, and TensorRT's plugins there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from growth.case import Growth

# name with attributes: operations and functions per element
PER_ELEMENT: Final[Mapping[str, tuple[int, int]]] = {
    "Affine<alpha=2.0, beta=1.0>": (2, 0),  # product, sum
    "ImageScaler<scale=2.0, bias=[1.0,1.0,1.0]>": (2, 0),  # product, sum
    "ParametricSoftplus<alpha=2.0, beta=1.0>": (3, 2),  # beta x, exp, + 1, log, alpha
    "Scale<scale=2.0>": (1, 0),
    "ScaledTanh<alpha=2.0, beta=1.0>": (2, 1),  # beta x, tanh, alpha
}
PYRAMID: Final = "float[1,{n},4,4] p, float[1,{n},2,2] q"
NMS: Final = (
    "background_class=-1, iou_threshold=0.5, score_threshold=0.2, max_output_boxes=3, box_coding=0"
)

CASES: Final = [
    # [n,3,2,2]: 48 elements of 4 bytes, then 96.
    *(
        Growth(
            call=f"{name}(x)",
            inputs="float[{n},3,2,2] x",
            figures={
                "vector_ops": (48 * operations, 96 * operations),
                "transcendentals": (48 * functions, 96 * functions),
                "bytes_read": (192, 384),
                "bytes_written": (192, 384),
            },
        )
        for name, (operations, functions) in PER_ELEMENT.items()
    ),
    # Of [n,3,6,5] rows 1..4 and columns 2..4 stay: n * 3 * 4 * 3 elements.
    Growth(
        call="Crop<border=[2,1,0,1]>(x)",
        inputs="float[{n},3,6,5] x",
        figures={"vector_ops": (0, 0), "bytes_read": (576, 1152), "bytes_written": (576, 1152)},
    ),
    # 2 of 5 columns.
    Growth(
        call="DynamicSlice(x, s, e, a)",
        inputs="float[{n},5] x",
        stored="int64[1] s = {{1}}, int64[1] e = {{3}}, int64[1] a = {{1}}",
        figures={"vector_ops": (0, 0), "bytes_read": (32, 64), "bytes_written": (32, 64)},
    ),
    Growth(
        call="GivenTensorFill<shape=[{n},3], values=[1.0]>()",
        inputs="float u",
        figures={"vector_ops": (0, 0), "bytes_read": (0, 0), "bytes_written": (48, 96)},
    ),
    # n states of 3: 4 operations, sigmoid, tanh; 6 of 9 gates, a length for each, the step.
    Growth(
        call="GRUUnit(h, g, l, t)",
        inputs="float[1,{n},3] h, float[1,{n},9] g, float[{n}] l, float[1] t",
        figures={
            "vector_ops": (48, 96),
            "transcendentals": (24, 48),
            "bytes_read": (48 + 96 + 16 + 4, 96 + 192 + 32 + 4),
            "bytes_written": (48, 96),
        },
    ),
    *(
        Growth(
            call=f"{name}(x)",
            inputs="float[{n},3] x",
            figures={"vector_ops": (0, 0), "bytes_read": (48, 96), "bytes_written": (48, 96)},
        )
        for name in ("MemcpyFromHost", "MemcpyToHost")
    ),
    # n heads of 3 by 3, terms of 4 positions: two sums and a product for each of 9 n.
    Growth(
        call="DisentangledAttention_TRT<span=2, factor=0.5>(c, p, q)",
        inputs="float[{n},3,3] c, float[{n},3,4] p, float[{n},3,4] q",
        figures={
            "vector_ops": (108, 216),
            "transcendentals": (0, 0),
            "bytes_read": (4 * 4 * 33, 8 * 4 * 33),
            "bytes_written": (144, 288),
        },
    ),
    # n images of 5 boxes and one class: 5 candidates, 3 kept: 4 + 3 + 2 pairs of 13, 5 areas of 3,
    # 5 comparisons: 137. 20 coordinates and 5 scores; a count, 3 boxes, scores and classes.
    Growth(
        call=f"EfficientNMS_TRT<{NMS}, score_activation=1>(b, s)",
        inputs="float[{n},5,4] b, float[{n},5,1] s",
        outputs="c, d, e, k",
        figures={
            "vector_ops": (4 * 137, 8 * 137),
            "transcendentals": (12, 24),
            "bytes_read": (400, 800),
            "bytes_written": (4 * 76, 8 * 76),
        },
    ),
    # Anchors grow with the boxes: 2 n candidates of n boxes, 3 kept: 7 + 6 + 5 pairs, then 15 + 14 +
    # 13; each candidate 3 for its area, 12 and 2 exp for its decoding, 1 for its score.
    Growth(
        call=f"EfficientNMS_TRT<{NMS[:-1]}1, score_activation=0>(b, s, a)",
        inputs="float[1,{n},4] b, float[1,{n},2] s, float[1,{n},4] a",
        outputs="c, d, e, k",
        figures={
            "vector_ops": (18 * 13 + 8 * 16, 42 * 13 + 16 * 16),
            "transcendentals": (16, 32),
            "bytes_read": (160, 320),
            "bytes_written": (76, 76),
        },
    ),
    # 5 regions of 2 by 2 places, n channels: 20 n values of 7, 20 places of 12, 5 levels of 3 + 1.
    # Both levels, 20 n elements, are fewer than 80 n; 20 coordinates.
    *(
        Growth(
            call=f"{name}(b, p, q)",
            inputs=f"float[1,5,4] b, {PYRAMID}",
            figures={
                "vector_ops": (560 + 240 + 20, 1120 + 240 + 20),
                "transcendentals": (0, 0),
                "bytes_read": (320 + 80, 640 + 80),
                "bytes_written": (320, 640),
            },
        )
        for name in (
            "PyramidROIAlign_TRT<pooled_size=2>",
            "MultilevelCropAndResize_TRT<pooled_size=2, image_size=[3,16,16]>",
        )
    ),
]
