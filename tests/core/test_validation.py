from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import jsonschema
import pytest

from mlsys_lint.records import (
    Coverage,
    DeviceProfile,
    DeviceReport,
    Dimension,
    Figure,
    Interval,
    Kernel,
    KernelReport,
    MemoryLevel,
    ModelInfo,
    ModelReport,
    OpCost,
    Placement,
    Problem,
    TensorInfo,
    Totals,
)
from mlsys_lint.records.validation import (
    Fallback,
    InputPlan,
    Measurement,
)
from mlsys_lint.validation import compare, exit_status, to_document, to_text
from mlsys_lint.validation.baselines import naive_roofline_s
from mlsys_lint.validation.comparison import judge_noise, spread

_PREDICTED = Interval(floor=0.005, low=0.016, expected=0.018, high=0.022)
_COUNTS = MappingProxyType(
    dict.fromkeys(["exact", "expanded", "estimated", "declined", "unsupported", "failed"], 0)
)


def _figure(value: float) -> Figure:
    return Figure(value=value, low=value, high=value, source="test", status="spec")


def _kernel(
    flops: int, moved: int, attainable: float | None, *, repeat: int = 1, placed: bool = True
) -> KernelReport:
    return KernelReport(
        kernel=Kernel(
            nodes=(0,),
            cost=OpCost(vector_ops=flops, bytes_read=moved),
            kernel_class="elementwise",
            dtype="float",
            repeat=repeat,
        ),
        placement=Placement(
            engine="vector",
            dtype="fp32",
            intensity=None,
            ridge=None,
            attainable_flop_per_s=attainable,
            bound="memory",
        ),
        time_s=_PREDICTED if placed else None,
        bound="memory",
    )


def _device(**changes: Any) -> DeviceReport:
    profile = DeviceProfile(
        id="host",
        name="host",
        vendor="test",
        kind="cpu",
        threads=2,
        peaks={},
        memory=(MemoryLevel(level="dram", bandwidth=_figure(1e9)),),
    )
    given = {
        "profile": profile,
        "runtime": "onnxruntime-cpu",
        "runtime_version": "1.32.0",
        "precision": "as-is",
        "ridge": None,
        "latency_s": _PREDICTED,
        "throughput_per_s": 50.0,
        "bound_time_s": {},
        "memory_bytes": None,
        "memory_items": {},
        "peak_activation_bytes": 1_000_000,
        "capacity_bytes": None,
        "fits": None,
        "unplaced": (),
        "kernels": (),
        **changes,
    }
    return DeviceReport(**given)


def _report(*devices: DeviceReport, **totals: Any) -> ModelReport:
    zeros: dict[str, Any] = dict.fromkeys(
        [
            "nodes",
            "macs",
            "macs_masked",
            "flops",
            "vector_ops",
            "transcendentals",
            "bytes_read",
            "bytes_written",
            "weight_bytes",
        ],
        0,
    )
    given = {
        **zeros,
        "peak_activation_bytes": 7,
        "peak_node": None,
        "coverage": Coverage(nodes=0, counts=_COUNTS),
        "is_lower_bound": False,
        "is_upper_bound": False,
        **totals,
    }
    model = ModelInfo(
        path="folder/net.onnx",
        opset_imports={"": 17},
        inputs=(TensorInfo(name="x", dtype="float", shape=(1, 3)),),
        outputs=(TensorInfo(name="y", dtype="int64", shape=(5, None), bounded=frozenset({0})),),
        parameters=10,
        parameter_bytes=40,
        parameter_dtypes={"float": 10},
        dims=(Dimension(name="N", value=1, source="assumed"),),
        ir_version=9,
        producer="",
    )
    return ModelReport(
        schema_version="1",
        tool_version="0.1.0",
        model=model,
        nodes=(),
        totals=Totals(**given),
        devices=devices,
    )


def _measurement(**changes: Any) -> Measurement:
    given: Mapping[str, Any] = {
        "provider": "cpu",
        "runtime_version": "1.32.1",
        "threads": 2,
        "seconds": (0.020, 0.0195, 0.0205),
        "first_run_s": 0.1,
        "session_s": 0.05,
        "sentinel_s": (0.001, 0.00101),
        "load": 0.3,
        "cpus": 2,
        "inputs": (InputPlan(name="x", dtype="float32", shape=(1, 3), recipe="normal", seed=0),),
        "peak_activation_bytes": 800_000,
        **changes,
    }
    return Measurement(**given)


