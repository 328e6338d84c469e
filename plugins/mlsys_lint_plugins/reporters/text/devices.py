"""How long a run takes on each device, what bounds it, and whether it fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlsys_lint import ModelReport, formatting
from mlsys_lint.records import LARGEST_BATCH, DeviceReport
from mlsys_lint_plugins.reporters.text.layout import paragraph, shorten, table

_MANY_BUDGETS: Final = 2
"""With so many budget columns the table has no room for the mark `not calibrated`."""

_ID_WIDTH: Final = 32
_TENSOR_WIDTH: Final = 32
_TENSORS: Final = 3
"""Tensors that are named: the largest ones at the peak."""


def label(device: DeviceReport) -> str:
    """`host, 2 threads, bf16`."""
    profile = device.profile
    threads = f"{profile.threads} thread{'s' * (profile.threads != 1)}" if profile.threads else ""
    precision = "" if device.precision == "as-is" else device.precision
    return ", ".join(
        part for part in (shorten(profile.id, _ID_WIDTH, keep="start"), threads, precision) if part
    )


def lines(report: ModelReport) -> Iterator[str]:
    """The device table, why times are unknown, and with several devices a comparison."""
    limits = _limits(report)
    room = len(limits) < _MANY_BUDGETS
    marks = [""] if room else []
    headers = [
        "device",
        "median time",
        "80 % interval",
        "bound",
        "memory",
        *limits.values(),
        *marks,
    ]
    rows = [
        [
            label(device),
            _time(device),
            formatting.duration_range(device.latency_s) if device.latency_s else formatting.UNKNOWN,
            bound(device),
            _memory(device),
            *(_verdict(report, device, name) for name in limits),
            *([_mark(device)] if room else []),
        ]
        for device in report.devices
    ]
    yield table(headers, rows, flexible="device", keep="start")
    for device in report.devices:
        yield from _remarks(device, mark=not room)
    if len(report.devices) == 1:
        yield from _memory_parts(report.devices[0])
    if len(report.devices) > 1:
        yield ""
        yield from _comparison(report)


def _mark(device: DeviceReport) -> str:
    return "" if device.profile.calibrated else "not calibrated"


def _remarks(device: DeviceReport, *, mark: bool) -> Iterator[str]:
    """What the table has no room for: why a time is unknown, that the memory is too small."""
    if mark and not device.profile.calibrated:
        yield paragraph(f"{label(device)}: {_mark(device)}", rest="  ")
    if device.latency_s is None:
        yield paragraph(f"{label(device)}: unknown: {formatting.why_no_latency(device)}", rest="  ")
    if device.fits is False:
        capacity = device.capacity_bytes
        size = f" of {formatting.size(capacity)}" if capacity is not None else ""
        yield paragraph(f"{label(device)}: does not fit into the memory{size}", rest="  ")
    if device.training_fits is False:
        yield paragraph(f"{label(device)}: a training step does not fit into the memory", rest="  ")
    if device.max_batch is not None:
        more = " or more" if device.max_batch >= LARGEST_BATCH else ""
        yield paragraph(f"{label(device)}: the largest batch that fits is {device.max_batch}{more}")


def _memory_parts(device: DeviceReport) -> Iterator[str]:
    """What the memory adds up from, largest first, and the largest tensors at the peak."""
    items = sorted(device.memory_items.items(), key=lambda item: -item[1])
    parts = [f"{name.replace('_', ' ')} {formatting.size(size)}" for name, size in items if size]
    if len(parts) > 1:
        yield paragraph(", ".join(parts), first="memory: ", rest="  ")
    tensors = [
        f"{shorten(one.name, _TENSOR_WIDTH)} {formatting.size(one.nbytes)}{' (idle)' * one.idle}"
        for one in (device.activations.tensors if device.activations else ())
    ]
    if len(tensors) > 1:
        yield paragraph(", ".join(tensors[:_TENSORS]), first="at the peak: ", rest="  ")


def _limits(report: ModelReport) -> dict[str, str]:
    """Budget name -> heading of its column; two of them must be short."""
    limits = {budget.name: formatting.limit(budget.limit, budget.unit) for budget in report.budgets}
    word = "budget" if len(limits) == 1 else "<="
    return {name: f"{word} {limit}" for name, limit in limits.items()}


def _verdict(report: ModelReport, device: DeviceReport, name: str) -> str:
    for budget in report.budgets:
        if budget.name == name and budget.device in {device.profile.id, device.profile.name}:
            return budget.verdict
    return formatting.UNKNOWN


def _time(device: DeviceReport) -> str:
    """The expected time, marked where nodes are missing from it."""
    if device.latency_s is None:
        return "unknown"
    least = ">= " if device.lower_bound else ""
    return f"{least}{formatting.duration(device.latency_s.expected)}"


def bound(device: DeviceReport) -> str:
    """What most of the time is spent on, with its share: `matrix 91 %`."""
    total = sum(device.bound_time_s.values())
    if device.latency_s is None or not total:
        return formatting.UNKNOWN
    name = max(device.bound_time_s, key=lambda one: device.bound_time_s[one])
    return f"{name} {formatting.percent(device.bound_time_s[name] / total)}"


def _memory(device: DeviceReport) -> str:
    if device.memory_bytes is None:
        return "unknown"
    return formatting.size(device.memory_bytes.expected)


def _comparison(report: ModelReport) -> Iterator[str]:
    first = report.devices[0]
    headers = [
        "side by side",
        "time",
        "to first",
        "per s",
        "bound",
        "ridge",
        "memory",
        "of capacity",
    ]
    rows = [
        [
            label(device),
            _time(device),
            _ratio(device, first),
            formatting.UNKNOWN
            if device.throughput_per_s is None
            else formatting.significant(device.throughput_per_s),
            bound(device),
            formatting.UNKNOWN
            if device.ridge is None
            else f"{formatting.significant(device.ridge)} F/B",
            _memory(device),
            _used(device),
        ]
        for device in report.devices
    ]
    numbers = ["time", "to first", "per s", "ridge", "memory", "of capacity"]
    yield table(headers, rows, numbers=numbers, flexible="side by side", keep="start")


def _ratio(device: DeviceReport, first: DeviceReport) -> str:
    """Expected time over that on the first device."""
    if device.latency_s is None or first.latency_s is None or not first.latency_s.expected:
        return formatting.UNKNOWN
    return f"{formatting.significant(device.latency_s.expected / first.latency_s.expected)} x"


def _used(device: DeviceReport) -> str:
    if device.memory_bytes is None or not device.capacity_bytes:
        return formatting.UNKNOWN
    return formatting.percent(device.memory_bytes.expected / device.capacity_bytes)
