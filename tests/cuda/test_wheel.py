"""The real onnxruntime-gpu, where it is installed: with a GPU it runs there, without it says why."""

from __future__ import annotations

import importlib
import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import onnx
import pytest

from mlsys_lint.cli import run


def _installed() -> bool:
    try:
        distribution("onnxruntime-gpu")
    except PackageNotFoundError:
        return False
    return True


pytestmark = pytest.mark.skipif(not _installed(), reason="onnxruntime-gpu is not installed")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    # Celu has no kernel on CUDA: one node is on the CPU, between two copies.
    text = """<ir_version: 9, opset_import: ["" : 17]> g (float[20,30] x) => (float[20,30] y)
    { a = Neg(x)  b = Celu(a)  y = Neg(b) }"""
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    return path


def test_cuda_is_listed_with_or_without_its_libraries() -> None:
    runtime = importlib.import_module("onnxruntime")
    assert "CUDAExecutionProvider" in runtime.get_available_providers()


def test_no_run_on_the_cpu_has_a_cuda_label(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--provider-option", "use_tf32=0", "--format", "json"]
    status = run(["validate", str(model), "--provider", "cuda", *options])
    out, err = capsys.readouterr()
    if status == 2:
        assert out == ""
        assert "CUDA was asked for" in err
        assert "(" in err or "CUDA failure" in err  # the loader's or the driver's words
        return
    document = json.loads(out)
    assert document["provider"] == "cuda"
    assert document["provider_options"]["use_tf32"] == "0"
    assert [(one["op_type"], one["benign"]) for one in document["fallbacks"]] == [("Celu", False)]
    assert {one["op_type"] for one in document["copies"]} == {"MemcpyToHost", "MemcpyFromHost"}
