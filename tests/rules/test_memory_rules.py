"""MLS301, MLS303, MLS304: what is said about a model's memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlsys_lint.records import Activations, HeldTensor, ModelReport
from mlsys_lint_plugins.rules import (
    buffer_reuse_raises_peak,
    memory_does_not_fit,
    one_tensor_dominates_peak,
)
from report_values import device, exactly, node, report, tensor

MB = 1_000_000


def test_a_model_that_does_not_fit_names_its_largest_item() -> None:
    on = device(
        memory=exactly(14_000 * MB),
        capacity_bytes=8_000 * MB,
        fits=False,
        memory_items={"weights": 13_000 * MB, "peak_activations": 1_000 * MB},
    )
    (hit,) = memory_does_not_fit.check(report([node(0)], on))
    assert hit.message == "needs 14.0 GB of 8.0 GB, 13.0 GB of it weights"
    assert (hit.device, hit.node) == ("toy", None)


@pytest.mark.parametrize("fits", [True, None])
def test_a_model_that_fits_or_may_is_not_reported(fits: bool | None) -> None:  # noqa: FBT001  a case
    on = device(memory=exactly(14 * MB), capacity_bytes=80 * MB, fits=fits)
    assert list(memory_does_not_fit.check(report([node(0)], on))) == []


def _held(nbytes: int, least: int, *tensors: HeldTensor) -> ModelReport:
    held = Activations(nbytes=nbytes, node=0, least_nbytes=least, tensors=tensors)
    return report([node(0)], device(activations=held))


def test_reuse_that_raises_the_peak() -> None:
    (hit,) = buffer_reuse_raises_peak.check(_held(35 * MB, 11 * MB))
    assert hit.message == (
        "activations peak at 35.0 MB with the planner's reuse of buffers, at 11.0 MB without"
    )
    assert hit.saving_bytes == 24 * MB
    assert "enable_mem_reuse" in hit.help


@pytest.mark.parametrize(
    ("nbytes", "least"),
    [
        (35 * MB, 35 * MB),
        (35 * MB, 32 * MB),
        (2 * MB, 1 * MB + 1),
    ],  # none, below a tenth, below 1 MB
)
def test_a_small_rise_is_not_reported(nbytes: int, least: int) -> None:
    assert list(buffer_reuse_raises_peak.check(_held(nbytes, least))) == []


def _tensor(name: str, nbytes: int) -> HeldTensor:
    return HeldTensor(name=name, dtype="float", shape=(2, 4), nbytes=nbytes, node=0, idle=False)


def test_a_tensor_that_is_most_of_the_peak() -> None:
    found = _held(10 * MB, 10 * MB, _tensor("scores", 8 * MB), _tensor("q", 2 * MB))
    (hit,) = one_tensor_dominates_peak.check(found)
    assert hit.message == "scores [2,4], 8.0 MB, is 80 % of the activations at their peak"


def test_no_tensor_dominates() -> None:
    small = _held(MB // 2, MB // 2, _tensor("a", MB // 2))
    even = _held(10 * MB, 10 * MB, _tensor("a", 4 * MB), _tensor("b", 4 * MB))
    assert list(one_tensor_dominates_peak.check(small)) == []
    assert list(one_tensor_dominates_peak.check(even)) == []


def test_a_graph_output_is_what_was_asked_for() -> None:
    found = _held(10 * MB, 10 * MB, _tensor("y", 10 * MB))
    model = replace(found.model, outputs=(tensor("y", 2, 4),))
    assert list(one_tensor_dominates_peak.check(replace(found, model=model))) == []
