"""External data: beside the model, or the model is not run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx

from mlsys_lint.errors import ModelError


def check_external_data(proto: onnx.ModelProto, path: Path) -> None:
    """Refuse data files that are missing or lie, links resolved, outside the model's folder.

    Recent releases of ONNX Runtime refuse both; older ones open whatever the model names. Model
    caches keep links to one folder that holds models and data: the model's own target counts too.

    Raises:
        ModelError: a tensor's file may not or can't be read.
    """
    folders = [path.parent.resolve(), path.resolve().parent]
    checked = set()
    for tensor in _tensors(proto.graph):
        location = next((one.value for one in tensor.external_data if one.key == "location"), None)
        if tensor.data_location != onnx.TensorProto.EXTERNAL or not location:
            continue
        if location in checked:
            continue
        checked.add(location)
        target = (path.parent / location).resolve()
        if not any(target.is_relative_to(folder) for folder in folders):
            raise ModelError(
                f"{path}: tensor {tensor.name!r} is stored in {location!r}, outside the model's "
                "folder; move the data beside the model"
            )
        if not target.is_file():
            raise ModelError(
                f"{path}: the external data file {location!r} of tensor {tensor.name!r} is "
                "missing; put it beside the model (validate runs the model and needs its weights)"
            )


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Tensors stored in a graph and its bodies."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)
