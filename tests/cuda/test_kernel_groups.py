"""Kernel by kernel on CUDA, with a runtime that stands for a build with CUPTI."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from mlsys_lint.pipeline import CheckOptions, RunOptions, validate
from mlsys_lint.plugin_host import PluginHost

HOST = PluginHost(third_party=False)


@pytest.mark.ort
def test_groups_have_the_times_of_gpu_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """<ir_version: 9, opset_import: ["" : 17]>
    g (float[8,16] x, float[16,16] w) => (float[8,16] y) { a = MatMul(x, w)  y = Softmax(a) }"""
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "timed"))
    report = validate(
        path,
        HOST,
        CheckOptions(devices=[HOST.devices["nv-a100-sxm4-80"].load()]),
        RunOptions(provider="cuda", provider_options={"use_tf32": "1"}, runs=5),
    )
    assert report.groups is not None
    shares = {group.nodes: group.measured_s / report.measured.median for group in report.groups}
    # Kernels of 90 and 10 us, whatever the host took to launch them; both fill the median run.
    assert set(shares) == {(0,), (1,)}
    assert shares[0,] == pytest.approx(0.9)
    assert sum(shares.values()) == pytest.approx(1)
    assert report.fallbacks == ()
    assert report.copies == ()
    assert not any("CUPTI" in one.message for one in report.problems)
