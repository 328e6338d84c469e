"""Peak activation memory and the providers of all nodes, from a profiled run of its own."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mlsys_lint.measure.arrays import Arrays
from mlsys_lint.measure.cuda_placement import copies, fallbacks, not_executed
from mlsys_lint.measure.gpu_events import doubts, has_gpu_times, with_gpu_times
from mlsys_lint.measure.runtime import (
    PROVIDER_NAMES,
    Runtime,
    Session,
    bound_call,
    open_session,
)

Event = Mapping[str, Any]

HELD: Final = "mem_bytes_requested_in_use"
TAKEN: Final = "mem_requested_in_use_delta"
_LONG_RUN_S: Final = 5.0


def measure_peak(
    runtime: Runtime, job: Mapping[str, Any], arrays: Arrays, seconds: Sequence[float]
) -> dict[str, Any]:
    """Peak activation bytes (None where the profile does not tell) and nodes on other providers.

    On CUDA also the copies between GPU and host. `kernels_timed`: a profile of this build has the
    time of kernels, not of their launch.
    """
    session = open_session(runtime, job, profile=Path(job["scratch"]) / "profile")
    call = bound_call(runtime, session, arrays, job["provider"])
    for _ in range(1 if statistics.median(seconds) > _LONG_RUN_S else 2):
        call()
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    runs = list(node_events(events))
    placed = fallbacks(runs, PROVIDER_NAMES[job["provider"]])
    # Under CUDA the counters are those of the host's allocator.
    peak = peak_bytes(runs) if job["provider"] == "cpu" else None
    problems = []
    if peak is None:
        problems.append(
            "peak activations were not measured: ONNX Runtime "
            f"{runtime.__version__} reports no memory per node on {job['provider']}"
        )
    result = {"peak_activation_bytes": peak, "fallbacks": placed}
    if job["provider"] == "cpu":
        return {**result, "problems": problems, "kernels_timed": True}
    problems += _doubts_on_gpu(session, arrays, placed)
    untimed = doubts(events)
    timed = with_gpu_times(events) if has_gpu_times(events) else events
    return {
        **result,
        "copies": copies(list(node_events(timed))[-1:]),  # the run before warms up
        "problems": [*problems, *untimed],
        "kernels_timed": not untimed,
    }


def _doubts_on_gpu(
    session: Session, arrays: Arrays, placed: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    if any(array.dtype.kind == "O" for array in arrays.values()):
        yield "strings can't be bound: the times hold copies between GPU and host"
    if idle := not_executed(session, PROVIDER_NAMES["cuda"], placed):
        yield (
            f"ONNX Runtime gave {', '.join(idle)} to the CPU, but ran none under that name: "
            "branches not taken, or fused with others"
        )


def node_events(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Kernel events of each run, in time order; runs without one are left out."""
    kernels = [
        event
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
    ]
    kernels.sort(key=lambda event: event["ts"])
    for run in events:
        if run.get("name") == "model_run":
            end = run["ts"] + run["dur"]
            if inside := [event for event in kernels if run["ts"] <= event["ts"] <= end]:
                yield inside


def peak_bytes(runs: Sequence[Sequence[Event]]) -> int | None:
    """Most bytes held after a node, less those held before the first node of its run.

    The runtime reads the counter after a node has computed and before it frees the node's inputs;
    it counts requested bytes, without the allocator's rounding. Weights were there before, and
    inputs belong to the caller. None: no node ran, or this release has no such counter.
    """
    peaks = []
    for run in runs:
        if any(HELD not in event["args"] for event in run) or TAKEN not in run[0]["args"]:
            return None
        held = [int(event["args"][HELD]) for event in run]
        before = held[0] - int(run[0]["args"][TAKEN])
        peaks.append(max(*held, before) - before)
    return max(peaks, default=None)
