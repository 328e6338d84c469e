"""Fits of a calibration that was recorded on a real machine (record.py)."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("scipy")

from calibration.record import NETWORKS, RECORDED, networks
from mlsys_lint.analysis import analyse
from mlsys_lint.calibration.calibrating import fit
from mlsys_lint.calibration.rows import TICK_S, joined
from mlsys_lint.calibration.running import Timed
from mlsys_lint.execution import execute, on_device
from mlsys_lint.host import detect_host
from mlsys_lint.loading import load, prepare
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import Calibration, DeviceProfile, DeviceReport
from mlsys_lint.shapes import Bindings

HOST = PluginHost(third_party=False)
RUNTIME = HOST.runtimes["onnxruntime-cpu"]
SAMPLES = Path(__file__).parents[2] / "sample_models"
DOCUMENT: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
PROFILE = replace(detect_host(1), vector_lanes=DOCUMENT["lanes"])


@cache
def recorded() -> tuple[Timed, ...]:
    """The recorded networks with the kernels that the emulation expects."""
    found = []
    for network in networks():
        result = DOCUMENT["networks"][network.name]
        analysis = analyse(prepare(network.model, Path("m.onnx")), HOST, Bindings())
        kernels = execute(analysis, HOST, RUNTIME, PROFILE).kernels
        pairs = joined(kernels, result["kernels"])
        assert pairs is not None, f"{network.name} changed: run tests/calibration/record.py"
        total = result["seconds"][0]
        found.append(Timed(name=network.name, total=total, scatter=1.0, pairs=pairs))
    return tuple(found)


@cache
def calibration(scale: float = 1.0, without: str = "") -> Calibration:
    timed = [
        replace(
            one,
            total=one.total * scale,
            pairs=[(kernel, seconds * scale) for kernel, seconds in one.pairs],
        )
        for one in recorded()
    ]
    if without:
        timed = [rest(one, without) for one in timed]
    return fit(timed, RUNTIME, PROFILE, TICK_S * scale)


def rest(timed: Timed, without: str) -> Timed:
    """A network without its kernels of one class."""
    assert RUNTIME.timing is not None
    terms = RUNTIME.timing.terms(PROFILE)
    pairs = [(kernel, seconds) for kernel, seconds in timed.pairs if terms(kernel)[0] != without]
    return replace(timed, total=sum(seconds for _, seconds in pairs), pairs=pairs)


def report(model: str, calibrated: Calibration) -> DeviceReport:
    profile: DeviceProfile = replace(PROFILE, calibration=calibrated)
    analysis = analyse(load(SAMPLES / model), HOST, Bindings())
    return on_device(analysis, execute(analysis, HOST, RUNTIME, profile), profile)


def expected(model: str, calibrated: Calibration) -> float:
    found = report(model, calibrated).latency_s
    assert found is not None
    return found.expected


MODELS = sorted(path.name for path in SAMPLES.glob("*.onnx"))


def test_the_recording_is_of_these_networks() -> None:
    assert list(DOCUMENT["networks"]) == list(NETWORKS)


def test_twice_the_recorded_times_are_twice_every_prediction() -> None:
    """The tick of the clock is one of the times. 2 is the base of numbers: nothing is rounded."""
    once, twice = calibration(), calibration(2.0)
    for name, model in once.classes.items():
        doubled = {term: 2 * seconds for term, seconds in model.parameters.items()}
        assert twice.classes[name].parameters == doubled
    compared = 0
    for sample in MODELS:
        found = report(sample, once)
        latency = found.latency_s
        assert latency is not None
        # Hard rates are no times of the recording: a floor that lifts a kernel does not double.
        times = [latency, *(one.time_s for one in found.kernels if one.time_s is not None)]
        if all(time.expected > time.floor for time in times):
            assert expected(sample, twice) == pytest.approx(2 * latency.expected, rel=1e-12)
            compared += 1
    assert compared > 15


def test_a_class_that_is_left_out_changes_only_models_that_hold_it() -> None:
    assert RUNTIME.timing is not None
    terms = RUNTIME.timing.terms(PROFILE)
    whole, left = calibration(), calibration(without="conv_depthwise")
    assert "conv_depthwise" in whole.classes
    assert "conv_depthwise" not in left.classes
    changed = {
        model
        for model in MODELS
        if expected(model, left) != pytest.approx(expected(model, whole), rel=1e-6)
    }
    assert "depthwise_separable.onnx" in changed
    for model in MODELS:
        holds = any(
            terms(one.kernel)[0] == "conv_depthwise" for one in report(model, whole).kernels
        )
        assert holds or model not in changed


def test_left_out_networks_are_predicted_within_their_class_error() -> None:
    """Dense and pointwise convolutions of networks that took no part: 10 % at most, as recorded."""
    model = calibration().classes["conv_pointwise"]
    assert model.scatter < 0.10
    assert model.shift < 0.10


def test_the_bound_names_the_largest_part() -> None:
    """ResNet-like blocks are bound by arithmetic, a perceptron of one row by what it reads."""
    found = report("depthwise_separable.onnx", calibration())
    assert {one.bound for one in found.kernels} <= {"vector", "memory", "overhead"}
    assert sum(found.bound_time_s.values()) == pytest.approx(
        found.latency_s.expected if found.latency_s else 0
    )


def test_what_was_never_timed_is_named_and_costs_its_bytes() -> None:
    """Without its class a convolution is no zero: it takes at least the fallback's time a byte."""
    whole = calibration()
    left = replace(
        whole, classes={name: one for name, one in whole.classes.items() if name != "conv"}
    )
    known, found = report("resnet_basic_block.onnx", whole), report("vgg_block.onnx", left)
    assert "com.microsoft.nchwc::Conv" not in known.untimed
    assert "com.microsoft.nchwc::Conv" in found.untimed
    byte = whole.classes["generic"].parameters["byte"]
    for one in found.kernels:
        if one.kernel.op == "com.microsoft.nchwc::Conv" and one.time_s is not None:
            moved = one.kernel.cost.bytes_read + one.kernel.cost.bytes_written
            assert one.time_s.expected >= byte * moved
            assert one.time_s.high > 4 * byte * moved


def test_a_term_that_was_never_timed_widens_the_interval() -> None:
    whole = calibration()
    model = whole.classes["conv"]
    parameters = {term: seconds for term, seconds in model.parameters.items() if term != "flop"}
    left = replace(whole, classes={**whole.classes, "conv": replace(model, parameters=parameters)})
    found = report("resnet_basic_block.onnx", left)
    assert "com.microsoft.nchwc::Conv" in found.untimed
