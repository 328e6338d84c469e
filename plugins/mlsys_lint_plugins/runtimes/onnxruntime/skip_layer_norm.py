"""Layer normalization behind a residual."""

from __future__ import annotations

from typing import Final

from mlsys_lint.program import Op, Program, Rule, Value, rule
from mlsys_lint_plugins.runtimes.onnxruntime.matching import is_internal, other_input, producer

_CONTRIB: Final = "com.microsoft"
_RANK: Final = 3
"""SkipLayerNormalization is for batch, sequence and hidden size."""


@rule("SkipLayerNormFusion", "LayerNormalization")
def skip_layer_norm(program: Program, op: Op) -> bool:
    """Add of two tensors of three equal axes before LayerNormalization over the last one.

    An Add of a constant vector (its second operand) before either is taken in, the left one first.
    Symbols are equal when their names are.
    """
    add = producer(op.input(0), "Add")
    if (
        op.domain
        or add is None
        or not _adds_equals(program, add)
        or op.integer("axis", -1) not in (-1, 2)
    ):
        return False
    operands = list(add.inputs)
    norm = [op.input(1), op.input(2)]
    ops = [add, op]
    inputs = [*operands, *norm]
    for position, value in enumerate(operands):
        inner = producer(value, "Add")
        if inner is not None and _adds_vector(inner):
            inputs = [*operands, *norm, inner.input(1)]
            inputs[position] = inner.input(0)
            ops.insert(0, inner)
            break
    program.fuse(ops, "SkipLayerNormalization", inputs, domain=_CONTRIB)
    return True


def _adds_equals(program: Program, add: Op) -> bool:
    one, other = add.inputs
    if one is None or other is None or not is_internal(add):
        return False
    if one.dtype not in program.floats:
        return False
    dims = one.dims
    return dims is not None and len(dims) == _RANK and None not in dims and dims == other.dims


def _adds_vector(add: Op) -> bool:
    """True for the Add of a constant vector, on the right."""
    data, bias = add.inputs
    if data is None or bias is None or not is_internal(add) or not bias.constant:
        return False
    dims = data.dims or ()
    return len(dims) == _RANK and isinstance(dims[-1], int) and bias.dims == dims[-1:]


@rule("BiasSkipLayerNormFusion", "SkipLayerNormalization")
def bias_skip_layer_norm(program: Program, op: Op) -> bool:
    """The Add of a constant vector to a MatMul, on either side, goes into SkipLayerNormalization."""
    if op.domain != _CONTRIB or len(op.inputs) != 4:
        return False
    for position in (0, 1):
        add = producer(op.inputs[position], "Add")
        for product in add.inputs if add is not None and is_internal(add) else ():
            if add is None or product is None or producer(product, "MatMul") is None:
                continue
            bias = other_input(add, product)
            if bias is None or not bias.constant or not _fits(op, bias, product):
                continue
            inputs = [*op.inputs, bias]
            inputs[position] = product
            attributes = op.attributes
            program.fuse([add, op], op.op_type, inputs, domain=_CONTRIB, attributes=attributes)
            return True
    return False


def _fits(op: Op, bias: Value, product: Value) -> bool:
    """A vector as long as the scale, or else the product's last axis."""
    lasts = [one.dims[-1] for one in (op.inputs[2], product) if one is not None and one.dims]
    size = next((one for one in lasts if isinstance(one, int)), None)
    return size is not None and bias.dims == (size,)


RULES: Final[tuple[Rule, ...]] = (skip_layer_norm, bias_skip_layer_norm)
