"""Figures of merit of groups of kernels."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Final

from mlsys_lint.records import Interval
from mlsys_lint.records.kernel_groups import KernelGroup
from mlsys_lint.records.validation import Spread, Summary

JUDGED_S: Final = 20e-6
"""Profiles count whole microseconds, and observing takes one: below this, figures say little."""


def summary_of(
    predicted: Interval | None,
    measured: Spread,
    groups: Sequence[KernelGroup] | None,
    unmapped_s: float,
    *,
    quiet: bool,
) -> Summary:
    """All figures that the prediction, the runs and the groups allow."""
    fractions = _fractions(groups, unmapped_s)
    if predicted is None:
        return Summary(mapped_time_fraction=fractions[0], single_kernel_time_fraction=fractions[1])
    known = [one for one in groups or () if one.predicted is not None]
    ran = [one for one in known if one.measured_s]
    judged = [one for one in ran if one.measured_s >= JUDGED_S]
    return Summary(
        time_weighted_error=_weighted_error(known),
        median_error_over_20us=statistics.median(_errors(judged)) if judged else None,
        spearman=spearman(
            [one.predicted.expected for one in ran if one.predicted is not None],
            [one.measured_s for one in ran],
        ),
        mapped_time_fraction=fractions[0],
        single_kernel_time_fraction=fractions[1],
        floor_violations=_beaten(predicted, measured, judged) if quiet else 0,
        floor_tightness=predicted.floor / measured.median,
        interval_coverage=_coverage(predicted, measured, judged),
    )


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Rank correlation, equal values sharing the mean of their ranks; None where there is none."""
    try:
        return statistics.correlation(_ranks(first), _ranks(second))
    except statistics.StatisticsError:  # fewer than two values, or all equal
        return None


def beats_floor(group: KernelGroup) -> bool:
    """True where a group that can be judged ran faster than its floor says is possible."""
    judged = group.predicted is not None and group.measured_s >= JUDGED_S
    return judged and group.predicted is not None and group.predicted.floor > group.measured_s


def _ranks(values: Sequence[float]) -> list[float]:
    places: dict[float, list[int]] = {}
    for place, value in enumerate(sorted(values)):
        places.setdefault(value, []).append(place)
    return [statistics.mean(places[value]) for value in values]


def _fractions(
    groups: Sequence[KernelGroup] | None, unmapped_s: float
) -> tuple[float | None, float | None]:
    """Share of the time that was joined to nodes, and share of that in groups of one kernel."""
    mapped = sum(one.measured_s for one in groups or ())
    if groups is None or not mapped:
        return None, None
    single = sum(one.measured_s for one in groups if len(one.executed) == 1)
    return mapped / (mapped + unmapped_s), single / mapped


def _weighted_error(groups: Sequence[KernelGroup]) -> float | None:
    measured = sum(one.measured_s for one in groups)
    missed = sum(abs(one.missed_s) for one in groups if one.missed_s is not None)
    return missed / measured if measured else None


def _errors(groups: Iterable[KernelGroup]) -> list[float]:
    return [abs(one.error) for one in groups if one.error is not None]


def _beaten(predicted: Interval, measured: Spread, judged: Iterable[KernelGroup]) -> int:
    return int(predicted.floor > measured.min) + sum(map(beats_floor, judged))


def _coverage(predicted: Interval, measured: Spread, judged: Sequence[KernelGroup]) -> float:
    if not judged:
        return float(predicted.low <= measured.median <= predicted.high)
    inside = sum(
        one.predicted is not None and one.predicted.low <= one.measured_s <= one.predicted.high
        for one in judged
    )
    return inside / len(judged)
