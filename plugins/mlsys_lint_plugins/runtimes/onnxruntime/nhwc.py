"""Quantized convolutions with channels last (NhwcTransformer)."""

from __future__ import annotations

from typing import Final

from mlsys_lint.program import Op, Program, Step, Sweep
from mlsys_lint_plugins.runtimes.onnxruntime.transposes import (
    channels_first,
    channels_last,
    optimize_transposes,
    transpose_input,
    transpose_output,
)

_MICROSOFT: Final = "com.microsoft"


def to_channels_last(program: Program) -> bool:
    """Every QLinearConv reads and writes channels last; Transposes around it move away.

    8-bit pooling that the Transposes meet takes channels last as well (observed).
    """
    found = [op for op in program.order() if _is_converted(op)]
    for op in found:
        _convert(program, op)
    if found:
        optimize_transposes(program, cpu=True)
    return bool(found)


def _is_converted(op: Op) -> bool:
    data = op.input(0)
    if op.op_type != "QLinearConv" or op.domain not in ("", _MICROSOFT) or data is None:
        return False
    return data.rank is not None and not op.integer("channels_last", 0)


def _convert(program: Program, op: Op) -> None:
    """Transposes around it; Microsoft's operator takes the place of ONNX's at the list's end."""
    data = op.input(0)
    rank = 0 if data is None else data.rank or 0
    for index in transpose_input(program, op, 0, channels_last(rank)):
        program.eliminated[index] = "cancelled"
    transpose_output(program, op, op.output, channels_first(rank))
    attributes = {**op.attributes, "channels_last": 1}
    if op.domain == _MICROSOFT:
        program.retype(op, op.op_type, op.domain, attributes)
    else:
        program.fuse(
            [op], op.op_type, op.inputs, domain=_MICROSOFT, attributes=attributes, name=op.name
        )


STEPS: Final[tuple[Step, ...]] = (Sweep(name="NhwcTransformer", run=to_channels_last),)
"""Level 3: NhwcTransformer."""
