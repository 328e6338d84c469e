"""Questions that fusion patterns ask of operators and values (ONNX Runtime's `optimizer_utils`)."""

from __future__ import annotations

from typing import Final

import numpy as np

from mlsys_lint.program import Op, Value

_ABSOLUTE: Final = 1e-8
_RELATIVE: Final = 1e-5
_FLOATS: Final = frozenset({"float", "double", "float16"})


def is_internal(op: Op, edges: int = 1) -> bool:
    """True when the graph reads the operator's results this often and returns none of them."""
    written = [value for value in op.outputs if value is not None]
    if any(value.is_result for value in written):
        return False
    return sum(value.uses for value in written) == edges


def follower(op: Op | None, op_type: str) -> Op | None:
    """The operator of the type that alone reads what `op` computes; None passes through."""
    value = None if op is None else op.only_output
    reader = None if value is None else value.only_reader
    return reader if reader is not None and reader.is_a(op_type) else None


def child(op: Op | None, op_type: str) -> Op | None:
    """The first reader of the type, by index, of any number of them."""
    value = None if op is None else op.only_output
    readers = () if value is None else value.readers
    found = [one for one in readers if one.is_a(op_type)]
    return min(found, key=_index, default=None)


def parent(op: Op | None, op_type: str) -> Op | None:
    """The first producer of the type, by index, of what the operator reads."""
    values = () if op is None else op.inputs
    producers = [value.producer for value in values if value is not None]
    found = [one for one in producers if one is not None and one.is_a(op_type)]
    return min(found, key=_index, default=None)


def producer(value: Value | None, op_type: str) -> Op | None:
    """The operator that writes a value, where it is of the type."""
    found = None if value is None else value.producer
    return found if found is not None and found.is_a(op_type) else None


def other_input(op: Op, value: Value) -> Value | None:
    """The other operand of an operator with two, one of which is `value`."""
    return op.inputs[1 - op.inputs.index(value)]


def is_scalar(value: Value | None) -> bool:
    """True for a constant without axes, or with one of size 1."""
    return value is not None and value.constant and value.dims in ((), (1,))


def is_number(value: Value | None, expected: float) -> bool:
    """True for a scalar constant that is a number, within ONNX Runtime's tolerance."""
    if value is None or not is_scalar(value) or value.dtype not in _FLOATS:
        return False
    found = value.number()
    wanted = float(np.float16(expected)) if value.dtype == "float16" else expected
    return found is not None and abs(found - wanted) <= _ABSOLUTE + _RELATIVE * abs(expected)


def scaled(op: Op | None, number: float) -> Value | None:
    """The other operand of a Mul, Add or Pow one of whose operands is a scalar constant."""
    if op is None or len(op.inputs) != 2:
        return None
    first, second = op.inputs
    if is_number(first, number):
        return second
    return first if is_number(second, number) else None


def never(_: Op) -> bool:
    """Of no operator: there is no other provider than the CPU."""
    return False


def _index(op: Op) -> int:
    return op.index
