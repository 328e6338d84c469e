"""The sample models are what their build gives: small, and the same bytes again."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import onnx
import pytest

FOLDER = Path(__file__).parents[1] / "sample_models"


def test_the_build_gives_the_committed_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    spec = importlib.util.spec_from_file_location("build", FOLDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    built = dict(module.build_all())
    assert sorted(built) == sorted(path.name for path in FOLDER.glob("*.onnx"))
    for name, content in built.items():
        committed = (FOLDER / name).read_bytes()
        assert onnx.load_from_string(content) == onnx.load_from_string(committed), name
        assert len(committed) < 200_000
