"""A model's time: the sum of its kernels', or the host's where that queues them for longer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mlsys_lint.prediction import calibrated, floors, nominal
from mlsys_lint.records import DeviceProfile, Figure, Interval, Kernel, KernelReport, Runtime
from mlsys_lint.roofline import Roofs, heaviest, place, roofs_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Time of one run. `latency_s` is None when a kernel can't be placed.

    Attributes:
        untimed: Operators that the calibration has no class for; they count as bytes.
    """

    kernels: tuple[KernelReport, ...]
    latency_s: Interval | None
    bound_time_s: Mapping[str, float]
    unplaced: tuple[int, ...]
    untimed: tuple[str, ...] = ()


def predict(
    kernels: Sequence[Kernel], profile: DeviceProfile, runtime: Runtime, io_bytes: int
) -> Prediction:
    """Predict one warm run.

    Args:
        kernels: In execution order.
        profile: The device.
        runtime: Whose kernels these are.
        io_bytes: Graph inputs and outputs, which cross from and to DRAM in every run.
    """
    timed = _timed(kernels, profile, runtime)
    reports = tuple(
        _predict_kernel(kernel, one, profile, runtime)
        for kernel, one in zip(kernels, timed, strict=True)
    )
    unplaced = sorted(
        {index for one in reports if one.time_s is None for index in one.kernel.nodes}
    )
    if unplaced:
        return Prediction(
            kernels=reports, latency_s=None, bound_time_s={}, unplaced=tuple(unplaced)
        )
    # A floor lifts a kernel, and with it the model.
    known = [
        replace(one, seconds=report.time_s.expected)
        for one, report in zip(timed, reports, strict=True)
        if one is not None and report.time_s is not None
    ]
    if profile.calibration is not None and len(known) == len(reports):
        times = calibrated.of_model(known, profile.calibration)
    else:
        low, expected, high = (_model_time(reports, profile, end) for end in _ENDS)
        times = (low, expected, high)
    latency = _ordered(floors.of_model(reports, profile, io_bytes), *times)
    return Prediction(
        kernels=reports,
        latency_s=latency,
        bound_time_s=_booked(reports, latency.expected),
        unplaced=(),
        untimed=_untimed(kernels, timed),
    )


def _untimed(
    kernels: Sequence[Kernel], timed: Sequence[calibrated.Timed | None]
) -> tuple[str, ...]:
    pairs = zip(kernels, timed, strict=True)
    return tuple(sorted({kernel.op for kernel, one in pairs if one and not one.known}))


def _timed(
    kernels: Sequence[Kernel], profile: DeviceProfile, runtime: Runtime
) -> Sequence[calibrated.Timed | None]:
    """Calibrated times, where the device was calibrated with this runtime; else None for each."""
    calibration, timing = profile.calibration, runtime.timing
    if calibration is None or timing is None or calibration.runtime != runtime.name:
        return [None] * len(kernels)
    return calibrated.timed(kernels, profile, calibration, timing)


def _predict_kernel(
    kernel: Kernel, timed: calibrated.Timed | None, profile: DeviceProfile, runtime: Runtime
) -> KernelReport:
    """One execution of a kernel; here the form that predicts it is chosen."""
    roofs = roofs_of(kernel, profile, runtime.fast_math)
    placement = place(kernel, profile, roofs)
    # A kernel that was timed needs no peak for its type.
    if timed is None and (roofs.missing is not None or profile.dram.bandwidth is None):
        return KernelReport(kernel=kernel, placement=placement, time_s=None, bound="unplaced")
    estimate = _estimate(kernel, timed, profile, roofs)
    return KernelReport(
        kernel=kernel,
        placement=placement,
        time_s=_ordered(
            floors.of_kernel(kernel, profile, roofs, runtime),
            estimate.low,
            estimate.expected,
            estimate.high,
        ),
        bound=estimate.bound,
    )


def _estimate(
    kernel: Kernel, timed: calibrated.Timed | None, profile: DeviceProfile, roofs: Roofs
) -> nominal.Estimate:
    if timed is None or profile.calibration is None:
        return nominal.estimate(kernel, profile, roofs)
    found = calibrated.estimate(timed, profile.calibration.drift)
    if found.bound != "compute":
        return found
    engine = heaviest(roofs)
    return replace(found, bound=engine.peak.engine if engine else "vector")


def _ordered(floor: float, low: float, expected: float, high: float) -> Interval:
    """An interval that the floor lifts where it must."""
    low = max(low, floor)
    expected = max(expected, low)
    return Interval(floor=floor, low=low, expected=expected, high=max(high, expected))


_ENDS: Final = ("low", "expected", "high")


def _cost(overhead: Figure, end: str) -> float:
    return {"low": overhead.low, "expected": overhead.value, "high": overhead.high}[end]


def _model_time(reports: Sequence[KernelReport], profile: DeviceProfile, end: str) -> float:
    """Sum over kernels; where the host queues them, its own time if that is longer."""
    device = sum(
        {"low": one.time_s.low, "expected": one.time_s.expected, "high": one.time_s.high}[end]
        * one.kernel.repeat
        for one in reports
        if one.time_s is not None
    )
    run = profile.launch_s.get("run")
    device += _cost(run, end) if run else 0.0
    queue = profile.launch_s.get("host", profile.launch_s.get("eager"))
    if queue is None or not profile.asynchronous:
        return device
    host = _cost(queue, end) * sum(one.kernel.repeat for one in reports)
    return max(device, host)


def _booked(reports: Sequence[KernelReport], expected: float) -> Mapping[str, float]:
    """Each kernel's expected time under its bound; what is left is the host's: overhead."""
    booked = dict.fromkeys(("matrix", "vector", "special", "memory", "overhead"), 0.0)
    for one in reports:
        if one.time_s is not None:
            booked[one.bound] += one.time_s.expected * one.kernel.repeat
    booked["overhead"] += max(0.0, expected - sum(booked.values()))
    return booked
