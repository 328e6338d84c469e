"""Models far larger than memory, and graphs of many nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

LAYERS, WIDTH = 32, 10_460  # 32 * 10,460^2 floats: 14.0 GB
LIMIT_BYTES = 300 * 2**20


def measured(arguments: list[str]) -> tuple[Any, int]:
    """JSON on stdout and the peak resident memory of a run of the product."""
    command = [sys.executable, "-m", "mlsys_lint", *arguments, "--format", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, 1)
    scale = 1 if sys.platform == "darwin" else 1024
    return json.loads(output), usage.ru_maxrss * scale


def test_fourteen_gigabytes_of_absent_weights(tmp_path: Path) -> None:
    nodes, weights = [], []
    for layer in range(LAYERS):
        weight = TensorProto(name=f"w{layer}", data_type=TensorProto.FLOAT, dims=[WIDTH, WIDTH])
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value="absent.bin")
        weights.append(weight)
        nodes.append(helper.make_node("MatMul", [f"h{layer}", f"w{layer}"], [f"h{layer + 1}"]))
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("h0", TensorProto.FLOAT, [1, WIDTH])],
        [helper.make_tensor_value_info(f"h{LAYERS}", TensorProto.FLOAT, [1, WIDTH])],
        weights,
    )
    path = tmp_path / "large.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    document, peak = measured([str(path)])
    assert document["model"]["parameter_bytes"] == 4 * LAYERS * WIDTH**2
    assert document["totals"]["macs"] == LAYERS * WIDTH**2
    assert peak < LIMIT_BYTES


def chain(length: int) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Add", [f"h{at}", "b"], [f"h{at + 1}"], name="same name")
        for at in range(length)
    ]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("h0", "b")],
        [helper.make_tensor_value_info(f"h{length}", TensorProto.FLOAT, [4])],
    )
    return helper.make_model(graph)


@pytest.mark.slow
def test_ten_thousand_nodes(tmp_path: Path) -> None:
    path = tmp_path / "chain.onnx"
    path.write_bytes(chain(10_000).SerializeToString())
    document, _ = measured([str(path)])
    assert document["totals"]["flops"] == 10_000 * 4
    assert document["totals"]["peak_activation_bytes"] == 32  # one step's input and output
