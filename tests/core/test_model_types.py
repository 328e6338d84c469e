"""Onnx's whole-model inference serves most nodes, and never says more than the walk would."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import parser

from mlsys_lint.errors import ModelError
from mlsys_lint.graph import build, model_types, plain
from mlsys_lint.loading import load, prepare
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import check_text, model_from_text

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
TABLE = PluginHost(third_party=False).operators


def described(path: Path) -> list[object]:
    graph = build(load(path), Bindings(), TABLE)
    return [
        (one.index, one.op_type, [(out.name, out.dtype, out.shape) for out in one.outputs if out])
        for one in graph.nodes
    ]


@pytest.mark.parametrize("name", ["light_squeezenet", "light_shufflenet", "light_inception_v1"])
def test_the_short_way_and_the_long_way_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    short = described(LIGHT / f"{name}.onnx")
    monkeypatch.setattr(plain.PlainNodes, "quick", lambda *_: None)
    assert described(LIGHT / f"{name}.onnx") == short


def test_blocks_agree_with_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = described(LIGHT / "light_squeezenet.onnx")
    monkeypatch.setattr(model_types, "_BLOCK", 7)
    assert described(LIGHT / "light_squeezenet.onnx") == whole


def test_what_the_file_declares_is_not_believed() -> None:
    # x has 3 columns whatever the value_info of y says
    model = model_from_text("g (float[2,3] x) => (float[2,9] z) { y = Relu(x) z = Neg(y) }")
    info = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (7, 7))
    model.graph.value_info.append(info)
    graph = build(prepare(model, Path("text.onnx")), Bindings(), TABLE)
    assert [one.output().shape for one in graph.nodes] == [(2, 3), (2, 3)]


def test_functions_without_end_do_not_reach_onnx() -> None:
    text = """<ir_version: 10, opset_import: ["" : 23, "local" : 1]>
        g (float[2] x) => (float[2] y) { y = local.f(x) }
        <domain: "local", opset_import: ["local" : 1]> f (a) => (b) { b = local.h(a) }
        <domain: "local", opset_import: ["local" : 1]> h (a) => (b) { b = local.f(a) }"""
    with pytest.raises(ModelError, match="calls itself"):
        check_text(text)


@pytest.mark.parametrize("name", ["node_name", "LeakyRelu", "alpha", "x_value", "y_value"])
def test_names_that_are_not_utf8(name: str) -> None:
    model = parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 23]> g (float[2] x_value) => (float[2] y_value) '
        "{ [node_name] y_value = LeakyRelu<alpha=0.5>(x_value) }"
    )
    content = model.SerializeToString().replace(name.encode(), b"\xff" * len(name))
    damaged = onnx.ModelProto.FromString(content)
    with pytest.raises(ModelError, match="not UTF-8"):
        build(prepare(damaged, Path("text.onnx")), Bindings(), TABLE)
