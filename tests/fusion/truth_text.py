"""The truth of a graph that is written in a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from fusion.truth import Truth, truth_of


def truth_of_text(folder: Path, text: str, *, opset: int = 17) -> Truth:
    """The truth of a graph; inputs that are called w.. or b.. become weights, all different."""
    head = f'<ir_version: 8, opset_import: ["": {opset}]>'
    model = onnx.parser.parse_model(f"{head} g {text}")
    rng = np.random.default_rng(0)
    for value in list(model.graph.input):
        if value.name[0] in "wb":
            shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            values = rng.uniform(0.1, 1, shape).astype(np.float32)
            model.graph.initializer.append(onnx.numpy_helper.from_array(values, value.name))
            model.graph.input.remove(value)
    path = folder / "model.onnx"
    onnx.save(model, path)
    return truth_of(path)


def kernels(found: Truth) -> list[tuple[str, list[int]]]:
    """(operator type, members) in saved order."""
    return [(one.op_type, sorted(one.members)) for one in found.kernels]


def inserted(found: Truth) -> list[tuple[str, str | None, str | None]]:
    """(operator type, anchor, side) of the kernels that stand for no node of the file."""
    return [(one.op_type, one.anchor, one.side) for one in found.kernels if not one.members]
