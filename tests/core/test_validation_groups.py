"""From a model to its groups, through ONNX Runtime. No test looks at a time.

Indexes of nodes are those of the text, from 0; those of bodies follow the top level's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from mlsys_lint.devices import find_device
from mlsys_lint.pipeline import CheckOptions, RunOptions, validate
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records.validation import ValidationReport

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.ort

HOST = PluginHost(third_party=False)


def _validated(
    folder: Path, text: str, *, opset: int = 17, functions: str = ""
) -> ValidationReport:
    """Inputs that are called w.. or b.. become weights, all different."""
    head = f'<ir_version: 9, opset_import: ["": {opset}, "local": 1]>'
    model = onnx.parser.parse_model(f"{head} g {text} {functions}")
    rng = np.random.default_rng(0)
    for value in list(model.graph.input):
        if value.name[0] in "wb":
            shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            array = rng.uniform(0.1, 1, shape).astype(np.float32)
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, value.name))
            model.graph.input.remove(value)
    path = folder / "model.onnx"
    onnx.save(model, path)
    device = find_device("host", HOST.devices, threads=1)
    return validate(path, HOST, CheckOptions(devices=[device]), RunOptions(runs=3))


def _nodes(report: ValidationReport) -> list[tuple[list[int], list[str]]]:
    """Nodes and executed operators of each group."""
    assert report.groups is not None
    return [
        ([*one.nodes], [op.rpartition("::")[2] for op in one.executed_ops]) for one in report.groups
    ]


def test_groups_partition_the_measured_time(tmp_path: Path) -> None:
    found = _validated(
        tmp_path,
        """(float[1,3,8] x, float[4,3,3] w) => (float[1,4,6] z)
        { y = Conv(x, w) z0 = Relu(y) z = Neg(z0) }""",
    )
    assert _nodes(found) == [([0, 1], ["FusedConv"]), ([2], ["Neg"])]
    assert [one.predicted_ops for one in found.groups or ()] == [
        ("com.microsoft::FusedConv",),
        ("ai.onnx::Neg",),
    ]
    assert sum(one.measured_s for one in found.groups or ()) == pytest.approx(found.measured.median)
    assert found.summary.mapped_time_fraction == 1.0
    assert found.summary.single_kernel_time_fraction == 1.0
    assert found.unmapped == ()


def test_inserted_kernels_have_groups_without_nodes(tmp_path: Path) -> None:
    # A matrix product with a bias has two dimensions: Reshapes stand around it.
    found = _validated(
        tmp_path,
        """(float[2,3,4] x, float[4,5] w, float[5] b) => (float[2,3,5] z)
        { y = MatMul(x, w) z0 = Add(b, y) z = Neg(z0) }""",
    )
    assert _nodes(found) == [
        *(([], ["Reshape"]), ([0, 1], ["Gemm"])),
        *(([], ["Reshape"]), ([2], ["Neg"])),
    ]
    labels = [one.label for one in found.groups or ()]
    assert (labels[0], labels[2]) == ("(Reshape) x", "(Reshape) z0")


def test_body_of_a_loop_stands_beside_its_container(tmp_path: Path) -> None:
    # Two nodes at the top (0 Exp, 1 Loop), two in the body (2 Identity, 3 Sin).
    found = _validated(
        tmp_path,
        """(float[2] x) => (float[2] y) <int64 n = {3}, bool go = {1}> {
            a = Exp(x)
            y = Loop(n, go, a) <body = b (int64 i, bool c, float[2] v) => (bool d, float[2] w) {
                d = Identity(c)
                w = Sin(v)
            }>
        }""",
    )
    groups = {tuple(nodes): ops for nodes, ops in _nodes(found)}
    assert groups[0,] == ["Exp"]
    assert groups[1,] == ["Loop"]
    assert groups[3,] == ["Sin"]
    assert found.summary.mapped_time_fraction == 1.0


def test_branch_that_runs_is_joined_whatever_was_predicted(tmp_path: Path) -> None:
    # Nodes: 0 Relu, 1 If, 2 Neg; then_branch 3, 4; else_branch 5. The dearer branch is predicted;
    # booleans are filled with true or false, so either runs.
    found = _validated(
        tmp_path,
        """(float[2,3] x, bool c) => (float[2,3] z) {
            r = Relu(x)
            y = If (c) <
                then_branch = t () => (float[2,3] p) { h = Sin(r) p = Tanh(h) },
                else_branch = e () => (float[2,3] s) { s = Cos(r) }
            >
            z = Neg(y)
        }""",
    )
    groups = _nodes(found)
    ran = {node for nodes, ops in groups if ops for node in nodes}
    assert ran in ({0, 1, 2, 3, 4}, {0, 1, 2, 5})
    assert found.summary.mapped_time_fraction == 1.0


def test_call_of_a_function_stands_beside_its_body(tmp_path: Path) -> None:
    # 0 Exp, 1 the call; its body's nodes are 2 and 3. The runtime has inlined them.
    found = _validated(
        tmp_path,
        """(float[2,3] x) => (float[2,3] z) { a = Exp(x) z = local.twice(a) }""",
        functions="""
        <domain: "local", opset_import: ["": 17]>
        twice (v) => (w) { s = Sin(v) w = Cos(s) }""",
    )
    groups = _nodes(found)
    assert groups[0] == ([0], ["Exp"])
    assert {node for nodes, _ in groups[1:] for node in nodes} >= {2, 3}
    assert [op for _, ops in groups[1:] for op in ops] == ["Sin", "Cos"]
    assert found.summary.mapped_time_fraction == 1.0


def test_two_calls_of_a_function_are_told_apart(tmp_path: Path) -> None:
    found = _validated(
        tmp_path,
        """(float[2,3] x) => (float[2,3] z) { a = local.twice(x) z = local.twice(a) }""",
        functions="""
        <domain: "local", opset_import: ["": 17]>
        twice (v) => (w) { s = Sin(v) w = Cos(s) }""",
    )
    # 0 and 1 the calls; 2, 3 the first body, 4, 5 the second.
    groups = [(set(nodes), ops) for nodes, ops in _nodes(found)]
    assert [nodes & {2, 3, 4, 5} for nodes, _ in groups] == [{2}, {3}, {4}, {5}]
    assert [ops for _, ops in groups] == [["Sin"], ["Cos"], ["Sin"], ["Cos"]]


def test_cost_that_is_not_known_is_no_zero(tmp_path: Path) -> None:
    # How many characters there are is not in the file.
    found = _validated(
        tmp_path,
        """(string[2] s, float[2] x) => (string[2] t, float[2] y) {
            t = StringConcat(s, s)
            y = Exp(x)
        }""",
        opset=20,
    )
    unknown = next(one for one in found.groups or () if 0 in one.nodes)
    assert (unknown.predicted, unknown.error, unknown.missed_s) == (None, None, None)
    assert found.summary.mapped_time_fraction == 1.0
