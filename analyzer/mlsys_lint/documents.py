"""Parts of the JSON documents that `check` and `validate` share; public for reporters."""

from __future__ import annotations

from typing import Any, TypeAlias

from mlsys_lint.records import Interval, ModelInfo, Problem, TensorInfo

Document: TypeAlias = dict[str, Any]


def tool_document(version: str) -> Document:
    """`tool`."""
    return {"name": "mlsys-lint", "version": version}


def model_document(model: ModelInfo) -> Document:
    """`model`."""
    return {
        "path": model.path,
        "ir_version": model.ir_version,
        "producer": model.producer,
        "opset_imports": dict(model.opset_imports),
        "inputs": [tensor_document(one) for one in model.inputs],
        "outputs": [tensor_document(one) for one in model.outputs],
        "parameters": model.parameters,
        "parameter_bytes": model.parameter_bytes,
        "parameter_dtypes": dict(model.parameter_dtypes),
        "dims": {one.name: {"value": one.value, "source": one.source} for one in model.dims},
    }


def tensor_document(tensor: TensorInfo) -> Document:
    """Name, type and shape; a size that depends on data is {"max": N}, an unknown one null."""
    shape = None
    if tensor.shape is not None:
        shape = [
            {"max": size} if axis in tensor.bounded and size is not None else size
            for axis, size in enumerate(tensor.shape)
        ]
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": shape}


def interval_document(interval: Interval | None) -> Document | None:
    """floor, low, expected and high; null where there is no figure."""
    if interval is None:
        return None
    return {
        "floor": interval.floor,
        "low": interval.low,
        "expected": interval.expected,
        "high": interval.high,
    }


def problem_document(problem: Problem) -> Document:
    """An entry of `problems`."""
    return {
        "plugin": problem.plugin,
        "stage": problem.stage,
        "message": problem.message,
        "node": problem.node,
    }
