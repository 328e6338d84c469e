"""Where the time goes: the kernels of the first device, slowest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from mlsys_lint import KernelReport, ModelReport, formatting
from mlsys_lint.records import DeviceReport
from mlsys_lint_plugins.reporters.text.devices import label
from mlsys_lint_plugins.reporters.text.layout import table

MOST: Final = 12
_MOST_RANGE: Final = 9
_MOST_OPS: Final = 2
_HEADERS: Final = (
    "#",
    "node",
    "kernel",
    "FLOPs",
    "bytes",
    "intensity",
    "time",
    "share",
    "of roof",
    "",
)
_NUMBERS: Final = ("FLOPs", "bytes", "intensity", "time", "share", "of roof")


def lines(report: ModelReport) -> Iterator[str]:
    """A title and the table; nothing for a model without kernels."""
    if not report.devices or not report.devices[0].kernels:
        return
    device = report.devices[0]
    ranked = sorted(device.kernels, key=_rank)
    order = "time" if any(entry.time_s for entry in ranked) else "bytes"
    shown = f"{min(MOST, len(ranked))} of {len(ranked)} shown"
    yield f"kernels by {order} on {label(device)} ({shown})"
    rows = [_row(report, device, entry) for entry in ranked[:MOST]]
    yield table(_HEADERS, rows, numbers=_NUMBERS, flexible="node", indent="  ")


def _rank(entry: KernelReport) -> tuple[float, int, tuple[int, ...]]:
    """Slowest first; without times, by bytes; then file order."""
    time = _time(entry)
    return (1.0 if time is None else -time, -_moved(entry), entry.kernel.nodes)


def _time(entry: KernelReport) -> float | None:
    """Expected time in one run: a kernel's, as often as it is executed; so are FLOPs and bytes."""
    return entry.time_s.expected * entry.kernel.repeat if entry.time_s else None


def _moved(entry: KernelReport) -> int:
    return (entry.kernel.cost.bytes_read + entry.kernel.cost.bytes_written) * entry.kernel.repeat


def _flops(entry: KernelReport) -> int:
    return entry.kernel.cost.flops * entry.kernel.repeat


def _row(report: ModelReport, device: DeviceReport, entry: KernelReport) -> list[str]:
    intensity, time = entry.placement.intensity, _time(entry)
    return [
        _positions(entry.kernel.nodes),
        _name(report, entry),
        entry.kernel.kernel_class,
        formatting.count(_flops(entry)),
        formatting.size(_moved(entry)),
        formatting.UNKNOWN if intensity is None else f"{formatting.significant(intensity)} F/B",
        formatting.UNKNOWN if time is None else formatting.duration(time),
        _share(device, entry),
        *_of_roof(device, entry),
    ]


def _positions(nodes: Sequence[int]) -> str:
    """Runs of indexes: `4-6`, `4-6,9`; what does not fit is counted: `4-6,+3`."""
    ordered = sorted(nodes)
    breaks = [at for at, (left, right) in enumerate(pairwise(ordered), 1) if right != left + 1]
    runs = [
        ordered[start:end] for start, end in pairwise([0, *breaks, len(ordered)]) if start != end
    ]
    text = ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
    if len(text) <= _MOST_RANGE or len(runs) == 1:
        return text
    head = f"{runs[0][0]}-{runs[0][-1]}" if len(runs[0]) > 1 else f"{runs[0][0]}"
    return f"{head},+{len(ordered) - len(runs[0])}"


def _name(report: ModelReport, entry: KernelReport) -> str:
    """The first node's name and the operators fused to it: `conv1+add+relu`, `conv1+mul+add+3`.

    What the runtime inserts has no node: `(ReorderOutput)`.
    """
    if not entry.kernel.nodes:
        inserted = entry.kernel.op.rpartition("::")[2]
        return f"({inserted})" if inserted else formatting.UNKNOWN
    first, *others = (report.nodes[index].node for index in entry.kernel.nodes)
    ops = [node.op_type.lower() for node in others]
    more = [f"{len(ops) - _MOST_OPS}"] if len(ops) > _MOST_OPS else []
    times = f" x{entry.kernel.repeat}" if entry.kernel.repeat != 1 else ""
    return "+".join([first.name or first.op_type, *ops[:_MOST_OPS], *more]) + times


def _share(device: DeviceReport, entry: KernelReport) -> str:
    time = _time(entry)
    if time is None or device.latency_s is None or not device.latency_s.expected:
        return formatting.UNKNOWN
    return formatting.percent(time / device.latency_s.expected)


def _of_roof(device: DeviceReport, entry: KernelReport) -> tuple[str, str]:
    """Achieved over attainable FLOP/s; of kernels without arithmetic, bytes/s over bandwidth."""
    unknown, time = (formatting.UNKNOWN, ""), _time(entry)
    if not time:
        return unknown
    attainable = entry.placement.attainable_flop_per_s
    if _flops(entry) and attainable:
        return formatting.percent(_flops(entry) / time / attainable), entry.placement.bound
    bandwidth = device.profile.dram.bandwidth
    if not _moved(entry) or bandwidth is None:
        return unknown
    return formatting.percent(_moved(entry) / time / bandwidth.value), "memory"
