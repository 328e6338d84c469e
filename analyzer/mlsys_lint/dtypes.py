"""The one table of element types: ONNX's number and name, the field's short name, bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Dtype:
    """An element type.

    Attributes:
        onnx_name: Name in `onnx.TensorProto.DataType`, lower case: `float`, `uint4`.
        short: Name in device files, `--precision` and text: `fp32`, `uint4`.
        bits: Stored bits of one element; sub-byte types are packed. Strings count 256: the 32-byte
            string object that ONNX Runtime holds for each element.
        kind: `float`, `int`, `bool`, `complex` or `string`.
    """

    onnx_name: str
    short: str
    bits: int
    kind: str
    block: int = 0
    """Elements that share a 16-bit scale; 0 where none is stored with them."""


# Numbers are those of onnx.proto, TensorProto.DataType.
_BY_NUMBER: Final[dict[int, Dtype]] = {
    1: Dtype("float", "fp32", 32, "float"),
    2: Dtype("uint8", "uint8", 8, "int"),
    3: Dtype("int8", "int8", 8, "int"),
    4: Dtype("uint16", "uint16", 16, "int"),
    5: Dtype("int16", "int16", 16, "int"),
    6: Dtype("int32", "int32", 32, "int"),
    7: Dtype("int64", "int64", 64, "int"),
    8: Dtype("string", "string", 256, "string"),
    9: Dtype("bool", "bool", 8, "bool"),
    10: Dtype("float16", "fp16", 16, "float"),
    11: Dtype("double", "fp64", 64, "float"),
    12: Dtype("uint32", "uint32", 32, "int"),
    13: Dtype("uint64", "uint64", 64, "int"),
    14: Dtype("complex64", "complex64", 64, "complex"),
    15: Dtype("complex128", "complex128", 128, "complex"),
    16: Dtype("bfloat16", "bf16", 16, "float"),
    17: Dtype("float8e4m3fn", "fp8e4m3", 8, "float"),
    18: Dtype("float8e4m3fnuz", "fp8e4m3fnuz", 8, "float"),
    19: Dtype("float8e5m2", "fp8e5m2", 8, "float"),
    20: Dtype("float8e5m2fnuz", "fp8e5m2fnuz", 8, "float"),
    21: Dtype("uint4", "uint4", 4, "int"),
    22: Dtype("int4", "int4", 4, "int"),
    23: Dtype("float4e2m1", "fp4e2m1", 4, "float"),
    24: Dtype("float8e8m0", "fp8e8m0", 8, "float"),
    25: Dtype("uint2", "uint2", 2, "int"),
    26: Dtype("int2", "int2", 2, "int"),
}
INT4_BLOCKS: Final = Dtype("int4_block32", "int4", 4, "int", block=32)
"""No ONNX type: 4-bit weights in blocks of 32 with a 16-bit scale each, 18 bytes a block (GGML's
Q4_0; MatMulNBits with block_size 32 and float16 scales)."""
_BY_NAME: Final = {dtype.onnx_name: dtype for dtype in (*_BY_NUMBER.values(), INT4_BLOCKS)}
NUMBERS: Final = {dtype.onnx_name: number for number, dtype in _BY_NUMBER.items()}
SHORT_NAMES: Final = frozenset(dtype.short for dtype in _BY_NUMBER.values()) | {"tf32"}
"""Names that device files may use; tf32 is a rate of fp32 data, not a stored type."""


def name_of(number: int) -> str | None:
    """ONNX's lower-case name of an element type number; None when it is undefined or new."""
    dtype = _BY_NUMBER.get(number)
    return dtype.onnx_name if dtype else None


def lookup(onnx_name: str) -> Dtype:
    """The type with an ONNX name such as `float16`; KeyError for an unknown one."""
    return _BY_NAME[onnx_name]


def short(onnx_name: str) -> str:
    """The field's short name (`fp32`) of an ONNX name (`float`)."""
    return _BY_NAME[onnx_name].short


def stored_bytes(onnx_name: str, elements: int) -> int:
    """Bytes of a dense tensor; sub-byte types fill their last byte: int4 is ceil(n / 2)."""
    dtype = _BY_NAME[onnx_name]
    scales = 2 * -(-elements // dtype.block) if dtype.block else 0
    return (elements * dtype.bits + 7) // 8 + scales
