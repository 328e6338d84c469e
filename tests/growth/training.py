"""Optimizers: element by element, and a learning rate besides."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

TRAINING: Final = {"ai.onnx.preview.training": 1}
TENSOR: Final = "float[{n},3]"

CASES: Final = [
    # 12 elements, then 24. G' G' + H (2), + epsilon (1), X - r G' / that (3), a root; the rate 3.
    # X, G, H with a float and an int64 are read, X and H written.
    Growth(
        call="ai.onnx.preview.training.Adagrad(r, t, x, g, h)",
        inputs=f"float r, int64 t, {TENSOR} x, {TENSOR} g, {TENSOR} h",
        outputs="y, k",
        domains=TRAINING,
        figures={
            "vector_ops": (12 * 6 + 3, 24 * 6 + 3),
            "transcendentals": (12, 24),
            "bytes_read": (144 + 12, 288 + 12),
            "bytes_written": (96, 192),
        },
    ),
    # V' (3), H' (4), + epsilon (1), X (3), a root; norm_coefficient X + G (2). The rate takes 6
    # operations and 3 functions. X, G, V, H are read, all but G written.
    Growth(
        call="ai.onnx.preview.training.Adam<norm_coefficient=0.5>(r, t, x, g, v, h)",
        inputs=f"float r, int64 t, {TENSOR} x, {TENSOR} g, {TENSOR} v, {TENSOR} h",
        outputs="y, w, k",
        domains=TRAINING,
        figures={
            "vector_ops": (12 * 13 + 6, 24 * 13 + 6),
            "transcendentals": (15, 27),
            "bytes_read": (192 + 12, 384 + 12),
            "bytes_written": (144, 288),
        },
    ),
    # V' (3), X - R V' (2) or X - R (G + alpha V') (4); beta' 2 in all.
    *(
        Growth(
            call="ai.onnx.preview.training.Momentum<alpha=0.9, beta=1.0, norm_coefficient=0.0, "
            f'mode="{mode}">(r, t, x, g, v)',
            inputs=f"float r, int64 t, {TENSOR} x, {TENSOR} g, {TENSOR} v",
            outputs="y, w",
            domains=TRAINING,
            figures={
                "vector_ops": (12 * each + 2, 24 * each + 2),
                "transcendentals": (0, 0),
                "bytes_read": (144 + 12, 288 + 12),
                "bytes_written": (96, 192),
            },
        )
        for mode, each in (("standard", 5), ("nesterov", 7))
    ),
]
