"""Signed activations become unsigned: x86 has no fast product of two signed bytes."""

from __future__ import annotations

import numpy as np

from mlsys_lint.program import Op, Program, rule
from mlsys_lint_plugins.runtimes.onnxruntime.matching import is_internal
from mlsys_lint_plugins.runtimes.onnxruntime.quantization.parameters import (
    ZERO_POINT,
    is_dequantize,
    is_quantize,
)

_SHIFT = 128


@rule("QDQS8ToU8Transformer", "QuantizeLinear")
def signed_pair(program: Program, op: Op) -> bool:
    """Q -> DQ of int8, the DQ its only reader, become uint8 with the zero point moved by 128."""
    reader = op.output.only_reader
    if reader is None or not (is_quantize(op) and is_dequantize(reader) and is_internal(op)):
        return False
    zeros = op.input(ZERO_POINT), reader.input(ZERO_POINT)
    numbers = {None if zero is None or zero.dtype != "int8" else zero.number() for zero in zeros}
    (number, *others), zero = numbers, zeros[0]
    if number is None or others or zero is None:
        return False
    array = np.asarray(number + _SHIFT, np.uint8)
    moved = program.value(zero, dtype="uint8", constant=True, array=array)
    program.set_input(op, ZERO_POINT, moved)
    program.set_input(reader, ZERO_POINT, moved)
    op.output.dtype = "uint8"
    return True
