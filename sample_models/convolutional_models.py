"""Convolutional sample models: kinds of convolution, LeNet-5, VGG, a convolution over time."""

from __future__ import annotations

from collections.abc import Callable

import detection_models
import onnx
import residual_models
import separable_models
from parts import Weights, model


def lenet5() -> onnx.ModelProto:
    """LeNet-5 (LeCun et al., Proc. IEEE 86(11), 1998) on 1 x 32 x 32, with ReLU and average pooling."""
    w = Weights(5)
    for name, shape in (
        ("c1", (6, 1, 5, 5)),
        ("b1", (6,)),
        ("c3", (16, 6, 5, 5)),
        ("b3", (16,)),
        ("b5", (120,)),
        ("f6", (84, 120)),
        ("b6", (84,)),
        ("f7", (10, 84)),
        ("b7", (10,)),
    ):
        w.add(name, *shape)
    w.integers("f5_size", 120, 400)  # the largest matrix is filled, to keep the file small
    return model(
        "lenet5",
        "float[N,1,32,32] image",
        "float[N,10] scores",
        "z1 = Conv(image, c1, b1) a1 = Relu(z1) "
        "s2 = AveragePool<kernel_shape=[2,2], strides=[2,2]>(a1) "
        "z3 = Conv(s2, c3, b3) a3 = Relu(z3) "
        "s4 = AveragePool<kernel_shape=[2,2], strides=[2,2]>(a3) flat = Flatten(s4) "
        "f5 = ConstantOfShape(f5_size) "
        "z5 = Gemm<transB=1>(flat, f5, b5) a5 = Relu(z5) "
        "z6 = Gemm<transB=1>(a5, f6, b6) a6 = Relu(z6) scores = Gemm<transB=1>(a6, f7, b7)",
        w,
    )


def convolution_kinds() -> onnx.ModelProto:
    """3 x 3 convolutions of 32 x 32: as it is, padded, strided, dilated, grouped, and transposed."""
    w = Weights(6)
    for name in ("w1", "w2", "w3", "w4"):
        w.add(name, 8, 4, 3, 3)
    w.add("w5", 8, 2, 3, 3)
    w.add("w6", 8, 4, 3, 3)  # a transposed convolution stores [Cin, Cout, Kh, Kw]
    pads = "pads=[1,1,1,1]"
    return model(
        "convolution_kinds",
        "float[N,4,32,32] x",
        "float[N,8,30,30] valid, float[N,8,32,32] padded, float[N,8,16,16] strided, "
        "float[N,8,28,28] dilated, float[N,8,32,32] grouped, float[N,4,32,32] transposed",
        f"valid = Conv(x, w1) padded = Conv<{pads}>(x, w2) "
        f"strided = Conv<{pads}, strides=[2,2]>(x, w3) dilated = Conv<dilations=[2,2]>(x, w4) "
        f"grouped = Conv<{pads}, group=2>(x, w5) "
        f"transposed = ConvTranspose<{pads}, strides=[2,2], output_padding=[1,1]>(strided, w6)",
        w,
    )


def video_3d() -> onnx.ModelProto:
    """Two 3 x 3 x 3 convolutions over 8 frames (after Tran et al., arXiv:1412.0767)."""
    w = Weights(7)
    w.add("w1", 16, 3, 3, 3, 3)
    w.add("b1", 16)
    w.add("w2", 32, 16, 3, 3, 3)
    w.add("b2", 32)
    w.add("fc", 10, 32)
    w.add("bias", 10)
    pads = "pads=[1,1,1,1,1,1]"
    return model(
        "video_3d",
        "float[N,3,8,32,32] video",
        "float[N,10] scores",
        f"z1 = Conv<{pads}>(video, w1, b1) a1 = Relu(z1) "
        "s1 = MaxPool<kernel_shape=[1,2,2], strides=[1,2,2]>(a1) "
        f"z2 = Conv<{pads}>(s1, w2, b2) a2 = Relu(z2) "
        "s2 = MaxPool<kernel_shape=[2,2,2], strides=[2,2,2]>(a2) pooled = GlobalAveragePool(s2) "
        "flat = Flatten(pooled) scores = Gemm<transB=1>(flat, fc, bias)",
        w,
    )


def vgg_block() -> onnx.ModelProto:
    """VGG's first two stages (Simonyan, Zisserman, arXiv:1409.1556) at a quarter of the width, 32 x 32."""
    w = Weights(9)
    body, data = _stages(w.add, ((16, 2), (32, 2)))
    w.add("fc", 10, 32 * 8 * 8)
    w.add("bias", 10)
    return model(
        "vgg_block",
        "float[N,3,32,32] image",
        "float[N,10] scores",
        f"{body} flat = Flatten({data}) scores = Gemm<transB=1>(flat, fc, bias)",
        w,
    )


def vgg16() -> onnx.ModelProto:
    """VGG-16 in full, 224 x 224 (arXiv:1409.1556, table 1, column D); all weights are filled."""
    w = Weights(10)
    made: list[str] = []

    def store(name: str, *shape: int) -> None:
        made.append(w.fill(name, *shape))

    body, data = _stages(store, ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)))
    for name, outputs, inputs in (("6", 4096, 512 * 7 * 7), ("7", 4096, 4096), ("8", 1000, 4096)):
        store(f"f{name}", outputs, inputs)
        store(f"g{name}", outputs)
    return model(
        "vgg16",
        "float[N,3,224,224] image",
        "float[N,1000] scores",
        f"{' '.join(made)} {body} flat = Flatten({data}) z6 = Gemm<transB=1>(flat, f6, g6) "
        "a6 = Relu(z6) z7 = Gemm<transB=1>(a6, f7, g7) a7 = Relu(z7) "
        "scores = Gemm<transB=1>(a7, f8, g8)",
        w,
    )


def _stages(store: Callable[..., object], stages: tuple[tuple[int, int], ...]) -> tuple[str, str]:
    """Text of VGG's stages (width, convolutions), each ended by a 2 x 2 maximum; the last value."""
    text, data, channels = "", "image", 3
    for stage, (width, depth) in enumerate(stages, start=1):
        for place in range(1, depth + 1):
            name = f"{stage}_{place}"
            store(f"w{name}", width, channels, 3, 3)
            store(f"b{name}", width)
            text += f"z{name} = Conv<pads=[1,1,1,1]>({data}, w{name}, b{name}) "
            text += f"a{name} = Relu(z{name}) "
            data, channels = f"a{name}", width
        text += f"s{stage} = MaxPool<kernel_shape=[2,2], strides=[2,2]>({data}) "
        data = f"s{stage}"
    return text, data


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    **{one.__name__: one for one in (lenet5, convolution_kinds, video_3d, vgg_block, vgg16)},
    **residual_models.MODELS,
    **separable_models.MODELS,
    **detection_models.MODELS,
}
