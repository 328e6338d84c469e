"""Inputs that are data: what is computed with, compared or looked up by value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import onnx

from mlsys_lint.inputs.flow import Use
from mlsys_lint.inputs.names import SAMPLE_RATE
from mlsys_lint.inputs.recipes import limits
from mlsys_lint.records.validation import TEXT_RECIPE

PIXELS: Final = "0..256"
_BYTE: Final = 255
_QUANTIZED: Final = frozenset(
    ["ConvInteger", "DequantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul"]
)
_FLOATS: Final = frozenset(
    kind
    for name, kind in onnx.TensorProto.DataType.items()
    if name.startswith(("FLOAT", "DOUBLE", "BFLOAT"))
)


def is_condition(uses: Sequence[Use]) -> bool:
    """True for numbers that are taken as truth values: mask-like, whatever their name."""
    return any(_cast_target(one) == onnx.TensorProto.BOOL for one in uses)


def category(uses: Sequence[Use], *, text: bool) -> str | None:
    """A category of a OneHotEncoder that refuses unknown ones (`zeros` is 0)."""
    for one in uses:
        if one.node.op_type == "OneHotEncoder" and not one.integer("zeros", 1):
            found = _first(one.node, "cats_strings" if text else "cats_int64s")
            if found is not None:
                return f"{TEXT_RECIPE}{found}" if text else found
    return None


def _first(node: onnx.NodeProto, name: str) -> str | None:
    """The first element of a list of strings or integers among a node's attributes."""
    named = next((one for one in node.attribute if one.name == name), None)
    if named is None:
        return None
    values = [one.decode(errors="replace") for one in named.strings] or map(str, named.ints)
    return next(iter(values), None)


def compared(uses: Sequence[Use], elements: int) -> str | None:
    """What an integer is compared with by Equal; None: with no constant.

    A single integer takes a positive constant, 16000 before others: comparisons with 0 and -1 ask
    whether something is there at all. Against a whole range of constants it is encoded one-hot.
    """
    constants = [
        constant
        for one in uses
        if one.node.op_type == "Equal"
        for constant in one.constants[1 - one.position : 2 - one.position]
        if constant is not None and constant.dtype.kind in "iu"
    ]
    codes = next((one for one in constants if one.size > 2), None)
    if codes is not None:
        return f"{codes.min()}..{codes.max() + 1}"
    single = [int(one.flat[0]) for one in constants if one.size == 1 and one.flat[0] > 0]
    if elements > 1 or not single:
        return None
    return str(SAMPLE_RATE if SAMPLE_RATE in single else single[0])


def data_recipe(uses: Sequence[Use], dtype: str, elements: int) -> str:
    """N(0, 1) for floats; a range for integers that are computed with, else 1."""
    if dtype == "float8_e8m0fnu":  # powers of 2 only: a type of scales
        return "1"
    if not dtype.startswith(("int", "uint")):
        return "normal"
    low, high = limits(dtype)
    if elements > 1 and high <= _BYTE:
        return f"{low}..{high + 1}"
    return PIXELS if elements > 1 and any(_computes(one) for one in uses) else "1"


def _computes(use: Use) -> bool:
    """Whether values are taken as numbers, not as places, counts or truth values."""
    if use.node.op_type in _QUANTIZED:
        return use.position in (0, 3)
    return _cast_target(use) in _FLOATS


def _cast_target(use: Use) -> int | None:
    return use.integer("to", 0) if use.node.op_type == "Cast" else None
