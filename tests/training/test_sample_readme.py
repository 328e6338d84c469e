"""The section on training of sample_models/README.md against the report."""

from __future__ import annotations

import re

import pytest

from training.steps import SAMPLES, train_sample

TEXT = (SAMPLES / "README.md").read_text(encoding="utf-8").partition("## Training")[2]


def line(start: str) -> str:
    (found,) = (one for one in TEXT.splitlines() if one.startswith(f"| {start}"))
    return found.rpartition("|")[0].rpartition("|")[2]


def numbers(text: str) -> list[int]:
    return [int(one.replace(",", "")) for one in re.findall(r"\d[\d,]*", text)]


def test_fully_connected_layers() -> None:
    step = train_sample("mlp", {"N": 1})
    assert numbers(line("backward pass"))[-1] * 2 == step.backward_contraction_flops
    assert numbers(line("what it needs"))[-1] == step.activation_bytes
    assert numbers(line("gradients in fp32")) == [step.gradient_bytes]
    steps = [train_sample("mlp", {"N": 1}, optimizer=name) for name in ("sgd", "momentum", "adam")]
    assert numbers(line("states of")) == [one.optimizer_state_bytes for one in steps]
    assert numbers(line("an update")) == [one.update_flops for one in steps]


def test_losses() -> None:
    # The perceptron's loss alone: difference, square, mean; back two products and their sum.
    step = train_sample("perceptron", {"N": 1})
    back = sum(step.by_operator[name] for name in ("ai.onnx::Mul", "sums of gradients"))
    assert numbers(line("mean squared")) == [3, back]
    assert train_sample("linear_classifier", {"N": 1}).backward_transcendentals == 10
    assert numbers(line("softmax, cross"))[-1] == 10


@pytest.mark.parametrize(
    ("name", "dims"),
    [
        ("residual_block", {"N": 1}),
        ("transformer_encoder", {"batch": 1, "seq": 16}),
        ("stacked_transformer", {"B": 1, "S": 16}),
    ],
)
def test_kept_and_computed_again(name: str, dims: dict[str, int]) -> None:
    (row,) = (one for one in TEXT.splitlines() if one.startswith(f"| `{name}.onnx`"))
    plain, roots = (train_sample(name, dims, checkpointing=one) for one in ("none", "sqrt"))
    figures = [plain.activation_bytes, roots.activation_bytes, roots.recompute_flops]
    assert numbers(row.partition("|")[2].partition("|")[2]) == figures
