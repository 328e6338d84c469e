"""Transposing (and unsqueezing) what an operator reads and writes.

Members: a Transpose that nobody reads any more is removed, and its members go to the Transpose
that takes its place; where none does, they are eliminated as `cancelled`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from math import prod
from typing import Final

from mlsys_lint.program import Op, Program, Value
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.permutations import (
    Permutation,
    composed,
    inverse,
    is_identity,
    unsqueezed,
    unsqueezed_axis,
    with_axes,
)
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.quantized import (
    complete_unit,
    dequantize,
    dequantizer_of,
    editable,
    past_dequantizer,
)
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.reading import (
    axes_of,
    is_needed,
    maker_of,
    permutation_of,
    readers_of,
    source_of,
)
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.writing import (
    add_axes_op,
    read_instead,
    resize,
    transpose_sizes,
    transposed_twin,
    write_to,
)

NO_MEMBERS: Final[frozenset[int]] = frozenset()


def cancel(program: Program, members: Iterable[int]) -> None:
    """Note that nodes vanished."""
    for index in members:
        program.eliminated[index] = "cancelled"


def release(program: Program, op: Op) -> frozenset[int]:
    """Remove an operator whose output nobody needs any more; its members are free then."""
    if is_needed(op.output):
        return NO_MEMBERS
    program.remove(op)
    return op.members


def add_transpose(program: Program, source: Value, perm: Permutation) -> Op:
    """A new Transpose of a value."""
    output = transposed_twin(program, source, perm)
    return program.add("Transpose", [source], [output], attributes={"perm": perm})


def transpose_output(
    program: Program,
    op: Op,
    old: Value,
    perm: Permutation,
    members: frozenset[int] = NO_MEMBERS,
) -> None:
    """Let an operator write what a new Transpose turns into the output that it wrote before."""
    new = transposed_twin(program, old, inverse(perm))
    write_to(op, op.outputs.index(old), new)
    program.add("Transpose", [new], [old], attributes={"perm": perm}, members=members)


def transpose_outputs(program: Program, op: Op, perm: Permutation, members: frozenset[int]) -> None:
    """Transpose every output; the first Transpose takes the members."""
    if not is_identity(perm):
        for value in list(op.outputs):
            if value is not None:
                transpose_output(program, op, value, perm, members)
                members = NO_MEMBERS
    cancel(program, members)


def transpose_input(program: Program, op: Op, position: int, perm: Permutation) -> frozenset[int]:
    """Let an operator read an input transposed, with as little work at run time as possible.

    A constant is transposed in place, a Transpose before it is cancelled or merged, one beside it
    is shared; otherwise a new one is added.

    Returns:
        Members of a Transpose that was cancelled and that nobody reads any more.
    """
    source = op.inputs[position]
    if source is None:
        return NO_MEMBERS
    stored = editable(program, source)
    if stored is not None:
        _transpose_stored(program, op, position, perm, stored)
        return NO_MEMBERS
    program.set_input(op, position, None)
    before, past = past_dequantizer(program, source)
    own = permutation_of(before)
    if before is not None and own is not None and len(own) == len(perm):
        unmoved = source_of(before)
        if own == inverse(perm):
            if past is not None:
                dequantize(program, past, unmoved, own.__getitem__)
            program.set_input(op, position, unmoved if past is None else past.output)
            return release(program, before)
        if past is None:
            merged = add_transpose(program, unmoved, composed(own, perm))
            merged.members = release(program, before)
            program.set_input(op, position, merged.output)
            return NO_MEMBERS
    program.set_input(op, position, _transposed(program, source, perm))
    return NO_MEMBERS


def _transposed(program: Program, source: Value, perm: Permutation) -> Value:
    """The output of a Transpose that there is, or of a new one."""
    for reader in readers_of(program, source):
        if permutation_of(reader) == perm:
            return reader.output
    made = add_transpose(program, source, perm)
    dequantizer = dequantizer_of(program, source)
    if dequantizer is not None:
        output = made.output
        complete_unit(program, dequantizer)
        return output
    return made.output


def _transpose_stored(
    program: Program,
    op: Op,
    position: int,
    perm: Permutation,
    stored: tuple[Value, Op | None],
) -> None:
    value, past = stored
    if prod(value.static or ()) == 1:
        return
    reader, place = (op, position) if past is None else (past, 0)
    program.set_input(reader, place, None)
    others = readers_of(program, value)
    if others:
        same = program.value(value, array=value.array)
        program.add("Transpose", [value], [same], attributes={"perm": inverse(perm)})
        read_instead(program, others, value, same)
    transpose_sizes(value, perm)
    program.set_input(reader, place, value)
    if past is not None:
        dequantize(program, past, value, inverse(perm).__getitem__)


def unsqueeze_input(program: Program, op: Op, position: int, axes: tuple[int, ...]) -> None:
    """Let an operator read an input with more axes, of size 1.

    A constant is reshaped in place, a Squeeze before it is cancelled; otherwise an Unsqueeze is
    added, before a Transpose where there is one.
    """
    source = op.inputs[position]
    if source is None:
        return
    stored = editable(program, source)
    if stored is not None:
        _unsqueeze_stored(program, op, position, axes, stored)
        return
    program.set_input(op, position, None)
    before, past = past_dequantizer(program, source)
    if before is not None and before.is_a("Squeeze") and axes_of(program, before) == axes:
        whole = source_of(before)
        if past is not None:
            dequantize(program, past, whole, partial(unsqueezed_axis, axes=axes))
        program.set_input(op, position, whole if past is None else past.output)
        cancel(program, release(program, before))
        return
    program.set_input(op, position, _unsqueezed(program, source, axes))


def _unsqueezed(program: Program, source: Value, axes: tuple[int, ...]) -> Value:
    """The output of a new Unsqueeze, moved before the Transpose that the source comes from."""
    made = add_axes_op(program, "Unsqueeze", source, axes)
    output = made.output
    _grow(output, axes)
    perm = permutation_of(maker_of(program, source))
    if perm is not None:
        freed = transpose_input(program, made, 0, inverse(perm))
        transpose_output(program, made, output, with_axes(perm, axes), freed)
        return output
    dequantizer = dequantizer_of(program, source)
    if dequantizer is not None:
        complete_unit(program, dequantizer)
    return output


def _unsqueeze_stored(
    program: Program,
    op: Op,
    position: int,
    axes: tuple[int, ...],
    stored: tuple[Value, Op | None],
) -> None:
    value, past = stored
    reader, place = (op, position) if past is None else (past, 0)
    program.set_input(reader, place, None)
    others = readers_of(program, value)
    if others:
        undo = add_axes_op(program, "Squeeze", value, axes)
        read_instead(program, others, value, undo.output)
    _grow(value, axes)
    program.set_input(reader, place, value)
    if past is not None:
        dequantize(program, past, value, partial(unsqueezed_axis, axes=axes))


def _grow(value: Value, axes: tuple[int, ...]) -> None:
    shape = None if value.shape is None else unsqueezed(value.shape, axes, 1)
    resize(value, shape, None if value.dims is None else unsqueezed(value.dims, axes, 1))
