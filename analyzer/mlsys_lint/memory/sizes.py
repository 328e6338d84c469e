"""Bytes that a kernel allocates for what it writes."""

from __future__ import annotations

from typing import Final

from mlsys_lint.errors import UnknownSizeError
from mlsys_lint.program import Op, Value

_NOTHING: Final = frozenset(
    {("", "SequenceEmpty"), ("", "SequenceErase"), ("ai.onnx.ml", "ZipMap")}
)
"""No tensors of their own; maps are held outside the allocator."""


def allocated(op: Op, value: Value) -> int:
    """Bytes of an output's own buffer; of a list, those of the tensors that the kernel copies in.

    Lists are those of ONNX Runtime 1.32.0 (observed): a tensor is copied into a list and out of it.

    Raises:
        UnknownSizeError: the size is not static.
    """
    if value.kind == "tensor":
        return value.nbytes
    if (op.domain, op.op_type) in _NOTHING:
        return 0
    if op.op_type == "SequenceConstruct":
        return sum(_tensor(read) for read in op.inputs)
    if op.op_type == "SplitToSequence":
        return _tensor(op.input(0))
    if op.op_type == "SequenceInsert":
        return added(op)
    raise UnknownSizeError(f"{value.name!r} is a {value.kind}, whose length is not static")


def added(op: Op) -> int:
    """Bytes by which a kernel lengthens the list that its output shares with its input."""
    return _tensor(op.input(1)) if op.is_a("SequenceInsert") else 0


def _tensor(value: Value | None) -> int:
    return 0 if value is None else value.nbytes
