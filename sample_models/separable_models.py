"""Depthwise separable sample models, and dense ones to compare them with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from parts import Weights, model

WIDTHS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)) + ((512, 1),) * 5
LAYERS = (*WIDTHS, (1024, 2), (1024, 1))
"""MobileNet's blocks (arXiv:1704.04861, table 1): output channels, stride."""


def depthwise_separable() -> onnx.ModelProto:
    """Depthwise and pointwise convolutions (Howard et al., arXiv:1704.04861)."""
    w = Weights(17)
    for name, shape in (
        ("stem", (20, 3, 3, 3)),
        ("d1", (20, 1, 3, 3)),
        ("p1", (40, 20, 1, 1)),
        ("d2", (40, 1, 3, 3)),
        ("p2", (80, 40, 1, 1)),
        ("fc", (10, 80)),
        ("bias", (10,)),
    ):
        w.add(name, *shape)
    pads = "pads=[1,1,1,1]"
    return model(
        "depthwise_separable",
        "float[N,3,64,64] image",
        "float[N,10] scores",
        f"s = Conv<{pads}, strides=[2,2]>(image, stem) x = Relu(s) "
        f"a = Conv<{pads}, group=20>(x, d1) ra = Relu(a) b = Conv(ra, p1) rb = Relu(b) "
        f"c = Conv<{pads}, strides=[2,2], group=40>(rb, d2) rc = Relu(c) d = Conv(rc, p2) "
        "rd = Relu(d) pooled = GlobalAveragePool(rd) flat = Flatten(pooled) "
        "scores = Gemm<transB=1>(flat, fc, bias)",
        w,
    )


def inverted_residual() -> onnx.ModelProto:
    """MobileNetV2's block (arXiv:1801.04381) on 64 x 14 x 14: widen to 384, depthwise, narrow, add."""
    w = Weights(18)
    return _inverted(
        "inverted_residual",
        w,
        w.fill("wd", 384, 1, 3, 3) + w.fill("wp", 64, 384, 1, 1),
        "d = Conv<pads=[1,1,1,1], group=384>(ra, wd) rd = Clip(d, zero, six) p = Conv(rd, wp)",
    )


def inverted_residual_dense() -> onnx.ModelProto:
    """The same block with one dense 3 x 3 convolution where depthwise and narrowing were."""
    w = Weights(18)
    return _inverted(
        "inverted_residual_dense",
        w,
        w.fill("wp", 64, 384, 3, 3),
        "p = Conv<pads=[1,1,1,1]>(ra, wp)",
    )


def _inverted(name: str, w: Weights, made: str, middle: str) -> onnx.ModelProto:
    w.constant("zero", np.array(0.0, np.float32))
    w.constant("six", np.array(6.0, np.float32))
    return model(
        name,
        "float[N,64,14,14] x",
        "float[N,64,14,14] y",
        f"{w.fill('we', 384, 64, 1, 1)} {made} a = Conv(x, we) ra = Clip(a, zero, six) {middle} "
        "y = Add(p, x)",
        w,
    )


def mobilenet() -> onnx.ModelProto:
    """MobileNet in full, 224 x 224 (arXiv:1704.04861, table 1); all weights are filled."""
    return _mobilenet("mobilenet", _separable)


def mobilenet_dense() -> onnx.ModelProto:
    """MobileNet with dense 3 x 3 convolutions (arXiv:1704.04861, table 4)."""
    return _mobilenet("mobilenet_dense", _dense)


Block = Callable[[Weights, str, str, tuple[int, int], int], str]
"""Text of a block: weights, name, input, channels in and out, stride; the result is r{name}."""


def _separable(w: Weights, name: str, data: str, channels: tuple[int, int], stride: int) -> str:
    inputs, outputs = channels
    return (
        w.fill(f"wd{name}", inputs, 1, 3, 3)
        + f"d{name} = Conv<pads=[1,1,1,1], strides=[{stride},{stride}], group={inputs}>"
        f"({data}, wd{name}) q{name} = Relu(d{name}) "
        + w.fill(f"wp{name}", outputs, inputs, 1, 1)
        + f"p{name} = Conv(q{name}, wp{name}) r{name} = Relu(p{name}) "
    )


def _dense(w: Weights, name: str, data: str, channels: tuple[int, int], stride: int) -> str:
    inputs, outputs = channels
    return (
        w.fill(f"w{name}", outputs, inputs, 3, 3)
        + f"c{name} = Conv<pads=[1,1,1,1], strides=[{stride},{stride}]>({data}, w{name}) "
        f"r{name} = Relu(c{name}) "
    )


def _mobilenet(name: str, block: Block) -> onnx.ModelProto:
    w = Weights(19)
    body = _dense(w, "0", "image", (3, 32), 2)
    channels = 32
    for place, (width, stride) in enumerate(LAYERS, start=1):
        body += block(w, str(place), f"r{place - 1}", (channels, width), stride)
        channels = width
    return model(
        name,
        "float[N,3,224,224] image",
        "float[N,1000] scores",
        f"{body} pooled = GlobalAveragePool(r{len(LAYERS)}) flat = Flatten(pooled) "
        f"{w.fill('fc', 1000, channels)} {w.fill('bias', 1000)} "
        "scores = Gemm<transB=1>(flat, fc, bias)",
        w,
    )


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    one.__name__: one
    for one in (
        depthwise_separable,
        inverted_residual,
        inverted_residual_dense,
        mobilenet,
        mobilenet_dense,
    )
}
