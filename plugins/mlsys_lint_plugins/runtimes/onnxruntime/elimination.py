"""Operators that change nothing: identities, whole slices, casts to the same type."""

from __future__ import annotations

from typing import Final

import numpy as np

from mlsys_lint.program import Op, Program, Rule, Value, bypass, rule

_TO_THE_END: Final = np.iinfo(np.int64).max


@rule("EliminateIdentity", "Identity")
def identity(program: Program, op: Op) -> bool:
    """Identity of anything; one that hands an input or a constant to a graph output stays."""
    source = op.input(0)
    return source is not None and not op.domain and bypass(program, op, source, "identity")


def _skip(program: Program, op: Op, source: Value) -> bool:
    """Let readers read what the operator reads.

    Unlike Identity, others stay where a graph's input meets their readers or they write its output
    (observed): ONNX Runtime removes them along an edge between two operators.
    """
    alone = sum(value is not None for value in op.inputs) == 1
    if op.output.is_result or not (alone or source.producer is not None):
        return False
    return bypass(program, op, source, "identity")


@rule("EliminateDropout", "Dropout")
def dropout(program: Program, op: Op) -> bool:
    """Dropout whose mask nobody reads, even where a constant asks for training (observed)."""
    source, mask = op.input(0), op.outputs[1] if len(op.outputs) > 1 else None
    if source is None or (mask is not None and mask.uses):
        return False
    training = op.input(2)
    if training is not None and not training.constant:
        return False
    op.outputs = op.outputs[:1]
    return _skip(program, op, source)


@rule("EliminateSlice", "Slice")
def whole_slice(program: Program, op: Op) -> bool:
    """Slice from 0 to INT64_MAX in steps of 1; an end that equals the size is kept (observed)."""
    source = op.input(0)
    starts, ends, steps = _slice_bounds(op)
    if source is None or not starts or not ends:
        return False
    whole = all(one == 0 for one in starts) and all(one == _TO_THE_END for one in ends)
    return whole and all(one == 1 for one in steps) and _skip(program, op, source)


def _slice_bounds(op: Op) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Starts, ends and steps; empty where they are not constant."""
    if starts := op.integers("starts"):
        return starts, op.integers("ends") or (), ()
    found = [_integers(op.input(position)) for position in (1, 2, 4)]
    if op.input(4) is not None and not found[2]:
        return (), (), ()
    return found[0], found[1], found[2]


def _integers(value: Value | None) -> tuple[int, ...]:
    if value is None or not value.constant or value.array is None:
        return ()
    return tuple(int(one) for one in value.array.ravel())


@rule("ExpandElimination", "Expand")
def expand(program: Program, op: Op) -> bool:
    """Expand to the input's own shape, or to ones."""
    source, target = op.input(0), op.input(1)
    if source is None or target is None or source.dims is None:
        return False
    sizes = _integers(target)
    if not sizes or len(sizes) > len(source.dims):
        return False
    tail = source.dims[len(source.dims) - len(sizes) :]
    same = all(size in (1, dim) for size, dim in zip(sizes, tail, strict=True))
    return same and _skip(program, op, source)


@rule("UnsqueezeElimination", "Unsqueeze")
def unsqueeze(program: Program, op: Op) -> bool:
    """Unsqueeze of a stored tensor becomes a stored tensor."""
    source = op.input(0)
    if source is None or not source.constant or op.output.is_result:
        return False
    program.fold(op)
    return True


@rule("CastElimination", "Cast")
def cast(program: Program, op: Op) -> bool:
    """Cast to the type that the input has."""
    source = op.input(0)
    if source is None or source.dtype is None or source.dtype != op.output.dtype:
        return False
    return _skip(program, op, source)


_NEUTRAL: Final = {"Add": 0.0, "Sub": 0.0, "Mul": 1.0, "Div": 1.0}


@rule("NoopElimination", *_NEUTRAL)
def noop(program: Program, op: Op) -> bool:
    """Adding or taking 0, multiplying or dividing by 1: x + 0, x - 0, x * 1, x / 1 with a scalar constant."""
    one, other = op.input(0), op.input(1)
    if one is None or other is None:
        return False
    pairs = [(one, other)]
    if op.op_type in ("Add", "Mul"):
        pairs.append((other, one))
    for kept, constant in pairs:
        if constant.number() == _NEUTRAL[op.op_type] and not kept.constant:
            if (constant.rank or 0) > (kept.rank or 0):
                continue
            return _skip(program, op, kept)
    return False


RULES: Final[tuple[Rule, ...]] = (
    identity,
    whole_slice,
    unsqueeze,
    dropout,
    expand,
    cast,
    noop,
)
