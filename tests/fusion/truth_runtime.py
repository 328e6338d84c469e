"""The graphs that ONNX Runtime saves after its optimizers, without their weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

_CHILD: Final = Path(__file__).with_name("truth_child.py")


class RuntimeFailedError(Exception):
    """ONNX Runtime refused the model, crashed or hung."""


def save_graphs(model: Path, folder: Path, timeout_s: float = 300) -> list[Path]:
    """The graph of each level as optimized from the file, on the CPU, by one thread.

    Nodes without a name of their own get one. A model that crashes or hangs costs only its process.
    """
    command = [sys.executable, "-P", str(_CHILD), str(model.resolve()), str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=environment,
        )
    except subprocess.CalledProcessError as error:
        raise RuntimeFailedError(
            f"exit status {error.returncode}: {error.stderr[-400:]}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise RuntimeFailedError(f"no answer in {timeout_s} s") from error
    return [Path(line) for line in done.stdout.splitlines()]
