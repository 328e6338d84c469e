"""QuantizeLinear and DequantizeLinear repeated across operators that do not compute."""

from __future__ import annotations

from collections import deque
from typing import Final

from mlsys_lint.program import Op, Program, Step, Value, rule
from mlsys_lint_plugins.runtimes.onnxruntime.matching import is_internal
from mlsys_lint_plugins.runtimes.onnxruntime.quantization.pairs import edges_of
from mlsys_lint_plugins.runtimes.onnxruntime.quantization.parameters import (
    has_constant_parameters,
    is_dequantize,
    is_quantize,
    quantized_type,
)

_PASSED: Final = frozenset({"MaxPool", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice"})
_INTEGER_MAX_POOL: Final = 12
"""First opset in which MaxPool takes 8-bit integers."""


def _passed(program: Program, op: Op | None) -> Op | None:
    """The operator, if it only moves data."""
    if op is None or op.program is not program or op.domain or op.op_type not in _PASSED:
        return None
    return op if op.op_type != "MaxPool" or program.opset >= _INTEGER_MAX_POOL else None


@rule("QDQPropagationTransformer", "QuantizeLinear")
def backward(program: Program, op: Op) -> bool:
    """A QuantizeLinear that follows such operators: a pair before each, up to the first other.

    The data input of each is read by it alone, or is an input of the graph.
    """
    if not has_constant_parameters(op):
        return False
    changed = False
    value = _alone(program, op)
    while value is not None and (reader := _passed(program, value.producer)) is not None:
        value = _alone(program, reader)
        if value is None or is_dequantize(value.producer):
            break
        _insert(program, op, value, [(reader, 0)])
        changed = True
    return changed


def _alone(program: Program, op: Op) -> Value | None:
    """The data input of an operator, where no other reads it or no operator writes it."""
    value = op.input(0)
    if value is None or value.home is not program:
        return None
    return value if value.producer is None or value.only_reader is op else None


@rule("QDQPropagationTransformer", "DequantizeLinear")
def forward(program: Program, op: Op) -> bool:
    """A DequantizeLinear before such operators: a pair behind each, for all of its readers.

    Where one of the readers is a QuantizeLinear, none is inserted.
    """
    if not is_internal(op) or not has_constant_parameters(op):
        return False
    changed = False
    waiting = deque([op.output])
    while waiting:
        for reader in [one for one in waiting.popleft().readers if _passed(program, one)]:
            value = reader.output
            edges = edges_of(value)
            if not (edges or value.is_result) or any(is_quantize(one) for one, _ in edges):
                continue
            waiting += _insert(program, op, value, edges)
            changed = True
    return changed


def _insert(program: Program, like: Op, value: Value, edges: list[tuple[Op, int]]) -> list[Value]:
    """Quantize a value, and dequantize it for each of these readers and for the graph's output.

    Returns:
        What the new DequantizeLinear write.
    """
    parameters = like.inputs[1:]
    attributes = {name: like.attributes[name] for name in ("axis",) if name in like.attributes}
    source = program.value(value) if value.is_result else value
    if source is not value and value.producer is not None:
        _write(value.producer, value, source)
    stored = program.value(value, dtype=quantized_type(like))

    def add(op_type: str, read: Value, written: Value) -> Value:
        program.add(
            op_type,
            [read, *parameters],
            [written],
            domain=like.domain,
            attributes=attributes,
        )
        return written

    add("QuantizeLinear", source, stored)
    written = []
    for reader, position in edges:
        written.append(add("DequantizeLinear", stored, program.value(value)))
        program.set_input(reader, position, written[-1])
    if source is not value:
        add("DequantizeLinear", stored, value)
    return written


def _write(op: Op, old: Value, new: Value) -> None:
    op.outputs = [new if value is old else value for value in op.outputs]
    op.node, old.producer, new.producer = None, None, op


STEPS: Final[tuple[Step, ...]] = (backward, forward)
