"""What a QuantizeLinear or DequantizeLinear says: its scale, its zero point, its type."""

from __future__ import annotations

from typing import Final

import numpy as np

from mlsys_lint.program import Op, Program, Value

DOMAINS: Final = ("", "com.microsoft")
SCALE: Final = 1
ZERO_POINT: Final = 2
LIMITS: Final = {
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
}
"""Least and greatest number of a quantized type."""
_NUMPY: Final = {"float": "float32"}
_TOLERANCE: Final = 0.01
"""Of the scale of a bias (observed)."""


def is_quantize(op: Op | None) -> bool:
    """True for QuantizeLinear, of ONNX or Microsoft."""
    return op is not None and op.op_type == "QuantizeLinear" and op.domain in DOMAINS


def is_dequantize(op: Op | None) -> bool:
    """True for DequantizeLinear, of ONNX or Microsoft."""
    return op is not None and op.op_type == "DequantizeLinear" and op.domain in DOMAINS


def dequantize_of(program: Program, value: Value | None) -> Op | None:
    """The DequantizeLinear of this graph that writes a value."""
    found = None if value is None else value.producer
    here = found is not None and found.program is program and is_dequantize(found)
    return found if here else None


def quantized_type(op: Op) -> str | None:
    """Type on the quantized side: what a DequantizeLinear reads or a QuantizeLinear writes."""
    value = op.output if is_quantize(op) else op.input(0)
    return None if value is None else value.dtype


def is_single(value: Value | None) -> bool:
    """True for a value without axes, or with one of size 1."""
    return value is not None and value.dims in ((), (1,))


def has_constant_parameters(op: Op) -> bool:
    """True where scale and zero point, if there is one, are constant single numbers."""
    scale, zero = op.input(SCALE), op.input(ZERO_POINT)
    return all(
        value is not None and value.constant and is_single(value)
        for value in ((scale,) if zero is None else (scale, zero))
    )


def same_parameters(quantize: Op, dequantize: Op) -> bool:
    """True where both have the same constant scale and the same explicit zero point."""
    if quantize.input(ZERO_POINT) is None or dequantize.input(ZERO_POINT) is None:
        return False
    if not (has_constant_parameters(quantize) and has_constant_parameters(dequantize)):
        return False
    return all(
        _equal(quantize.input(position), dequantize.input(position))
        for position in (SCALE, ZERO_POINT)
    )


def _equal(one: Value | None, other: Value | None) -> bool:
    if one is other:
        return True
    if one is None or other is None or one.array is None or other.array is None:
        return False
    return one.dtype == other.dtype and bool(np.array_equal(one.array.ravel(), other.array.ravel()))


def suits_products(data: Op, weight: Op, bias: Op) -> bool:
    """True where a bias has the scale of data times that of weights, and no zero point (observed).

    Numbers that are not known, those of many channels, are taken to be right.
    """
    scales = [op.input(SCALE) for op in (data, weight, bias)]
    if not all(scale is not None and scale.constant for scale in scales):
        return False
    zero = bias.input(ZERO_POINT)
    if zero is not None and zero.array is not None and zero.array.any():
        return False
    arrays = [scale.array for scale in scales if scale is not None and scale.array is not None]
    if len(arrays) < len(scales):
        return True
    one, other, found = (array.astype(np.float64) for array in arrays)
    product = one * other
    return bool((np.abs(found - product) <= _TOLERANCE * np.abs(product)).all())


def with_zero_point(program: Program, op: Op) -> list[Value | None]:
    """Inputs of a QuantizeLinear or DequantizeLinear; a zero point of 0 where it has none."""
    if op.input(ZERO_POINT) is not None:
        return op.inputs[:3]
    signed = is_dequantize(op) and quantized_type(op) == "int8"
    return [*op.inputs[:2], constant(program, op, "int8" if signed else "uint8", 0)]


def constant(
    program: Program,
    op: Op,
    dtype: str,
    number: float | None = None,
    *,
    shape: tuple[int, ...] = (),
) -> Value:
    """A new constant for an operator; its value is unknown where no number is given."""
    array = None if number is None else np.full(shape, number, _NUMPY.get(dtype, dtype))
    return program.value(op.output, shape=shape, dtype=dtype, constant=True, array=array)
