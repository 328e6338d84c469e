"""What a model takes on a runtime: weights, inputs, activations, and what the runtime adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from mlsys_lint.errors import UnknownSizeError
from mlsys_lint.program import Op, Program, Value
from mlsys_lint.records import Activations, Interval, Kernel, Runtime, TensorInfo

_RETURNED_BYTES: Final = 1 << 25
"""glibc gives blocks of this size back when they are freed (its largest mmap threshold)."""

_Range: TypeAlias = tuple[float, float, float]
"""low, expected, high"""


def memory_of(
    program: Program,
    kernels: Sequence[Kernel],
    inputs: Iterable[TensorInfo],
    peak: Activations | None,
    runtime: Runtime,
) -> tuple[Interval | None, Mapping[str, int]]:
    """Resident memory of a session that ran a few times, and the items that its figure adds up from.

    Weights are the constants that executed kernels read, as they read them: folded, padded,
    converted. The floor is what kernels read of them (of an embedding that lies in a file of its
    own the system loads no more) and the largest set that one kernel reads and writes.
    """
    if peak is None:
        return None, {}
    try:
        weights = sum(value.nbytes for value in _constants(program))
        fed = sum(_fed(tensor) for tensor in inputs)
    except UnknownSizeError:
        return None, {}
    workspace = max((kernel.cost.workspace_bytes for kernel in kernels), default=0)
    operators = sum(len(part.ops) for part in program.walk())
    ranges: dict[str, _Range] = {
        "weights": (weights,) * 3,
        "freed_while_loading": _remainder(program, runtime),
        "graph_inputs": (fed,) * 3,
        "peak_activations": (peak.nbytes,) * 3,
        "workspace": (0, workspace, workspace),
        "allocator_slack": _scaled(peak.nbytes, runtime.activation_slack, less=1),
        "runtime": _sum(runtime.base_bytes, _scaled(operators, runtime.kernel_bytes)),
    }
    items = {name: round(expected) for name, (_, expected, _) in ranges.items()}
    low, _, high = (round(sum(one[at] for one in ranges.values())) for at in range(3))
    floor = min(_least(kernels), low)
    return Interval(floor=floor, low=low, expected=sum(items.values()), high=high), items


def _constants(program: Program) -> dict[Value, list[Op]]:
    """Constants that operators read, and which do; those of a branch that can't run are left out."""
    found: dict[Value, list[Op]] = {}
    for part in program.walk():
        for op in part.ops.values() if part.trips else ():
            for value in op.inputs:
                if value is not None and value.stored:
                    found.setdefault(value, []).append(op)
    return found


def _remainder(program: Program, runtime: Runtime) -> _Range:
    """Memory that loading has freed and the process keeps: copies of weights laid out anew."""
    total: _Range = (0, 0, 0)
    for value, readers in _constants(program).items():
        shares = runtime.load_remainder.get((readers[0].domain, readers[0].op_type))
        if shares is not None and value.nbytes < _RETURNED_BYTES:
            total = _sum(total, _scaled(value.nbytes, shares))
    return total


def _least(kernels: Sequence[Kernel]) -> int:
    """What surely is there at once."""
    weights: dict[str, int] = {}
    for kernel in kernels:
        for key, nbytes in kernel.weights:
            weights[key] = max(nbytes, weights.get(key, 0))
    return sum(weights.values()) + max(map(_working_set, kernels), default=0)


def _working_set(kernel: Kernel) -> int:
    """Bytes that one kernel surely holds at once; what is no contraction may work in place."""
    if not kernel.certain:
        return 0
    cost = kernel.cost
    read = cost.bytes_read - cost.weight_bytes
    return read + cost.bytes_written if cost.contractions else max(read, cost.bytes_written)


def _fed(tensor: TensorInfo) -> int:
    if tensor.kind != "tensor":
        raise UnknownSizeError(f"{tensor.name!r} is a {tensor.kind}, whose length is not static")
    return tensor.nbytes


def _sum(one: _Range, other: _Range) -> _Range:
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2])


def _scaled(amount: float, factors: _Range, *, less: float = 0) -> _Range:
    return (
        amount * (factors[0] - less),
        amount * (factors[1] - less),
        amount * (factors[2] - less),
    )
