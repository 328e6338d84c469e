"""The interval of a calibrated prediction: how errors of kernels add up."""

from __future__ import annotations

import random
from math import exp, hypot

import pytest

from mlsys_lint.prediction.calibrated import NORMAL_80, Timed, deviation, estimate, of_model
from mlsys_lint.records import Calibration


def _timed(kernel_class: str, seconds: float, scatter: float, shift: float) -> Timed:
    return Timed(
        kernel_class=kernel_class,
        seconds=seconds,
        repeat=1,
        scatter=scatter,
        shift=shift,
        bound="compute",
    )


def _calibration(drift: float = 0.0, run_s: float = 0.0) -> Calibration:
    return Calibration(
        runtime="r", version="1", threads=1, cpu="c", run_s=run_s, drift=drift, classes={}
    )


def test_one_kernel_has_both_its_errors() -> None:
    """3-4-5."""
    assert deviation([_timed("a", 1.0, 0.3, 0.4)], 0.0) == pytest.approx(0.5)


def test_own_errors_average_out_and_shared_ones_do_not() -> None:
    """100 equal kernels: 0.3 / sqrt(100) = 0.03 of their own, 0.04 shared: 0.05."""
    assert deviation([_timed("a", 1.0, 0.3, 0.04)] * 100, 0.0) == pytest.approx(0.05)


def test_classes_are_independent() -> None:
    """Half the time in each of two classes: 0.1 x sqrt(2) / 2."""
    both = [_timed("a", 1.0, 0.0, 0.1), _timed("b", 1.0, 0.0, 0.1)]
    assert deviation(both, 0.0) == pytest.approx(0.1 * 2**0.5 / 2)


def test_a_repeated_kernel_is_one_error() -> None:
    """A loop of 100 trips is off by as much as its one kernel."""
    one = Timed(kernel_class="a", seconds=1.0, repeat=100, scatter=0.3, shift=0.0, bound="compute")
    assert deviation([one], 0.0) == pytest.approx(0.3)


def test_drift_is_common_to_the_whole_model() -> None:
    assert deviation([_timed("a", 1.0, 0.0, 0.03)] * 5, 0.04) == pytest.approx(0.05)
    assert deviation([], 0.04) == 0.04


def test_the_interval_is_symmetric_in_the_logarithm() -> None:
    low, expected, high = of_model([_timed("a", 1e-3, 0.0, 0.1)], _calibration(run_s=1e-6))
    assert expected == pytest.approx(1.001e-3)
    assert high / expected == pytest.approx(expected / low)
    assert high / expected == pytest.approx(exp(NORMAL_80 * 0.1))


def test_a_kernel_alone_is_less_sure_than_many() -> None:
    one = _timed("a", 1e-3, 0.2, 0.1)
    alone = estimate(one, 0.05)
    low, expected, high = of_model([one] * 20, _calibration(drift=0.05))
    assert alone.high / alone.expected > high / expected
    assert alone.low / alone.expected < low / expected


@pytest.mark.parametrize(("scatter", "shift", "drift"), [(0.2, 0.05, 0.02), (0.05, 0.15, 0.0)])
def test_eighty_percent_of_models_lie_inside(scatter: float, shift: float, drift: float) -> None:
    """4,000 models of 12 kernels of two classes whose errors are as stated: 80 % within 3 points."""
    draw = random.Random(5)
    kernels = [_timed("ab"[at % 2], 1e-3 * (1 + at), scatter, shift) for at in range(12)]
    low, _, high = of_model(kernels, _calibration(drift=drift))
    inside = 0
    for _ in range(4000):
        shared = {name: draw.gauss(0, shift) for name in "ab"}
        whole = draw.gauss(0, drift)
        total = sum(
            one.seconds * exp(whole + shared[one.kernel_class] + draw.gauss(0, scatter))
            for one in kernels
        )
        inside += low <= total <= high
    assert inside / 4000 == pytest.approx(0.8, abs=0.03)


def test_hypot_is_what_independent_errors_add_up_to() -> None:
    """Three classes at different shares of the time, by hand."""
    kernels = [_timed("a", 5.0, 0, 0.1), _timed("b", 3.0, 0, 0.2), _timed("c", 2.0, 0, 0.3)]
    assert deviation(kernels, 0.0) == pytest.approx(hypot(0.05, 0.06, 0.06))
