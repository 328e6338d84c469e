"""Layer normalization in its spellings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mlsys_lint.program import Dim, Op, Program, Rule, Value, rule
from mlsys_lint_plugins.runtimes.onnxruntime.matching import (
    child,
    follower,
    is_internal,
    other_input,
    parent,
    producer,
)

_OPSET_WITH_LAYER_NORM: Final = 17
_BEFORE_ASSIGNMENT: Final = frozenset({"float", "float16"})
"""At level 1 no operator has a provider yet; what has no kernel in half precision is fused too."""


@rule("LayerNormFusionL1", "ReduceMean")
def early_layer_norm(program: Program, op: Op) -> bool:
    """Where the opset has LayerNormalization."""
    early = program.opset >= _OPSET_WITH_LAYER_NORM
    return early and _layer_norm(program, op, _BEFORE_ASSIGNMENT)


@rule("LayerNormFusionL2", "ReduceMean")
def late_layer_norm(program: Program, op: Op) -> bool:
    """Where it has none: ONNX Runtime's own has the same name and domain."""
    late = program.opset < _OPSET_WITH_LAYER_NORM
    return late and _layer_norm(program, op, program.floats)


def _layer_norm(program: Program, mean: Op, dtypes: frozenset[str]) -> bool:
    """Fuse d = x - mean(x), d / sqrt(mean(Pow(d, 2)) + epsilon) * scale + bias over the last axis.

    Scale and bias need one axis, of the same size, but need not be constant; epsilon is a constant
    number. Neither the exponent nor the order of Sub, Pow and Div is looked at (observed).
    Casts before the mean, behind Sub, at the exponent and before the scale are taken in.
    """
    head = _centred(mean)
    quotient = None if head is None else _quotient(head)
    if head is None or quotient is None:
        return False
    scaling = follower(quotient[-1], "Mul")
    shift = follower(scaling, "Add")
    if scaling is None or shift is None:
        return False
    ops = [*head.ops, *quotient, scaling, shift]
    scale, bias = _vector(scaling), _vector(shift)
    if scale is None or bias is None or _size(scale) != _size(bias):
        return False
    if not all(map(_reduces_last, ops)) or not _compute_on(ops, dtypes):
        return False
    inputs = [head.source, scale, bias]
    program.fuse(ops, "LayerNormalization", inputs, attributes={"axis": -1})
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Centred:
    """The difference x - mean(x).

    Attributes:
        source: The data, before a Cast.
        ops: All operators so far.
        differences: Those that write the difference: one, or two that are equal.
    """

    source: Value
    ops: list[Op]
    differences: list[Op]


def _centred(mean: Op) -> _Centred | None:
    data = mean.input(0)
    subs = sorted(mean.output.readers, key=lambda op: op.index)
    if data is None or len(subs) not in (1, 2) or not is_internal(mean, len(subs)):
        return None
    if not all(one.is_a("Sub") and other_input(one, mean.output) is data for one in subs):
        return None
    before = producer(data, "Cast")
    if before is None or not is_internal(before, len(subs) + 1):
        before = None
    source = data if before is None else before.input(0)
    after = child(subs[0], "Cast")
    if len(subs) > 1 or after is None or not is_internal(after, 2):
        after = None
    edges = 2 if len(subs) == 1 and after is None else 1
    if source is None or not is_internal(subs[0], edges):
        return None
    ops = [one for one in (before, mean, *subs, after) if one is not None]
    return _Centred(source=source, ops=ops, differences=subs if after is None else [after])


def _quotient(head: _Centred) -> list[Op] | None:
    """The operators from Pow to Div, or to the Cast behind it."""
    divs = (child(one, "Div") for one in head.differences)
    div = next((one for one in divs if one is not None), None)
    root = _root(parent(div, "Sqrt"))
    if div is None or root is None or not is_internal(div):
        return None
    power = root[0]
    exponent = parent(power, "Cast")
    if exponent in head.differences:
        exponent = None
    elif exponent is None and parent(power, "Sub") not in head.differences:
        return None
    if exponent is not None and not is_internal(exponent):
        return None
    return [one for one in (exponent, *root, div, follower(div, "Cast")) if one is not None]


def _root(sqrt: Op | None) -> list[Op] | None:
    """The operators of sqrt(mean(Pow(..)) + epsilon), Pow first."""
    add = None if sqrt is None else producer(sqrt.input(0), "Add")
    mean = parent(add, "ReduceMean")
    power = None if mean is None else producer(mean.input(0), "Pow")
    if sqrt is None or add is None or mean is None or power is None:
        return None
    ops = [power, mean, add, sqrt]
    return ops if all(map(is_internal, ops)) and _has_epsilon(add, mean) else None


def _has_epsilon(add: Op, mean: Op) -> bool:
    """One number, constant, on either side (observed); its rank does not matter."""
    epsilon = other_input(add, mean.output)
    return epsilon is not None and epsilon.number() is not None


def _reduces_last(op: Op) -> bool:
    """True unless it is a ReduceMean over other axes than the last one alone."""
    data, given = op.input(0), op.input(1)
    if op.op_type != "ReduceMean" or data is None:
        return True
    axes = op.integers("axes") or ()
    if given is not None and given.constant and given.array is not None:
        axes = tuple(int(one) for one in given.array.ravel())
    return axes == (-1,) or (data.rank is not None and data.rank > 1 and axes == (data.rank - 1,))


def _vector(op: Op) -> Value | None:
    """The operand with one axis; the second where both have."""
    found = [value for value in op.inputs if value is not None and value.rank == 1]
    return found[-1] if found else None


def _size(vector: Value) -> Dim:
    """Number of elements; ONNX Runtime takes all unknown sizes for the same one."""
    size = vector.dims[0] if vector.dims else None
    return size if isinstance(size, int) else None


def _compute_on(ops: list[Op], dtypes: frozenset[str]) -> bool:
    """True when the operators, Casts aside, read data of these types only."""
    read = [
        value
        for op in ops
        if op.op_type != "Cast"
        for value in (op.inputs[:1] if op.op_type == "ReduceMean" else op.inputs)
    ]
    return all(value is not None and value.dtype in dtypes for value in read)


@rule("SimplifiedLayerNormFusion", "Pow")
def simplified_layer_norm(program: Program, op: Op) -> bool:
    """Fuse x / sqrt(mean(Pow(x, 2)) + epsilon) * scale over the last axis.

    Exponent and epsilon are constant, the scale has one axis and need not be constant (observed).
    """
    data, exponent = op.input(0), op.input(1)
    mean = follower(op, "ReduceMean")
    add = follower(mean, "Add")
    root = follower(add, "Sqrt")
    div = follower(root, "Div")
    scaling = follower(div, "Mul")
    scale = None if scaling is None else _vector(scaling)
    if data is None or exponent is None or exponent.number() != 2:
        return False
    if mean is None or add is None or root is None or div is None or div.input(0) is not data:
        return False
    if scaling is None or scale is None:
        return False
    if not _compute_on([mean, div, scaling], program.floats):
        return False
    if not _has_epsilon(add, mean) or not _reduces_last(mean):
        return False
    ops = [op, mean, add, root, div, scaling]
    program.fuse(ops, "SimplifiedLayerNormalization", [data, scale], attributes={"axis": -1})
    return True


LEVEL_1: Final[tuple[Rule, ...]] = (early_layer_norm,)
LEVEL_2: Final[tuple[Rule, ...]] = (late_layer_norm, simplified_layer_norm)
