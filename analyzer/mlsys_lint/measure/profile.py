"""Time of each kernel, from profiled runs of their own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mlsys_lint.measure.activation import Event, node_events
from mlsys_lint.measure.arrays import Arrays
from mlsys_lint.measure.gpu_events import with_gpu_times
from mlsys_lint.measure.graphs import Source, saving_options
from mlsys_lint.measure.runtime import Runtime, bound_call, providers

PROFILE_NAME: Final = "kernels.json"
"""The profile's file in the scratch folder."""
FEWEST_RUNS: Final = 4
MOST_RUNS: Final = 40
BUDGET_S: Final = 2.0
_WARM_UPS: Final = 2  # page faults and memory planning are over after two runs


def profile_kernels(
    runtime: Runtime, job: Mapping[str, Any], arrays: Arrays, source: Source, graph: Path
) -> dict[str, Any]:
    """Runs of a session with profiling on, otherwise as the unprofiled one, that saves its graph.

    The profile is left in the scratch folder.
    """
    scratch = Path(job["scratch"])
    options = saving_options(runtime, Path(job["path"]).parent, graph, threads=job["threads"])
    options.enable_profiling = True
    options.profile_file_prefix = str(scratch / "kernels")
    session = runtime.InferenceSession(source, options, providers=providers(job), enable_fallback=0)
    call = bound_call(runtime, session, arrays, job["provider"])
    end = time.perf_counter() + BUDGET_S
    done = 0
    while done < _WARM_UPS + FEWEST_RUNS or (
        done < _WARM_UPS + MOST_RUNS and time.perf_counter() < end
    ):
        call()
        done += 1
    path = Path(session.end_profiling()).replace(scratch / PROFILE_NAME)
    events = json.loads(path.read_text(encoding="utf-8"))
    timed = events if job["provider"] == "cpu" else with_gpu_times(events)
    runs = list(node_events(timed))[_WARM_UPS:]
    return {"runs": len(runs), "kernels": kernel_times(runs)}


def kernel_times(runs: Sequence[Iterable[Event]]) -> list[dict[str, Any]]:
    """Kernels in the order in which they first ran, each with its microseconds in every run.

    A kernel is known by its name and its index in its graph. One in a body of a Loop or Scan runs
    several times: its times in a run are added.
    """
    found: dict[tuple[str, int, str], dict[str, Any]] = {}
    for at, run in enumerate(runs):
        for event in run:
            name = event["name"].removesuffix("_kernel_time")
            arguments = event["args"]
            key = (name, int(arguments["node_index"]), arguments["op_name"])
            kernel = found.setdefault(
                key,
                {
                    **dict(zip(("name", "node_index", "op_type"), key, strict=True)),
                    "calls": [0] * len(runs),
                    "microseconds": [0] * len(runs),
                },
            )
            kernel["calls"][at] += 1
            kernel["microseconds"][at] += event["dur"]
    return list(found.values())
