"""Life and death of the child process: its time limit, its end, and what it said until then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

# The child sees exactly the packages that this process sees, and nothing of its own folder (-P).
_BOOT: Final = (
    "import sys; sys.path[:] = sys.argv[1:]; from mlsys_lint.measure.child import main; main()"
)
_ONE_THREAD: Final = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
_LONGEST_REASON: Final = 300


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came out of a child.

    Attributes:
        parts: Results by name, in the order in which they arrived.
        error: (class of error, message) that the child reported itself.
        failure: Why there is not more, in words; None when the child ended well.
    """

    parts: dict[str, Any] = field(default_factory=dict)
    error: tuple[str, str] | None = None
    failure: str | None = None


def run_child(
    job: Mapping[str, object],
    *,
    folder: Path,
    timeout_s: float,
    progress: Callable[[str], None] | None = None,
    command: Sequence[str] | None = None,
) -> Outcome:
    """Start a child in `folder`, hand it the job, read its lines until it ends.

    The child leads a process group of its own: a time-out, Ctrl-C or any other exception here
    kills it with its children. Its stdin stays open meanwhile: when this process dies, the child
    sees the end of stdin and ends itself.
    """
    command = command or [sys.executable, "-P", "-c", _BOOT, *sys.path]
    outcome = Outcome()
    with (folder / "stderr").open("wb") as stderr:
        child = subprocess.Popen(  # noqa: S603  our own interpreter or a test's command
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=folder,
            env=_environment(folder),
            start_new_session=True,
        )
        expired = threading.Event()
        timer = threading.Timer(timeout_s, _expire, (child, expired))
        timer.daemon = True
        stage = "starting"
        try:
            timer.start()
            _send(child, job)
            stage = _read(child.stdout, outcome, progress) or stage
            child.wait()
        finally:
            timer.cancel()
            _kill(child)
            _close(child)
    limit_s = timeout_s if expired.is_set() else None
    outcome.failure = _failure(outcome, child.returncode, stage, limit_s)
    if outcome.error is None and child.returncode > 0:
        outcome.failure = f"{outcome.failure}{_last_words(folder / 'stderr')}"
    return outcome


def _environment(folder: Path) -> dict[str, str]:
    """The caller's, with one thread for numpy's matmul and without options that a model sets."""
    environment = {**os.environ, "TMPDIR": str(folder), **dict.fromkeys(_ONE_THREAD, "1")}
    environment.pop("ORT_LOAD_CONFIG_FROM_MODEL", None)
    return environment


def _expire(child: subprocess.Popen[bytes], expired: threading.Event) -> None:
    expired.set()
    _kill(child)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started.

    A child that was waited for is left alone: its number may belong to another process by now.
    """
    if child.returncode is not None:
        return
    try:
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    except (ProcessLookupError, PermissionError):
        pass
    child.wait()


def _send(child: subprocess.Popen[bytes], job: Mapping[str, object]) -> None:
    """One line; the pipe stays open."""
    try:
        if child.stdin is not None:
            child.stdin.write(json.dumps(job).encode() + b"\n")
            child.stdin.flush()
    except OSError:  # it died first; its end says why
        pass


def _close(child: subprocess.Popen[bytes]) -> None:
    for stream in (child.stdin, child.stdout):
        try:
            if stream is not None:
                stream.close()
        except OSError:
            pass


def _read(
    lines: IO[bytes] | None, outcome: Outcome, progress: Callable[[str], None] | None
) -> str | None:
    """Collect the child's messages; return what it was doing last."""
    stage = None
    for line in lines or ():
        message = _message(line)
        if isinstance(text := message.get("progress"), str):
            stage = text
            if progress is not None:
                progress(text)
        elif isinstance(part := message.get("part"), str):
            outcome.parts[part] = message["value"]
        elif isinstance(error := message.get("error"), list):
            outcome.error = (str(error[0]), str(error[1]))
    return stage


def _message(line: bytes) -> dict[str, Any]:
    """A message, empty when the line is none (a runtime that prints)."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _failure(outcome: Outcome, status: int, stage: str, limit_s: float | None) -> str | None:
    """Why the child did not finish its work; None when it did. `limit_s` when it was exceeded."""
    if outcome.error is not None:
        return outcome.error[1]
    if status == 0:
        return None if outcome.parts else "the process that ran the model said nothing"
    if limit_s is not None:
        return (
            f"no result within {limit_s:g} s (while {stage}); raise --timeout or bind smaller "
            "dimensions"
        )
    if status == -signal.SIGKILL:
        return (
            f"the process that ran the model was killed (while {stage}), as systems do when "
            "memory runs out; bind smaller dimensions"
        )
    if status < 0:
        return (
            f"ONNX Runtime crashed ({signal.Signals(-status).name}, while {stage}); the fault is "
            "the runtime's: another release of it may run the model"
        )
    return f"the process that ran the model ended with status {status} (while {stage})"


def _last_words(path: Path) -> str:
    """The last line that the child wrote to stderr, which may explain its end."""
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f": {lines[-1].strip()[:_LONGEST_REASON]}" if lines else ""