def test_prediction_is_the_reports_and_error_is_relative_to_the_median() -> None:
    found = compare(_report(_device()), _measurement())
    assert found.predicted is _PREDICTED
    assert found.measured.median == 0.020
    assert found.error == pytest.approx(-0.1)  # (18 - 20) / 20
    assert found.covered is True  # 16 <= 20 <= 22
    assert (found.summary.floor_violations, found.summary.interval_coverage) == (0, 1.0)
    assert found.summary.floor_tightness == pytest.approx(0.25)  # 5 / 20
    assert (found.predicted_peak_activation_bytes, found.device) == (1_000_000, "host")
    assert found.problems == ()
    assert exit_status(found, None) == 0


def test_quantiles_are_linear_between_runs() -> None:
    # Eleven runs 0..10: the k-th tenth is run k.
    found = spread([float(run) for run in (10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)])
    assert (found.min, found.p10, found.median, found.p90) == (0.0, 1.0, 5.0, 9.0)
    assert spread([3.0]).p90 == 3.0


def test_floor_is_judged_against_the_fastest_run() -> None:
    measurement = _measurement(seconds=(0.0049, 0.0051, 0.0052))
    found = compare(_report(_device()), measurement)
    assert found.breaks_floor  # 5.0 > 4.9, although the median is 5.1
    assert found.covered is False
    assert found.summary.floor_violations == 1
    assert exit_status(found, None) == 1


def test_noise_alone_never_changes_the_status() -> None:
    noisy = {"sentinel_s": (0.001, 0.002)}
    slow = compare(_report(_device()), _measurement(**noisy))
    beaten = compare(_report(_device()), _measurement(seconds=(0.004, 0.004), **noisy))
    assert exit_status(slow, None) == 0
    assert beaten.breaks_floor
    assert exit_status(beaten, None) == 0
    assert exit_status(beaten, 0.5) == 1  # the limit on the error holds anyway: 18 against 4


@pytest.mark.parametrize(("limit", "status"), [(0.11, 0), (0.09, 1)])
def test_largest_error(limit: float, status: int) -> None:
    found = compare(_report(_device()), _measurement())
    assert exit_status(found, limit) == status


def test_limit_on_an_unknown_error_is_not_kept() -> None:
    found = compare(_report(_device(latency_s=None, unplaced=(3,))), _measurement())
    assert (found.error, found.covered, found.summary.floor_violations) == (None, None, None)
    assert exit_status(found, None) == 0
    assert exit_status(found, 10.0) == 1
    assert "no peak for the type of #3" in found.problems[0].message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sentinel_s": (0.001, 0.00104)}, "4.0% slower"),
        ({"sentinel_s": (0.001, 0.00096)}, "4.0% faster"),
        ({"seconds": (1.0, 1.2, 1.2)}, "took 20% longer than the fastest"),
        ({"load": 2.6}, "load average 2.6 on 2 CPUs"),  # above 1.25 x 2
    ],
)
def test_noise_has_a_reason(changes: dict[str, Any], reason: str) -> None:
    noise = judge_noise(_measurement(**changes))
    assert (noise.verdict, noise.quiet) == ("noisy", False)
    assert len(noise.reasons) == 1
    assert reason in noise.reasons[0]


def test_quiet_machine() -> None:
    noise = judge_noise(_measurement(load=None))
    assert (noise.verdict, noise.quiet, noise.load, noise.reasons) == ("quiet", True, None, ())
    assert noise.first_last_ratio == pytest.approx(1.01)
    assert noise.p50_over_min == pytest.approx(0.020 / 0.0195)


def test_naive_roofline_adds_the_larger_of_work_and_traffic() -> None:
    # 4e9 FLOPs at 2e9 FLOP/s, three times: 6 s; 5e8 bytes at 1e9 B/s without any work: 0.5 s;
    # integer work (no compute roof) by its 1e9 bytes: 1 s; nothing at all: 0 s.
    kernels = (
        _kernel(4_000_000_000, 10, 2e9, repeat=3),
        _kernel(0, 500_000_000, None),
        _kernel(100, 1_000_000_000, None),
        _kernel(0, 0, None),
    )
    assert naive_roofline_s(_device(kernels=kernels)) == pytest.approx(7.5)


def test_naive_roofline_is_unknown_where_a_kernel_is_unplaced() -> None:
    assert naive_roofline_s(_device(kernels=(_kernel(8, 8, None, placed=False),))) is None


