"""`--training` on the command line: JSON by its schema, the block of the text report, errors."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from mlsys_lint.cli import run
from training.steps import SAMPLES

SCHEMA = json.loads(files("mlsys_lint").joinpath("schema/check.schema.json").read_text("utf-8"))
MODEL = str(SAMPLES / "residual_block.onnx")
DEVICE = ("--device", "i7-12700k")


def document(capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    assert run([MODEL, "--batch", "8", *DEVICE, "--format", "json", *options]) in (0, 1)
    found = json.loads(capsys.readouterr().out)
    jsonschema.validate(found, SCHEMA)
    return found["training"]


def text(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert run([MODEL, "--batch", "8", *DEVICE, *options]) in (0, 1)
    found = capsys.readouterr().out
    assert all(len(line) <= 100 for line in found.splitlines())
    start = found.find("training step")
    return found[start:] if start >= 0 else ""


def test_without_the_option_there_is_no_training(capsys: pytest.CaptureFixture[str]) -> None:
    assert document(capsys) is None
    assert text(capsys) == ""


def test_figures_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "--training", "--optimizer", "adam", "--mixed-precision", "bf16")
    # 5,210 weights: 2 + 4 + 2 + 8 bytes each. Activations in 16 bits.
    assert found["weight_bytes"] == found["gradient_bytes"] == 2 * 5210
    assert found["master_weight_bytes"] == 4 * 5210
    assert found["optimizer_state_bytes"] == 8 * 5210
    assert found["activation_bytes"] == 1_671_680 // 2
    assert found["total_bytes"] == 16 * 5210 + 1_671_680 // 2
    assert found["precision"] == "mixed-bf16"
    # 5,161,120 MACs a sample, 442,368 of them in the first layer, whose input wants no gradient.
    assert found["forward_contraction_flops"] == 2 * 8 * 5_161_120
    assert found["backward_contraction_flops"] == 2 * 8 * (2 * 5_161_120 - 442_368)
    assert found["backward_flops"] == sum(found["backward_flops_by_operator"].values())


def test_every_option_arrives(capsys: pytest.CaptureFixture[str]) -> None:
    options = "--optimizer galore --rank 4 --checkpointing every-2 --accumulation 2 --loss mse"
    found = document(capsys, "--training", *options.split(), "--frozen", "stem", "--frozen", "w?")
    chosen = {key: found[key] for key in ("optimizer", "rank", "checkpointing", "accumulation")}
    assert chosen == {
        "optimizer": "galore",
        "rank": 4,
        "checkpointing": "every-2",
        "accumulation": 2,
    }
    assert (found["loss"], found["trainable_parameters"]) == ("mse", 170)
    only = document(capsys, "--training", "--trainable", "fc")
    assert (only["trainable_parameters"], only["optimizer"], only["rank"]) == (160, "adam", None)


def test_training_in_another_precision(capsys: pytest.CaptureFixture[str]) -> None:
    # --precision retypes the model itself: weights, gradients and states of 2 bytes.
    found = document(capsys, "--training", "--precision", "bf16")
    assert found["weight_bytes"] == found["gradient_bytes"] == 2 * 5210
    assert found["optimizer_state_bytes"] == 4 * 5210
    assert (found["master_weight_bytes"], found["precision"]) == (0, "as-is")


def test_text_shows_parts_shares_and_bars(capsys: pytest.CaptureFixture[str]) -> None:
    lines = text(capsys, "--training").splitlines()
    assert lines[0] == "training step, adam; 5.21 k parameters trained, 0 frozen; no loss"
    memory, work = (part.splitlines() for part in "\n".join(lines).split("\n\n")[:2])
    rows = {line.split("  ")[1]: line for line in memory[1:]}
    # 20,840 of 1,755,040 bytes; 1,671,680 of them are activations: 95 % of 40 columns.
    assert rows["weights"].split()[1:] == ["20.8", "kB", "1.2", "%"]
    assert rows["activations"].split()[1:] == ["1.7", "MB", "95", "%", "#" * 38]
    assert rows["total"].split()[1:] == ["1.8", "MB"]
    assert "master weights" not in rows
    parts = [line.split()[0] for line in work]
    assert parts[:5] == ["work", "forward", "backward", "update", "total"]
    assert any("backward by operator: Conv" in line for line in lines)
    assert any("assumed: an export for inference" in line for line in lines)


def test_text_names_what_was_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    options = "--optimizer lora --rank 4 --mixed-precision fp16 --checkpointing sqrt"
    found = text(capsys, "--training", *options.split(), "--accumulation", "4", "--loss", "mse")
    head = " ".join(found.split("\n  memory")[0].split())
    assert head.startswith("training step, lora of rank 4; ")
    for word in ("loss mse", "mixed-fp16", "4 micro-batches", "checkpoints sqrt"):
        assert word in head
    assert "master weights" in found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--optimizer", "adam"), "--optimizer goes with --training"),
        (("--mixed-precision", "fp16"), "--mixed-precision goes with --training"),
        (("--frozen", "fc"), "--frozen goes with --training"),
        (("--training", "--optimizer", "sgdd"), "--optimizer sgdd: unknown; known optimizers: "),
        (("--training", "--checkpointing", "all"), "--checkpointing all: expected sqrt or every-N"),
        (("--training", "--frozen", "head"), "--frozen head: no tensor that can be trained"),
        (("--training", "--rank", "4"), "--rank 4: the optimizer adam has no rank"),
    ],
)
def test_mistakes_are_one_line(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert run([MODEL, *DEVICE, *options]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert message in found.err
    assert len(found.err.splitlines()) == 1
