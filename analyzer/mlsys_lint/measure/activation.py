"""Peak activation memory and the providers of all nodes, from a profiled run of its own."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mlsys_lint.measure.arrays import Arrays
from mlsys_lint.measure.runtime import PROVIDER_NAMES, Runtime, bound_call, open_session

Event = Mapping[str, Any]

HELD: Final = "mem_bytes_requested_in_use"
TAKEN: Final = "mem_requested_in_use_delta"
_LONG_RUN_S: Final = 5.0


def measure_peak(
    runtime: Runtime, job: Mapping[str, Any], arrays: Arrays, seconds: Sequence[float]
) -> dict[str, Any]:
    """Peak activation bytes (None where the profile does not tell) and nodes on other providers."""
    session = open_session(runtime, job, profile=Path(job["scratch"]) / "profile")
    call = bound_call(runtime, session, arrays, job["provider"])
    for _ in range(1 if statistics.median(seconds) > _LONG_RUN_S else 2):
        call()
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    runs = list(node_events(events))
    # Under CUDA the counters are those of the host's allocator.
    peak = peak_bytes(runs) if job["provider"] == "cpu" else None
    problems: list[str] = []
    if peak is None:
        problems.append(
            "peak activations were not measured: ONNX Runtime "
            f"{runtime.__version__} reports no memory per node on {job['provider']}"
        )
    return {
        "peak_activation_bytes": peak,
        "fallbacks": fallbacks(runs, PROVIDER_NAMES[job["provider"]]),
        "problems": problems,
    }


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


def fallbacks(runs: Sequence[Sequence[Event]], wanted: str) -> list[dict[str, Any]]:
    """Executed nodes that ran on another provider, by provider and operator."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for event in (event for run in runs for event in run):
        provider = event["args"].get("provider", wanted)
        if provider != wanted:
            name = event["name"].removesuffix("_kernel_time")
            found[provider, event["args"].get("op_name", "")].add(name)
    return [
        {"provider": provider, "op_type": op_type, "nodes": sorted(nodes)}
        for (provider, op_type), nodes in sorted(found.items())
    ]
