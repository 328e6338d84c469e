"""The child process: one job on stdin, one JSON message a line on stdout.

Messages are {"progress": TEXT}, {"part": NAME, "value": ...} and {"error": [CLASS, TEXT]}. Whatever
may crash, hang or take all memory happens here, so that the parent loses a model and not its life.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mlsys_lint.errors import MlsysLintError

if TYPE_CHECKING:
    from mlsys_lint.measure.arrays import Arrays

Job = Mapping[str, Any]
Send = Callable[[Mapping[str, object]], None]


def main() -> None:
    """Do the job on stdin; exit status 0 also when the answer is an error."""
    send = _sender()
    job: Job = json.loads(sys.stdin.readline())
    threading.Thread(target=_follow_parent, args=(job["scratch"],), daemon=True).start()
    try:
        _limit(job["memory_limit_bytes"])
        _work(job, send)
    except MlsysLintError as error:
        send({"error": [type(error).__name__, str(error)]})
    except MemoryError:
        send({"error": ["ModelError", "memory ran out; bind smaller dimensions"]})
    except Exception as error:  # noqa: BLE001  the process boundary: every fault is one message
        traceback.print_exc()
        text = " ".join(str(error).split())
        send({"error": ["MlsysLintError", f"{type(error).__name__}: {text}"]})
    sys.stderr.flush()
    os._exit(0)  # libraries that crash when they are unloaded can't spoil the result


def _work(job: Job, send: Send) -> None:
    # Imported here: numpy starts its threads on import, after the limits are set.
    from mlsys_lint.measure.runtime import load_runtime

    if job["work"] == "schemas":
        from mlsys_lint.measure.schemas import schema_names

        send({"part": "schemas", "value": schema_names(load_runtime())})
    elif job["work"] == "networks":
        from mlsys_lint.measure.networks import time_networks

        time_networks(load_runtime(), job, send)
    else:
        _measure(job, send)


def _measure(job: Job, send: Send) -> None:
    from mlsys_lint.measure.activation import measure_peak
    from mlsys_lint.measure.arrays import make_arrays
    from mlsys_lint.measure.runtime import load_runtime
    from mlsys_lint.measure.timing import measure_latency

    def say(text: str) -> None:
        send({"progress": text})

    say("loading ONNX Runtime")
    runtime = load_runtime()
    say("making inputs")
    arrays, from_file = make_arrays(job["inputs"], job["npz"])
    latency = measure_latency(runtime, job, arrays, say)
    send({"part": "latency", "value": {**latency, "from_file": sorted(from_file)}})
    say("measuring peak memory")
    peak = measure_peak(runtime, job, arrays, latency["seconds"])
    send({"part": "peak", "value": peak})
    if peak["kernels_timed"]:
        _measure_kernels(runtime, job, arrays, send)


def _measure_kernels(runtime: Any, job: Job, arrays: Arrays, send: Send) -> None:
    """Time of each kernel, and the graphs that tell which nodes of the file it stands for."""
    from mlsys_lint.measure.graphs import LEVELS, named_model, save_graphs
    from mlsys_lint.measure.profile import profile_kernels
    from mlsys_lint.measure.runtime import providers

    model, scratch = Path(job["path"]), Path(job["scratch"])
    send({"progress": "profiling kernels"})
    source, last = named_model(model), scratch / "last.onnx"
    send({"part": "profile", "value": profile_kernels(runtime, job, arrays, source, last)})
    send({"progress": "saving the runtime's graphs"})
    saved = save_graphs(
        runtime, source, model.parent, scratch, levels=LEVELS[:-1], providers=providers(job)
    )
    send({"part": "graphs", "value": [*map(str, saved), str(last)]})


def _sender() -> Send:
    """Messages go to the pipe that was stdout; what libraries print goes to stderr."""
    pipe: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(message: Mapping[str, object]) -> None:
        pipe.write(json.dumps(message) + "\n")
        pipe.flush()

    return send


def _follow_parent(scratch: str) -> None:
    """End when the parent is gone: it holds the other end of stdin until then."""
    while os.read(0, 1):  # not sys.stdin, whose lock the interpreter needs to end
        pass
    shutil.rmtree(scratch, ignore_errors=True)
    if hasattr(os, "killpg") and os.getpid() == os.getpgrp():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _limit(memory_bytes: int | None) -> None:
    """No core files, and no more address space than was granted."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


if __name__ == "__main__":
    main()
