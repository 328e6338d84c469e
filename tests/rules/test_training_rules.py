"""MLS302, MLS305: what is said about the memory of a training step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlsys_lint.records import ModelReport, Training
from mlsys_lint_plugins.rules import fits_only_with_checkpointing, optimizer_states_dominate
from report_values import device, node, report

MB = 1_000_000
STEP = Training(
    optimizer="adam",
    rank=None,
    precision="as-is",
    checkpointing="none",
    loss="none",
    accumulation=1,
    trainable_parameters=25 * MB,
    frozen_parameters=0,
    forward_flops=300,
    backward_flops=600,
    forward_contraction_flops=300,
    backward_contraction_flops=600,
    backward_transcendentals=0,
    update_flops=100,
    update_transcendentals=0,
    recompute_flops=0,
    by_operator={},
    weight_bytes=100 * MB,
    master_weight_bytes=0,
    gradient_bytes=100 * MB,
    optimizer_state_bytes=200 * MB,
    activation_bytes=600 * MB,
    segments=1,
    is_lower_bound=False,
    sqrt_activation_bytes=150 * MB,
    sqrt_recompute_flops=250,
    alternatives={"adam-8bit": 50 * MB, "lion": 100 * MB, "sgd": 0},
)


def _report(capacity: int | None = None, **changes: Any) -> ModelReport:
    on = device(capacity_bytes=capacity)
    return replace(report([node(0)], on), training=replace(STEP, **changes))


def test_a_step_that_fits_with_checkpoints_only() -> None:
    # 100 + 100 + 200 + 600 of 700 MB; with checkpoints 150 instead of 600. 250 of 1,000 FLOPs again.
    (hit,) = fits_only_with_checkpointing.check(_report(700 * MB))
    assert hit.message == (
        "a training step holds 1.0 GB of 700.0 MB; with checkpoints 550.0 MB, for 25 % more work"
    )
    assert (hit.device, hit.saving_bytes) == ("toy", 450 * MB)


@pytest.mark.parametrize(
    ("capacity", "changes"),
    [
        (1000 * MB, {}),  # it fits as it is
        (500 * MB, {}),  # not even with checkpoints
        (None, {}),
        (700 * MB, {"sqrt_activation_bytes": None}),  # a policy was asked for
        (700 * MB, {"activation_bytes": None}),
    ],
)
def test_steps_that_checkpoints_do_not_decide(
    capacity: int | None, changes: dict[str, int | None]
) -> None:
    assert list(fits_only_with_checkpointing.check(_report(capacity, **changes))) == []


def test_states_that_are_the_largest_part() -> None:
    # 200 of 100 + 100 + 200 + 40 MB
    (hit,) = optimizer_states_dominate.check(_report(activation_bytes=40 * MB))
    assert hit.message == (
        "states of adam and master weights are 200.0 MB, 45 % of a training step's memory"
    )
    assert hit.help == "adam-8bit saves 150.0 MB, lion saves 100.0 MB"
    assert hit.saving_bytes == 150 * MB


def test_master_weights_count_with_the_states() -> None:
    halves = _report(
        activation_bytes=40 * MB, optimizer_state_bytes=90 * MB, master_weight_bytes=90 * MB
    )
    (hit,) = optimizer_states_dominate.check(halves)
    assert hit.help == "adam-8bit saves 40.0 MB"


def test_states_that_are_not_the_largest_part() -> None:
    assert list(optimizer_states_dominate.check(_report())) == []
    assert list(optimizer_states_dominate.check(_report(optimizer_state_bytes=100 * MB))) == []


def test_a_model_that_is_not_trained() -> None:
    plain = report([node(0)], device(capacity_bytes=1))
    assert list(fits_only_with_checkpointing.check(plain)) == []
    assert list(optimizer_states_dominate.check(plain)) == []
