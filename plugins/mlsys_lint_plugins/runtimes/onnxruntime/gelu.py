"""GELU in its many spellings."""

from __future__ import annotations

from collections.abc import Collection
from math import pi, sqrt
from typing import Final

from mlsys_lint.program import Op, Program, Rule, Value, rule
from mlsys_lint_plugins.runtimes.onnxruntime.matching import (
    follower,
    is_internal,
    is_number,
    is_scalar,
    other_input,
    parent,
    producer,
    scaled,
)

_CONTRIB: Final = "com.microsoft"
_ROOTS: Final = (sqrt(2), 1.41421)
"""Some exporters round the square root of 2."""
_CUBIC: Final = 0.044715
_ROOT_2_BY_PI: Final = sqrt(2 / pi)
_OPSET_WITH_GELU: Final = 20


@rule("GeluFusionL1", "Div")
def standard_gelu(program: Program, op: Op) -> bool:
    """Where the opset has Gelu."""
    return program.opset >= _OPSET_WITH_GELU and _exact(program, op, "", {"float", "float16"})


@rule("GeluFusionL2", "Div")
def contrib_gelu(program: Program, op: Op) -> bool:
    """Where the opset has none, `com.microsoft` has."""
    dtypes = program.floats - {"bfloat16"}
    return program.opset < _OPSET_WITH_GELU and _exact(program, op, _CONTRIB, dtypes)


def _exact(program: Program, div: Op, domain: str, dtypes: Collection[str]) -> bool:
    """Fuse x * 0.5 * (1 + erf(x / sqrt(2))), multiplied in either order.

    Multiplying by 1/sqrt(2) instead does not match, nor does a product that a graph output or
    another operator shares. Where `x` is itself a product, only (x * 0.5) * (1 + erf) is found.
    """
    root, divisor = div.input(0), div.input(1)
    if root is None or root.dtype not in dtypes or not any(is_number(divisor, n) for n in _ROOTS):
        return False
    erf = follower(div, "Erf")
    add = follower(erf, "Add")
    product = follower(add, "Mul")
    if erf is None or add is None or product is None or scaled(add, 1.0) is not erf.output:
        return False
    half = parent(product, "Mul")
    if half is not None:
        matches = is_internal(half) and scaled(half, 0.5) is root
        ops = [div, erf, add, half, product]
    else:
        last = follower(product, "Mul")
        matches = root in product.inputs and scaled(last, 0.5) is product.output
        ops = [div, erf, add, product, *([last] if last is not None else [])]
    if matches:
        program.fuse(ops, "Gelu", [root], domain=domain)
    return matches


@rule("BiasGeluFusion", "Add")
def bias_gelu(program: Program, op: Op) -> bool:
    """Add of a vector along the last axis, constant or not, before Gelu.

    A tanh-approximated Gelu becomes FastGelu with a bias.
    """
    operands = _with_bias(program, op)
    gelu = follower(op, "Gelu") or _contrib(op, "Gelu", "FastGelu")
    if operands is None or gelu is None or gelu.input(1) is not None:
        return False
    fast = gelu.op_type == "FastGelu" or gelu.text("approximate") == "tanh"
    program.fuse([op, gelu], "FastGelu" if fast else "BiasGelu", operands, domain=_CONTRIB)
    return True


def _contrib(op: Op, *types: str) -> Op | None:
    reader = op.output.only_reader
    found = reader is not None and reader.op_type in types and reader.domain == _CONTRIB
    return reader if found else None


def _with_bias(program: Program, add: Op) -> list[Value] | None:
    """The operands of an Add, the vector last; None where neither is one."""
    one, other = add.inputs
    if one is None or other is None or not one.dims or not other.dims:
        return None
    last = one.dims[-1]
    if one.dtype not in program.floats or last is None or last != other.dims[-1]:
        return None
    if one.rank == 1:
        return [other, one]
    return [one, other] if other.rank == 1 else None


