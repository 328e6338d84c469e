"""ONNX Runtime's transpose optimizer: one sweep over the operators in execution order.

A Transpose before an operator moves behind it where that is cheaper, until it meets its inverse
or an operator that it cannot pass (onnx_transpose_optimization.cc; 1.32.0 where observed).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mlsys_lint.program import Op, Program, Value
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.costs import Leading, favoured, pays
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.permutations import Permutation
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.pushing import Push
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.reading import (
    is_enclosed,
    maker_of,
    permutation_of,
    source_of,
)
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.repairs import repair_units
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.table import mover_of

_OLDEST_OPSET: Final = 7
_NONE: Final[frozenset[Permutation]] = frozenset()


def optimize_transposes(program: Program, *, cpu: bool = False) -> bool:
    """Move Transposes through the operators of a graph, not of its bodies.

    Args:
        program: The graph.
        cpu: The operators have their kernels already, those of the CPU: Resize and 8-bit MaxPool
            take a Transpose then.

    Returns:
        True when something changed.
    """
    dequantizes = program.types["DequantizeLinear"] > 0
    if program.opset < _OLDEST_OPSET or not (dequantizes or program.types["Transpose"] > 0):
        return False
    order = program.order()
    leading = _leading(order)
    changed = False
    for op in order:
        changed |= _visit(program, op, leading, cpu=cpu)
    return repair_units(program) or changed if dequantizes else changed


def _leading(order: Sequence[Op]) -> dict[Value, frozenset[Permutation]]:
    """Values from which operators that a Transpose passes lead to a Transpose.

    Each with the permutations of the Transposes that it reaches as it is: no operator between them
    changes the rank, and nothing else needs a value between them as a result.
    """
    found: dict[Value, frozenset[Permutation]] = {}
    for op in reversed(order):
        if op.is_a("Transpose"):
            perm = permutation_of(op)
            _note(found, source_of(op), _NONE if perm is None else frozenset({perm}))
            continue
        mover = mover_of(op)
        outputs = [value for value in op.outputs if value in found]
        if mover is None or not mover.transposes_outputs or not outputs:
            continue
        for source in [op.input(position) for position in mover.inputs(op)]:
            if source is not None:
                _note(found, source, *(_reached(found, source, value) for value in outputs))
    return found


def _note(
    found: dict[Value, frozenset[Permutation]], value: Value, *perms: frozenset[Permutation]
) -> None:
    found[value] = found.get(value, _NONE).union(*perms)


def _reached(
    found: Mapping[Value, frozenset[Permutation]], source: Value, output: Value | None
) -> frozenset[Permutation]:
    if output is None or output.rank != source.rank or not is_enclosed(output):
        return _NONE
    return found[output]


def _visit(program: Program, op: Op, leading: Leading, *, cpu: bool) -> bool:
    """Move the first Transpose before an operator that can and should move through it."""
    mover = mover_of(op)
    if mover is None:
        return False
    for position, value in enumerate(list(op.inputs)):
        transpose = maker_of(program, value)
        perm = permutation_of(transpose)
        inputs = mover.inputs(op)
        if transpose is None or perm is None or position not in inputs:
            continue
        push = Push(program=program, transpose=transpose, op=op, perm=perm, inputs=inputs, cpu=cpu)
        if not (cpu and favoured(op)) and not pays(push, mover, leading):
            continue
        if mover.handle(push):
            return True
    return False
