"""Time of kernels and models on a device that was not calibrated: floor, low, expected, high.

`expected = overhead + (Tc^4 + Tm^4)^(1/4)` for a kernel: Tc is compute time under the device's
peaks, Tm the time to move its bytes, each roof times a sourced efficiency of the kernel's class. The
4-norm is a smooth maximum: 19 % above the larger term where both are equal. Kernels add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mlsys_lint.records import (
    DeviceProfile,
    Efficiency,
    Figure,
    Interval,
    Kernel,
    KernelReport,
    Placement,
    Runtime,
)
from mlsys_lint.roofline import Roofs, place, roofs_of

_NORM: Final = 4
_UNKNOWN: Final = Efficiency(low=0.05, typ=0.4, high=1.0, source="no prior: widest interval")
"""For a class of which no source gives an efficiency."""
_FALLBACK: Final[Mapping[str, tuple[str, ...]]] = {
    "conv_pointwise": ("conv", "gemm"),
    "conv_grouped": ("conv", "gemm"),
    "conv_transpose": ("conv", "gemm"),
    "conv_deformable": ("conv", "gemm"),
    "nbits_gemm": ("gemm",),
    "nbits_gemv": ("gemv", "gemm"),
    "conv": ("gemm",),
    "attention": ("batched_matmul", "gemm"),
    "batched_matmul": ("gemm",),
    "recurrent": ("gemv", "gemm"),
}
_MEMORY_FALLBACK: Final = ("stream",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Time of one run. `latency_s` is None when a kernel can't be placed."""

    kernels: tuple[KernelReport, ...]
    latency_s: Interval | None
    bound_time_s: Mapping[str, float]
    unplaced: tuple[int, ...]


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
    reports = tuple(_predict_kernel(kernel, profile, runtime) for kernel in kernels)
    unplaced = sorted(
        {index for one in reports if one.time_s is None for index in one.kernel.nodes}
    )
    if unplaced:
        return Prediction(
            kernels=reports, latency_s=None, bound_time_s={}, unplaced=tuple(unplaced)
        )
    floor = _model_floor(reports, profile, io_bytes)
    low, expected, high = (_model_time(reports, profile, pick) for pick in _PICKS)
    low = max(low, floor)
    expected = max(expected, low)
    latency = Interval(floor=floor, low=low, expected=expected, high=max(high, expected))
    return Prediction(
        kernels=reports,
        latency_s=latency,
        bound_time_s=_booked(reports, expected),
        unplaced=(),
    )


