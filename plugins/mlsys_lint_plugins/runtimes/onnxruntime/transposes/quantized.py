"""Quantize and dequantize operators around Transposes: a Transpose looks past them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlsys_lint.program import Op, Program, Value
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.permutations import (
    inverse,
    normal_axes,
    unsqueezed_axis,
)
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.reading import (
    axes_of,
    is_enclosed,
    is_stored,
    maker_of,
    only_reader,
    permutation_of,
)
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.writing import (
    resize,
    set_attribute,
    write_to,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """How an operator quantizes.

    Attributes:
        per_axis: One scale for each index of an axis; otherwise one scale for all elements.
        axis: That axis, counted from the front.
    """

    per_axis: bool
    axis: int


def quantization_of(op: Op) -> Quantization | None:
    """None where sizes are missing, or scales belong to blocks."""
    scale, source = op.input(1), op.input(0)
    if scale is None or scale.dims is None:
        return None
    if scale.dims in {(), (1,)}:
        return Quantization(per_axis=False, axis=1)
    if source is None or source.rank is None or op.integer("block_size", 0):
        return None
    axes = normal_axes([op.integer("axis", 1)], source.rank)
    return None if axes is None else Quantization(per_axis=True, axis=axes[0])


def dequantizer_of(program: Program, value: Value | None) -> Op | None:
    """The DequantizeLinear, of any domain, that writes a value."""
    maker = maker_of(program, value)
    return maker if maker is not None and maker.op_type == "DequantizeLinear" else None


def dequantizer_of_constant(program: Program, value: Value) -> Op | None:
    """A dequantizer of a constant that has one reader: the constant may change behind it."""
    found = dequantizer_of(program, value)
    source = None if found is None else found.input(0)
    if found is None or source is None or not source.constant or quantization_of(found) is None:
        return None
    alone = is_enclosed(source) and only_reader(program, found.output) is not None
    return found if alone else None


def editable(program: Program, value: Value) -> tuple[Value, Op | None] | None:
    """The constant to change so that `value` changes, and the dequantizer between them."""
    past = None if is_stored(program, value) else dequantizer_of_constant(program, value)
    found = value if past is None else past.input(0)
    if found is None or not is_stored(program, found) or not is_enclosed(found):
        return None
    return found, past


def past_dequantizer(program: Program, value: Value) -> tuple[Op | None, Op | None]:
    """The operator that writes a value, or what a dequantizer reads, and that dequantizer."""
    past = dequantizer_of(program, value)
    if past is None or quantization_of(past) is None:
        return maker_of(program, value), None
    return maker_of(program, past.input(0)), past


def dequantize(program: Program, op: Op, source: Value, place: Callable[[int], int]) -> None:
    """Let a dequantizer read a source of other sizes; `place` says where an axis is in it."""
    found = quantization_of(op)
    axis = place(found.axis) if found is not None and found.per_axis else 1
    program.set_input(op, 0, source)
    set_attribute(program, op, "axis", axis)
    resize(op.output, source.shape, source.dims)


def complete_unit(program: Program, dequantizer: Op) -> bool:
    """Quantize and dequantize again what a Transpose or Unsqueeze made of a dequantized value."""
    mover = only_reader(program, dequantizer.output)
    found = quantization_of(dequantizer)
    source = dequantizer.input(0)
    if mover is None or found is None or source is None:
        return False
    axis = _axis_after(program, mover, found.axis) if found.per_axis else 1
    if axis is None:
        return False
    requantize(program, mover, mover.output, dequantizer, dtype=source.dtype, axis=axis)
    return True


def _axis_after(program: Program, mover: Op, axis: int) -> int | None:
    perm = permutation_of(mover)
    if perm is not None:
        return inverse(perm)[axis]
    axes, source = axes_of(program, mover), mover.input(0)
    if axes is None or source is None or source.rank is None:
        return None
    normal = normal_axes(axes, source.rank + len(axes))
    return None if normal is None else unsqueezed_axis(axis, normal)


def requantize(
    program: Program, op: Op, value: Value, like: Op, *, dtype: str | None, axis: int
) -> None:
    """Insert a quantizer and a dequantizer behind an output, with the scales of another one."""
    bare, narrow = program.value(value), program.value(value, dtype=dtype)
    write_to(op, op.outputs.index(value), bare)
    attributes = {} if axis == 1 else {"axis": axis}
    for op_type, source, target in (
        ("QuantizeLinear", bare, narrow),
        ("DequantizeLinear", narrow, value),
    ):
        program.add(
            op_type,
            [source, *like.inputs[1:3]],
            [target],
            domain=like.domain,
            attributes=attributes,
        )
