"""The arithmetic of a CUDA session: use_tf32, NVIDIA_TF32_OVERRIDE, ORT_CUDA_GEMM_OPTIONS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest

from mlsys_lint import measure
from mlsys_lint.math_mode import allows_tf32, math_notes, with_math_mode
from mlsys_lint.pipeline import CheckOptions, RunOptions, check, validate
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records.validation import Measurement, ValidationReport

HOST = PluginHost(third_party=False)
CUDA = HOST.runtimes["onnxruntime-cuda"]


@pytest.mark.parametrize(
    ("options", "environment", "allowed"),
    [
        ({}, {}, True),  # the default of use_tf32 is 1
        ({"use_tf32": "1"}, {}, True),
        ({"use_tf32": "0"}, {}, False),
        ({"use_tf32": "False"}, {}, False),  # onnxruntime-gpu 1.31.1 reads 0, False and false
        ({"use_tf32": "false"}, {}, False),
        ({}, {"NVIDIA_TF32_OVERRIDE": "0"}, False),
        ({"use_tf32": "1"}, {"NVIDIA_TF32_OVERRIDE": "0"}, False),  # wins over programs
        ({"use_tf32": "0"}, {"NVIDIA_TF32_OVERRIDE": "1"}, True),  # not documented: may be fast
    ],
)
def test_tf32(options: Mapping[str, str], environment: Mapping[str, str], *, allowed: bool) -> None:
    assert allows_tf32(options, environment) is allowed
    assert with_math_mode(CUDA, options, environment).fast_math == (
        {"fp32": "tf32"} if allowed else {}
    )


def test_a_runtime_without_fast_math_stays_as_it_is() -> None:
    cpu = HOST.runtimes["onnxruntime-cpu"]
    assert with_math_mode(cpu, {"use_tf32": "0"}, {}).fast_math == cpu.fast_math


def test_notes_say_what_is_not_the_default() -> None:
    assert list(math_notes({}, {})) == []
    plain, convolutions = math_notes({"use_tf32": "0"}, {})
    assert "without TF32" in plain
    assert "NVIDIA_TF32_OVERRIDE=0" in convolutions
    (plain,) = math_notes({}, {"NVIDIA_TF32_OVERRIDE": "0"})
    assert "without TF32" in plain


@pytest.mark.parametrize(("value", "half"), [("1", True), ("3", True), ("2", False), ("x", False)])
def test_sums_in_fp16_are_told(value: str, *, half: bool) -> None:
    # Bit 1: aggregate in fp16; bit 2: no reduced precision in reductions.
    notes = list(math_notes({}, {"ORT_CUDA_GEMM_OPTIONS": value}))
    assert len(notes) == half
    assert all("accumulate in fp16" in note for note in notes)


_SIDE = 2048
_PRODUCT = f"""<ir_version: 9, opset_import: ["" : 17]>
g (float[{_SIDE},{_SIDE}] x, float[{_SIDE},{_SIDE}] w) => (float[{_SIDE},{_SIDE}] y)
{{ y = MatMul(x, w) }}"""


def _measured(*_: object, **given: Any) -> Measurement:
    return Measurement(
        provider="cuda",
        provider_options=given["provider_options"],
        runtime_version="1.31.1",
        threads=1,
        seconds=(1.0,),
        first_run_s=1.0,
        session_s=1.0,
        sentinel_s=(1.0, 1.0),
        load=None,
        cpus=1,
        inputs=(),
    )


def test_validate_predicts_for_the_arithmetic_of_its_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "measure", _measured)
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    path = tmp_path / "product.onnx"
    onnx.save(onnx.parser.parse_model(_PRODUCT), path)
    a100 = HOST.devices["nv-a100-sxm4-80"].load()
    options = CheckOptions(devices=[a100])

    def run(given: Mapping[str, str]) -> ValidationReport:
        return validate(path, HOST, options, RunOptions(provider="cuda", provider_options=given))

    fast, exact = run({}), run({"use_tf32": "0"})
    assert fast.predicted is not None
    assert exact.predicted is not None
    # 2 * 2048^3 = 17.18 GFLOP: at the hard rates of TF32 (156 TFLOP/s nominal) and of fp32 on the
    # vector engine (19.5). The 50 MB that cross DRAM take less: 40 MB stay in L2.
    flops = 2 * _SIDE**3
    assert fast.predicted.floor == pytest.approx(flops / a100.peaks["matrix", "tf32"].hard)
    assert exact.predicted.floor == pytest.approx(flops / a100.peaks["vector", "fp32"].hard)
    assert any("without TF32" in one.message for one in exact.problems)
    assert not any("TF32" in one.message for one in fast.problems)

    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    overridden = run({"use_tf32": "1"})
    assert overridden.predicted == exact.predicted
    # check keeps the runtime's defaults, whatever the environment
    assert check(path, HOST, options).devices[0].latency_s == fast.predicted
