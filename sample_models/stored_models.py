"""One MLP, 64 - 128 - 64 - 10, stored in 32, 16, 8 and 4 bits a weight. Biases stay in floating point.

The quantized forms keep integers and scales in the file and rebuild the weights by
DequantizeLinear: 8 bits with a scale for each output, 4 bits with a scale for each block of 32.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from parts import Weights, model

WIDTHS = (64, 128, 64, 10)
BLOCK = 32
INT4 = helper.tensor_dtype_to_np_dtype(TensorProto.INT4)

Array = NDArray[Any]
Layer = Callable[[Weights, str, Array, str], str]
"""Stores a matrix under a name; returns the text that multiplies a value by it, giving m{name}."""


def mlp_float() -> onnx.ModelProto:
    """As trained: 4 bytes a weight."""
    return _mlp("mlp_float", _as_is)


def mlp_float16() -> onnx.ModelProto:
    """2 bytes a weight; arithmetic in half precision too."""
    return _mlp("mlp_float16", _as_is, np.float16)


def mlp_int8() -> onnx.ModelProto:
    """1 byte a weight and a scale for each of a layer's outputs."""
    return _mlp("mlp_int8", _per_output)


def mlp_int4() -> onnx.ModelProto:
    """Half a byte a weight and a scale for each block of 32 of a column."""
    return _mlp("mlp_int4", _blocked)


def mlp_int4_packed() -> onnx.ModelProto:
    """The same integers and scales, packed for ONNX Runtime's product that unpacks as it goes."""
    return _mlp("mlp_int4_packed", _packed, com_microsoft=1)


def _as_is(w: Weights, name: str, values: Array, data: str) -> str:
    w.constant(name, values)
    return f"m{name} = MatMul({data}, {name}) "


def _per_output(w: Weights, name: str, values: Array, data: str) -> str:
    """Symmetric: the largest weight of a column becomes 127."""
    scale = (np.abs(values).max(axis=0) / 127).astype(np.float32)
    w.constant(f"{name}_q", np.rint(values / scale).astype(np.int8))
    w.constant(f"{name}_scale", scale)
    return (
        f"{name} = DequantizeLinear<axis=1>({name}_q, {name}_scale) "
        f"m{name} = MatMul({data}, {name}) "
    )


def _quantize_blocks(values: Array) -> tuple[Array, Array]:
    """Integers from -7 to 7, [K, N], and their scales [K / 32, N]: a block's largest becomes 7."""
    blocks = values.reshape(-1, BLOCK, values.shape[1])
    scale = (np.abs(blocks).max(axis=1) / 7).astype(np.float32)
    return np.rint(blocks / scale[:, None]).reshape(values.shape), scale


def _blocked(w: Weights, name: str, values: Array, data: str) -> str:
    quantized, scale = _quantize_blocks(values)
    w.constant(f"{name}_q", quantized.astype(INT4))
    w.constant(f"{name}_scale", scale)
    return (
        f"{name} = DequantizeLinear<axis=0, block_size={BLOCK}>({name}_q, {name}_scale) "
        f"m{name} = MatMul({data}, {name}) "
    )


def _packed(w: Weights, name: str, values: Array, data: str) -> str:
    """[N, K / 32, 16] bytes of two weights, the first in the low bits; 8 stands for zero."""
    quantized, scale = _quantize_blocks(values)
    inputs, outputs = values.shape
    codes = (quantized.T + 8).astype(np.uint8).reshape(outputs, inputs // BLOCK, BLOCK)
    w.constant(f"{name}_q", codes[..., ::2] | codes[..., 1::2] << 4)
    w.constant(f"{name}_scale", scale.T.flatten())
    sizes = f"K={inputs}, N={outputs}, bits=4, block_size={BLOCK}"
    return f"m{name} = com.microsoft.MatMulNBits<{sizes}>({data}, {name}_q, {name}_scale) "


def _mlp(name: str, layer: Layer, dtype: type = np.float32, **domains: int) -> onnx.ModelProto:
    w = Weights(4)
    body, data, last = "", "x", len(WIDTHS) - 1
    for place, (inputs, outputs) in enumerate(pairwise(WIDTHS), start=1):
        values = w.random.standard_normal((inputs, outputs)) * 0.1
        body += layer(w, f"w{place}", values.astype(dtype), data)
        bias = w.random.standard_normal(outputs) * 0.1
        w.constant(f"b{place}", bias.astype(dtype))
        result = "y" if place == last else f"z{place}"
        body += f"{result} = Add(mw{place}, b{place}) "
        body += "" if place == last else f"a{place} = Relu({result}) "
        data = f"a{place}"
    text = "float16" if dtype is np.float16 else "float"
    return model(name, f"{text}[N,64] x", f"{text}[N,10] y", body, w, opset=21, **domains)


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    one.__name__: one for one in (mlp_float, mlp_float16, mlp_int8, mlp_int4, mlp_int4_packed)
}
