"""In the child: many small networks one after the other, each profiled and unprofiled."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mlsys_lint.measure.activation import Event, node_events
from mlsys_lint.measure.arrays import make_arrays
from mlsys_lint.measure.graphs import session_options
from mlsys_lint.measure.runtime import Runtime, bound_call
from mlsys_lint.measure.timing import seconds_of

_WARM_UPS: Final = 3  # page faults, memory planning and the first touch of weights are over
_FEWEST_RUNS: Final = 5
_MOST_RUNS: Final = 60

Send = Callable[[Mapping[str, object]], None]


def time_networks(runtime: Runtime, job: Mapping[str, Any], send: Send) -> None:
    """One message a network, in the order of the job.

    Every network has one session: its profiled runs come first, then, with the profile closed, the
    unprofiled ones. So both see the same packed weights and the same buffers.
    """
    send({"part": "version", "value": runtime.__version__})
    for network in job["networks"]:
        send({"progress": network["name"]})
        send({"part": network["name"], "value": _time(runtime, job, network)})


def _time(runtime: Runtime, job: Mapping[str, Any], network: Mapping[str, Any]) -> dict[str, Any]:
    prefix = Path(job["scratch"]) / network["name"]
    options = session_options(runtime, prefix.parent, threads=job["threads"])
    options.enable_profiling = True
    options.profile_file_prefix = str(prefix)
    session = runtime.InferenceSession(network["path"], options, providers=["CPUExecutionProvider"])
    arrays, _ = make_arrays(network["inputs"], None)
    call = bound_call(runtime, session, arrays, "cpu")
    for _ in range(_WARM_UPS):
        call()
    _timed(call, job["budget_s"] / 2)
    profile = Path(session.end_profiling())
    seconds = _timed(call, job["budget_s"] / 2)
    events = json.loads(profile.read_text(encoding="utf-8"))
    profile.unlink()
    runs = list(node_events(events))[_WARM_UPS:]
    return {"seconds": seconds, "kernels": kernels_of_runs(runs)}


def _timed(call: Callable[[], object], budget_s: float) -> list[float]:
    seconds: list[float] = []
    end = time.perf_counter() + budget_s
    while len(seconds) < _MOST_RUNS and (len(seconds) < _FEWEST_RUNS or time.perf_counter() < end):
        seconds.append(seconds_of(call))
    return seconds


def kernels_of_runs(runs: Sequence[Iterable[Event]]) -> list[dict[str, Any]]:
    """Kernels in execution order: operator, shape of the first output, seconds in each run.

    Networks have no loops: every run executes the same kernels in the same order.
    """
    found = []
    for events in zip(*runs, strict=True):
        first = events[0]["args"]
        shapes = first.get("output_type_shape") or []
        found.append(
            {
                "op_type": first["op_name"],
                "shape": next(iter(shapes[0].values())) if shapes and shapes[0] else [],
                "seconds": [event["dur"] * 1e-6 for event in events],
            }
        )
    return found
