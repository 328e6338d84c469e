"""Products of integers: static and dynamic quantization, attention, weights of four bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from onnx import TensorProto

from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.net import Net
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.quantized_layers import (
    SCALE,
    between,
    pair,
    quantized_gemm,
    quantized_linear,
    scalar,
    signed,
    signed_linear,
)

_BLOCK: Final = 32
_MIDDLE: Final = 128


def many_rows() -> Net:
    """Sequences."""
    net = Net("q_rows")
    x = quantized_linear(net, pair(net, net.input(1, 128, 384)), 1536)
    x = quantized_linear(net, quantized_linear(net, x, 384), 100)
    net.output(quantized_linear(net, x, 64, unsigned=True))
    net.output(quantized_gemm(net, pair(net, net.input(60, 200)), 700))
    net.output(quantized_gemm(net, pair(net, net.input(1, 1024)), 1024))
    net.output(signed_linear(net, signed(net, net.input(1, 32, 256)), 512))
    _scores(net, 1, 12, 128, 64)
    _dynamic(net, net.input(1, 197, 256), 768)
    _shared(net, net.input(1, 64, 512), (512, 512))
    _attention(net, 1, 128, 256, 4)
    _attention(net, 1, 32, 768, 12)
    for rows, inner, width, accuracy in (
        *((64, 512, 768, 0), (200, 256, 256, 0), (2, 1024, 512, 0), (1, 512, 1536, 0)),
        *((17, 512, 512, 4), (128, 768, 512, 4), (1, 1024, 2048, 4), (2, 512, 512, 4)),
    ):
        net.output(bits(net, net.input(rows, inner), width, accuracy))
    _convolved(net, net.input(1, 16, 28, 28), 32)
    net.output(gathered(net, 3000, 512, 128))
    return net


def few_rows() -> Net:
    """One row, or a few, against large matrices."""
    net = Net("q_few")
    x = quantized_gemm(net, pair(net, net.input(1, 512)), 2048)
    net.output(quantized_gemm(net, quantized_gemm(net, x, 512), 100))
    net.output(quantized_gemm(net, pair(net, net.input(16, 784)), 256))
    net.output(quantized_linear(net, pair(net, net.input(1, 49, 256)), 512, unsigned=True))
    net.output(signed_linear(net, signed(net, net.input(1, 10, 192)), 100))
    _scores(net, 1, 8, 49, 32)
    _dynamic(net, net.input(1, 1, 1024), 1024)
    _dynamic(net, net.input(1, 8, 768), 3072)
    _dynamic(net, net.input(1, 50, 300), 90, unsigned=True)
    _shared(net, net.input(1, 1, 768), (768, 256, 256))
    _attention(net, 2, 20, 128, 2)
    for rows, inner, width, accuracy in (
        *((1, 2048, 2048, 4), (1, 2048, 512, 0), (1, 768, 3072, 0), (1, 768, 768, 4)),
        *((4, 1024, 1024, 4), (32, 256, 512, 4), (3, 512, 1024, 0), (16, 768, 768, 0)),
    ):
        net.output(bits(net, net.input(rows, inner), width, accuracy))
    _convolved(net, net.input(1, 24, 14, 14), 64)
    net.output(gathered(net, 2000, 768, 4))
    return net


def cold(name: str, width: int, side: int) -> Net:
    """Weights and tensors that no cache keeps from run to run."""
    net = Net(name)
    for rows in (1, 4):
        x = net.input(rows, width)
        net.output(bits(net, bits(net, x, width, 4), 2048, 4))
    net.output(bits(net, net.input(1, width), 2048, 0))
    x = quantized_gemm(net, pair(net, net.input(1, 2048)), width)
    net.output(quantized_gemm(net, x, 1024))
    _dynamic(net, net.input(1, 2, 1024), width)
    _dynamic(net, net.input(1, 16, 2048), 2048)
    x = pair(net, net.input(1, 4, 2048))
    net.output(quantized_linear(net, quantized_linear(net, x, 2048), 1024))
    x, y = (pair(net, net.input(1, 24, side, side)) for _ in range(2))
    net.output(between(net, "Mul", between(net, "Add", x, y), x))
    return net


def bits(net: Net, x: str, width: int, accuracy: int) -> str:
    """MatMulNBits: four bits, blocks of 32."""
    rows, inner = net.shape[x]
    blocks = inner // _BLOCK
    return net.contrib(
        "MatMulNBits",
        x,
        net.weight(width, blocks, _BLOCK // 2, dtype=np.uint8),
        net.weight(width * blocks, fan_in=inner),
        shape=(rows, width),
        K=inner,
        N=width,
        bits=4,
        block_size=_BLOCK,
        accuracy_level=accuracy,
    )


def _scores(net: Net, batch: int, heads: int, rows: int, depth: int) -> None:
    """Products of two computed tensors, and Softmax between them."""
    query = pair(net, net.input(batch, heads, rows, depth))
    key = pair(net, net.input(batch, heads, depth, rows))
    scores = between(net, "MatMul", query, key, shape=(batch, heads, rows, rows))
    shares = between(net, "Softmax", scores, axis=-1)
    value = pair(net, net.input(batch, heads, rows, depth))
    net.output(between(net, "MatMul", shares, value, shape=(batch, heads, rows, depth)))


def _dynamic(net: Net, x: str, width: int, *, unsigned: bool = False) -> None:
    """A quantized input that one product reads."""
    net.output(_scaled(net, *_quantized(net, x), width, unsigned=unsigned))


def _shared(net: Net, x: str, widths: Sequence[int]) -> None:
    """A quantized input that several products read."""
    found = _quantized(net, x)
    for place, width in enumerate(widths, 1):  # scales that differ, as those of any two matrices
        net.output(_scaled(net, *found, width, size=SCALE / place))


def _quantized(net: Net, x: str) -> tuple[str, str, str]:
    """(integers, scale, zero point), computed from the data."""
    integers = net.op("DynamicQuantizeLinear", x, outputs=3, dtype=TensorProto.UINT8)
    stem = integers.removesuffix("0")
    return integers, f"{stem}1", f"{stem}2"


def _scaled(
    net: Net,
    x: str,
    scale: str,
    zero: str,
    width: int,
    *,
    unsigned: bool = False,
    size: float = SCALE,
) -> str:
    """MatMulInteger, then back to float, then a bias."""
    *rows, inner = net.shape[x]
    kind = np.uint8 if unsigned else np.int8
    weight = net.weight(inner, width, dtype=kind)
    point = net.constant(np.asarray(_MIDDLE if unsigned else 0, kind))
    shape = (*rows, width)
    y = net.op("MatMulInteger", x, weight, zero, point, shape=shape, dtype=TensorProto.INT32)
    return _back(net, y, scale, net.weight(width), size)


def _back(net: Net, y: str, scale: str, bias: str, size: float) -> str:
    floats = net.op("Cast", y, to=TensorProto.FLOAT, dtype=TensorProto.FLOAT)
    factor = net.op("Mul", scale, scalar(net, size), shape=(), dtype=TensorProto.FLOAT)
    return net.op("Add", net.op("Mul", floats, factor), bias)


def _attention(net: Net, batch: int, rows: int, width: int, heads: int) -> None:
    """Attention over integers, as the quantizer writes it for fused transformers."""
    x, scale, zero = _quantized(net, net.input(batch, rows, width))
    y = net.contrib(
        "QAttention",
        x,
        net.weight(width, 3 * width, dtype=np.int8),
        net.weight(3 * width),
        scale,
        scalar(net, SCALE / width),
        "",
        zero,
        net.constant(np.asarray(0, np.int8)),
        shape=(batch, rows, width),
        num_heads=heads,
        dtype=TensorProto.FLOAT,
    )
    net.output(y)


def _convolved(net: Net, x: str, channels: int) -> None:
    """ConvInteger of a quantized input."""
    integers, scale, zero = _quantized(net, x)
    batch, inputs, *sizes = net.shape[x]
    for kernel in (3, 1):
        weight = net.weight(channels, inputs, kernel, kernel, dtype=np.uint8)
        y = net.op(
            "ConvInteger",
            integers,
            weight,
            zero,
            net.constant(np.asarray(_MIDDLE, np.uint8)),
            shape=(batch, channels, *sizes),
            kernel_shape=[kernel] * 2,
            pads=[kernel // 2] * 4,
            dtype=TensorProto.INT32,
        )
        net.output(_back(net, y, scale, net.weight(1, channels, 1, 1), SCALE / kernel))


def gathered(net: Net, rows: int, width: int, count: int) -> str:
    """Rows of a table in four bits, as floats."""
    table = net.weight(rows, width // 2, dtype=np.uint8)
    places = net.constant(np.arange(count, dtype=np.int64) * (rows // count))
    return net.contrib(
        "GatherBlockQuantized",
        table,
        net.op("Add", net.input(count, dtype=TensorProto.INT64), places),
        net.weight(rows, width // _BLOCK),
        shape=(count, width),
        bits=4,
        block_size=_BLOCK,
        gather_axis=0,
        quantize_axis=1,
        dtype=TensorProto.FLOAT,
    )
