"""Relu and Clip that a following QuantizeLinear makes redundant."""

from __future__ import annotations

from typing import Final

import numpy as np

from mlsys_lint.program import Op, Pass, Program, rule
from mlsys_lint_plugins.runtimes.onnxruntime.matching import is_internal
from mlsys_lint_plugins.runtimes.onnxruntime.quantization.parameters import (
    LIMITS,
    SCALE,
    ZERO_POINT,
    is_quantize,
    quantized_type,
)

_LARGEST: Final = float(np.finfo(np.float32).max)
_EPSILON: Final = float(np.finfo(np.float32).eps)
_UNDEFINED: Final = -(2**31)
"""What x86 makes of a float that no 32-bit integer holds."""


def bounds(op: Op) -> tuple[float, float] | None:
    """Least and greatest number of a Clip, largest floats where open; None if not constant."""
    found: list[float] = []
    for position, name, otherwise in ((1, "min", -_LARGEST), (2, "max", _LARGEST)):
        value, attribute = op.input(position), op.attributes.get(name)
        number = value.number() if value is not None else None
        if value is not None and number is None:
            return None
        if number is None:
            number = attribute if isinstance(attribute, float) else otherwise
        found.append(float(number))
    return found[0], found[1]


def _quantization(op: Op) -> tuple[float, int, int, int] | None:
    """Scale, zero point and limits of the type of a QuantizeLinear whose numbers are scalars."""
    scale, zero, dtype = op.input(SCALE), op.input(ZERO_POINT), quantized_type(op)
    if scale is None or scale.dims != () or scale.dtype != "float" or dtype not in LIMITS:
        return None
    size = scale.number()
    shift = 0 if zero is None else zero.number() if zero.dims == () else None
    if size is None or shift is None:
        return None
    return size, int(shift), *LIMITS[dtype]


def is_redundant(clip: Op, quantize: Op) -> bool:
    """True where rounding to the quantized type already keeps to the bounds of Relu or Clip."""
    found = _quantization(quantize)
    if found is None:
        return False
    scale, zero, low, high = found
    if clip.op_type == "Relu":
        return zero == low
    limits = bounds(clip)
    if limits is None:
        return False
    least, greatest = (_rounded(limit, scale) + zero for limit in limits)
    return least <= low and greatest >= high


def _rounded(number: float, scale: float) -> int:
    with np.errstate(over="ignore", divide="ignore"):
        found = float(np.rint(np.float32(number) / np.float32(scale)))
    return int(found) if abs(found) < -_UNDEFINED else _UNDEFINED


@rule("ClipQuantFusion", "Clip")
def clip_quantize(program: Program, op: Op) -> bool:
    """Clip whose bounds enclose what the following QuantizeLinear can express."""
    reader = op.output.only_reader if is_internal(op) else None
    limits = bounds(op)
    if op.domain or reader is None or limits is None or not is_quantize(reader) or reader.domain:
        return False
    found = _quantization(reader)
    if found is None or reader.input(ZERO_POINT) is None or found[2:] not in _BYTES:
        return False
    scale, zero, low, high = found
    lower, upper = (np.float32(scale) * np.float32(end - zero) for end in (low, high))
    if np.float32(limits[0]) - lower > _EPSILON or upper - np.float32(limits[1]) > _EPSILON:
        return False
    return _absorb(program, op, reader)


_BYTES: Final = (LIMITS["int8"], LIMITS["uint8"])


@rule("ReluQuantFusion", "Relu")
def relu_quantize(program: Program, op: Op) -> bool:
    """Relu before a QuantizeLinear whose zero point is the least number of its 8-bit type."""
    reader = op.output.only_reader if is_internal(op) else None
    zero = None if reader is None else reader.input(ZERO_POINT)
    if op.domain or reader is None or zero is None or not is_quantize(reader) or reader.domain:
        return False
    number = zero.number()
    if number is None or zero.dtype not in ("int8", "uint8") or number != LIMITS[zero.dtype][0]:
        return False
    return _absorb(program, op, reader)


def _absorb(program: Program, op: Op, quantize: Op) -> bool:
    """Let the QuantizeLinear read what the redundant operator read."""
    program.set_input(quantize, 0, op.input(0))
    program.extend(quantize, [op], quantize.outputs, folded=[op])
    return True


RULES: Final = Pass(rules=(clip_quantize, relu_quantize))
