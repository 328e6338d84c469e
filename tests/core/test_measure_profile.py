"""Times of single kernels: from events, and from the child process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from mlsys_lint import measure
from mlsys_lint.errors import OptionError
from mlsys_lint.measure.profile import kernel_times
from mlsys_lint.records.validation import Measurement


def _event(name: str, index: int, op_type: str, dur: int) -> dict[str, Any]:
    arguments = {"op_name": op_type, "node_index": str(index)}
    return {"name": f"{name}_kernel_time", "dur": dur, "args": arguments}


def test_calls_of_a_run_are_added_and_names_alone_do_not_tell_kernels_apart() -> None:
    first = [
        _event("loop", 1, "Loop", 20),
        _event("r", 0, "Relu", 3),
        _event("r", 0, "Relu", 4),
        _event("r", 2, "Relu", 1),  # another body
    ]
    second = [_event("loop", 1, "Loop", 10), _event("r", 0, "Relu", 5)]
    found = kernel_times([first, second])
    assert [(one["name"], one["node_index"], one["op_type"]) for one in found] == [
        ("loop", 1, "Loop"),
        ("r", 0, "Relu"),
        ("r", 2, "Relu"),
    ]
    assert [one["calls"] for one in found] == [[1, 1], [2, 1], [1, 0]]
    assert [one["microseconds"] for one in found] == [[20, 10], [7, 5], [1, 0]]


def _measure(
    folder: Path, text: str, shapes: Mapping[str, tuple[int, ...]], **options: Any
) -> Measurement:
    model = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]>\n{text}')
    path = folder / "model.onnx"
    onnx.save(model, path)
    return measure.measure(
        path,
        proto=model,
        shapes=shapes,
        provider="cpu",
        threads=1,
        runs=3,
        inputs=None,
        timeout_s=60.0,
        **options,
    )


_CHAIN = "g (float[2,3] x) => (float[2,3] y) { a = Exp(x)  y = Sin(a) }"


@pytest.mark.ort
def test_nameless_nodes_are_told_apart(tmp_path: Path) -> None:
    found = _measure(tmp_path, _CHAIN, {"x": (2, 3)})
    assert found.kernels is not None
    assert [(one.name, one.op_type) for one in found.kernels] == [
        ("Exp #0", "Exp"),
        ("Sin #1", "Sin"),
    ]
    assert all(set(one.calls) == {1} for one in found.kernels)
    assert found.problems == ()
    # One graph for each level of the optimizers, with the same names.
    graphs = [onnx.load_model_from_string(one) for one in found.graphs]
    assert [[node.name for node in one.graph.node] for one in graphs] == [["Exp #0", "Sin #1"]] * 3


@pytest.mark.ort
def test_body_of_a_loop_counts_every_trip(tmp_path: Path) -> None:
    text = """g (float[2] x) => (float[2] y) <int64 n = {3}, bool go = {1}> {
        y = Loop(n, go, x) <body = b (int64 i, bool c, float[2] v) => (bool d, float[2] w) {
            d = Identity(c)
            w = Sin(v)
        }>
    }"""
    found = _measure(tmp_path, text, {"x": (2,)})
    calls = {one.op_type: set(one.calls) for one in found.kernels or ()}
    assert calls["Loop"] == {1}
    assert calls["Sin"] == {3}


@pytest.mark.ort
def test_strings_and_sequences_are_profiled(tmp_path: Path) -> None:
    text = """g (string[2] s, float[2,3] x) => (string[2] t, seq(float[2,3]) q) {
        t = Identity(s)
        a = Sin(x)
        q = SequenceConstruct(a)
    }"""
    found = _measure(tmp_path, text, {"s": (2,), "x": (2, 3)})
    assert {one.op_type for one in found.kernels or ()} >= {"Sin", "SequenceConstruct"}


@pytest.mark.ort
def test_weights_outside_of_the_file_are_found(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 17]> g (float[2,64] x) => (float[2,64] y)'
        "{ y = MatMul(x, w) }"
    )
    weights = np.ones((64, 64), np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    found = measure.measure(
        path,
        proto=onnx.load(path, load_external_data=False),
        shapes={"x": (2, 64)},
        provider="cpu",
        threads=1,
        runs=1,
        inputs=None,
        timeout_s=60.0,
    )
    assert [one.op_type for one in found.kernels or ()] == ["MatMul"]
    # The graphs are saved without the 16 KiB of weights.
    assert max(map(len, found.graphs)) < 64 * 64 * 4


@pytest.mark.ort
def test_profile_is_kept_on_request_only(tmp_path: Path) -> None:
    kept = tmp_path / "profile.json"
    _measure(tmp_path, _CHAIN, {"x": (2, 3)}, save_profile=kept)
    names = {event["name"] for event in json.loads(kept.read_text())}
    assert {"model_run", "Exp #0_kernel_time"} <= names
    with pytest.raises(OptionError, match=r"--save-profile .*none/p\.json"):
        _measure(tmp_path, _CHAIN, {"x": (2, 3)}, save_profile=tmp_path / "none/p.json")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["model.onnx", "profile.json"]
