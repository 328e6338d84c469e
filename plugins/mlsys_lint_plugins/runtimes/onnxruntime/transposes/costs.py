"""When moving a Transpose pays.

The cost of transposing a value is its number of axes that are not 1, as ONNX Runtime estimates it
(EstimateValueRank): ranks are known where sizes are not. The inputs must get cheaper, and inputs
and outputs together, unless the Transpose will meet another one behind the operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from mlsys_lint.program import Op, Program, Value
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.permutations import Permutation
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.pushing import Push
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.quantized import dequantizer_of_constant
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.reading import (
    is_enclosed,
    maker_of,
    only_reader,
    permutation_of,
    readers_of,
)
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.table import Mover, mover_of

_UNKNOWN_RANK: Final = 5
Leading: TypeAlias = Mapping[Value, frozenset[Permutation]]
"""Values behind which there is a Transpose, and the permutations that they reach unchanged."""


def pays(push: Push, mover: Mover, leading: Leading) -> bool:
    """True where a Transpose should move through an operator.

    Args:
        push: The move.
        mover: How a Transpose moves through the operator.
        leading: Values behind which another Transpose can be reached.
    """
    op = push.op
    if op.is_a("Transpose"):
        return True
    cost = sum(_input_cost(push.program, op.input(one), push.perm) for one in push.inputs)
    if cost >= 0 or not mover.transposes_outputs:
        return cost < 0
    outputs = [value for value in op.outputs if value is not None]
    if any(_meets_transpose(push, value, leading) for value in outputs):
        return True
    return cost + max(map(_size, outputs), default=0) < 0


def _meets_transpose(push: Push, output: Value, leading: Leading) -> bool:
    """A Transpose behind an output takes in the one that is moved there (observed).

    Another reader needs its own one; that only pays where the inverse vanishes instead.
    """
    if output not in leading or not is_enclosed(output):
        return False
    return push.inverse in leading[output] or only_reader(push.program, output) is not None


def favoured(op: Op) -> bool:
    """Kernels of the CPU that are faster with channels last, whatever the Transposes cost."""
    if op.is_a("MaxPool"):
        return True
    source = op.input(0)
    return (
        op.is_a("Resize")
        and source is not None
        and source.rank == 4
        and source.dtype in {"int8", "uint8"}
        and op.text("mode") == "linear"
    )


def _size(value: Value | None) -> int:
    if value is None or value.dims is None:
        return _UNKNOWN_RANK
    return sum(size != 1 for size in value.dims)


def _input_cost(program: Program, value: Value | None, perm: Permutation) -> int:
    """Cost of undoing `perm` on an input; negative where that removes a Transpose."""
    if value is not None and _is_constant(program, value):
        return 0
    before = _origin(program, value)
    own = permutation_of(before)
    if before is None or own is None:
        return _size(value)
    return -_size(value) if own == perm and _can_vanish(program, before) else 0


def _is_constant(program: Program, value: Value) -> bool:
    """A constant, or one that is dequantized for one reader."""
    if maker_of(program, value) is None:
        return value.constant
    return dequantizer_of_constant(program, value) is not None


def _origin(program: Program, value: Value | None) -> Op | None:
    """The operator that writes a value; behind a dequantizer, and a Squeeze, the one before."""
    maker = maker_of(program, value)
    if maker is None or maker.op_type != "DequantizeLinear":
        return maker
    before = maker_of(program, maker.input(0))
    if before is None or before.op_type != "Squeeze":
        return before or maker
    first = maker_of(program, before.input(0))
    return first if first is not None and first.op_type == "Transpose" else maker


def _can_vanish(program: Program, transpose: Op) -> bool:
    """A Transpose whose readers all let it through."""
    output = transpose.output
    return is_enclosed(output) and all(
        mover_of(reader) is not None for reader in readers_of(program, output)
    )
