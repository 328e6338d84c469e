"""One node, two numberings: that of the report and that of the file."""

from __future__ import annotations

from pathlib import Path

import onnx

from mlsys_lint.analysis import analyse
from mlsys_lint.joining.graph import Graph, read_graph
from mlsys_lint.loading import prepare
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import NodeView
from mlsys_lint.shapes import Bindings
from mlsys_lint.validation.places import file_indexes, report_indexes

HOST = PluginHost(third_party=False)

# The else branch comes first and holds a Loop; every node has a name of its own.
_NESTED = """<ir_version: 9, opset_import: ["": 17]>
g (float[2] x, bool c) => (float[2] z) <int64 n = {3}, bool go = {1}> {
    [top] r = Relu(x)
    [if] y = If (c) <
        else_branch = e () => (float[2] s) {
            [loop] q = Loop(n, go, r) <body = b (int64 i, bool k, float[2] v)
                => (bool d, float[2] w) { [kept] d = Identity(k) [sine] w = Sin(v) }>
            [cosine] s = Cos(q)
        },
        then_branch = t () => (float[2] p) { [early] h = Exp(r) [late] p = Tanh(h) }
    >
    [last] z = Neg(y)
}"""

_CALLS = """<ir_version: 9, opset_import: ["": 17, "local": 1]>
g (float[2] x) => (float[2] z) { [first] a = Exp(x) [call] z = local.outer(a) }
<domain: "local", opset_import: ["": 17, "local": 1]>
outer (v) => (w) { s = Sin(v) w = local.inner(s) }
<domain: "local", opset_import: ["": 17]>
inner (v) => (w) { w = Cos(v) }"""


def _both(text: str) -> tuple[Graph, list[NodeView]]:
    model = onnx.parser.parse_model(text)
    file = read_graph(model)
    analysis = analyse(prepare(model, Path("model.onnx")), HOST, Bindings())
    return file, [one.node for one in analysis.costs]


def test_nested_bodies_meet_by_their_names() -> None:
    file, nodes = _both(_NESTED)
    names = {node.index: node.name for scope in file.scopes() for node in scope.nodes}
    found = report_indexes(file, nodes)
    assert {names[theirs]: nodes[ours].name for theirs, ours in found.items()} == {
        name: name
        for name in ("top", "if", "last", "loop", "cosine", "kept", "sine", "early", "late")
    }
    assert {theirs: ours for ours, theirs in file_indexes(found, nodes).items()} == found


def test_body_of_a_function_stands_for_the_outermost_call() -> None:
    file, nodes = _both(_CALLS)
    found = file_indexes(report_indexes(file, nodes), nodes)
    # Top level: 0 Exp, 1 the call. Below: Sin, the inner call, Cos.
    assert [nodes[index].op_type for index in found] == ["Exp", "outer", "Sin", "inner", "Cos"]
    assert list(found.values()) == [0, 1, 1, 1, 1]
