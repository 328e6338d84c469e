"""Gathers and slices that together take a tensor apart, and a Gather of consecutive indices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from mlsys_lint.program import Dim, Op, Program, Rule, Sweep, Value, rule
from mlsys_lint_plugins.runtimes.onnxruntime.matching import is_scalar

_OPSET_WITH_INPUTS: Final = 13
"""Squeeze, Unsqueeze and Split take axes and sizes as inputs from here on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """The part of an axis that an operator takes: from `start` up to `end`, 0 <= start < end."""

    op: Op
    start: int
    end: int
    drops_axis: bool = False


def split_apart(program: Program) -> bool:
    """Turn operators that take one tensor apart into one Split, and a Squeeze for each scalar index.

    All Gathers and Slices that read the tensor have constant int64 bounds on one axis of known
    size, which they cover without overlap; other operators may read it too. The tensor is no result
    of Shape, of an operator with several outputs, nor of the graph (observed). Opset 13 and later.
    """
    pieces = program.types["Gather"] + program.types["Slice"]
    if program.opset < _OPSET_WITH_INPUTS or pieces < 2:
        return False
    changed = [_split(program, value) for value in _candidates(program)]
    return any(changed)


def _candidates(program: Program) -> Iterator[Value]:
    """Values with several readers: the graph's inputs, then results in execution order."""
    order = program.order()
    read = {value for op in order for value in op.reads() if value.home is program}
    inputs = [value for value in read if value.producer is None and not value.constant]
    results = [op.output for op in order if len(op.outputs) == 1 and op.op_type != "Shape"]
    for value in [*sorted(inputs, key=lambda value: value.uid), *results]:
        if value.uses > 1 and not value.is_result:
            yield value


def _split(program: Program, value: Value) -> bool:
    takers = [op for op in value.readers if op.inputs and op.inputs[0] is value]
    takers = [op for op in takers if op.is_a("Gather") or op.is_a("Slice")]
    if len(takers) < 2 or value.dims is None:
        return False
    axis = _axis(takers[0], len(value.dims))
    size = value.dims[axis] if axis is not None else None
    if axis is None or not isinstance(size, int):
        return False
    found = [_piece(op, axis, len(value.dims), size) for op in takers]
    pieces = sorted((one for one in found if one is not None), key=lambda one: one.start)
    ends = [0, *(one.end for one in pieces)]
    if len(pieces) < len(takers) or [one.start for one in pieces] != ends[:-1] or ends[-1] != size:
        return False
    _replace(program, value, axis, pieces)
    return True


def _axis(op: Op, rank: int) -> int | None:
    axis = op.integer("axis", 0) if op.is_a("Gather") else _integer(op.input(3))
    return axis + rank if axis is not None and axis < 0 else axis


def _integer(value: Value | None) -> int | None:
    """The only element of an int64 constant with at most one axis."""
    if value is None or not is_scalar(value) or value.dtype != "int64" or value.array is None:
        return None
    return int(value.array.item())


def _piece(op: Op, axis: int, rank: int, size: int) -> _Piece | None:
    """What an operator takes of the axis; None where that is not a constant range of it."""
    if _axis(op, rank) != axis:
        return None
    first = _integer(op.input(1))
    if first is None:
        return None
    start = first + size if first < 0 else first
    if op.is_a("Gather"):
        index = op.input(1)
        drops = index is not None and index.dims == ()
        fits = 0 <= start < size
        return _Piece(op=op, start=start, end=start + 1, drops_axis=drops) if fits else None
    last = _integer(op.input(2))
    if last is None or (len(op.inputs) > 4 and _integer(op.input(4)) != 1):
        return None
    start, end = (min(max(one, 0), size) for one in (start, last + size if last < 0 else last))
    return _Piece(op=op, start=start, end=end) if start < end else None


def _replace(program: Program, value: Value, axis: int, pieces: list[_Piece]) -> None:
    """Squeezes first, then the Split: in this order ONNX Runtime numbers them."""
    for one in pieces:
        program.remove(one.op)
    outputs: list[Value] = []
    for one in pieces:
        written = one.op.output
        if one.drops_axis:
            part = _part(program, value, axis)
            program.add("Squeeze", [part, _constant(program, value, axis)], [written])
            written = part
        outputs.append(written)
    program.add(
        "Split",
        [value, _constant(program, value, *(one.end - one.start for one in pieces))],
        outputs,
        attributes={"axis": axis},
        members=frozenset().union(*(one.op.members for one in pieces)),
    )


def _part(program: Program, value: Value, axis: int) -> Value:
    """A part of size 1."""
    dims: list[Dim] = list(value.dims or ())
    dims[axis] = 1
    shape = None
    if value.shape is not None:
        shape = (*value.shape[:axis], 1, *value.shape[axis + 1 :])
    return program.value(value, shape=shape, dims=tuple(dims))


def _constant(program: Program, like: Value, *numbers: int) -> Value:
    """A stored vector of int64."""
    array = np.array(numbers, np.int64)
    return program.value(like, shape=array.shape, dtype="int64", constant=True, array=array)


@rule("GatherToSliceFusion", "Range")
def gather_to_slice(program: Program, op: Op) -> bool:
    """Gather of a Range that nothing else reads: Slice, with an Unsqueeze for each of its bounds.

    The bounds are scalars, and constant or not; nothing folds the Unsqueeze of a constant here.
    """
    gather = op.output.only_reader
    if gather is None or not gather.is_a("Gather") or gather.input(1) is not op.output:
        return False
    start, end, step = [_unsqueeze(program, one) for one in op.inputs if one is not None]
    axes = _constant(program, op.output, gather.integer("axis", 0))
    program.fuse([op, gather], "Slice", [gather.input(0), start, end, axes, step])
    return True


def _unsqueeze(program: Program, scalar: Value) -> Value:
    """The scalar as a vector."""
    vector = program.value(scalar, shape=(1,))
    if program.opset < _OPSET_WITH_INPUTS:
        program.add("Unsqueeze", [scalar], [vector], attributes={"axes": (0,)})
    else:
        program.add("Unsqueeze", [scalar, _constant(program, scalar, 0)], [vector])
    return vector


SPLIT: Final[tuple[Sweep, ...]] = (Sweep(name="GatherSliceToSplitFusion", run=split_apart),)
SLICE: Final[tuple[Rule, ...]] = (gather_to_slice,)
