"""Products, activations and Concat of blocked values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mlsys_lint.program import Op
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.convolutions import scale
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.layout import Blocked, Layout
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.sizes import concatenated
from mlsys_lint_plugins.runtimes.onnxruntime.nchwc.sums import all_equal, keep_all

_ABSORBED: Final = frozenset({"Relu", "Sigmoid", "Tanh", "HardSigmoid"})
_TOLERANCE: Final = 1e-6


def multiply(layout: Layout, op: Op) -> None:
    """Mul of blocked values with provably equal sizes, or of one by a constant per channel."""
    if len(op.inputs) != 2:
        return
    first, second = (layout.of(value) for value in op.inputs)
    if first is not None and second is not None:
        if first.channels == second.channels and all_equal(op, [first, second]):
            keep_all(layout, op, [first, second])
    elif first is not None:
        scale(layout, op, first, op.input(1))
    elif second is not None:
        scale(layout, op, second, op.input(0))


def concat(layout: Layout, op: Op) -> None:
    """Concat along the channels of blocked values, each in whole blocks."""
    parts = layout.of_all(op)
    if parts is None or op.integer("axis", 0) != 1:
        return
    if any(one.channels % layout.block for one in parts):
        return
    layout.read(op, parts)
    first = parts[0].origins
    origins = (first[0], (op.output, 0), *first[2:])
    dims = concatenated([one.value.dims for one in parts])
    layout.keep(op, sum(one.channels for one in parts), dims, origins)


def activation(layout: Layout, op: Op) -> None:
    """A unary activation: in the bare convolution that it alone reads, or on the blocked value."""
    source = layout.of(op.input(0))
    if source is None or _hard_swish(layout, op, source):
        return
    if op.op_type in _ABSORBED and source.is_bare and source.uses == 1:
        _activate(layout, source, op.op_type, [op])
    else:
        layout.read(op, [source])
        layout.keep(op, source.channels, source.value.dims, source.origins)


def _hard_swish(layout: Layout, op: Op, source: Blocked) -> bool:
    """HardSigmoid with 1/6 and 1/2, times its own input: these two alone read a bare convolution."""
    product = op.output.only_reader
    if not op.is_a("HardSigmoid") or not source.is_bare or source.uses != 2:
        return False
    if not _is(op, "alpha", 0.2, 1 / 6) or not _is(op, "beta", 0.5, 0.5):
        return False
    if product is None or not product.is_a("Mul") or product.output.is_result:
        return False
    if set(product.inputs) != {op.input(0), op.output}:
        return False
    _activate(layout, source, "HardSwish", [op, product])
    return True


def _is(op: Op, name: str, default: float, expected: float) -> bool:
    found = op.attributes.get(name, default)
    return isinstance(found, float) and abs(found - expected) <= _TOLERANCE


def _activate(layout: Layout, source: Blocked, name: str, ops: Sequence[Op]) -> None:
    source.op.attributes = {**source.op.attributes, "activation": name}
    layout.absorb(source, ops)
