"""What is computed once at load: constants, sizes, equal operators."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

import numpy as np

from mlsys_lint.program import Op, Program, Sweep, Value, absorb
from mlsys_lint_plugins.runtimes.onnxruntime.cpu_kernels import runs_as_typed

_RANDOM: Final = frozenset(
    {
        *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
        *("Bernoulli", "Multinomial"),
    }
)
_NEVER_FOLDED: Final = _RANDOM | {"DequantizeLinear", "If", "Loop", "Scan"}
"""QDQ pairs are kept for the quantization rules."""
_SHARED_ELEMENTS: Final = 8
"""Elements up to which equal stored tensors become one (observed)."""
_SHARED_TYPES: Final = frozenset({"float", "float16", "double", "int32", "int64"})


def share_constants(program: Program) -> bool:
    """Small equal constants become one; those that bodies read stay.

    Constants that folding makes later are never compared (observed).
    """
    first: dict[Hashable, Value] = {}
    for op in program.order():
        for value in op.inputs:
            if value is None or not value.constant or value.inner or value.is_result:
                continue
            array = value.array
            if array is None or array.size > _SHARED_ELEMENTS:
                continue
            if value.dtype in _SHARED_TYPES:
                twin = first.setdefault((value.dtype, value.dims, array.tobytes()), value)
                if twin is not value:
                    program.replace(value, twin)
    return False  # nothing that another rule waits for


def fold_constants(program: Program) -> bool:
    """Fold what reads constants only, and the sizes that the file states, in execution order."""
    changed = False
    for op in program.order():
        if op.is_a("If") and op.bodies:
            changed |= _decide(program, op)
        if op.op_type in _NEVER_FOLDED or op.bodies:
            continue
        if op.op_type == "Shape" and not op.domain:
            if _known_size(op):
                program.fold(op, "shape")
                changed = True
            continue
        values = [value for value in op.inputs if value is not None]
        if not all(value.static is not None for value in op.outputs if value is not None):
            continue  # how large the result is shows only when it is computed (observed)
        if all(value.constant for value in values) and (values or _is_literal(op)):
            if not runs_as_typed(op):
                continue  # half precision, mostly: it is computed in every run (observed)
            program.fold(op)
            changed = True
    return changed


def _decide(program: Program, op: Op) -> bool:
    """Put the branch of a constant condition in the place of its If."""
    condition = op.input(0)
    chosen = condition.number() if condition is not None else None
    body = op.bodies.get("then_branch" if chosen else "else_branch")
    if chosen is None or body is None:
        return False
    absorb(program, op, body)
    return True


def _is_literal(op: Op) -> bool:
    return op.op_type in ("Constant", "EyeLike", "Range") and not op.domain


def _known_size(op: Op) -> bool:
    """True where the file states every size of Shape's input, even of those not asked for."""
    source = op.input(0)
    sizes = source.static if source is not None else None
    if sizes is None:
        return False
    end = op.attributes.get("end")
    wanted = sizes[op.integer("start", 0) : end if isinstance(end, int) else None]
    op.output.array = np.asarray(wanted, np.int64)
    return True


def merge_equal(program: Program) -> bool:
    """Common subexpressions: one operator for equal type, attributes and inputs.

    An operator whose output is a graph result is no duplicate of another such (observed).
    """
    seen: dict[Hashable, Op] = {}
    changed = False
    for op in program.order():
        if op.bodies or op.op_type in _NEVER_FOLDED:
            continue
        key = _key(op)
        twin = seen.get(key)
        if twin is None or len(twin.outputs) != len(op.outputs):
            seen.setdefault(key, op)
            continue
        if any(value is not None and value.is_result for value in op.outputs):
            continue
        program.drop(op, "duplicate")
        for old, new in zip(op.outputs, twin.outputs, strict=True):
            if old is not None and new is not None:
                program.replace(old, new)
        changed = True
    return changed


def _key(op: Op) -> Hashable:
    attributes = tuple(sorted((name, _plain(item)) for name, item in op.attributes.items()))
    return op.domain, op.op_type, tuple(op.inputs), attributes


def _plain(item: object) -> str:
    """Attributes as text: they hold numbers of several types, which do not compare."""
    return repr(item)


CONSTANT_FOLDING: Final = Sweep(name="ConstantFolding", run=fold_constants)
SHARING: Final = (Sweep(name="ConstantSharing", run=share_constants, once=True),)
COMMON_SUBEXPRESSIONS: Final = Sweep(name="CommonSubexpressionElimination", run=merge_equal)
