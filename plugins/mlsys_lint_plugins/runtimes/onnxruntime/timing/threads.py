"""How the thread pool divides loops whose cost a kernel declares.

Source: microsoft/onnxruntime, core/common/threadpool.cc (TryParallelFor, CalculateParallelForBlock,
TryBatchParallelFor), and Eigen's TensorCostModel with its constants: cycles for starting, for each
further thread and for a task, and for a byte that is loaded or stored.
"""

from __future__ import annotations

from math import ceil
from typing import Final

from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine

_STARTUP_CYCLES: Final = 100_000
_THREAD_CYCLES: Final = 100_000
_TASK_CYCLES: Final = 40_000
_BYTE_CYCLES: Final = 11 / 64
_OVERSHARDING: Final = 4


def by_cost(machine: Machine, total: int, nbytes: float, cycles: float) -> float:
    """Largest share of a loop that one thread runs.

    Args:
        machine: Gives the number of threads.
        total: Iterations.
        nbytes: Loaded and stored by one, as the kernel declares.
        cycles: Computed by one, as the kernel declares.
    """
    each = nbytes * _BYTE_CYCLES + cycles
    threads = int((total * each - _STARTUP_CYCLES) / _THREAD_CYCLES + 0.9)
    if machine.threads == 1 or threads <= 1 or total <= 1:
        return 1.0
    block = max(ceil(total / (_OVERSHARDING * machine.threads)), int(_TASK_CYCLES / each), 1)
    return 1 / min(machine.threads, max(1, total // block))


def by_rows(machine: Machine, rows: int) -> float:
    """Largest share of rows, when each thread takes as many whatever they cost."""
    return ceil(rows / min(machine.threads, rows)) / rows if rows else 1.0


def divided(amounts: dict[str, float], share: float) -> dict[str, float]:
    """What the thread with most work does, and `fork` where it is not alone."""
    if share == 1:
        return amounts
    shared = {name: amount * share for name, amount in amounts.items() if name != "kernel"}
    return {**shared, "kernel": 1.0, "fork": 1.0}
