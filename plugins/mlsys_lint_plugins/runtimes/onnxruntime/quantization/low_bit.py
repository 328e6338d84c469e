"""Products with weights of few bits: MatMulNBits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mlsys_lint.program import Op, Program, Value, rule
from mlsys_lint_plugins.runtimes.onnxruntime.matching import is_internal
from mlsys_lint_plugins.runtimes.onnxruntime.quantization.parameters import (
    dequantize_of,
    quantized_type,
)

_BITS: Final = {"int2": 2, "uint2": 2, "int4": 4, "uint4": 4, "int8": 8, "uint8": 8}
_SMALLEST_BLOCK: Final = 16
_PLAIN_BLOCK: Final = 32
"""Block size where the scales are those of whole columns or of the whole tensor."""
_ACCURACY: Final = 4
_BIAS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """A matrix in few bits.

    Attributes:
        dequantize: Its DequantizeLinear.
        dtype: Its type.
        stored: The integers, rows x columns.
        scale: For all elements, for each column, or for each block of a column.
        zero: Zero points for the same, or None.
        rows: Elements of a column.
        columns: Elements of a row.
    """

    dequantize: Op
    dtype: str
    stored: Value
    scale: Value
    zero: Value | None
    rows: int
    columns: int

    @property
    def block(self) -> int:
        """Elements of a column that share a scale; 0 where all do."""
        return self.dequantize.integer("block_size", 0)


def match(program: Program, op: Op) -> Weight | None:
    """The weight that MatMul or Gemm can read in its few bits.

    Scales for each tensor, for each column, or for blocks of a power of two, 16 or more, along the
    rows; scales, weights and zero points are read by it alone (observed).
    """
    dequantize = dequantize_of(program, op.input(1))
    if dequantize is None or not is_internal(dequantize) or _follows(op):
        return None
    stored, scale, zero = (dequantize.input(position) for position in range(3))
    dtype, sizes = quantized_type(dequantize), None if stored is None else stored.static
    if dtype not in _BITS or stored is None or scale is None or sizes is None or len(sizes) != 2:
        return None
    weight = Weight(
        dequantize=dequantize,
        dtype=dtype,
        stored=stored,
        scale=scale,
        zero=zero,
        rows=sizes[0],
        columns=sizes[1],
    )
    fits = _is_alone(weight) and _fits(weight) and (op.op_type == "MatMul" or _is_plain(op, weight))
    return weight if fits else None


def _is_alone(weight: Weight) -> bool:
    values = [weight.stored, weight.scale, *([] if weight.zero is None else [weight.zero])]
    return all(value.constant and value.uses == 1 for value in values)


def _follows(op: Op) -> bool:
    """True where a QuantizeLinear reads the product."""
    return any(reader.op_type == "QuantizeLinear" for reader in op.output.readers)


def _fits(weight: Weight) -> bool:
    sizes, axis = weight.scale.static, weight.dequantize.integer("axis", 1)
    if weight.scale.dtype not in ("float", "float16"):
        return False
    if weight.zero is not None and weight.zero.static != sizes:
        return False
    block = weight.block
    if not block:
        return sizes == () or (sizes == (weight.columns,) and axis == 1)
    if axis != 0 or block < _SMALLEST_BLOCK or block & (block - 1):
        return False
    return sizes == (-(-weight.rows // block), weight.columns)


def _is_plain(op: Op, weight: Weight) -> bool:
    """True for a Gemm that is a MatMul, with or without a bias for each column."""
    alpha, beta = (op.attributes.get(name, 1.0) for name in ("alpha", "beta"))
    if op.integer("transA", 0) or op.integer("transB", 0) or alpha != 1.0:
        return False
    bias = op.input(2)
    return bias is None or (beta == 1.0 and bias.dims == (weight.columns,))


def replace(program: Program, op: Op, weight: Weight) -> None:
    """MatMulNBits in the place of both; its weights are rearranged at load."""
    bits, block = _BITS[weight.dtype], weight.block or _PLAIN_BLOCK
    blocks = -(-weight.rows // block)

    def stored(like: Value, dtype: str | None, *shape: int) -> Value:
        return program.value(like, shape=shape, dtype=dtype, constant=True)

    inputs: list[Value | None] = [
        op.input(0),
        stored(weight.stored, "uint8", weight.columns, blocks, block * bits // 8),
        stored(weight.scale, None, weight.columns * blocks),
    ]
    if weight.zero is not None or weight.dtype.startswith("u"):
        zeros = weight.columns * -(-blocks * bits // 8)
        inputs.append(stored(weight.stored, "uint8", zeros))
    if op.input(2) is not None:
        inputs += [None] * (_BIAS - len(inputs)) + [op.input(2)]
    program.fuse(
        [weight.dequantize, op],
        "MatMulNBits",
        inputs,
        domain="com.microsoft",
        attributes={
            "K": weight.rows,
            "N": weight.columns,
            "bits": bits,
            "block_size": block,
            "accuracy_level": _ACCURACY,
        },
        folded=[weight.dequantize],
    )


@rule("MatMulNBitsFusion", "MatMulNBits")
def bias(program: Program, op: Op) -> bool:
    """An Add of a bias for each column goes into the product; it keeps its place."""
    add = op.output.only_reader if is_internal(op) else None
    if add is None or not add.is_a("Add") or op.input(_BIAS) is not None:
        return False
    other = add.input(1 if add.input(0) is op.output else 0)
    if other is None or other.dims != (op.integer("N", 0),):
        return False
    program.set_input(op, _BIAS, other)
    program.extend(op, [add])
    return True