def test_contradicted_assumptions_are_told_not_corrected() -> None:
    device = _device(precision="fp16", runtime_version="1.30.0", lower_bound=True)
    fallbacks = (Fallback(provider="CPUExecutionProvider", op_type="Resize", nodes=("a", "b")),)
    found = compare(
        _report(device, is_upper_bound=True), _measurement(threads=1, fallbacks=fallbacks)
    )
    messages = [problem.message for problem in found.problems]
    assert found.predicted is _PREDICTED
    assert [problem.stage for problem in found.problems] == ["validate"] * 6
    assert "predicted for 2 threads, measured with 1" in messages
    assert "fusion and buffers follow ONNX Runtime 1.30.0, 1.32.1 ran" in messages
    assert any("2 nodes did not run on CPU" in message for message in messages)
    assert any("too small" in message for message in messages)
    assert any("too large" in message for message in messages)
    assert any("fp16" in message for message in messages)


def test_other_runtime_is_told() -> None:
    found = compare(_report(_device(runtime="onnxruntime-cuda")), _measurement())
    assert [problem.message for problem in found.problems] == [
        "predicted for the runtime onnxruntime-cuda, measured on onnxruntime-cpu"
    ]


def _validator() -> jsonschema.Draft202012Validator:
    text = files("mlsys_lint").joinpath("schema/validate.schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_documents_follow_the_schema() -> None:
    fallback = Fallback(provider="CPUExecutionProvider", op_type="Resize", nodes=("a",))
    problem = Problem(plugin="p", stage="s", message="m", node=3)
    full = compare(
        replace(_report(_device()), problems=(problem,)), _measurement(fallbacks=(fallback,))
    )
    empty = compare(_report(), _measurement(peak_activation_bytes=None, load=None))
    validator = _validator()
    for report in (full, empty):
        document = to_document(report)
        validator.validate(document)
        assert json.loads(json.dumps(document, allow_nan=False)) == document
    both = {
        "schema_version": "1",
        "tool": to_document(full)["tool"],
        "reports": [to_document(full), to_document(empty)],
    }
    validator.validate(both)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**to_document(full), "error": "large"})


def test_document_holds_the_contracts_figures() -> None:
    document = to_document(compare(_report(_device()), _measurement()))
    assert document["latency_s"]["predicted"] == {
        "floor": 0.005,
        "low": 0.016,
        "expected": 0.018,
        "high": 0.022,
    }
    assert document["latency_s"]["measured"]["median"] == 0.020
    assert document["memory_bytes"] == {
        "predicted_peak_activation": 1_000_000,
        "measured_peak_activation": 800_000,
    }
    assert document["model"]["dims"] == {"N": {"value": 1, "source": "assumed"}}
    assert document["model"]["outputs"][0]["shape"] == [{"max": 5}, None]
    assert (document["groups"], document["runs"]) == (None, 3)


def test_text_answers_in_at_most_100_columns() -> None:
    text = to_text(compare(_report(_device()), _measurement()))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "net.onnx: 3 warm runs in ONNX Runtime 1.32.1, CPU, 2 threads"
    assert "18.0 ms on host, 80 % interval 16.0 .. 22.0, floor 5.00 ms" in text
    assert "20.0 ms median, fastest 19.5 ms" in text
    assert "-10.0 %, measured median inside the interval, floor at 25 % of it" in text
    # 1.0 MB / 0.8 MB - 1
    assert "1.0 MB predicted, 800.0 kB measured by the runtime, error +25.0 %" in " ".join(
        text.split()
    )


def test_text_says_what_is_not_to_be_trusted() -> None:
    measurement = _measurement(seconds=(0.004,), load=9.0)
    text = " ".join(to_text(compare(_report(_device()), measurement)).split())
    assert "4.00 ms median (noisy machine)" in text
    assert "noisy; load average 9.0 on 2 CPUs" in text
    assert "the floor was beaten" in text


def test_text_without_a_prediction() -> None:
    text = to_text(compare(_report(), _measurement()))
    assert "predicted   - (see notes)" in text
    assert "no device was given" in text
    assert "error" not in text.split("memory")[0]


def test_long_names_and_many_inputs_stay_in_the_page() -> None:
    report = _report(_device())
    report = replace(report, model=replace(report.model, path="n" * 200 + ".onnx"))
    plan = InputPlan(name="i" * 40, dtype="int64", shape=(1,) * 9, recipe="0..30522", seed=0)
    lines = to_text(compare(report, _measurement(inputs=(plan,) * 20))).splitlines()
    assert max(map(len, lines)) <= 100
    assert any("12 more" in line for line in lines)
