"""Fits of synthetic kernels whose parameters are known."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("scipy")

from mlsys_lint.calibration.fitting import Row, fit_class, fit_classes, spread
from mlsys_lint.calibration.rows import TICK_S

TRUTH = {"kernel": 2e-6, "flop": 1e-11, "byte": 5e-11}


def _rows(
    noise: Callable[[str], float] = lambda _network: 1.0,
    *,
    kernel_class: str = "conv",
    networks: int = 6,
    scale: float = 1.0,
) -> list[Row]:
    """Eight kernels a network, time = sum of TRUTH x amount, times the noise."""
    draw = random.Random(0)
    rows = []
    for network in range(networks):
        name = f"net{network}"
        for _ in range(8):
            terms = {
                "kernel": 1.0,
                "flop": draw.uniform(1e5, 1e8),
                "byte": draw.uniform(1e4, 1e7),
            }
            seconds = sum(TRUTH[term] * amount for term, amount in terms.items())
            rows.append(
                Row(
                    network=name,
                    kernel_class=kernel_class,
                    terms=terms,
                    seconds=seconds * noise(name) * scale,
                )
            )
    return rows


def test_exact_times_give_back_the_parameters() -> None:
    model = fit_class(_rows(), {}, TICK_S)
    assert model.parameters == pytest.approx(TRUTH)
    assert model.kernels == 48
    assert model.cases == {"kernel": 48, "flop": 48, "byte": 48}


def test_doubled_times_double_every_parameter() -> None:
    draw = random.Random(1)
    noise = [draw.lognormvariate(0, 0.1) for _ in range(48)]

    def times() -> Iterator[float]:
        yield from noise

    first, second = times(), times()
    once = fit_class(_rows(lambda _: next(first)), {"byte": 4e-11}, TICK_S)
    twice = fit_class(_rows(lambda _: next(second), scale=2.0), {"byte": 8e-11}, 2 * TICK_S)
    assert twice.parameters == {k: 2 * v for k, v in once.parameters.items()}
    assert (twice.scatter, twice.shift) == (once.scatter, once.shift)


def test_one_kernel_that_was_disturbed_changes_little() -> None:
    rows = _rows()
    rows[5] = Row(
        network=rows[5].network,
        kernel_class="conv",
        terms=rows[5].terms,
        seconds=rows[5].seconds * 3,
    )
    assert fit_class(rows, {}, TICK_S).parameters == pytest.approx(TRUTH, rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 0.5))
def test_no_parameter_is_negative(seed: int, noise: float) -> None:
    draw = random.Random(seed)
    model = fit_class(_rows(lambda _: draw.lognormvariate(0, noise)), {}, TICK_S)
    assert min(model.parameters.values()) >= 0


def test_a_term_that_no_kernel_tells_stays_within_its_prior() -> None:
    """One byte of DRAM a kernel: what kernels take too long must not be booked on it."""
    rows = [
        Row(
            network=row.network,
            kernel_class="conv",
            terms={**row.terms, "read_dram": 1.0 if place % 2 else 2.0},
            seconds=row.seconds * (1.03 if place % 2 else 1.06),
        )
        for place, row in enumerate(_rows())
    ]
    prior = 1e-10
    lean = {"byte": 0.4 * prior, "read_dram": 0.6 * prior}
    assert fit_class(rows, lean, TICK_S).parameters["read_dram"] <= prior * 1.001


def test_classes_are_fitted_on_their_own_rows() -> None:
    both = [*_rows(), *_rows(lambda _: 3.0, kernel_class="gemm")]
    models = fit_classes(both, "generic", TICK_S)
    alone = fit_classes(_rows(), "generic", TICK_S)
    assert models["conv"] == alone["conv"]
    assert models["gemm"].parameters == pytest.approx({k: 3 * v for k, v in TRUTH.items()})


@pytest.mark.parametrize(("scatter", "shift"), [(0.10, 0.02), (0.05, 0.10), (0.2, 0.2)])
def test_spread_tells_own_errors_from_shared_ones(scatter: float, shift: float) -> None:
    """400 networks of 8 equal kernels; both deviations come back within 15 % or 0.02."""
    draw = random.Random(7)
    errors, rows = [], []
    for network in range(400):
        shared = draw.gauss(0, shift)
        for _ in range(8):
            errors.append(shared + draw.gauss(0, scatter))
            rows.append(Row(network=f"{network}", kernel_class="x", terms={}, seconds=1e-3))
    import numpy as np

    found = spread(np.array(errors), rows, np.full(len(rows), 1e-3))
    assert found == pytest.approx((scatter, shift), rel=0.15, abs=0.02)


def test_errors_are_those_of_networks_that_were_left_out() -> None:
    """Every network is slower or faster as a whole, by 20 % or so: the fit can't learn that."""
    draw = random.Random(3)
    pace = {f"net{at}": exp(draw.gauss(0, 0.2)) for at in range(40)}
    model = fit_class(_rows(lambda network: pace[network], networks=40), {}, TICK_S)
    assert model.shift == pytest.approx(0.2, abs=0.06)
    assert model.scatter < 0.05
