"""Values of a validation's kernels: groups, and why one was missed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mlsys_lint.records.device import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelGroup:
    """Nodes that run as one or more kernels, predicted against measured.

    Attributes:
        label: For people: the first node and what runs with it; `(ReorderInput)` without nodes.
        nodes: Their indexes; none where kernels were only inserted.
        executed: Names of the kernels that ran; none where the run did without.
        executed_ops: Their operators, `DOMAIN::TYPE`.
        predicted_ops: Operators of the kernels that were predicted; none where the prediction did
            without.
        kernel_class: Of the predicted kernel that takes longest; None without any.
        predicted: Time of all of them in one run; None where a cost is not known.
        measured_s: The group's share of profiled time times the unprofiled median.
    """

    label: str
    nodes: tuple[int, ...]
    executed: tuple[str, ...]
    executed_ops: tuple[str, ...]
    predicted_ops: tuple[str, ...]
    kernel_class: str | None
    predicted: Interval | None
    measured_s: float

    @property
    def missed_s(self) -> float | None:
        """Seconds, expected - measured; None without a prediction."""
        return None if self.predicted is None else self.predicted.expected - self.measured_s

    @property
    def error(self) -> float | None:
        """(expected - measured) / measured; None without a prediction, or where nothing ran."""
        missed = self.missed_s
        return None if missed is None or not self.measured_s else missed / self.measured_s


class Cause(StrEnum):
    """What the evidence says of a group that was predicted badly."""

    UNPREDICTED = "cost-not-known"
    FUSED_DIFFERENTLY = "fused-differently"
    DATA = "depends-on-data"
    RESOLUTION = "below-resolution"
    COLD_WEIGHTS = "weights-cold"
    CLASS = "class-uncertain"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """A group among those that were missed by most seconds.

    Attributes:
        group: Index into the groups.
        evidence: The cause in words, with its figures.
    """

    group: int
    cause: Cause
    evidence: str
