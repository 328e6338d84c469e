"""What rules ask about predicted times."""

from __future__ import annotations

from collections.abc import Iterable

from mlsys_lint import KernelReport, formatting
from mlsys_lint.records import DeviceReport


def share(device: DeviceReport, kernels: Iterable[KernelReport]) -> float | None:
    """Part of the device's expected latency that kernels take; None when a time is not known."""
    if device.latency_s is None or not device.latency_s.expected:
        return None
    times = [of_run(entry) for entry in kernels]
    known = [time for time in times if time is not None]
    return sum(known) / device.latency_s.expected if len(known) == len(times) else None


def of_run(entry: KernelReport) -> float | None:
    """Expected time of a kernel in one run, as often as it is executed."""
    return entry.time_s.expected * entry.kernel.repeat if entry.time_s else None


def share_words(part: float | None) -> str:
    """`, 34 % of the time`, or nothing when it is not known."""
    return "" if part is None else f", {formatting.percent(part)} of the time"


def flops(kernels: Iterable[KernelReport]) -> int:
    """FLOPs of a run: each kernel's as often as it is executed."""
    return sum(entry.kernel.cost.flops * entry.kernel.repeat for entry in kernels)


def largest(kernels: Iterable[KernelReport]) -> KernelReport:
    """The kernel that takes the most time; where times are not known, that moves the most bytes."""
    return max(kernels, key=lambda entry: (of_run(entry) or 0.0, _bytes(entry)))


def _bytes(entry: KernelReport) -> int:
    return (entry.kernel.cost.bytes_read + entry.kernel.cost.bytes_written) * entry.kernel.repeat


def below_ridge(entry: KernelReport, fraction: float) -> bool:
    """Whether a kernel's intensity is known to be under that fraction of the ridge."""
    intensity, ridge = entry.placement.intensity, entry.placement.ridge
    return intensity is not None and ridge is not None and intensity < fraction * ridge
