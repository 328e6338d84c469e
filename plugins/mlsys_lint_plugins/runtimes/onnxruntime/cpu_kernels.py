"""Which operators an execution provider has kernels for: frozen tables, the CPU's by default.

`cpu_kernels.json` was written from the registry of ONNX Runtime 1.32.0
(`get_all_opkernel_def`); a test writes it again and compares. Its parts:

- `sets`: lists of element types, as ONNX names them.
- `kernels`: domain -> operator -> [first version, last version or null, inputs, outputs], where
  inputs and outputs give for each formal parameter the number of its set (empty where it is no
  tensor). The last parameter goes on for variadic operators.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

import onnx

from mlsys_lint.program import Op

_TABLES: Final = Path(__file__).parent
_FLAGS: Final = frozenset({"bool"})

_Types: TypeAlias = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A registered kernel.

    Attributes:
        first: Schema version from which it serves.
        last: The last such version; None: it serves exactly `first`, the newest schema known.
        inputs: Types by formal input.
        outputs: Types by formal output.
    """

    first: int
    last: int | None
    inputs: tuple[_Types, ...]
    outputs: tuple[_Types, ...]

    def serves(self, since_version: int) -> bool:
        """True for a schema version; an open range ends where it starts (KernelRegistry)."""
        if self.last is None:
            return since_version == self.first
        return self.first <= since_version <= self.last

    def takes(self, dtype: str) -> bool:
        """True for a type of the data: that of input 0, or of output 0 where a condition leads."""
        leading = self.inputs[0] if self.inputs else _FLAGS
        if leading == _FLAGS != {dtype}:
            leading = self.outputs[0] if self.outputs else leading
        return dtype in leading


@cache
def _kernels(provider: str) -> dict[tuple[str, str], tuple[Kernel, ...]]:
    path = _TABLES / f"{provider}_kernels.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    sets = [frozenset(one) for one in table["sets"]]

    def types(numbers: Iterable[int]) -> tuple[_Types, ...]:
        return tuple(sets[number] for number in numbers)

    return {
        (domain, op_type): tuple(
            Kernel(first=first, last=last, inputs=types(read), outputs=types(written))
            for first, last, read, written in found
        )
        for domain, operators in table["kernels"].items()
        for op_type, found in operators.items()
    }


def runs_as_typed(op: Op, provider: str = "cpu") -> bool:
    """True where a kernel takes the types that an operator has."""
    inputs, outputs = (
        [None if value is None else value.dtype for value in values]
        for values in (op.inputs, op.outputs)
    )
    return has_kernel_for(op.domain, op.op_type, version_of(op), inputs, outputs, provider=provider)


def version_of(op: Op) -> int:
    """Version of an operator's schema in force; 1 for what ONNX does not define."""
    if op.node is not None and op.node.since_version is not None:
        return op.node.since_version
    opset = 1 if op.program is None else op.program.opset
    return 1 if op.domain else since_version(op.op_type, opset)


@cache
def since_version(op_type: str, opset: int) -> int:
    """Version of the schema of an ONNX operator that is in force in an opset; 1 if there is none."""
    try:
        return onnx.defs.get_schema(op_type, opset, "").since_version
    except onnx.defs.SchemaError:
        return 1


def formal_inputs(op: Op) -> int:
    """Number of inputs that an operator's schema names; a variadic one counts once."""
    found = kernels(op.domain, op.op_type, version_of(op))
    return len(found[0].inputs) if found else 0


def kernels(domain: str, op_type: str, since_version: int, provider: str = "cpu") -> list[Kernel]:
    """The kernels of an operator, at the version of its schema."""
    found = _kernels(provider).get((domain, op_type), ())
    return [kernel for kernel in found if kernel.serves(since_version)]


def has_kernel(domain: str, op_type: str, since_version: int, dtype: str) -> bool:
    """True where the operator runs on data of the type; `since_version` is its schema's."""
    return any(kernel.takes(dtype) for kernel in kernels(domain, op_type, since_version))


def has_kernel_for(
    domain: str,
    op_type: str,
    since_version: int,
    inputs: Sequence[str | None],
    outputs: Sequence[str | None],
    *,
    provider: str = "cpu",
) -> bool:
    """True where one kernel takes all these types; None stands for omitted and unknown ones."""
    return any(
        _admits(kernel.inputs, inputs) and _admits(kernel.outputs, outputs)
        for kernel in kernels(domain, op_type, since_version, provider)
    )


def _admits(formal: tuple[_Types, ...], actual: Sequence[str | None]) -> bool:
    last = len(formal) - 1
    return all(
        dtype is None or (last >= 0 and dtype in formal[min(position, last)])
        for position, dtype in enumerate(actual)
    )
