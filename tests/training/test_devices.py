"""Whether a training step fits a device, and at which batch; derived by hand.

y = x w + b with w [4,1] and b [1]: weights, gradients and two states of Adam are 4 * 20 bytes. Of
each sample the step keeps its 4 inputs, 16 bytes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlsys_lint.analysis import analyse
from mlsys_lint.devices import find_device
from mlsys_lint.loading import prepare
from mlsys_lint.pipeline import CheckOptions, report
from mlsys_lint.records import DeviceProfile, DeviceReport
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text
from mlsys_lint.training import TrainingOptions
from training.steps import host

TEXT = "g (float[N,4] x) => (float[N,1] y) <float[4,1] w, float[1] b> { y = Gemm(x, w, b) }"


def _profile(capacity_bytes: int) -> DeviceProfile:
    found = find_device("nv-l4", host().devices)
    dram = replace(found.dram, capacity_bytes=capacity_bytes)
    return replace(found, memory=(*found.memory[:-1], dram))


def _on(capacity_bytes: int, *, max_batch: bool = False, trained: bool = True) -> DeviceReport:
    analysis = analyse(prepare(model_from_text(TEXT, 17), Path("text.onnx")), host(), Bindings())
    training = TrainingOptions(optimizer="adam") if trained else None
    options = CheckOptions(
        devices=[_profile(capacity_bytes)], max_batch=max_batch, training=training
    )
    return report(analysis, host(), options).devices[0]


@pytest.mark.parametrize(("capacity", "fits"), [(80 + 16, True), (80 + 15, False)])
def test_a_step_fits_or_not(capacity: int, fits: bool) -> None:  # noqa: FBT001  a case
    assert _on(capacity).training_fits is fits


def test_without_training_nothing_is_said() -> None:
    assert _on(96, trained=False).training_fits is None


@pytest.mark.parametrize(
    ("capacity", "batch"), [(80 + 16 * 1000 + 15, 1000), (80 + 16, 1), (80 + 15, 0)]
)
def test_the_largest_batch_of_a_step(capacity: int, batch: int) -> None:
    assert _on(capacity, max_batch=True).max_batch == batch
