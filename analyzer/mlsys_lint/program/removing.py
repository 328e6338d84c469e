"""Operators that go: bypassed by what they read, or replaced by their body."""

from __future__ import annotations

from collections.abc import Sequence

from mlsys_lint.program.graph import Program
from mlsys_lint.program.ops import Op
from mlsys_lint.program.values import Value


def bypass(program: Program, op: Op, source: Value, reason: str) -> bool:
    """Remove an operator whose only output equals `source`; False where both ends are fixed.

    Readers read the source; a graph output becomes the producer's output instead, for which the
    source must have a producer in the program and no other use.
    """
    output = op.only_output
    if output is None:
        return False
    if not output.is_result:
        program.drop(op, reason)
        program.replace(output, source)
        return True
    producer = source.producer
    if producer is None or producer.program is not program or source.uses != 1:
        return False
    program.drop(op, reason)
    program.replace(source, output)
    producer.outputs = [output if value is source else value for value in producer.outputs]
    producer.node = None
    output.producer, source.producer = producer, None
    return True


def absorb(program: Program, op: Op, body: Program) -> None:
    """Put a body in the place of its owner, its operators at the end of the list."""
    inner = [body.ops[index] for index in sorted(body.ops)]
    program.drop(op, "inlined")
    program.eliminated.update(body.eliminated)
    for one in inner:
        body.remove(one)
    for value in {value for one in inner for value in (*one.reads(), *one.outputs) if value}:
        if value.home is body:
            value.home = program
    for result, outer in zip(body.results, op.outputs, strict=False):
        if outer is not None:
            _rename(program, inner, result, outer)
    for one in inner:
        program.append(one)


def _rename(program: Program, ops: Sequence[Op], old: Value, new: Value) -> None:
    """Let operators that stand in no graph write and read another value."""
    old.is_result = False
    for op in ops:
        op.inputs = [new if value is old else value for value in op.inputs]
        op.implicit = [new if value is old else value for value in op.implicit]
        op.outputs = [new if value is old else value for value in op.outputs]
    if not any(new in op.outputs for op in ops):  # a stored tensor, or one from around
        program.replace(new, old)
