"""The child process that lets ONNX Runtime save optimized graphs: MODEL BASIC EXTENDED ALL (paths)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import onnxruntime as ort  # noqa: TID251  the parent does not import it

LEVELS: Final = ("BASIC", "EXTENDED", "ALL")
WEIGHT_BYTES: Final = 1024
"""Larger weights go to a file of their own, which is dropped: only the graph is wanted."""


def save(model: str, level: str, path: Path) -> None:
    """Save the graph as the session would run it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    options.optimized_model_filepath = str(path)
    weights = path.with_suffix(".weights")
    prefix = "session.optimized_model_external_initializers"
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.add_session_config_entry(f"{prefix}_file_name", weights.name)
    options.add_session_config_entry(f"{prefix}_min_size_in_bytes", str(WEIGHT_BYTES))
    ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    weights.unlink(missing_ok=True)


if __name__ == "__main__":
    for level, path in zip(LEVELS, sys.argv[2:], strict=True):
        save(sys.argv[1], level, Path(path))
