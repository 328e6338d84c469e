"""`calibrate` on kernels that are timed by a formula instead of a clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

pytest.importorskip("scipy")

from mlsys_lint.analysis import analyse
from mlsys_lint.calibration import calibrating, running
from mlsys_lint.cli import run
from mlsys_lint.execution import execute
from mlsys_lint.host import detect_host
from mlsys_lint.loading import prepare
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records.calibration import MicroNetwork
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text

HOST = PluginHost(third_party=False)
PROFILE = detect_host(1)


def _network(name: str, rows: int) -> MicroNetwork:
    text = (
        f"agraph (float[{rows},64] x) => (float[{rows},64] y) "
        "{ a = Relu(x) b = Tanh(a) c = Relu(b) y = Sigmoid(c) }"
    )
    return MicroNetwork(name=name, family="test", model=model_from_text(text, 17))


def _executed(model: onnx.ModelProto, pace: float) -> dict[str, Any]:
    """Each kernel takes 1 us and 1 ns a byte; the profile adds 1 us to each."""
    analysis = analyse(prepare(model, Path("m.onnx")), HOST, Bindings())
    kernels = execute(analysis, HOST, HOST.runtimes["onnxruntime-cpu"], PROFILE).kernels
    found, total = [], 0.0
    for kernel in kernels:
        moved = kernel.cost.bytes_read + kernel.cost.bytes_written
        seconds = (1e-6 + 1e-9 * moved) * pace
        total += seconds
        assert kernel.view is not None
        found.append(
            {
                "op_type": kernel.view.op_type,
                "shape": list(kernel.view.output().dims),
                "seconds": [seconds + 1e-6] * 5,
            }
        )
    return {"seconds": [total] * 5, "kernels": found}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace the networks and the child process; `last` is the pace of the last network."""

    def install(last: float = 1.0, pace: float = 1.0) -> None:
        networks = [_network(f"n{rows}", rows) for rows in (16, 64, 256, 1024)]
        runtime = HOST.runtimes["onnxruntime-cpu"]
        assert runtime.timing is not None
        timing = replace(runtime.timing, networks=lambda: networks)
        monkeypatch.setitem(HOST.runtimes, "onnxruntime-cpu", replace(runtime, timing=timing))

        def timed(
            entries: Sequence[tuple[str, onnx.ModelProto]], **_: object
        ) -> tuple[str, list[dict[str, Any]]]:
            paces = [pace] * (len(entries) - 1) + [pace * last]
            return "1.32.0", [
                _executed(model, one) for (_, model), one in zip(entries, paces, strict=True)
            ]

        monkeypatch.setattr(running, "time_networks", timed)
        monkeypatch.setattr("mlsys_lint.plugin_host.PluginHost", lambda: HOST)

    return install


def test_a_quiet_machine(clock: Callable[..., None], tmp_path: Path) -> None:
    clock()
    path = tmp_path / "host.toml"
    assert run(["calibrate", "--threads", "1", "--output", str(path), "--strict"]) == 0
    assert "[threads.1.calibration]" in path.read_text(encoding="utf-8")


def test_a_noisy_machine_is_said(
    clock: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first network, once more at the end, takes 20 % longer."""
    clock(last=1.2)
    path = tmp_path / "host.toml"
    arguments = ["calibrate", "--threads", "1", "--output", str(path)]
    assert run(arguments) == 0
    assert "noisy machine: the machine got 20.0% slower" in capsys.readouterr().err
    assert "the machine got 20.0% slower" in path.read_text(encoding="utf-8")
    assert run([*arguments, "--strict"]) == 2


def test_json(
    clock: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock()
    path = tmp_path / "host.toml"
    assert run(["calibrate", "--threads", "1", "--output", str(path), "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (one,) = document["calibrations"]
    assert (one["threads"], one["runtime_version"], one["noise"]) == (1, "1.32.0", [])
    assert all(value["scatter"] > 0 for value in one["classes"].values())


def test_predictions_follow_the_clock(clock: Callable[..., None]) -> None:
    """A formula that the terms can express comes back within 2 %, on a model of another size."""
    clock()
    profile = calibrating.calibrated_profile(HOST, 1)
    model = _network("new", 500).model
    expected = _executed(model, 1.0)["seconds"][0]
    assert _latency(model, profile) == pytest.approx(expected, rel=0.02)


def test_twice_the_times_are_twice_the_predictions(clock: Callable[..., None]) -> None:
    clock()
    once = calibrating.calibrated_profile(HOST, 1)
    clock(pace=2.0)
    twice = calibrating.calibrated_profile(HOST, 1)
    model = _network("new", 500).model
    assert _latency(model, twice) == pytest.approx(2 * _latency(model, once), rel=1e-3)


def test_cuda_can_not_be_calibrated(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["calibrate", "--provider", "cuda"]) == 2
    assert "kernels can be timed on the CPU provider only" in capsys.readouterr().err


def _latency(model: onnx.ModelProto, profile: Any) -> float:
    from mlsys_lint.execution import on_device

    analysis = analyse(prepare(model, Path("m.onnx")), HOST, Bindings())
    report = on_device(
        analysis, execute(analysis, HOST, HOST.runtimes["onnxruntime-cpu"], profile), profile
    )
    assert report.latency_s is not None
    return report.latency_s.expected
