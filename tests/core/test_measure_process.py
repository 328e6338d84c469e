from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mlsys_lint.errors import MlsysLintError, ModelError, OptionError, RuntimeUnavailableError
from mlsys_lint.measure import parent, process


def _run(folder: Path, code: str, timeout_s: float = 60.0) -> process.Outcome:
    return process.run_child(
        {}, folder=folder, timeout_s=timeout_s, command=[sys.executable, "-c", code]
    )


_LATENCY = """
import json, os, sys
sys.stdin.readline()
print("a library's banner", flush=True)
print(json.dumps({"progress": "timing runs"}), flush=True)
print(json.dumps({"part": "latency", "value": {"seconds": [1.0]}}), flush=True)
"""


def test_messages_are_collected_and_other_output_is_ignored(tmp_path: Path) -> None:
    outcome = _run(tmp_path, _LATENCY)
    assert outcome.parts == {"latency": {"seconds": [1.0]}}
    assert (outcome.error, outcome.failure) == (None, None)


def test_crash_is_the_runtimes_and_what_came_before_stays(tmp_path: Path) -> None:
    outcome = _run(tmp_path, f"{_LATENCY}\nos.kill(os.getpid(), {int(signal.SIGSEGV)})")
    assert outcome.parts["latency"] == {"seconds": [1.0]}
    assert outcome.failure is not None
    assert "ONNX Runtime crashed (SIGSEGV, while timing runs)" in outcome.failure


def test_foreign_kill_suggests_memory(tmp_path: Path) -> None:
    outcome = _run(tmp_path, f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})")
    assert "memory runs out" in (outcome.failure or "")


def test_other_ends_show_the_last_words(tmp_path: Path) -> None:
    outcome = _run(tmp_path, "raise SystemExit('no such thing')")
    assert outcome.failure == (
        "the process that ran the model ended with status 1 (while starting): no such thing"
    )


def _is_alive(pid: int) -> bool:
    """False for a process that is gone or only waits to be collected by its parent."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _ends(pid: int) -> bool:
    """A kill is delivered asynchronously: a loaded machine may need a moment to carry it out."""
    deadline = time.monotonic() + 5
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not _is_alive(pid)


_FAMILY = """
import json, subprocess, sys, time
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
print(json.dumps({"progress": str(other.pid)}), flush=True)
time.sleep(300)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_timeout_ends_the_child_and_its_children(tmp_path: Path) -> None:
    pids: list[int] = []
    outcome = process.run_child(
        {},
        folder=tmp_path,
        timeout_s=3.0,
        progress=lambda text: pids.append(int(text)),
        command=[sys.executable, "-c", _FAMILY],
    )
    assert "no result within 3 s" in (outcome.failure or "")
    assert len(pids) == 1
    assert _ends(pids[0])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_interrupt_ends_the_child_and_its_children(tmp_path: Path) -> None:
    pids: list[int] = []

    def interrupt(text: str) -> None:
        pids.append(int(text))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.run_child(
            {},
            folder=tmp_path,
            timeout_s=60.0,
            progress=interrupt,
            command=[sys.executable, "-c", _FAMILY],
        )
    assert _ends(pids[0])


_HANGING = """
import sys; sys.path[:] = sys.argv[1:]
import time
from mlsys_lint.measure import child
child._work = lambda job, send: (send({"progress": "hanging"}), time.sleep(300))
child.main()
"""


def test_child_ends_with_its_parent(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    command = [sys.executable, "-P", "-c", _HANGING, *sys.path]
    orphan = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with orphan:
        assert orphan.stdin is not None
        assert orphan.stdout is not None
        orphan.stdin.write(
            json.dumps({"scratch": str(folder), "memory_limit_bytes": None}).encode() + b"\n"
        )
        orphan.stdin.flush()
        assert b"hanging" in orphan.stdout.readline()
        orphan.stdin.close()  # as when the parent dies
        assert orphan.wait(timeout=60) == -signal.SIGKILL
    assert not folder.exists()


def test_unexpected_fault_is_one_message(tmp_path: Path) -> None:
    code = _HANGING.replace("time.sleep(300)", "1 / 0").replace("sys.argv[1:]", repr(sys.path))
    outcome = process.run_child(
        {"scratch": str(tmp_path / "none"), "memory_limit_bytes": None},
        folder=tmp_path,
        timeout_s=60.0,
        command=[sys.executable, "-c", code],
    )
    assert outcome.error == ("MlsysLintError", "ZeroDivisionError: division by zero")
    assert "Traceback" in (tmp_path / "stderr").read_text()


def _latency_part() -> dict[str, Any]:
    return {
        "provider": "cpu",
        "provider_options": {},
        "threads": 1,
        "runtime_version": "1.99.0",
        "seconds": [1.0, 2.0],
        "first_run_s": 3.0,
        "session_s": 4.0,
        "sentinel_s": [0.5, 0.25],
        "cpus": 2,
        "from_file": [],
    }


def test_runs_count_when_memory_could_not_be_measured() -> None:
    outcome = process.Outcome(parts={"latency": _latency_part()}, failure="it crashed")
    found = parent._measurement(outcome, path=Path("m.onnx"), plans=(), load=None)
    assert found.seconds == (1.0, 2.0)
    assert found.peak_activation_bytes is None
    (problem,) = found.problems
    assert problem.message == (
        "not measured: peak memory and each node's provider, kernels one by one, which nodes each "
        "kernel stands for: it crashed"
    )


def test_fallbacks_and_peak_reach_the_record() -> None:
    peak = {
        "peak_activation_bytes": 64,
        "fallbacks": [{"provider": "CPU", "op_type": "Resize", "nodes": ["r"]}],
        "problems": ["so so"],
    }
    outcome = process.Outcome(parts={"latency": _latency_part(), "peak": peak})
    found = parent._measurement(outcome, path=Path("m.onnx"), plans=(), load=0.5)
    assert found.peak_activation_bytes == 64
    assert found.fallbacks[0].nodes == ("r",)
    assert [problem.message for problem in found.problems] == ["so so"]


@pytest.mark.parametrize(
    ("kind", "expected", "message"),
    [
        ("ModelError", ModelError, "m.onnx: bad"),
        ("OptionError", OptionError, "m.onnx: bad"),
        ("RuntimeUnavailableError", RuntimeUnavailableError, "bad"),
        ("Surprise", MlsysLintError, "m.onnx: bad"),
    ],
)
def test_errors_keep_their_class(kind: str, expected: type[MlsysLintError], message: str) -> None:
    found = parent._failure(process.Outcome(error=(kind, "bad")), Path("m.onnx"))
    assert type(found) is expected
    assert str(found) == message
