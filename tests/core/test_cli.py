"""The command line from the outside: statuses, one-line errors, output, identical bytes."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from mlsys_lint.cli import run
from mlsys_lint.cli.operators import operator_rows
from mlsys_lint.measure import registered_operators
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.testing import model_from_text

SAMPLES = Path(__file__).parents[2] / "sample_models"
LENET = str(SAMPLES / "lenet5.onnx")


@pytest.fixture
def unknown(tmp_path: Path) -> str:
    """A model with an operator that nobody models."""
    path = tmp_path / "unknown.onnx"
    text = "g (float[2,3] x) => (float[2,3] y, float[2,3] z) { y = Relu(x) z = acme.Fft(x) }"
    onnx.save(model_from_text(text), path)
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.onnx"], "none.onnx: can't be read"),
        ([LENET, "--device", "nv-a1000"], "unknown device 'nv-a1000': did you mean"),
        ([LENET, "--device", "./absent.toml"], "absent.toml: can't be read"),
        ([LENET, "--format", "yaml"], "--format yaml: unknown; known formats: json, text"),
        ([LENET, "--output", "a", "--output", "b"], "more files than formats"),
        ([LENET, "--select", "MLS9"], "MLS9"),
        ([LENET, "--dim", "N"], "--dim N: expected NAME=INT"),
        ([LENET, "--dim", "Q=3"], "--dim Q: "),
        ([LENET, "--dim", "N=-1"], "expected NAME=INT"),
        ([LENET, "--input", "image=1,a"], "--input image=1,a: expected NAME=SIZES"),
        ([LENET, "--trip-count", "0=3"], "--trip-count 0: no Loop"),
        ([LENET, "--max-latency", "fast"], "--max-latency"),
        ([LENET, "--max-memory", "4 apples"], "--max-memory"),
        ([LENET, "--runtime", "tensorrt"], "known runtimes: none, onnxruntime-cpu"),
        ([LENET, "--threads", "9999"], "--threads 9999"),
        ([LENET, "--batch", "0"], "--batch"),
        (["explain", "XYZ"], "explain XYZ: no such rule"),
        (["ops", "Nope"], "ops Nope: no such operator"),
        (["devices", "nope"], "unknown device 'nope'"),
    ],
)
def test_what_can_not_be_done_is_one_line_and_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_an_incomplete_cost_never_fits(unknown: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [unknown, "--format", "json", "--max-latency", "10s", "--max-memory", "100GB"]
    assert run(arguments) == 0
    budgets = json.loads(capsys.readouterr().out)["budgets"]
    assert [budget["verdict"] for budget in budgets] == ["at-risk", "at-risk"]
    assert run([*arguments, "--fail-on", "warning"]) == 1


@pytest.mark.parametrize(
    ("device", "limit", "verdict", "status"),
    [
        ("i7-12700k", "10s", "fits", 0),
        ("i7-12700k", "1ns", "impossible", 1),
        ("tpu-v4", "10s", "unknown", 0),  # no fp32 peak, and none is borrowed
    ],
)
def test_budget_verdicts(
    device: str, limit: str, verdict: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [LENET, "--device", device, "--max-latency", limit, "--format", "json"]
    assert run(arguments) == status
    (budget,) = json.loads(capsys.readouterr().out)["budgets"]
    assert budget["verdict"] == verdict


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for file in files:
        assert run([str(SAMPLES), "--format", "json", "--output", str(file)]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_outputs_belong_to_formats_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.json"
    assert run([LENET, "--format", "json", "--output", str(file), "--format", "text"]) == 0
    assert json.loads(file.read_text())["model"]["parameters"] == 61_706
    assert "lenet5.onnx" in capsys.readouterr().out


def test_one_bad_model_hides_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    (tmp_path / "good.onnx").write_bytes(Path(LENET).read_bytes())
    assert run([str(tmp_path), "--format", "json"]) == 2
    captured = capsys.readouterr()
    assert "bad.onnx: not an ONNX model" in captured.err
    assert json.loads(captured.out)["model"]["path"].endswith("good.onnx")


def test_listings_have_a_json_form(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, key, count in (
        (["devices"], "devices", 13),
        (["rules"], "rules", 9),
        (["plugins"], "plugins", 5),
        (["ops", "Conv"], "operators", 1),
    ):
        assert run([*arguments, "--format", "json"]) == 0
        assert len(json.loads(capsys.readouterr().out)[key]) >= count


def test_what_is_missing_is_status_1_while_any_is(capsys: pytest.CaptureFixture[str]) -> None:
    status = run(["ops", "--missing", "--format", "json"])
    missing = json.loads(capsys.readouterr().out)["operators"]
    assert status == (1 if missing else 0)
    assert all(one["status"] == "missing" for one in missing)


def test_a_schema_without_formula_or_body_is_missing() -> None:
    host = PluginHost(third_party=False)
    new = [("com.microsoft", "Novel", 1), ("", "Relu", 99)]
    missing = [one for one in operator_rows(host, new) if one["status"] == "missing"]
    assert [(one["domain"], one["op_type"]) for one in missing] == [("com.microsoft", "Novel")]


def test_every_operator_of_onnx_is_modelled() -> None:
    rows = operator_rows(PluginHost(third_party=False))
    assert [one for one in rows if one["status"] == "missing"] == []
    assert {one["status"] for one in rows} == {"exact", "expanded", "unsupported"}
    assert all(one["reason"] for one in rows if one["status"] == "unsupported")


@pytest.mark.ort
def test_every_operator_of_onnx_runtime_is_modelled() -> None:
    pytest.importorskip("onnxruntime")
    known = registered_operators()
    assert ("com.microsoft", "FusedMatMul", 1) in known
    rows = operator_rows(PluginHost(third_party=False), known)
    assert [one for one in rows if one["status"] == "missing"] == []


def test_every_rule_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "--format", "json"]) == 0
    for rule in json.loads(capsys.readouterr().out)["rules"]:
        assert run(["explain", rule["code"]]) == 0
        assert "Why it matters" in capsys.readouterr().out


def test_cuda_that_is_not_there_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    runtime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in runtime.get_available_providers():
        pytest.skip("this machine may have CUDA")
    assert run(["validate", LENET, "--provider", "cuda"]) == 2
    assert "CUDAExecutionProvider" in capsys.readouterr().err
