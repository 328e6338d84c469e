"""The JSON documents against the schemas that ship with the package."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlsys_lint.cli import run

SAMPLES = Path(__file__).parents[2] / "sample_models"


def schema(name: str) -> Any:
    text = resources.files("mlsys_lint").joinpath(f"schema/{name}.schema.json").read_text()
    return json.loads(text)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    status = run([*arguments, "--format", "json"])
    assert status in (0, 1)
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("model", sorted(SAMPLES.glob("*.onnx")), ids=lambda path: path.stem)
def test_check_document_fits_the_schema(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = printed(
        capsys,
        *(str(model), "--device", "host", "--device", "nv-l4", "--device", "tpu-v4"),
        *("--max-latency", "1ms", "--max-memory", "1GiB"),
    )
    jsonschema.validate(document, schema("check"))
    assert len(document["budgets"]) == 6


def test_several_models_are_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    document = printed(capsys, str(SAMPLES))
    jsonschema.validate(document, schema("check"))
    assert len(document["reports"]) == len(list(SAMPLES.glob("*.onnx")))


def test_memory_items_and_bounds_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    document = printed(capsys, str(SAMPLES / "lenet5.onnx"), "--device", "nv-a100-sxm4-80")
    (device,) = document["devices"]
    assert sum(device["memory_items"].values()) == device["memory_bytes"]["expected"]
    assert sum(device["bound_time_s"].values()) == pytest.approx(device["latency_s"]["expected"])


@pytest.mark.ort
def test_validate_document_fits_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    arguments = ("validate", str(SAMPLES / "lenet5.onnx"), "--runs", "5", "--threads", "1")
    document = printed(capsys, *arguments)
    jsonschema.validate(document, schema("validate"))
    assert document["latency_s"]["measured"]["median"] > 0
