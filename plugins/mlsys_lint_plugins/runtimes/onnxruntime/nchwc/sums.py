"""Sums of blocked values: in a convolution, on the blocked values, or between Reshapes."""

from __future__ import annotations

from collections.abc import Sequence

from mlsys_lint.program import Op, Program, Value
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.layout import Blocked, Layout
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.origins import same_size
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.sizes import broadcast, joined, padded, split


def add(layout: Layout, op: Op) -> None:
    """Add or Sum of blocked values with equally many channels.

    Where all sizes are provably equal, a bare convolution that only a sum of two reads adds the
    other operand; that of the first operand is tried first.
    """
    parts = layout.of_all(op)
    if parts is None or any(one.channels != parts[0].channels for one in parts):
        return
    if not all_equal(op, parts):
        _add_split(layout, op, parts)
        return
    for into, other in zip(parts, reversed(parts), strict=True) if len(parts) == 2 else ():
        if into.is_bare and into.uses == 1 and into.op.input(3) is None:
            layout.program.set_input(into.op, 3, other.value)
            layout.absorb(into, [op])
            return
    keep_all(layout, op, parts)


def all_equal(op: Op, parts: Sequence[Blocked]) -> bool:
    """Whether all sizes of what an operator reads are provably those of the first."""
    values = [value for value in op.inputs if value is not None]
    return all(
        same_size((values[0], value), (parts[0].origins, part.origins), axis)
        for value, part in zip(values[1:], parts[1:], strict=True)
        for axis in range(4)
    )


def keep_all(layout: Layout, op: Op, parts: Sequence[Blocked]) -> None:
    """Let an operator work on blocked values of equal sizes."""
    layout.read(op, parts)
    dims = broadcast([one.value.dims for one in parts])
    layout.keep(op, parts[0].channels, dims, parts[0].origins)


def _add_split(layout: Layout, op: Op, parts: Sequence[Blocked]) -> None:
    """Add values (N, C / block, H, W, block): so they broadcast as the plain ones would."""
    program, block, plain = layout.program, layout.block, op.output
    channels = padded(parts[0].channels, block)
    for position, one in enumerate(parts):
        made = _split(program, one.value, channels)
        program.add("Reshape", [one.value, layout.target(plain, 0, -1, 0, 0, block)], [made])
        program.set_input(op, position, made)
    twin = layout.twin(plain, channels)
    total = _split(program, twin, channels)
    total.dims = broadcast([None if value is None else value.dims for value in op.inputs])
    layout.rewrite(op, total)
    join = program.add("Reshape", [total, layout.target(plain, 0, -1, 0, 0)], [twin])
    layout.register(join, plain, parts[0].channels, joined(total.dims, channels))


def _split(program: Program, value: Value, channels: int) -> Value:
    made = program.value(value)
    made.shape = split(value.shape, channels, program.block)
    made.dims = split(value.dims, channels, program.block)
    return made
