"""Small changes to a program: values with other sizes, operators between a value and its readers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlsys_lint.program import Dim, Op, Program, Value
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.permutations import Permutation, permuted
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.reading import readers_of


def resize(value: Value, shape: tuple[int, ...] | None, dims: tuple[Dim, ...] | None) -> None:
    """Give a value other sizes; elements that are known keep their order."""
    value.shape, value.dims = shape, dims
    if value.array is not None and shape is not None:
        value.array = value.array.reshape(shape)


def transpose_sizes(value: Value, perm: Permutation) -> None:
    """Let a value hold its transposed elements."""
    array = value.array
    value.array = None
    shape = None if value.shape is None else permuted(value.shape, perm)
    resize(value, shape, None if value.dims is None else permuted(value.dims, perm))
    if array is not None and array.ndim == len(perm):
        value.array = array.transpose(perm)


def transposed_twin(program: Program, value: Value, perm: Permutation) -> Value:
    """A new value with the elements of another one, transposed."""
    twin = program.value(value, array=value.array)
    transpose_sizes(twin, perm)
    return twin


def integers(program: Program, like: Value, numbers: Sequence[int], dtype: str = "int64") -> Value:
    """A new constant: a list of integers."""
    array = np.asarray(numbers, dtype)
    return program.value(like, shape=(len(numbers),), dtype=dtype, constant=True, array=array)


def set_attribute(program: Program, op: Op, name: str, value: int | tuple[int, ...]) -> None:
    """Change one attribute; the operator keeps its place in the node list."""
    program.retype(op, op.op_type, op.domain, {**op.attributes, name: value})


def write_to(op: Op, position: int, value: Value) -> None:
    """Let an operator write another value at a position."""
    op.outputs[position] = value
    op.node = None
    value.producer = op


def read_instead(program: Program, ops: Sequence[Op], old: Value, new: Value) -> None:
    """Let operators read another value wherever they read the old one."""
    for op in ops:
        for position, value in enumerate(op.inputs):
            if value is old:
                program.set_input(op, position, new)


def replace_readers(program: Program, old: Value, new: Value) -> None:
    """Let every operator of this graph read another value."""
    read_instead(program, readers_of(program, old), old, new)


def add_axes_op(program: Program, op_type: str, source: Value, axes: tuple[int, ...]) -> Op:
    """A Squeeze or Unsqueeze whose output has the sizes of its source until they are set."""
    output = program.value(source, array=source.array)
    if program.opset < 13:
        return program.add(op_type, [source], [output], attributes={"axes": axes})
    return program.add(op_type, [source, integers(program, source, axes)], [output])
