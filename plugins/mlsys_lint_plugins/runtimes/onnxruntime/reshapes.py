"""Shape arithmetic that ends in a Reshape, and slices that become a rearrangement."""

from __future__ import annotations

from typing import Final

import numpy as np

from mlsys_lint.program import Op, Program, Rule, Value, rule

_VIEWS: Final = frozenset({"Reshape", "Squeeze", "Unsqueeze"})


@rule("ReshapeFusion", "Reshape")
def reshape(program: Program, op: Op) -> bool:
    """A computed shape becomes a stored one; then Reshapes in a row become one."""
    if op.domain or op.integer("allowzero", 0):
        return False
    changed = _stored_shape(program, op)
    return _in_a_row(program, op) or changed


def _stored_shape(program: Program, op: Op) -> bool:
    """Concat of sizes of the reshaped tensor, each in its own place, of constants and one unknown.

    The size of axis i at position i is written 0, what is not known -1 (once at most).
    """
    source, target = op.input(0), op.input(1)
    concat = target.producer if target is not None else None
    if source is None or target is None or concat is None or target.only_reader is not op:
        return False
    sizes = _sizes(concat, source) if concat.is_a("Concat") else None
    if sizes is None:
        return False
    program.set_input(op, 1, _constant(program, target, sizes))
    _prune(program, concat)
    return True


def _sizes(concat: Op, source: Value) -> list[int] | None:
    """What the joined pieces say as a stored shape; None where it can't be written so."""
    sizes: list[int] = []
    for piece in concat.inputs:
        if piece is None or (piece.constant and piece.array is None):
            return None
        if piece.constant and piece.array is not None:
            sizes += [int(one) for one in piece.array.ravel()]
        elif _is_size(piece, source, len(sizes)):
            sizes.append(0)
        elif piece.dims == (1,):
            sizes.append(-1)
        else:
            return None
    return sizes if sizes.count(-1) <= 1 else None


def _is_size(piece: Value, source: Value, axis: int) -> bool:
    """True for the size of an axis: Shape, Gather, and perhaps Unsqueeze (Slice is not seen).

    Shape may be that of another tensor whose sizes are known to be the same (observed).
    """
    op = piece.producer
    if op is not None and op.is_a("Unsqueeze"):
        op = op.inputs[0].producer if op.inputs[0] is not None else None
    if op is None or not op.is_a("Gather"):
        return False
    index, shape = op.input(1), op.inputs[0].producer if op.inputs[0] is not None else None
    if index is None or index.number() != axis or shape is None or not shape.is_a("Shape"):
        return False
    measured = shape.input(0)
    if measured is source:
        return True
    dims = measured.dims if measured is not None else None
    return dims is not None and None not in dims and dims == source.dims


def _prune(program: Program, op: Op) -> None:
    """Remove an operator that nobody reads any more, and what fed only it."""
    if any(value is not None and value.uses for value in op.outputs):
        return
    program.drop(op, "shape")
    for value in op.inputs:
        if value is not None and value.producer is not None and len(value.producer.outputs) == 1:
            _prune(program, value.producer)


def _in_a_row(program: Program, op: Op) -> bool:
    """Reshape and the views that alone follow it become one Reshape, where the sizes are static."""
    row = [op]
    while (after := row[-1].output.only_reader) is not None:
        if after.domain or after.op_type not in _VIEWS or after.input(0) is not row[-1].output:
            break
        if after.integer("allowzero", 0):
            break
        if len(after.outputs) != 1 or after.output.static is None:
            break
        row.append(after)
    if len(row) < 2:
        return False
    shape = _constant(program, row[-1].output, list(row[-1].output.static or ()))
    program.fuse(row, "Reshape", [op.input(0), shape])
    return True


def _constant(program: Program, like: Value, sizes: list[int]) -> Value:
    return program.value(
        like,
        shape=(len(sizes),),
        dtype="int64",
        constant=True,
        array=np.asarray(sizes, np.int64),
    )


RULES: Final[tuple[Rule, ...]] = (reshape,)
"""Level 1: ReshapeFusion."""


@rule("SliceConcatToSpaceToDepthFusion", "Concat")
def space_to_depth(program: Program, op: Op) -> bool:
    """Four Slices of every other row and column, joined along the channels (YOLO's focus).

    Slices are direct (both axes at once) or come in two steps. Another order of the four phases
    than DepthToSpace's adds a Gather (ONNX Runtime 1.32.0, observed).
    """
    if op.integer("axis", 1) != 1 or len(op.inputs) != 4:
        return False
    found = [_phase(value) for value in op.inputs]
    if any(one is None for one in found):
        return False
    phases = [(one[1], one[2]) for one in found if one is not None]
    sources = {one[0] for one in found if one is not None}
    if sorted(phases) != [(0, 0), (0, 1), (1, 0), (1, 1)] or len(sources) != 1:
        return False
    (source,) = sources
    slices = list(dict.fromkeys(slice_ for one in found if one is not None for slice_ in one[3]))
    if not all(set(one.output.readers) <= {*slices, op} for one in slices):
        return False
    ordered = phases == sorted(phases)
    output = op.output if ordered else program.value(op.output)
    program.fuse(
        [*slices, op],
        "SpaceToDepth",
        [source],
        [output],
        attributes={"blocksize": 2},
    )
    if not ordered:
        index = _constant(program, op.output, [0])
        program.add("Gather", [output, index], [op.output], attributes={"axis": 1})
    return True


def _phase(value: Value | None) -> tuple[Value, int, int, tuple[Op, ...]] | None:
    """Source, first row, first column and the Slices, of every other element of axes 2 and 3."""
    steps: list[Op] = []
    starts: dict[int, int] = {}
    while value is not None and value.producer is not None and value.producer.is_a("Slice"):
        op = value.producer
        found = _stride_two(op)
        if found is None or value.is_result or starts.keys() & found.keys():
            break
        starts |= found
        steps.insert(0, op)
        value = op.input(0)
    if value is None or starts.keys() != {2, 3} or value.dtype != "float":
        return None
    return value, starts[2], starts[3], tuple(steps)


def _stride_two(op: Op) -> dict[int, int] | None:
    """Axis -> first index, of a Slice that takes every other element."""
    found = [op.input(position) for position in (1, 3, 4)]
    arrays = [None if one is None or not one.constant else one.array for one in found]
    starts, axes, steps = arrays
    if starts is None or axes is None or steps is None or any(one != 2 for one in steps.ravel()):
        return None
    pairs = zip(axes.ravel(), starts.ravel(), strict=True)
    return {int(axis): int(start) for axis, start in pairs}


SPACE_TO_DEPTH: Final[tuple[Rule, ...]] = (space_to_depth,)
"""Level 1: SliceConcatToSpaceToDepthFusion."""
