"""Models far larger than memory, and graphs of many nodes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from peak_memory import run

LAYERS, WIDTH = 32, 10_460  # 32 * 10,460^2 floats: 14.0 GB
LIMIT_BYTES = 300 * 2**20


def measured(arguments: list[str]) -> tuple[Any, int]:
    """JSON on stdout and the peak resident memory of a run of the product."""
    command = [sys.executable, "-m", "mlsys_lint", *arguments, "--format", "json"]
    done = run(command)
    assert done.status in (0, 1), done.errors
    return json.loads(done.output), done.peak_bytes


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
