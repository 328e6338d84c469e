"""What the transpose optimizer asks about the values of one graph."""

from __future__ import annotations

from mlsys_lint.program import Op, Program, Value
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.permutations import Permutation


def maker_of(program: Program, value: Value | None) -> Op | None:
    """The operator of this graph that writes a value."""
    maker = None if value is None else value.producer
    return maker if maker is not None and maker.program is program else None


def source_of(op: Op) -> Value:
    """The first input."""
    found = op.input(0)
    if found is None:
        raise ValueError(f"{op!r} has no first input")
    return found


def readers_of(program: Program, value: Value) -> list[Op]:
    """The operators of this graph that have a value as input; not those that only hand it inside."""
    found = value.readers if value.home is program else value.inner
    return [op for op in found if op.program is program and value in op.inputs]


def is_enclosed(value: Value) -> bool:
    """True where `readers_of` are all that need a value: it is no result and no body reads it."""
    return not value.is_result and not value.inner


def is_needed(value: Value) -> bool:
    """True while something reads a value, or it is a result."""
    return bool(value.readers) or not is_enclosed(value)


def only_reader(program: Program, value: Value) -> Op | None:
    """The one operator that needs a value, however often it reads it."""
    found = readers_of(program, value) if is_enclosed(value) else []
    return found[0] if len(found) == 1 else None


def is_stored(program: Program, value: Value) -> bool:
    """True for a constant of this graph, of known sizes: it may be changed in place."""
    return value.constant and value.home is program and value.static is not None


def elements(value: Value | None) -> tuple[int, ...] | None:
    """The integers of a constant; None where it is none or they are not known."""
    if value is None or not value.constant or value.array is None:
        return None
    return tuple(int(one) for one in value.array.ravel())


def axes_of(program: Program, op: Op) -> tuple[int, ...] | None:
    """Axes of a Squeeze or Unsqueeze: an input since opset 13."""
    return op.integers("axes") if program.opset < 13 else elements(op.input(1))


def permutation_of(op: Op | None) -> Permutation | None:
    """That of a Transpose that states it; the default order is not optimized (observed)."""
    return op.integers("perm") if op is not None and op.is_a("Transpose") else None
