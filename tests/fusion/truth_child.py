"""The child process that lets ONNX Runtime save optimized graphs: MODEL FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from mlsys_lint.measure.graphs import named_model, save_graphs
from mlsys_lint.measure.runtime import load_runtime

if __name__ == "__main__":
    model, folder = Path(sys.argv[1]), Path(sys.argv[2])
    for path in save_graphs(load_runtime(), named_model(model), model.parent, folder):
        print(path)  # noqa: T201  the answer
