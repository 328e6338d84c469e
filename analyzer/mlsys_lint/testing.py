"""Helpers for the tests of plugin authors: models from text, their costs and findings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import onnx
from onnx import parser

from mlsys_lint.analysis import analyse
from mlsys_lint.loading import prepare
from mlsys_lint.pipeline import CheckOptions, report
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import Finding, ModelReport, NodeCost
from mlsys_lint.shapes import Bindings

__all__ = ["check_text", "estimate_text", "lint_text", "model_from_text"]

_OTHER_DOMAINS: Final = {"com.microsoft": 1, "ai.onnx.ml": 5, "com.acme": 1, "acme": 1, "local": 1}
_PLACE: Final = Path("text.onnx")


def model_from_text(text: str, opset: int = 23) -> onnx.ModelProto:
    """A model from ONNX text; a text that does not begin with `<` is a graph without header.

    `model_from_text("g (float[2,3] x) => (float[2,3] y) { y = Relu(x) }")`. Weights are written
    `<float[3,4] w>` after the outputs: declared without value, they become zeros.
    """
    if not text.lstrip().startswith("<"):
        domains = {"": opset, **_OTHER_DOMAINS}
        imports = ", ".join(f'"{domain}": {version}' for domain, version in domains.items())
        text = f"<ir_version: 10, opset_import: [{imports}]> {text}"
    model = parser.parse_model(text)
    _fill_declared_weights(model)
    return model


def _fill_declared_weights(model: onnx.ModelProto) -> None:
    """Declarations that no node writes are weights: the parser reads them as value_info."""
    written = {name for node in model.graph.node for name in node.output}
    written |= {tensor.name for tensor in model.graph.initializer}
    declared = [info for info in model.graph.value_info if info.name not in written]
    kept = [info for info in model.graph.value_info if info.name in written]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)
    for info in declared:
        kind = info.type.tensor_type
        dims = [dim.dim_value for dim in kind.shape.dim]
        tensor = model.graph.initializer.add(name=info.name, data_type=kind.elem_type, dims=dims)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=f"{info.name}.bin")


def check_text(
    text: str,
    *,
    opset: int = 23,
    dims: Mapping[str, int] | None = None,
    device: str | None = None,
    plugins: Mapping[str, object] | None = None,
) -> ModelReport:
    """The report of a model in text, on one device or none; `plugins` are loaded besides ours."""
    from mlsys_lint.devices import find_device

    host = PluginHost(third_party=False, extra=plugins)
    model = prepare(model_from_text(text, opset), _PLACE)
    analysis = analyse(model, host, Bindings(dims=dims or {}))
    devices = [find_device(device, host.devices)] if device else []
    return report(analysis, host, CheckOptions(devices=devices))


def estimate_text(
    text: str,
    *,
    opset: int = 23,
    dims: Mapping[str, int] | None = None,
    plugins: Mapping[str, object] | None = None,
) -> tuple[NodeCost, ...]:
    """The cost of every node of a model in text, in file order."""
    return check_text(text, opset=opset, dims=dims, plugins=plugins).nodes


def lint_text(
    text: str,
    *,
    opset: int = 23,
    dims: Mapping[str, int] | None = None,
    device: str = "nv-a100-sxm4-80",
    plugins: Mapping[str, object] | None = None,
) -> tuple[Finding, ...]:
    """The findings of all rules on a model in text."""
    return check_text(text, opset=opset, dims=dims, device=device, plugins=plugins).findings
