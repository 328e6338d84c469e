"""What ONNX Runtime produces, against the types and shapes that are inferred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper

from mlsys_lint import TensorInfo
from mlsys_lint.analysis import analyse
from mlsys_lint.loading import prepare
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text

Feeds: TypeAlias = Mapping[str, Any]
"""Arrays, or dictionaries where an input is a map."""


def node_model(
    op_type: str,
    attributes: Mapping[str, object],
    feeds: Mapping[str, npt.NDArray[Any]],
    *,
    outputs: int = 1,
    domain: str = "ai.onnx.ml",
    version: int = 1,
) -> onnx.ModelProto:
    """A model of one node, its inputs as long as the feeds."""
    names = [f"y{at}" for at in range(outputs)]
    node = helper.make_node(op_type, [*feeds], names, domain=domain)
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    inputs = [
        helper.make_tensor_value_info(name, element_type(array), array.shape)
        for name, array in feeds.items()
    ]
    results = [helper.make_empty_tensor_value_info(name) for name in names]
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(domain, version)]
    graph = helper.make_graph([node], "g", inputs, results)
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def element_type(array: npt.NDArray[Any]) -> int:
    """ONNX's number; arrays of objects hold strings."""
    if array.dtype == object:
        return int(onnx.TensorProto.STRING)
    return int(helper.np_dtype_to_tensor_dtype(array.dtype))


def observed(model: onnx.ModelProto, feeds: Feeds) -> tuple[list[str], list[Any]]:
    """Types and values of the outputs as ONNX Runtime gives them; skips where it is not installed."""
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # a graph output without a type is no fault here
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [output.type for output in session.get_outputs()], session.run(None, dict(feeds))


def inferred(model: onnx.ModelProto) -> Sequence[TensorInfo]:
    """Outputs of the last node."""
    analysis = analyse(prepare(model, Path("node.onnx")), PluginHost(third_party=False), Bindings())
    return [tensor for tensor in analysis.costs[-1].node.outputs if tensor is not None]


def assert_as_observed(model: onnx.ModelProto, feeds: Feeds) -> None:
    """The inferred types and shapes are those that ONNX Runtime produces."""
    _, values = observed(model, feeds)
    found = [(tensor.dtype, tensor.shape) for tensor in inferred(model)]
    assert found == [(_type_name(value), value.shape) for value in values]


def _type_name(array: npt.NDArray[Any]) -> str | None:
    """ONNX's name of an element type, in lower case."""
    if array.dtype == object:
        return "string"
    return onnx.TensorProto.DataType.Name(element_type(array)).lower()


def text_model(text: str, opset: int = 20) -> onnx.ModelProto:
    """A model from `(inputs) => (outputs) { ... }`, whose outputs declare a type and no shape.

    `.X` stands for com.microsoft's X.
    """
    model = model_from_text("g " + text.replace(" .", " com.microsoft."), opset=opset)
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    return model


def zeros(model: onnx.ModelProto) -> dict[str, npt.NDArray[Any]]:
    """Feeds of zeros, strings empty."""
    feeds = {}
    for value in model.graph.input:
        kind = value.type.tensor_type
        shape = [dim.dim_value for dim in kind.shape.dim]
        if kind.elem_type == onnx.TensorProto.STRING:
            feeds[value.name] = np.full(shape, "", dtype=object)
        else:
            feeds[value.name] = np.zeros(shape, helper.tensor_dtype_to_np_dtype(kind.elem_type))
    return feeds
