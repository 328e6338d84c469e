"""Operators of a model on CUDA that run on the host, and the copies that this takes.

Read in fallback_cpu_capability.cc (GetCpuPreferredNodes) and transformer_memcpy.cc.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from math import prod
from operator import attrgetter
from typing import Final, TypeAlias

from mlsys_lint.program import Op, Program, Value
from mlsys_lint_plugins.runtimes.onnxruntime.cuda_kernels import (
    HOST_OUTPUTS,
    reads_on_host,
    runs_on_gpu,
)

_SMALL: Final = 100
"""Elements of a constant that may be read on the host."""
_NOT_ON_HOST: Final = frozenset(
    {
        *("float16", "bfloat16", "float4e2m1"),
        *("float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz"),
    }
)
_NAME: Final = attrgetter("name")
_UID: Final = attrgetter("uid")
_Edges: TypeAlias = dict[Value, list[tuple[Op, int]]]


def host_ops(program: Program) -> frozenset[Op]:
    """Operators of a graph, not of its bodies, that run on the host.

    Those without a GPU kernel, and of the others those that only read what is in host memory
    already, small constants and graph inputs: arithmetic on sizes, mostly.
    """
    order = program.order()
    rank = {op: at for at, op in enumerate(order)}
    on_gpu = {op for op in order if runs_on_gpu(op)}
    found = {op for op in order if op not in on_gpu}
    on_host = {value for op in on_gpu if _writes_on_host(op) for value in _written(op)}
    queue: list[int] = []
    seen: set[Op] = set()

    def push(values: Iterable[Value]) -> None:
        for value in values:
            for reader in value.readers:
                if reader not in seen:
                    seen.add(reader)
                    heappush(queue, rank[reader])

    push(on_host)
    while queue:
        op = order[heappop(queue)]
        if op in found or _suits_host(op, program, on_host):
            found.add(op)
            on_host.update(_written(op))
            push(_written(op))
    return frozenset(found)


def _suits_host(op: Op, program: Program, on_host: set[Value]) -> bool:
    """True where everything that an operator reads is on the host, though its kernel's is not."""
    for position, value in enumerate(op.inputs):
        if value is None or value.dtype in _NOT_ON_HOST:
            return False
        if _is_small(value) or _is_input(value, program):
            continue
        if value not in on_host or reads_on_host(op, position):
            return False
    return True


def _is_small(value: Value) -> bool:
    return value.constant and value.static is not None and prod(value.static) <= _SMALL


def _is_input(value: Value, program: Program) -> bool:
    return value.producer is None and not value.constant and value.home is program


def _writes_on_host(op: Op) -> bool:
    return (op.domain, op.op_type) in HOST_OUTPUTS


def _written(op: Op) -> list[Value]:
    return [value for value in op.outputs if value is not None]


def insert_copies(program: Program) -> None:
    """Memcpy operators of a graph, not of its bodies, each for all readers on the other side.

    Of graph inputs, and of outer values in a body, only those that both sides read are copied.
    """
    host = host_ops(program)
    host_written = {
        value
        for op in program.ops.values()
        if op in host or _writes_on_host(op)
        for value in _written(op)
    }
    on_host, on_gpu = _readers(program, host)
    given = [value for value in on_gpu if _is_given(value, program) and value in on_host]
    results = sorted(host_written & on_gpu.keys(), key=_NAME)
    for value in [*sorted(given, key=_UID), *results]:
        _copy(program, "MemcpyFromHost", value, on_gpu[value])
    gpu_written = {value for op in program.ops.values() for value in _written(op)} - host_written
    for value in sorted(gpu_written & on_host.keys(), key=_NAME):
        _copy(program, "MemcpyToHost", value, on_host[value])


def _is_given(value: Value, program: Program) -> bool:
    """True for an input of the graph, and for a value from around a body."""
    return not value.constant and (value.producer is None or value.producer.program is not program)


def _readers(program: Program, host: frozenset[Op]) -> tuple[_Edges, _Edges]:
    """Value -> edges to operators that read it on the host, and to those that do on the GPU."""
    on_host: _Edges = {}
    on_gpu: _Edges = {}
    for op in program.ops.values():
        for position, value in enumerate(op.inputs):
            if value is not None:
                edges = on_host if op in host or reads_on_host(op, position) else on_gpu
                edges.setdefault(value, []).append((op, position))
    return on_host, on_gpu


def _copy(program: Program, op_type: str, value: Value, edges: list[tuple[Op, int]]) -> None:
    copy = program.value(value)
    program.add(op_type, [value], [copy])
    for op, position in edges:
        node = op.node
        program.set_input(op, position, copy)
        op.node = node  # the operator itself has not changed
