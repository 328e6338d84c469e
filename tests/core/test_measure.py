from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from mlsys_lint import measure
from mlsys_lint.errors import ModelError, OptionError, RuntimeUnavailableError
from mlsys_lint.measure import process
from mlsys_lint.records.validation import (
    Measurement,
)

# Peak activations: a and y, 2 x 4 floats each, are alive together: 64 bytes.
_CHAIN = "g (float[2,3] x, float[3,4] w) => (float[2,4] y) { a = MatMul(x, w)  y = Relu(a) }"
_SHAPES: Mapping[str, tuple[int, ...]] = MappingProxyType({"x": (2, 3), "w": (3, 4)})


def _model(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]>\n{text}')


def _measure(
    folder: Path,
    text: str = _CHAIN,
    shapes: Mapping[str, tuple[int, ...]] = _SHAPES,
    **options: Any,
) -> Measurement:
    model = _model(text)
    path = folder / "model.onnx"
    onnx.save(model, path)
    arguments = {
        "provider": "cpu",
        "threads": 1,
        "runs": 3,
        "inputs": None,
        "timeout_s": 60.0,
        **options,
    }
    return measure.measure(path, proto=model, shapes=shapes, **arguments)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders go; empty again at the end of every test."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.mark.ort
def test_runs_are_timed_and_memory_is_measured(tmp_path: Path, scratch: Path) -> None:
    said: list[str] = []
    found = _measure(tmp_path, runs=7, progress=said.append)
    assert scratch.exists()
    assert len(found.seconds) == 7
    assert min(*found.seconds, found.first_run_s, found.session_s, *found.sentinel_s) > 0
    assert found.peak_activation_bytes == 64
    assert (found.provider, found.threads, found.fallbacks, found.problems) == ("cpu", 1, (), ())
    assert [plan.recipe for plan in found.inputs] == ["normal", "normal"]
    assert "timing runs" in said


@pytest.mark.ort
@pytest.mark.usefixtures("scratch")
def test_inputs_come_from_the_file_where_it_has_them(tmp_path: Path) -> None:
    file = tmp_path / "some.npz"
    np.savez(file, x=np.ones((2, 3), np.float32))
    found = _measure(tmp_path, inputs=file)
    assert [plan.recipe for plan in found.inputs] == ["file", "normal"]


@pytest.mark.ort
@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("x", np.ones((1, 3), np.float32), r"shape \[1, 3\], the prediction is for \[2, 3\]"),
        ("x", np.ones((2, 3), np.float64), "is float64, the model takes float32"),
        ("q", np.ones((2, 3), np.float32), "'q' is no input of the model; its inputs: x, w"),
    ],
)
@pytest.mark.usefixtures("scratch")
def test_file_that_does_not_fit_is_refused(
    tmp_path: Path, name: str, array: np.ndarray[Any, Any], message: str
) -> None:
    file = tmp_path / "wrong.npz"
    arrays: dict[str, Any] = {name: array}
    np.savez(file, **arrays)
    with pytest.raises(OptionError, match=message):
        _measure(tmp_path, inputs=file)


@pytest.mark.ort
@pytest.mark.usefixtures("scratch")
def test_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "text.npz"
    file.write_text("no archive")
    with pytest.raises(OptionError, match=r"text\.npz: can't be read as \.npz"):
        _measure(tmp_path, inputs=file)


@pytest.mark.ort
@pytest.mark.usefixtures("scratch")
def test_strings_and_non_tensor_outputs_run(tmp_path: Path) -> None:
    text = """g (string[2] s, float[2,3] x) => (string[2] t, seq(float[2,3]) q) {
        t = Identity(s)
        q = SequenceConstruct(x)
    }"""
    assert len(_measure(tmp_path, text, {"s": (2,), "x": (2, 3)}).seconds) == 3


@pytest.mark.ort
@pytest.mark.usefixtures("scratch")
def test_model_that_the_runtime_refuses(tmp_path: Path) -> None:
    text = "g (float[2] x) => (float[2] y) { y = NoSuchOperator(x) }"
    with pytest.raises(
        ModelError, match=r"model\.onnx: ONNX Runtime refuses .*NoSuchOperator"
    ) as it:
        _measure(tmp_path, text, {"x": (2,)})
    assert "\n" not in str(it.value)


@pytest.mark.ort
@pytest.mark.usefixtures("scratch")
def test_model_that_fails_when_it_runs(tmp_path: Path) -> None:
    # Six elements can't become rows of four.
    text = """g (float[N,3] x, int64[2] shape) => (float[A,B] y) { y = Reshape(x, shape) }"""
    with pytest.raises(ModelError, match=r"ONNX Runtime can't run the model: .*Reshape"):
        _measure(tmp_path, text, {"x": (2, 3), "shape": (2,)}, values={"shape": "4"})


@pytest.mark.ort
@pytest.mark.usefixtures("scratch")
def test_cuda_is_never_run_on_the_cpu(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has CUDA")
    with pytest.raises(RuntimeUnavailableError, match=r"has no CUDAExecutionProvider.*mlsys-lint"):
        _measure(tmp_path, provider="cuda")


@pytest.mark.ort
@pytest.mark.usefixtures("scratch")
def test_memory_limit_ends_in_one_line(tmp_path: Path) -> None:
    # The sum has 2^31 floats, 8 GiB, four times the limit.
    text = "g (float[65536,1] a, float[1,32768] b) => (float[65536,32768] c) { c = Add(a, b) }"
    shapes = {"a": (65536, 1), "b": (1, 32768)}
    with pytest.raises(ModelError, match=r"alloc|memory"):
        _measure(tmp_path, text, shapes, memory_limit_bytes=2 << 30)


@pytest.mark.parametrize(
    ("option", "value"),
    [("provider", "tpu"), ("threads", 0), ("runs", 0), ("timeout_s", 0.0), ("timeout_s", np.inf)],
)
def test_options_are_checked(tmp_path: Path, option: str, value: object) -> None:
    options: dict[str, Any] = {option: value}
    with pytest.raises(OptionError, match=f"--{option.removesuffix('_s')}"):
        _measure(tmp_path, **options)


def _external(location: str) -> onnx.ModelProto:
    model = _model(_CHAIN)
    tensor = TensorProto(name="w", data_type=1, dims=[3, 4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    model.graph.initializer.append(tensor)
    return model


def _measure_external(folder: Path, location: str) -> Measurement:
    model = _external(location)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return measure.measure(
        path,
        proto=model,
        shapes=_SHAPES,
        provider="cpu",
        threads=1,
        runs=1,
        inputs=None,
        timeout_s=60.0,
    )


def test_missing_external_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'weights\.bin' of tensor 'w' is missing"):
        _measure_external(tmp_path, "weights.bin")


def test_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_bytes(b"\0" * 48)
    (inside / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelError, match="outside the model's folder"):
        _measure_external(inside, "link")


@pytest.mark.usefixtures("scratch")
def test_timeout_of_a_model_is_an_error_and_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot = "import time; open('left', 'w').close(); time.sleep(300)"
    monkeypatch.setattr(process, "_BOOT", boot)
    with pytest.raises(ModelError, match=r"model\.onnx: no result within 1 s .*--timeout"):
        _measure(tmp_path, timeout_s=1.0)


def test_parent_does_not_import_the_runtime(tmp_path: Path) -> None:
    code = "import mlsys_lint.measure, sys; raise SystemExit('onnxruntime' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 0
