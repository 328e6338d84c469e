"""Float weights and biases of an operator between DequantizeLinear and QuantizeLinear."""

from __future__ import annotations

from typing import Final

from mlsys_lint.program import Op, Program, Value, rule
from mlsys_lint_plugins.runtimes.onnxruntime.quantization.parameters import (
    SCALE,
    constant,
    dequantize_of,
    is_quantize,
    is_single,
)

_BIAS: Final = 2


@rule("WeightBiasQuantization", "Conv", "ConvTranspose", "Gemm")
def quantize_parameters(program: Program, op: Op) -> bool:
    """Weights become int8 and the bias int32 at load, where the rest is quantized already.

    The bias takes the product of the scales of input and weights: weights of one scale, or of one
    for each output channel.
    """
    data, weight = op.input(0), op.input(1)
    source = dequantize_of(program, data)
    if source is None or weight is None or not is_single(source.input(SCALE)):
        return False
    if not _ends_quantized(op):
        return False
    stored, bias = dequantize_of(program, weight), op.input(_BIAS)
    if stored is None and not (weight.constant and weight.dtype == "float"):
        return False
    if bias is not None and not (bias.constant and bias.rank == 1):
        return False
    if stored is not None and (bias is None or not _suits(op, stored, bias)):
        return False
    if stored is None:
        program.set_input(op, 1, _dequantized(program, op, weight, "int8"))
    if bias is not None:
        program.set_input(op, _BIAS, _dequantized(program, op, bias, "int32"))
    return True


def _ends_quantized(op: Op) -> bool:
    """True where one reader follows the other, over Relu and Clip, up to a QuantizeLinear."""
    while True:
        value = op.only_output
        if value is None or len(value.readers) != 1:
            return False
        (op,) = value.readers
        if is_quantize(op):
            return True
        if op.op_type not in ("Relu", "Clip"):
            return False


def _suits(op: Op, stored: Op, bias: Value) -> bool:
    """True where quantized weights have one scale, or one for each element of the bias."""
    scale = stored.input(SCALE)
    if scale is None or is_single(scale):
        return scale is not None
    if scale.rank != 1 or scale.dims != bias.dims or stored.integer("block_size", 0):
        return False
    axis = stored.integer("axis", 1)
    channels = 1 if op.op_type == "Gemm" and not op.integer("transB", 0) else 0
    return axis % (stored.output.rank or 1) == channels


def _dequantized(program: Program, op: Op, value: Value, dtype: str) -> Value:
    """A stored tensor in another type, and the DequantizeLinear that gives the old one back."""
    inputs = [program.value(value, dtype=dtype, constant=True), constant(program, op, "float")]
    if dtype != "int32":
        inputs.append(constant(program, op, dtype, 0))
    output = program.value(value)
    program.add("DequantizeLinear", inputs, [output])
    return output
