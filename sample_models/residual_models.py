"""Residual sample models: a shortcut adds a block's input to its output (arXiv:1512.03385)."""

from __future__ import annotations

from collections.abc import Callable

import onnx
from parts import Weights, model


def residual_block() -> onnx.ModelProto:
    """A stem, one residual block y = f(x) + x (He et al., arXiv:1512.03385), pooling, a classifier."""
    w = Weights(15)
    for name, shape in (
        ("stem", (16, 3, 3, 3)),
        ("w1", (16, 16, 3, 3)),
        ("w2", (16, 16, 3, 3)),
        ("fc", (10, 16)),
        ("bias", (10,)),
    ):
        w.add(name, *shape)
    pads = "pads=[1,1,1,1]"
    return model(
        "residual_block",
        "float[N,3,32,32] image",
        "float[N,10] scores",
        f"s = Conv<{pads}>(image, stem) x = Relu(s) a = Conv<{pads}>(x, w1) r = Relu(a) "
        f"b = Conv<{pads}>(r, w2) sum = Add(b, x) y = Relu(sum) pooled = GlobalAveragePool(y) "
        "flat = Flatten(pooled) scores = Gemm<transB=1>(flat, fc, bias)",
        w,
    )


def resnet_basic_block() -> onnx.ModelProto:
    """ResNet-18's first block on 64 x 56 x 56: two 3 x 3 convolutions, normalizations not folded."""
    w = Weights(16)
    made = w.fill("w1", 64, 64, 3, 3) + w.fill("w2", 64, 64, 3, 3)
    for name in ("scale1", "shift1", "mean1", "scale2", "shift2", "mean2"):
        w.add(name, 64)
    made += w.fill("var1", 64, value=1.0) + w.fill("var2", 64, value=1.0)
    return model(
        "resnet_basic_block",
        "float[N,64,56,56] stem",
        "float[N,64,56,56] y",
        f"{made} x = Relu(stem) c1 = Conv<pads=[1,1,1,1]>(x, w1) "
        "n1 = BatchNormalization(c1, scale1, shift1, mean1, var1) a1 = Relu(n1) "
        "c2 = Conv<pads=[1,1,1,1]>(a1, w2) "
        "n2 = BatchNormalization(c2, scale2, shift2, mean2, var2) sum = Add(n2, x) y = Relu(sum)",
        w,
    )


def resnet_bottleneck() -> onnx.ModelProto:
    """ResNet-50's first bottleneck: 1 x 1 to 64, 3 x 3, 1 x 1 to 256; the shortcut is projected.

    Normalizations are folded into the convolutions, as inference exports have it.
    """
    w = Weights(16)
    made = (
        w.fill("w1", 64, 64, 1, 1)
        + w.fill("w2", 64, 64, 3, 3)
        + w.fill("w3", 256, 64, 1, 1)
        + w.fill("wp", 256, 64, 1, 1)
    )
    for name, width in (("b1", 64), ("b2", 64), ("b3", 256), ("bp", 256)):
        w.add(name, width)
    return model(
        "resnet_bottleneck",
        "float[N,64,56,56] stem",
        "float[N,256,56,56] y",
        f"{made} x = Relu(stem) c1 = Conv(x, w1, b1) a1 = Relu(c1) "
        "c2 = Conv<pads=[1,1,1,1]>(a1, w2, b2) a2 = Relu(c2) c3 = Conv(a2, w3, b3) "
        "shortcut = Conv(x, wp, bp) sum = Add(c3, shortcut) y = Relu(sum)",
        w,
    )


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    one.__name__: one for one in (residual_block, resnet_basic_block, resnet_bottleneck)
}
