"""Casts around operators that have no kernel for a half-precision type."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from mlsys_lint.program import Op, Program, Value
from mlsys_lint_plugins.runtimes.onnxruntime.cpu_kernels import (
    formal_inputs,
    has_kernel_for,
    runs_as_typed,
    version_of,
)
from mlsys_lint_plugins.runtimes.onnxruntime.duplicate_casts import INSERTED, remove_duplicates
from mlsys_lint_plugins.runtimes.onnxruntime.matching import never

_HALF: Final = "float16"
_CODES: Final = {"float": 1, _HALF: 10}
"""TensorProto.DataType."""


def insert_casts(program: Program, elsewhere: Callable[[Op], bool] = never) -> bool:
    """Run in float what has no half-precision kernel; then fold what constants were cast.

    Neighbours that run in float share one pair of Casts. A constant that only one operator reads
    becomes a float constant; one that several share is cast in every run. What has a kernel `elsewhere`
    than on the CPU stays as it is.

    Returns:
        True when a constant was folded: ONNX Runtime applies levels 2 and 3 once more then.
    """
    for graph in program.walk():
        _Inserter(graph, elsewhere).run()
    for graph in program.walk():
        remove_duplicates(graph)
    return _fold_constants(program)


@dataclass(slots=True)
class _Inserter:
    program: Program
    elsewhere: Callable[[Op], bool]
    forced: set[Op] = field(default_factory=set)
    """Operators between such that run in float: they do so as well."""
    known: dict[Value, Value] = field(default_factory=dict)
    """Half-precision value -> what a Cast made of it."""

    def run(self) -> None:
        ops = [self.program.ops[index] for index in sorted(self.program.ops)]
        if not any(_is_half(value) for op in ops for value in (*op.inputs, *op.outputs)):
            return
        for op in ops:
            if self._is_isolated(op):
                self.forced.add(op)
        for op in self.program.order():
            if self._is_cast(op):
                self._cast(op)

    def _is_cast(self, op: Op) -> bool:
        """True for an operator that reads half precision and has a kernel for float only."""
        if op.bodies or not any(_is_half(value) for value in op.inputs):
            return False
        if op not in self.forced and (_runs_in_half(op) or self.elsewhere(op)):
            return False
        return _runs_in_float(op)

    def _is_isolated(self, op: Op) -> bool:
        """True for an operator whose neighbours all are cast.

        Of a variadic input, only the first is looked at.
        """
        if op.bodies or any(value is not None and value.is_result for value in op.outputs):
            return False
        if self.elsewhere(op):
            return False
        if not (self._edges(op.inputs) and _runs_in_half(op) and _runs_in_float(op)):
            return False
        formal = op.inputs[: formal_inputs(op)]
        read, written = _halves(formal), _halves(op.outputs)
        if not read or not written:
            return False
        readers = [reader for value in written for reader in value.readers]
        return all(self._is_cast(one) for one in (*self._edges(read), *readers))

    def _edges(self, values: Iterable[Value | None]) -> list[Op]:
        """Operators of this graph that write one of the values."""
        producers = [value.producer for value in values if value is not None]
        return [one for one in producers if one is not None and one.program is self.program]

    def _cast(self, op: Op) -> None:
        for value in _halves(op.inputs):
            found = self.known.get(value)
            if found is None:
                found = self.program.value(value, dtype="float")
                self._add(value, found)
                self.known[value] = found
            for position, one in enumerate(op.inputs):
                if one is value:
                    self.program.set_input(op, position, found)
        if op.integer("dtype", 0) == _CODES[_HALF]:
            op.attributes = {**op.attributes, "dtype": _CODES["float"]}
        for value in _halves(op.outputs):
            found = self.program.value(value, dtype="float")
            op.outputs = [found if one is value else one for one in op.outputs]
            found.producer, value.producer = op, None
            self._add(found, value)

    def _add(self, source: Value, target: Value) -> None:
        self.program.add(
            "Cast",
            [source],
            [target],
            attributes={"to": _CODES[target.dtype or ""]},
            name=INSERTED,
        )


def _halves(values: Iterable[Value | None]) -> list[Value]:
    """Those of half precision, each once."""
    return list(dict.fromkeys(value for value in values if value is not None and _is_half(value)))


def _is_half(value: Value | None) -> bool:
    return value is not None and value.dtype == _HALF


def _runs_in_half(op: Op) -> bool:
    """True for an operator with a kernel, unless it replaces a MatMul that had none (observed)."""
    replaces = op.op_type == "MatMulNBits" and len(op.members) > 1
    return not replaces and runs_as_typed(op)


def _runs_in_float(op: Op) -> bool:
    """True where a kernel takes an operator's types with float for half precision."""

    def types(values: Iterable[Value | None]) -> list[str | None]:
        found = [None if value is None else value.dtype for value in values]
        return ["float" if one == _HALF else one for one in found]

    return has_kernel_for(
        op.domain, op.op_type, version_of(op), types(op.inputs), types(op.outputs)
    )


def _fold_constants(program: Program) -> bool:
    """Casts of constants that one operator reads happen at load (not in bodies)."""
    changed = False
    for op in list(program.ops.values()):
        source = op.input(0)
        if not op.is_a("Cast") or source is None or not (source.constant and _is_half(source)):
            continue
        if op.output.dtype != "float" or op.output.is_result or op.output.uses != 1:
            continue
        if source.array is not None:
            op.output.array = source.array.astype(np.float32)
        program.fold(op)
        changed = True
    return changed
