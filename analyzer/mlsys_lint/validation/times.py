"""Seconds of each executed kernel: profiled shares of the unprofiled time."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mlsys_lint.records.validation import KernelTimes

_LEAST_S: Final = 1e-7
"""Of one call: what is left of a kernel that took no longer than its own observation."""
_MICRO: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds of each kernel in one unprofiled run; they add up to its median.

    Attributes:
        replay_s: Sum of the kernels' medians in the second half of the profiled runs, less the
            observation and scaled as the first half says. Against the median of the unprofiled
            runs it shows how far two measurements of one kernel differ: the noise ceiling.
    """

    seconds: tuple[float, ...]
    replay_s: float


def shared_times(
    kernels: Sequence[KernelTimes], owners: Mapping[str, str], median_s: float
) -> Times:
    """Share out the median of the unprofiled runs.

    Being observed takes time: each event counts `delta` too much, (sum of the profiled kernels -
    unprofiled median) / events, at least 0. What an event in a body takes besides, its container
    shows: there it counts once more. The rest is scaled to the unprofiled median.

    Args:
        kernels: At least one, with at least one run.
        owners: Name of a kernel in a body -> name of the If, Loop or Scan around it, whose time
            encloses it.
        median_s: Of the unprofiled runs.
    """
    own = _own_microseconds(kernels, owners)
    events = _events(kernels, owners)
    every = [_MICRO * statistics.median(row) for row in own]
    half = len(own[0]) // 2
    first = [_MICRO * statistics.median(row[:half] or row) for row in own]
    second = [_MICRO * statistics.median(row[half:]) for row in own]
    delta = _delta(first, events, median_s)
    scale = median_s / sum(_observed(first, events, delta))
    left = _observed(every, events, _delta(every, events, median_s))
    return Times(
        seconds=tuple(one * median_s / sum(left) for one in left),
        replay_s=scale * sum(_observed(second, events, delta)),
    )


def _own_microseconds(kernels: Sequence[KernelTimes], owners: Mapping[str, str]) -> list[list[int]]:
    """Per kernel and run, without the kernels in its bodies."""
    inside: dict[str, list[int]] = {}
    for one in kernels:
        if owner := owners.get(one.name):
            sums = inside.get(owner, [0] * len(one.microseconds))
            inside[owner] = [a + b for a, b in zip(sums, one.microseconds, strict=True)]
    return [
        [
            max(0, a - b)
            for a, b in zip(
                one.microseconds,
                inside.get(one.name, [0] * len(one.microseconds)),
                strict=True,
            )
        ]
        for one in kernels
    ]


def _events(kernels: Sequence[KernelTimes], owners: Mapping[str, str]) -> list[int]:
    """Per kernel: its calls in a run, and those of the kernels in its bodies."""
    calls = [statistics.median_low(one.calls) for one in kernels]
    inside: Counter[str] = Counter()
    for one, times in zip(kernels, calls, strict=True):
        if owner := owners.get(one.name):
            inside[owner] += times
    return [times + inside[one.name] for one, times in zip(kernels, calls, strict=True)]


def _delta(seconds: Sequence[float], events: Sequence[int], median_s: float) -> float:
    return max(0.0, (sum(seconds) - median_s) / max(1, sum(events)))


def _observed(seconds: Sequence[float], events: Sequence[int], delta: float) -> list[float]:
    return [
        max(one - delta * times, _LEAST_S * max(1, times))
        for one, times in zip(seconds, events, strict=True)
    ]
