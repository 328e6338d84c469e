"""Why a group was predicted badly, as far as there is evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from mlsys_lint import formatting
from mlsys_lint.records import KernelReport, ModelReport
from mlsys_lint.records.kernel_groups import Cause, KernelGroup, Miss
from mlsys_lint.validation.groups import Grouped, names
from mlsys_lint.validation.places import CONTROL_FLOW

WORST: Final = 10
RESOLUTION_S: Final = 2e-6
"""Of one kernel: profiles count whole microseconds, and observing takes about one."""
_WIDE: Final = 3.0
"""high / low of an interval from which on the kernel's class is hardly known."""
_WEIGHTY: Final = 0.5
"""Share of the bytes of a group from which on its weights matter."""

Finding = Callable[["_Case"], str | None]


def worst_of(report: ModelReport, grouped: Grouped) -> tuple[Miss, ...]:
    """The groups that were missed by most seconds, the worst first, with their likely causes."""
    missed = [
        (abs(one.measured_s if one.missed_s is None else one.missed_s), at)
        for at, one in enumerate(grouped.groups)
    ]
    worst = sorted(missed, key=lambda pair: (-pair[0], pair[1]))[:WORST]
    return tuple(
        _miss(at, _Case(report, grouped.groups[at], grouped.kernels[at]))
        for seconds, at in worst
        if seconds
    )


def _miss(at: int, case: _Case) -> Miss:
    for cause, find in _FINDINGS:
        if (evidence := find(case)) is not None:
            return Miss(group=at, cause=cause, evidence=evidence)
    return Miss(group=at, cause=Cause.UNKNOWN, evidence="no evidence for a cause")


class _Case:
    def __init__(
        self, report: ModelReport, group: KernelGroup, kernels: Sequence[KernelReport]
    ) -> None:
        self.report = report
        self.group = group
        self.kernels = kernels
        self.nodes = [report.nodes[index].node for index in group.nodes]


def _unpredicted(case: _Case) -> str | None:
    if case.group.predicted is None:
        return "the cost of a node is not known"
    ran = {op.rpartition("::")[2] for op in case.group.executed_ops}
    if ran and ran <= CONTROL_FLOW and not case.group.predicted_ops:
        return f"what a {' or '.join(sorted(ran))} takes besides its body is not predicted"
    return None


def _data(case: _Case) -> str | None:
    """Sizes, trips and branches that the file does not tell."""
    if any(one.upper_bound for one in case.nodes):
        return "a size, trip count or branch depends on data and counts at its maximum"
    if any(one.lower_bound for one in case.nodes):
        return "the trip count is not known: one trip is counted"
    if any(not one.repeat for one in case.nodes):
        return "in a branch or body that is not counted"
    if any(not one.kernel.certain for one in case.kernels):
        return "data decide whether, how often or at what size it runs"
    return None


def _fused_differently(case: _Case) -> str | None:
    group = case.group
    if sorted(group.predicted_ops) == sorted(group.executed_ops):
        return None
    predicted = names(group.predicted_ops) or "no kernel"
    return f"predicted {predicted}, executed {names(group.executed_ops) or 'no kernel'}"


def _resolution(case: _Case) -> str | None:
    kernels = max(1, len(case.group.executed))
    if abs(case.group.missed_s or 0.0) > RESOLUTION_S * kernels:
        return None
    return "below the resolution of the profile"


def _cold_weights(case: _Case) -> str | None:
    """Weights that no cache holds until the next run, in a group that took longer than expected."""
    caches = _cache_bytes(case.report)
    held = {key: size for one in case.report.devices[0].kernels for key, size in one.kernel.weights}
    weights = sum(size for one in case.kernels for _, size in one.kernel.weights)
    moved = sum(one.kernel.cost.bytes_read + one.kernel.cost.bytes_written for one in case.kernels)
    if (case.group.missed_s or 0.0) >= 0 or not caches or sum(held.values()) <= caches:
        return None
    if not moved or weights < _WEIGHTY * moved:
        return None
    return (
        f"reads {formatting.size(weights)} of weights; those of the model, "
        f"{formatting.size(sum(held.values()))}, exceed the caches"
    )


def _class(case: _Case) -> str | None:
    interval = case.group.predicted
    if interval is None or not interval.low or interval.high < _WIDE * interval.low:
        return None
    factor = formatting.significant(interval.high / interval.low, 2)
    return f"class {case.group.kernel_class}: known within a factor of {factor}"


def _cache_bytes(report: ModelReport) -> int:
    levels = report.devices[0].profile.memory[:-1]
    return sum(one.capacity_bytes or 0 for one in levels if one.managed == "hardware")


_FINDINGS: Final[tuple[tuple[Cause, Finding], ...]] = (
    (Cause.UNPREDICTED, _unpredicted),
    (Cause.DATA, _data),
    (Cause.FUSED_DIFFERENTLY, _fused_differently),
    (Cause.RESOLUTION, _resolution),
    (Cause.COLD_WEIGHTS, _cold_weights),
    (Cause.CLASS, _class),
)
