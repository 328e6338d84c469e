"""Shares of measured time, derived by hand."""

from __future__ import annotations

import pytest

from mlsys_lint.records.validation import KernelTimes
from mlsys_lint.validation.times import shared_times


def _kernel(name: str, *microseconds: int, calls: int = 1) -> KernelTimes:
    return KernelTimes(
        name=name,
        node_index=0,
        op_type="Op",
        calls=(calls,) * len(microseconds),
        microseconds=microseconds,
    )


def test_observation_is_taken_off_every_event_alike() -> None:
    # 30 + 14 + 6 = 50 us profiled, 44 us unprofiled: 2 us for each of 3 events.
    kernels = [_kernel("a", 30, 30, 90), _kernel("b", 14, 14, 14), _kernel("c", 5, 6, 7)]
    found = shared_times(kernels, {}, 44e-6)
    assert found.seconds == pytest.approx((28e-6, 12e-6, 4e-6))


def test_shorter_profile_is_scaled_up() -> None:
    # Nothing is taken off; what lies between the kernels is shared out: 50 -> 100 us.
    kernels = [_kernel("a", 40, 40), _kernel("b", 10, 10)]
    assert shared_times(kernels, {}, 100e-6).seconds == pytest.approx((80e-6, 20e-6))


def test_kernel_no_longer_than_its_observation_keeps_a_tenth_of_a_microsecond() -> None:
    # 102 us against 62: 20 us an event. b keeps 0.1 us, so a has 80 of 80.1 parts.
    found = shared_times([_kernel("a", 100, 100), _kernel("b", 2, 2)], {}, 62e-6)
    assert found.seconds == pytest.approx((62e-6 * 80 / 80.1, 62e-6 * 0.1 / 80.1))


def test_container_does_not_count_its_body_again() -> None:
    # The loop's 100 us hold 4 calls of 15 us together 60 and 4 of 5 together 20: 20 us are its own.
    kernels = [
        _kernel("loop", 100, 100),
        _kernel("x", 60, 60, calls=4),
        _kernel("y", 20, 20, calls=4),
    ]
    owners = {"x": "loop", "y": "loop"}
    assert shared_times(kernels, owners, 100e-6).seconds == pytest.approx((20e-6, 60e-6, 20e-6))
    # 100 us against 66: 34 us over 4 + 4 events of the body, which count twice, and the loop's own:
    # 17 times 2 us. The loop has 1 + 8 of them: 20 - 18 = 2; x 60 - 8 = 52; y 20 - 8 = 12.
    assert shared_times(kernels, owners, 66e-6).seconds == pytest.approx((2e-6, 52e-6, 12e-6))


def test_bodies_in_bodies() -> None:
    kernels = [_kernel("outer", 100), _kernel("inner", 70), _kernel("leaf", 40)]
    owners = {"inner": "outer", "leaf": "inner"}
    assert shared_times(kernels, owners, 100e-6).seconds == pytest.approx((30e-6, 30e-6, 40e-6))


def test_replay_takes_from_the_second_half_what_the_first_half_says() -> None:
    # First half: 60 us against 50: 5 us for each of 2 events: 35 + 15 = 50, scale 1.
    # Second half: 44 - 5 + 21 - 5 = 55.
    kernels = [_kernel("a", 40, 40, 44, 44), _kernel("b", 20, 20, 21, 21)]
    assert shared_times(kernels, {}, 50e-6).replay_s == pytest.approx(55e-6)
