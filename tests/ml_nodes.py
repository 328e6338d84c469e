"""Costs of single operators of ai.onnx.ml, whose attributes are too long for ONNX text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from onnx import helper

from mlsys_lint import NodeCost, OpCost
from mlsys_lint.analysis import analyse
from mlsys_lint.loading import prepare
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.shapes import Bindings


def node_of(
    op_type: str, attributes: Mapping[str, object], *, outputs: int = 1, kind: int = 1
) -> NodeCost:
    """The verdict on an operator that reads x [5, 4]."""
    names = [f"y{at}" for at in range(outputs)]
    node = helper.make_node(op_type, ["x"], names, domain="ai.onnx.ml")
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    x = helper.make_tensor_value_info("x", kind, (5, 4))
    results = [helper.make_empty_tensor_value_info(name) for name in names]
    graph = helper.make_graph([node], "g", [x], results)
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("ai.onnx.ml", ml_opset(op_type))]
    model = helper.make_model(graph, opset_imports=opsets)
    host = PluginHost(third_party=False)
    (found,) = analyse(prepare(model, Path("ml.onnx")), host, Bindings()).costs
    return found


def ml_opset(op_type: str) -> int:
    return 3 if op_type in ("TreeEnsembleRegressor", "TreeEnsembleClassifier") else 5


def cost_of(
    op_type: str, attributes: Mapping[str, object], *, outputs: int = 1, kind: int = 1
) -> OpCost:
    found = node_of(op_type, attributes, outputs=outputs, kind=kind)
    assert found.cost is not None, found.reason
    return found.cost
