"""What `validate` prints and writes, from the command line; no test looks at a time."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import onnx
import pytest

from mlsys_lint.cli import run
from mlsys_lint.devices import find_device
from mlsys_lint.pipeline import CheckOptions, RunOptions, validate
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import Interval
from mlsys_lint.records.kernel_groups import KernelGroup
from mlsys_lint.validation.tables import group_lines, table

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.ort

HOST = PluginHost(third_party=False)

_TEXT = """<ir_version: 9, opset_import: ["": 17]>
g (float[2,3] x, float[3,4] w) => (float[2,4] y) { a = MatMul(x, w)  b = Relu(a)  y = Sin(b) }"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two models and a file that is none."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("first", "second"):
        onnx.save(onnx.parser.parse_model(_TEXT), folder / f"{name}.onnx")
    (folder / "broken.onnx").write_text("no model")
    return folder


def _validate(*arguments: object) -> int:
    return run(["validate", "--runs", "3", "--threads", "1", *map(str, arguments)])


def _validator() -> jsonschema.Draft202012Validator:
    text = files("mlsys_lint").joinpath("schema/validate.schema.json").read_text(encoding="utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def test_text_shows_kernels_causes_and_what_was_joined(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _validate(models / "first.onnx") in (0, 1)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    assert "kernels by measured time (3 of 3 groups shown)" in text
    assert "100 % of the kernels' time is joined to nodes, 100 % of that in groups of one" in text
    assert "noise ceiling" in text
    assert "missed by most time" in text


def test_document_of_one_model(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _validate(models / "first.onnx", "--format", "json") in (0, 1)
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    _validator().validate(document)
    groups = document["groups"]
    assert [one["nodes"] for one in groups] == [[0], [1], [2]]
    assert [one["executed_ops"] for one in groups] == [one["predicted_ops"] for one in groups]
    median = document["latency_s"]["measured"]["median"]
    assert sum(one["measured_s"] for one in groups) == pytest.approx(median)
    for one in groups:
        assert one["floor_s"] <= one["low_s"] <= one["predicted_s"] <= one["high_s"]
    assert {one["group"] for one in document["worst"]} == {0, 1, 2}
    assert document["baselines"]["profile_replay_s"] > 0


def test_failing_model_does_not_stop_the_others(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "all.json"
    assert _validate(models, "--format", "json", "--output", output) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert "broken.onnx" in line
    document = json.loads(output.read_text())
    _validator().validate(document)
    names = [Path(one["model"]["path"]).name for one in document["reports"]]
    assert names == ["first.onnx", "second.onnx"]
    (failed,) = document["failed"]
    assert failed["path"].endswith("broken.onnx")
    assert failed["message"] in line


def test_summary_of_several_models(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (models / "broken.onnx").unlink()
    assert _validate(models / "first.onnx", f"{models}/s*.onnx") in (0, 1)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    summary = text.partition("summary of 2 models")[2]
    assert "first.onnx" in summary
    assert "second.onnx" in summary
    assert "floors beaten: " in summary


def test_profile_is_of_one_model(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _validate(models, "--save-profile", models / "p.json") == 2
    assert "--save-profile: takes one model" in capsys.readouterr().err


def test_kernels_faster_than_their_floor_are_named(models: Path) -> None:
    device = find_device("host", HOST.devices, threads=1)
    report = validate(
        models / "first.onnx", HOST, CheckOptions(devices=[device]), RunOptions(runs=3)
    )
    assert report.groups is not None
    beaten = replace(
        report.groups[0],
        label="the fast one",
        measured_s=30e-6,
        predicted=Interval(floor=40e-6, low=40e-6, expected=50e-6, high=60e-6),
    )
    quiet = replace(report.noise, reasons=())
    noisy = replace(report.noise, reasons=("a second job",))
    for noise, words in ((quiet, "their floor: the fast"), (noisy, "(noisy machine: no evidence)")):
        text = " ".join(group_lines(replace(report, groups=(beaten,), noise=noise)))
        assert words in text


def test_long_names_give_way() -> None:
    lines = list(
        table(
            ("#", "node", "time"), [("1-2", "n" * 300, "3 us")], numbers=("time",), flexible="node"
        )
    )
    assert [len(line) for line in lines] == [100, 100]
    assert lines[1].startswith("  1-2  ...nnn")
    assert lines[1].endswith("nnn  3 us")


def test_error_needs_a_prediction_and_a_run() -> None:
    def group(expected: float | None, measured: float) -> KernelGroup:
        predicted = expected and Interval(floor=0.0, low=0.0, expected=expected, high=expected)
        return KernelGroup(
            label="k",
            nodes=(),
            executed=(),
            executed_ops=(),
            predicted_ops=(),
            kernel_class=None,
            predicted=predicted or None,
            measured_s=measured,
        )

    assert (group(3.0, 2.0).error, group(3.0, 2.0).missed_s) == (0.5, 1.0)
    assert (group(3.0, 0.0).error, group(3.0, 0.0).missed_s) == (None, 3.0)
    assert (group(None, 2.0).error, group(None, 2.0).missed_s) == (None, None)
