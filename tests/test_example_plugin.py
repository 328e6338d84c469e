"""Our wheel and a third party's, installed into a fresh environment: all four extensions work."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mlsys_lint.testing import model_from_text

ROOT = Path(__file__).parents[1]
TEXT = (
    "g (float[2,3] x) => (float[2,4] y) <float[3,4] w> "
    "{ h = com.acme.FusedGelu(x) y = MatMul(h, w) }"
)


def run(*command: object) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("wheels")
    for source in (ROOT, ROOT / "tests/example_plugin"):
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, source)
    found = sorted(folder.glob("*.whl"))
    assert len(found) == 2
    return found


@pytest.fixture(scope="module")
def tool(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    run(programs / "python", "-m", "pip", "install", "--quiet", *wheels)
    return programs / "mlsys-lint"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "acme.onnx"
    path.write_bytes(model_from_text(TEXT).SerializeToString())
    return path


@pytest.mark.slow
def test_the_wheel_holds_plugins_devices_and_schemas(wheels: list[Path]) -> None:
    ours = next(path for path in wheels if path.name.startswith("mlsys_lint-"))
    names = zipfile.ZipFile(ours).namelist()
    for name in (
        "mlsys_lint/py.typed",
        "mlsys_lint/schema/check.schema.json",
        "mlsys_lint/schema/validate.schema.json",
        "mlsys_lint_plugins/py.typed",
        "mlsys_lint_plugins/ops/linear.py",
        "mlsys_lint_devices/py.typed",
        "mlsys_lint_devices/index.toml",
        "mlsys_lint_devices/sources.toml",
        "mlsys_lint_devices/nvidia/nv-a100-sxm4-80.toml",
    ):
        assert name in names


@pytest.mark.slow
def test_all_four_extensions_work(tool: Path, model: Path) -> None:
    def listed(*command: object) -> Any:
        return json.loads(run(tool, *command, "--format", "json"))

    acme = next(one for one in listed("plugins")["plugins"] if one["name"] == "acme")
    assert acme["distribution"] == "mlsys-lint-acme 0.1.0"
    assert listed("ops", "com.acme::FusedGelu")["operators"][0]["plugin"] == "acme"
    assert "ACM101" in [one["code"] for one in listed("rules")["rules"]]
    assert "acme-npu" in [one["id"] for one in listed("devices")["devices"]]
    report = listed(model, "--device", "acme-npu")
    gelu, product = report["nodes"]
    assert (gelu["status"], gelu["flops"]) == ("exact", 4 * 6)
    assert product["outputs"][0]["shape"] == [2, 4]  # through the plugin's inference
    assert report["devices"][0]["latency_s"]["expected"] > 0
    assert "ACM101" in [one["code"] for one in report["findings"]]
    # 2 * 3 elements of 4 operations, 2 * 4 sums of 3 products
    line = run(tool, model, "--format", "acme-line")
    assert line == f"acme: {model}: {4 * 6 + 2 * 24} FLOPs\n"
