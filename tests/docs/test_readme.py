"""README.md says what the product does: its tables, output and commands are checked."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from docs.readme_tables import PARTS, README, ROOT, part
from mlsys_lint.cli import cli, run
from mlsys_lint.devices import parse_profile
from mlsys_lint.testing import estimate_text

TEXT = README.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PARTS)
def test_generated_parts_are_fresh(name: str) -> None:
    assert part(TEXT, name) == PARTS[name](), "run: python tests/docs/readme_tables.py"


def commands() -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [line for line in lines if line.startswith("mlsys-lint")]


@pytest.mark.parametrize("command", commands())
def test_every_documented_command_runs(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if " validate " in command or " calibrate " in command:
        pytest.importorskip("onnxruntime")
        pytest.importorskip("scipy")
        monkeypatch.setattr("mlsys_lint.calibration.running.RUN_S", 0.01)
        monkeypatch.setenv("MLSYS_LINT_HOME", str(tmp_path))
    models = tmp_path / "models"
    models.mkdir()
    sample = (ROOT / "sample_models/transformer_encoder.onnx").read_bytes()
    (tmp_path / "model.onnx").write_bytes(sample)
    (models / "model.onnx").write_bytes(sample)
    monkeypatch.chdir(tmp_path)
    assert run(shlex.split(command)[1:]) in (0, 1)


def test_every_command_and_option_of_the_command_line_is_described() -> None:
    for name, command in cli.commands.items():
        assert f"`{name}" in TEXT, f"README.md does not name the command {name}"
        assert command.help


def test_device_file_example_is_a_profile() -> None:
    example = re.search(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert example is not None
    tomllib.loads(example.group(1))
    assert parse_profile(example.group(1), "README.md", {}).id == "my-board"


def test_plugin_example_works() -> None:
    example = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert example is not None
    namespace: dict[str, object] = {"__name__": "readme_plugin"}
    exec(example.group(1), namespace)  # noqa: S102  the documented code is what is tested
    plugin = type("Plugin", (), {k: staticmethod(v) for k, v in namespace.items() if callable(v)})
    text = "g (float[2,3] x) => (float[2,3] y) { y = com.acme.FusedGelu(x) }"
    (node,) = estimate_text(text, plugins={"readme": plugin})
    assert node.status == "exact"
