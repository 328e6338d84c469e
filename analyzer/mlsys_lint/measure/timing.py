"""Unprofiled wall time of warm runs, with a yardstick of how steady the machine is."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from mlsys_lint.measure.arrays import Arrays
from mlsys_lint.measure.runtime import (
    Runtime,
    bound_call,
    fault,
    open_session,
    provider_options,
)

Call = Callable[[], object]

FEWEST_RUNS: Final = 5
MOST_RUNS: Final = 200
BUDGET_S: Final = 2.0
_FEWEST_WARM_UPS: Final = 2  # page faults and memory planning are over after two runs
_MOST_WARM_UPS: Final = 50
_WARM_UP_S: Final = 1.0
_STABLE: Final = 0.05  # two successive runs this close: caches, clocks and cuDNN have settled
_SENTINEL_SIDE: Final = 384  # 1.8 MB in three matrices: inside a core's caches, about 1 ms
_SENTINEL_RUNS: Final = 41


def measure_latency(
    runtime: Runtime, job: Mapping[str, Any], arrays: Arrays, say: Callable[[str], None]
) -> dict[str, Any]:
    """Seconds of each timed run, of the first run and of the session's creation."""
    say("creating the session")
    start = time.perf_counter()
    session = open_session(runtime, job)
    session_s = time.perf_counter() - start
    try:
        call = bound_call(runtime, session, arrays, job["provider"])
        say("warming up")
        first_run_s = seconds_of(call)
        _warm_up(call)
        before = _sentinel()
        say("timing runs")
        seconds = timed(call, job["runs"])
        after = _sentinel()
    except MemoryError:
        raise
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise fault(error, "ONNX Runtime can't run the model") from error
    return {
        "provider": job["provider"],
        "provider_options": provider_options(session, job["provider"]),
        "threads": job["threads"],
        "runtime_version": runtime.__version__,
        "seconds": seconds,
        "first_run_s": first_run_s,
        "session_s": session_s,
        "sentinel_s": [before, after],
        "cpus": _cpus(),
    }


def timed(call: Call, runs: int | None) -> list[float]:
    """Seconds of `runs` calls; None: as many as fit into BUDGET_S, within the limits."""
    most, budget_s = (MOST_RUNS, BUDGET_S) if runs is None else (runs, float("inf"))
    fewest = min(FEWEST_RUNS, most)
    seconds: list[float] = []
    end = time.perf_counter() + budget_s
    while len(seconds) < most and (len(seconds) < fewest or time.perf_counter() < end):
        seconds.append(seconds_of(call))
    return seconds


def seconds_of(call: Call) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _warm_up(call: Call) -> None:
    """At least two further runs, then until two in succession agree, or time is up."""
    end = time.perf_counter() + _WARM_UP_S
    last = float("inf")
    for run in range(_MOST_WARM_UPS):
        now = seconds_of(call)
        steady = abs(now - last) <= _STABLE * now
        if run + 1 >= _FEWEST_WARM_UPS and (steady or time.perf_counter() > end):
            return
        last = now


def _sentinel() -> float:
    """Lower quartile of a fixed numpy matmul's seconds: it changes only when the machine does."""
    square = np.ones((_SENTINEL_SIDE, _SENTINEL_SIDE), np.float32)
    result = np.empty_like(square)

    def product() -> object:
        return np.matmul(square, square, out=result)

    product()
    return statistics.quantiles((seconds_of(product) for _ in range(_SENTINEL_RUNS)), n=4)[0]


def _cpus() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
