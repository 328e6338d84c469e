from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from mlsys_lint.measure import timing


class _Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, durations: Iterator[float]) -> None:
        self.now, self.calls, self.durations = 0.0, 0, durations
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def call(self) -> None:
        self.calls += 1
        self.now += next(self.durations)


def _always(seconds: float) -> Iterator[float]:
    while True:
        yield seconds


@pytest.mark.parametrize(
    ("seconds", "runs", "count"),
    [
        (1.0, None, 5),  # never fewer than 5
        (0.125, None, 16),  # 2 s / 0.125 s
        (1e-6, None, 200),  # never more than 200
        (1.0, 2, 2),
        (1.0, 9, 9),
    ],
)
def test_number_of_runs(
    monkeypatch: pytest.MonkeyPatch, seconds: float, runs: int | None, count: int
) -> None:
    clock = _Clock(monkeypatch, _always(seconds))
    assert timing.timed(clock.call, runs) == pytest.approx([seconds] * count)


@pytest.mark.parametrize(
    ("durations", "calls"),
    [
        ([0.5, 0.125, 0.125], 3),  # the last two agree
        ([0.125, 0.125], 2),  # never fewer than two
        ([0.5, 0.25, 0.125, 0.25], 4),  # 1.125 s: time is up
    ],
)
def test_warm_up_ends_when_runs_agree_or_time_is_up(
    monkeypatch: pytest.MonkeyPatch, durations: list[float], calls: int
) -> None:
    clock = _Clock(monkeypatch, iter(durations))
    timing._warm_up(clock.call)
    assert clock.calls == calls