def _predict_kernel(kernel: Kernel, profile: DeviceProfile, runtime: Runtime) -> KernelReport:
    roofs = roofs_of(kernel, profile, runtime.fast_math)
    placement = place(kernel, profile, roofs)
    if roofs.missing is not None or profile.dram.bandwidth is None:
        return KernelReport(kernel=kernel, placement=placement, time_s=None, bound="unplaced")
    floor = _work_floor(kernel, roofs, runtime)
    terms = [_terms(kernel, profile, roofs, pick) for pick in _PICKS]
    low, expected, high = (_combined(term) for term in terms)
    low = max(low, floor)
    expected = max(expected, low)
    return KernelReport(
        kernel=kernel,
        placement=placement,
        time_s=Interval(floor=floor, low=low, expected=expected, high=max(high, expected)),
        bound=_bound(terms[1], placement),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pick:
    """Which end of every range: optimistic, typical or pessimistic."""

    figure: Callable[[Figure], float]
    share: Callable[[Efficiency], float]
    cost: Callable[[Figure], float]
    cached: bool


_PICKS: Final = (
    _Pick(figure=lambda x: x.high, share=lambda x: x.high, cost=lambda x: x.low, cached=True),
    _Pick(figure=lambda x: x.value, share=lambda x: x.typ, cost=lambda x: x.value, cached=False),
    _Pick(figure=lambda x: x.low, share=lambda x: x.low, cost=lambda x: x.high, cached=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    compute: float
    memory: float
    overhead: float


def _terms(kernel: Kernel, profile: DeviceProfile, roofs: Roofs, pick: _Pick) -> _Terms:
    share = pick.share(_efficiency(profile, kernel.kernel_class))
    compute = sum(work.flops / (pick.figure(work.peak.dense) * share) for work in roofs.matrix)
    if roofs.vector is not None:
        compute += roofs.vector.flops / pick.figure(roofs.vector.peak.dense)
    overhead = _launch(profile, ("stream", "dispatch"))
    return _Terms(
        compute=compute,
        memory=_memory_time(kernel, profile, pick),
        overhead=pick.cost(overhead) if overhead else 0.0,
    )


def _memory_time(kernel: Kernel, profile: DeviceProfile, pick: _Pick) -> float:
    """Bytes over the bandwidth of the fastest level that holds them; DRAM where that is unknown.

    In the optimistic case a cache of unknown bandwidth that holds the bytes costs nothing.
    """
    moved = kernel.cost.bytes_read + kernel.cost.bytes_written
    has_contraction = bool(kernel.cost.contractions)
    key = "stream" if has_contraction else kernel.kernel_class
    share = pick.share(_memory_efficiency(profile, key))
    for level in profile.memory[:-1]:
        if level.capacity_bytes is not None and moved <= level.capacity_bytes:
            if level.bandwidth is not None:
                return moved / (pick.figure(level.bandwidth) * share)
            if pick.cached and level.managed == "hardware":
                return 0.0
    bandwidth = profile.dram.bandwidth
    return moved / (pick.figure(bandwidth) * share) if bandwidth else 0.0


def _combined(terms: _Terms) -> float:
    roof: float = (terms.compute**_NORM + terms.memory**_NORM) ** (1 / _NORM)
    return terms.overhead + roof


def _bound(terms: _Terms, placement: Placement) -> str:
    largest = max(terms.compute, terms.memory, terms.overhead)
    if largest == terms.overhead:
        return "overhead"
    if largest == terms.compute and placement.engine != "none":
        return placement.engine
    return "memory"


def _efficiency(profile: DeviceProfile, kernel_class: str) -> Efficiency:
    for key in (kernel_class, *_FALLBACK.get(kernel_class, ()), "default"):
        if key in profile.efficiency:
            return profile.efficiency[key]
    return _UNKNOWN


def _memory_efficiency(profile: DeviceProfile, key: str) -> Efficiency:
    for name in (key, key.partition(":")[0], *_MEMORY_FALLBACK, "default"):
        if name in profile.efficiency:
            return profile.efficiency[name]
    return _UNKNOWN


def _launch(profile: DeviceProfile, modes: Iterable[str]) -> Figure | None:
    return next((profile.launch_s[mode] for mode in modes if mode in profile.launch_s), None)


def _model_time(reports: Sequence[KernelReport], profile: DeviceProfile, pick: _Pick) -> float:
    """Sum over kernels; where the host queues them, its own time if that is longer."""
    index = _PICKS.index(pick)
    device = sum(
        (one.time_s.low, one.time_s.expected, one.time_s.high)[index] * one.kernel.repeat
        for one in reports
        if one.time_s is not None
    )
    run = profile.launch_s.get("run")
    device += pick.cost(run) if run else 0.0
    queue = _launch(profile, ("host", "eager")) if profile.asynchronous else None
    if queue is None:
        return device
    host = pick.cost(queue) * sum(one.kernel.repeat for one in reports)
    return max(device, host)


def _booked(reports: Sequence[KernelReport], expected: float) -> Mapping[str, float]:
    """Each kernel's expected time under its bound; what is left is the host's: overhead."""
    booked = dict.fromkeys(("matrix", "vector", "special", "memory", "overhead"), 0.0)
    for one in reports:
        if one.time_s is not None:
            booked[one.bound] += one.time_s.expected * one.kernel.repeat
    booked["overhead"] += max(0.0, expected - sum(booked.values()))
    return booked


# -- floors: hard rates, perfect overlap, the least case of the data -------------------------------


def _work_floor(kernel: Kernel, roofs: Roofs, runtime: Runtime) -> float:
    """Least time for one execution's contractions, at the hard rate.

    Vector work is left out as long as no runtime's fusion is emulated: BatchNormalization or a
    scale may be folded into a convolution and then cost nothing.
    """
    if not kernel.certain or not kernel.cost.macs:
        return 0.0
    useful = 1 - kernel.cost.macs_masked / kernel.cost.macs
    gain = max(runtime.algorithmic_gain.get(kernel.kernel_class, 1.0), 1.0)
    return sum(work.flops * useful / (gain * work.peak.hard) for work in roofs.matrix)


def _model_floor(reports: Sequence[KernelReport], profile: DeviceProfile, io_bytes: int) -> float:
    """The largest of the resource floors: work, and bytes that must cross from DRAM in every run."""
    work = sum(one.time_s.floor * one.kernel.repeat for one in reports if one.time_s is not None)
    weights = {
        key: size for one in reports if one.kernel.certain for key, size in one.kernel.weights
    }
    caches = sum(
        level.capacity_bytes or 0 for level in profile.memory[:-1] if level.managed == "hardware"
    )
    crossing = max(0, sum(weights.values()) + io_bytes - caches)
    rate = profile.dram.hard_bandwidth
    return max(work, crossing / rate if rate else 0.0)
