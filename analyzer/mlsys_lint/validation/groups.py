"""From a prediction, a measurement and their joined kernels to groups with times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mlsys_lint.joining import ExecutedKernel, Joined
from mlsys_lint.records import Interval, KernelReport, ModelReport, NodeCost, NodeStatus
from mlsys_lint.records.kernel_groups import KernelGroup
from mlsys_lint.records.validation import KernelTimes
from mlsys_lint.validation.grouping import Members, group_kernels
from mlsys_lint.validation.places import file_indexes, report_indexes
from mlsys_lint.validation.sides import executed_sides, predicted_sides
from mlsys_lint.validation.times import shared_times

_MOST_OPS: Final = 2
_COST_UNKNOWN: Final = (NodeStatus.DECLINED, NodeStatus.UNSUPPORTED, NodeStatus.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """Groups, and what belongs to none.

    Attributes:
        kernels: The predicted kernels of each group.
        unmapped: Name and seconds of executed kernels that could not be joined.
        replay_s: See times.Times.
    """

    groups: tuple[KernelGroup, ...]
    kernels: tuple[tuple[KernelReport, ...], ...]
    unmapped: tuple[tuple[str, float], ...]
    replay_s: float


def grouped(
    report: ModelReport,
    profile: Sequence[KernelTimes],
    joined: Joined,
    median_s: float,
) -> Grouped:
    """Group the kernels and share out the measured time.

    Args:
        report: Its first device is compared.
        profile: The executed kernels, at least one.
        joined: Their nodes.
        median_s: Of the unprofiled runs.
    """
    predicted = report.devices[0].kernels if report.devices else ()
    nodes = [one.node for one in report.nodes]
    indexes = report_indexes(joined.file, nodes)
    executed, unknown, known = executed_sides(profile, joined)
    ours = predicted_sides(predicted, joined, file_indexes(indexes, nodes))
    found, lost = group_kernels(ours, executed, known)
    times = shared_times(profile, joined.owners, median_s)
    builder = _Builder(
        report=report,
        predicted=predicted,
        profile=profile,
        known=known,
        seconds=times.seconds,
        indexes=indexes,
    )
    return Grouped(
        groups=tuple(builder.group(one) for one in found),
        kernels=tuple(tuple(predicted[at] for at in one.predicted) for one in found),
        unmapped=tuple((profile[at].name, times.seconds[at]) for at in sorted((*unknown, *lost))),
        replay_s=times.replay_s,
    )


class _Builder:
    """Groups from positions of kernels."""

    def __init__(
        self,
        *,
        report: ModelReport,
        predicted: Sequence[KernelReport],
        profile: Sequence[KernelTimes],
        known: dict[int, ExecutedKernel],
        seconds: Sequence[float],
        indexes: dict[int, int],
    ) -> None:
        self.costs = {one.node.index: one for one in report.nodes}
        self.placed = bool(report.devices)
        self.predicted = predicted
        self.profile = profile
        self.known = known
        self.seconds = seconds
        self.indexes = indexes

    def group(self, members: Members) -> KernelGroup:
        ours = [self.predicted[at] for at in members.predicted]
        theirs = [self.known[at] for at in members.executed]
        ran = {
            self.indexes[one] for kernel in theirs for one in kernel.members if one in self.indexes
        }
        nodes = sorted({index for one in ours for index in one.kernel.nodes} | ran)
        executed_ops = tuple(f"{one.domain or 'ai.onnx'}::{one.op_type}" for one in theirs)
        predicted_ops = tuple(one.kernel.op for one in ours)
        return KernelGroup(
            label=self._label(nodes) or _inserted(theirs, executed_ops or predicted_ops),
            nodes=tuple(nodes),
            executed=tuple(self.profile[at].name for at in members.executed),
            executed_ops=executed_ops,
            predicted_ops=predicted_ops,
            kernel_class=max(ours, key=expected_s).kernel.kernel_class if ours else None,
            predicted=self._interval(ours, [self.costs[index] for index in nodes]),
            measured_s=sum(self.seconds[at] for at in members.executed),
        )

    def _label(self, nodes: Sequence[int]) -> str:
        """The first node and the operators with it: `conv1+add+relu`, `conv1+mul+add+3`."""
        if not nodes:
            return ""
        first, *others = (self.costs[index].node for index in nodes)
        ops = [node.op_type.lower() for node in others]
        more = [str(len(ops) - _MOST_OPS)] if len(ops) > _MOST_OPS else []
        return "+".join([first.name or first.op_type, *ops[:_MOST_OPS], *more])

    def _interval(
        self, kernels: Sequence[KernelReport], costs: Iterable[NodeCost]
    ) -> Interval | None:
        """Sum over the kernels, none of them 0; None where some cost is not known."""
        known = self.placed and all(one.time_s is not None for one in kernels)
        if not known or any(one.status in _COST_UNKNOWN and one.node.repeat for one in costs):
            return None
        times = [(one.time_s, one.kernel.repeat) for one in kernels if one.time_s is not None]
        return Interval(
            floor=sum(time.floor * repeat for time, repeat in times),
            low=sum(time.low * repeat for time, repeat in times),
            expected=sum(time.expected * repeat for time, repeat in times),
            high=sum(time.high * repeat for time, repeat in times),
        )


def expected_s(one: KernelReport) -> float:
    """Of all executions of a kernel in a run; 0 where it is not known."""
    return one.time_s.expected * one.kernel.repeat if one.time_s is not None else 0.0


def _inserted(executed: Sequence[ExecutedKernel], ops: Sequence[str]) -> str:
    """What a runtime inserts, and the tensor that it acts on: `(ReorderInput) conv1`."""
    tensor = next((one.anchor for one in executed if one.anchor), "")
    return f"({names(ops)}) {tensor}".rstrip()


def names(ops: Sequence[str]) -> str:
    """Operators without the default domain, each once with how often: `Conv, 2 Relu`."""
    return ", ".join(_counted(ops))


def _counted(ops: Sequence[str]) -> Iterator[str]:
    for op in dict.fromkeys(ops):
        times = ops.count(op)
        name = op.rpartition("::")[2]
        yield name if times == 1 else f"{times} {name}"
