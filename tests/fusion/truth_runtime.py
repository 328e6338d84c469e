"""The graphs that ONNX Runtime saves after its optimizers, without their weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import onnx

from fusion.truth_graph import name_nodes

LEVELS: Final = ("basic", "extended", "all")
_CHILD: Final = Path(__file__).with_name("truth_child.py")


class RuntimeFailedError(Exception):
    """ONNX Runtime refused the model, crashed or hung."""


def save_graphs(model: Path, folder: Path, timeout_s: float = 300) -> dict[str, Path]:
    """Level -> the graph as optimized from the file, on the CPU, by one thread.

    Nodes without a name of their own get one. A model that crashes or hangs costs only its process.
    """
    paths = {level: folder / f"{model.name}.{level}.onnx" for level in LEVELS}
    source = _named(model, folder)
    command = [sys.executable, "-P", str(_CHILD), str(source), *map(str, paths.values())]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=timeout_s)
    except subprocess.CalledProcessError as error:
        raise RuntimeFailedError(
            f"exit status {error.returncode}: {error.stderr[-400:]}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise RuntimeFailedError(f"no answer in {timeout_s} s") from error
    return paths


def _named(model: Path, folder: Path) -> Path:
    proto = onnx.load(model, load_external_data=False)
    if not name_nodes(proto):
        return model
    onnx.load_external_data_for_model(proto, str(model.parent))
    path = folder / f"{model.name}.named.onnx"
    onnx.save(proto, path)
    return path