@rule("FastGeluFusion", "Mul", "Pow")
def fast_gelu(program: Program, op: Op) -> bool:
    """Fuse 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), float; its last product is no graph output.

    The argument of tanh may be spelled with Pow(x, 3) or as 0.7979 x (1 + 0.044715 x x).
    """
    argument = _factored(op) if op.op_type == "Mul" else _cubic(op)
    if argument is None or argument[0].dtype not in program.floats:
        return False
    root, ops = argument
    tanh = follower(ops[-1], "Tanh")
    add = follower(tanh, "Add")
    last = follower(add, "Mul")
    if tanh is None or add is None or last is None or last.output.is_result:
        return False
    half = producer(other_input(last, add.output), "Mul")
    if scaled(add, 1.0) is not tanh.output or half is None:
        return False
    if not is_internal(half) or scaled(half, 0.5) is not root:
        return False
    program.fuse([*ops, tanh, add, half, last], "FastGelu", [root], domain=_CONTRIB)
    return True


def _factored(first: Op) -> tuple[Value, list[Op]] | None:
    """(((x * 0.044715) * x) + 1) * (x * 0.7979): x and the operators, that of the result last."""
    root = scaled(first, _CUBIC)
    square = follower(first, "Mul")
    add = follower(square, "Add")
    product = follower(add, "Mul")
    if root is None or square is None or add is None or product is None:
        return None
    linear = producer(other_input(product, add.output), "Mul")
    if other_input(square, first.output) is not root or scaled(add, 1.0) is not square.output:
        return None
    if linear is None or not is_internal(linear) or scaled(linear, _ROOT_2_BY_PI) is not root:
        return None
    return root, [first, square, add, linear, product]


def _cubic(power: Op) -> tuple[Value, list[Op]] | None:
    """(x + Pow(x, 3) * 0.044715) * 0.7979, where x is no Cast."""
    root = power.input(0)
    term = follower(power, "Mul")
    add = follower(term, "Add")
    product = follower(add, "Mul")
    if root is None or not is_number(power.input(1), 3.0):
        return None
    if term is None or add is None or product is None or producer(root, "Cast") is not None:
        return None
    if scaled(term, _CUBIC) is not power.output or other_input(add, term.output) is not root:
        return None
    return (root, [power, term, add, product]) if scaled(product, _ROOT_2_BY_PI) else None


@rule("QuickGeluFusion", "Mul", "Sigmoid")
def quick_gelu(program: Program, op: Op) -> bool:
    """Fuse x * sigmoid(a x) with a scalar constant, or x * sigmoid(x), in float."""
    sigmoid = follower(op, "Sigmoid") if op.op_type == "Mul" else op
    root, alpha = _factor(op) if op.op_type == "Mul" else (op.input(0), 1.0)
    product = follower(sigmoid, "Mul")
    if sigmoid is None or product is None or root is None or root.dtype not in program.floats:
        return False
    if other_input(product, sigmoid.output) is not root:
        return False
    ops = [*([op] if op is not sigmoid else []), sigmoid, product]
    program.fuse(ops, "QuickGelu", [root], domain=_CONTRIB, attributes={"alpha": alpha})
    return True


def _factor(op: Op) -> tuple[Value | None, float]:
    """What a Mul multiplies by a scalar constant, and the constant."""
    for position, value in enumerate(op.inputs):
        if value is not None and is_scalar(value) and value.array is not None:
            return op.inputs[1 - position], float(value.array.item())
    return None, 1.0


LEVEL_1: Final[tuple[Rule, ...]] = (standard_gelu,)
LEVEL_2: Final[tuple[Rule, ...]] = (contrib_gelu,)
BIAS: Final[tuple[Rule, ...]] = (bias_gelu,)
FAST: Final[tuple[Rule, ...]] = (fast_gelu,)
QUICK: Final[tuple[Rule, ...]] = (quick_gelu,)
