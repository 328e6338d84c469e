"""The report on a sample model, and what ONNX Runtime makes of the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from mlsys_lint.cli import run

FOLDER = Path(__file__).parents[2] / "sample_models"

Arrays = dict[str, NDArray[Any]]
Figures = tuple[int, int, int, int, int]
"""MACs, vector operations, transcendentals, parameters, parameter bytes."""


def report(capsys: pytest.CaptureFixture[str], name: str, *options: str) -> Any:
    """The JSON report on a sample, as the command line gives it."""
    device = () if "--device" in options else ("--device", "i7-12700k")
    assert run([str(FOLDER / f"{name}.onnx"), "--format", "json", *device, *options]) in (0, 1)
    return json.loads(capsys.readouterr().out)


def figures(document: Any) -> Figures:
    """The figures of a whole model; every node is counted by a formula."""
    totals, model = document["totals"], document["model"]
    assert totals["coverage"]["fraction_of_nodes"] == 1.0
    assert not totals["is_lower_bound"]
    assert not totals["is_upper_bound"]
    return (
        *(totals[key] for key in ("macs", "vector_ops", "transcendentals")),
        *(model[key] for key in ("parameters", "parameter_bytes")),
    )


def by_output(document: Any) -> dict[str, Any]:
    """The model's own nodes, not those of function bodies, by the name of their first output."""
    return {one["outputs"][0]["name"]: one for one in document["nodes"] if not one["scope"]}


def shapes(document: Any) -> dict[str, list[Any]]:
    """Shape of every value that a node of the model itself gives."""
    return {
        one["name"]: one["shape"]
        for node in document["nodes"]
        if not node["scope"]
        for one in node["outputs"]
    }


def weight(name: str, initializer: str) -> NDArray[Any]:
    """A constant that a sample stores."""
    stored = onnx.load(FOLDER / f"{name}.onnx").graph.initializer
    return next(onnx.numpy_helper.to_array(one) for one in stored if one.name == initializer)


def outputs_of_a_run(name: str, feeds: Mapping[str, NDArray[Any]], *inner: str) -> Arrays:
    """What ONNX Runtime computes: the model's outputs, and inner values by name."""
    runtime = pytest.importorskip("onnxruntime")
    model = onnx.load(FOLDER / f"{name}.onnx")
    results = [value.name for value in model.graph.output]
    for added in set(inner) - set(results):
        model.graph.output.add(name=added)  # the runtime infers its type
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = list(dict.fromkeys((*results, *inner)))
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def shapes_of_a_run(document: Any, name: str, feeds: Mapping[str, NDArray[Any]]) -> Any:
    """Shapes that ONNX Runtime gives to the values that `shapes` names."""
    found = outputs_of_a_run(name, feeds, *shapes(document))
    return {key: list(value.shape) for key, value in found.items()}


def draw(*shape: int) -> NDArray[np.float32]:
    """Normally distributed values, the same in every run."""
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)
