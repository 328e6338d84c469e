"""Dense sample models: perceptron, classifiers with their losses, an MLP, a matrix-vector product.

stored_models.py has an MLP stored in 32, 16, 8 and 4 bits.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx
import stored_models
from parts import Weights, model

PIXELS = 784
CLASSES = 10


def perceptron() -> onnx.ModelProto:
    """Z = x w + b, a sigmoid, and the mean squared error against a target."""
    w = Weights(1)
    w.add("w", 4, 1)
    w.add("b", 1)
    return model(
        "perceptron",
        "float[N,4] x, float[N,1] target",
        "float[N,1] p, float loss",
        "z = Gemm(x, w, b) p = Sigmoid(z) error = Sub(p, target) squared = Mul(error, error) "
        "loss = ReduceMean<keepdims=0>(squared)",
        w,
    )


def linear_classifier() -> onnx.ModelProto:
    """28 x 28 pixels to 10 classes, with onnx's softmax cross-entropy as loss."""
    return model(
        "linear_classifier",
        f"float[N,{PIXELS}] image, int64[N] label",
        f"float loss, float[N,{CLASSES}] log_p",
        "z = Gemm(image, w, b) loss, log_p = SoftmaxCrossEntropyLoss(z, label)",
        _classifier(),
    )


def shifted_softmax_loss() -> onnx.ModelProto:
    """The linear classifier with its loss written out: softmax shifted by the maximum, then -log p.

    The shift changes no result, and keeps exp from overflowing. Labels are one-hot.
    """
    w = _classifier()
    w.integers("classes", 1)
    return model(
        "shifted_softmax_loss",
        f"float[N,{PIXELS}] image, float[N,{CLASSES}] label",
        f"float loss, float[N,{CLASSES}] p",
        "z = Gemm(image, w, b) top = ReduceMax<axes=[1]>(z) shifted = Sub(z, top) e = Exp(shifted) "
        "total = ReduceSum(e, classes) p = Div(e, total) log_total = Log(total) "
        "log_p = Sub(shifted, log_total) chosen = Mul(label, log_p) "
        "picked = ReduceSum<keepdims=0>(chosen, classes) each = Neg(picked) "
        "loss = ReduceMean<keepdims=0>(each)",
        w,
    )


def _classifier() -> Weights:
    """The same weights for both losses."""
    w = Weights(2)
    w.add("w", PIXELS, CLASSES)
    w.add("b", CLASSES)
    return w


def mlp() -> onnx.ModelProto:
    """Three fully connected layers, 784 - 256 - 128 - 10; the two large matrices are filled."""
    w = Weights(3)
    for name, width in (("b1", 256), ("b2", 128), ("b3", CLASSES)):
        w.add(name, width)
    w.add("w3", 128, CLASSES)
    return model(
        "mlp",
        f"float[N,{PIXELS}] image",
        f"float[N,{CLASSES}] scores",
        w.fill("w1", PIXELS, 256)
        + w.fill("w2", 256, 128)
        + "z1 = Gemm(image, w1, b1) a1 = Relu(z1) z2 = Gemm(a1, w2, b2) a2 = Relu(z2) "
        "scores = Gemm(a2, w3, b3)",
        w,
    )


def gemv_4096() -> onnx.ModelProto:
    """Y = A x with A of 4096 x 4096, made by ConstantOfShape: a weight, runnable, and a small file."""
    w = Weights(0)
    return model(
        "gemv_4096",
        "float[4096] x",
        "float[4096] y",
        w.fill("A", 4096, 4096, value=0.5) + "y = MatMul(A, x)",
        w,
    )


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    **{
        one.__name__: one
        for one in (perceptron, linear_classifier, shifted_softmax_loss, mlp, gemv_4096)
    },
    **stored_models.MODELS,
}
