"""What the report of a CUDA run says beyond that of a run on the CPU."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import onnx
import pytest

from mlsys_lint import measure
from mlsys_lint.pipeline import CheckOptions, RunOptions, validate
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records.validation import Copies, Fallback, Measurement, ValidationReport
from mlsys_lint.validation import to_document, to_text

CPU = "CPUExecutionProvider"
SCHEMA = files("mlsys_lint").joinpath("schema/validate.schema.json")


def _measured(*_: object, **__: Any) -> Measurement:
    return Measurement(
        provider="cuda",
        provider_options={"use_tf32": "1", "gpu_mem_limit": "18446744073709551615"},
        runtime_version="1.31.1",
        threads=1,
        seconds=(1e-3,),
        first_run_s=1.0,
        session_s=1.0,
        sentinel_s=(1.0, 1.0),
        load=None,
        cpus=1,
        inputs=(),
        fallbacks=(
            Fallback(provider=CPU, op_type="Celu", nodes=("a", "b")),
            Fallback(provider=CPU, op_type="Concat", nodes=("c",), benign=True),
        ),
        copies=(
            Copies(op_type="MemcpyFromHost", nodes=("m",), time_fraction=None),
            Copies(op_type="MemcpyToHost", nodes=("n", "o"), time_fraction=0.25),
        ),
    )


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ValidationReport:
    monkeypatch.setattr(measure, "measure", _measured)
    path = tmp_path / "model.onnx"
    text = '<ir_version: 9, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { y = Neg(x) }'
    onnx.save(onnx.parser.parse_model(text), path)
    host = PluginHost(third_party=False)
    return validate(path, host, CheckOptions(), RunOptions(provider="cuda"))


def test_the_document_has_options_fallbacks_and_copies(report: ValidationReport) -> None:
    document = json.loads(json.dumps(to_document(report)))
    jsonschema.validate(document, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert document["provider_options"]["gpu_mem_limit"] == "18446744073709551615"
    assert [one["benign"] for one in document["fallbacks"]] == [False, True]
    assert document["copies"] == [
        {"op_type": "MemcpyFromHost", "nodes": ["m"], "time_fraction": None},
        {"op_type": "MemcpyToHost", "nodes": ["n", "o"], "time_fraction": 0.25},
    ]
    assert document["groups"] is None


def test_the_text_tells_fallbacks_from_design(report: ValidationReport) -> None:
    lines = [line.strip() for line in to_text(report).splitlines()]
    assert f"fallback    2 Celu nodes ran on {CPU}" in lines
    assert f"on the CPU  1 Concat node ran on {CPU} by design: arithmetic on sizes" in lines
    assert "copies      1 MemcpyFromHost node" in lines
    assert "copies      2 MemcpyToHost nodes, 25 % of the profiled time" in lines
    assert "options     use_tf32 1" in lines  # those that change times
