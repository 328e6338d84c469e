"""Simpler predictions, beside which ours must stand."""

from __future__ import annotations

from typing import Final

from mlsys_lint.records import DeviceProfile, DeviceReport, KernelReport
from mlsys_lint.records.validation import Baselines

_CLASS: Final = "gemm"


def baselines_of(device: DeviceReport | None, replay_s: float | None) -> Baselines:
    """Naive roofline, constant efficiency, and the replay of the profile."""
    if device is None:
        return Baselines(profile_replay_s=replay_s)
    efficiency = device.profile.efficiency.get(_CLASS)
    return Baselines(
        naive_roofline_s=naive_roofline_s(device),
        constant_efficiency_s=constant_efficiency_s(device, efficiency.typ) if efficiency else None,
        constant_efficiency=efficiency.typ if efficiency else None,
        profile_replay_s=replay_s,
    )


def naive_roofline_s(device: DeviceReport) -> float | None:
    """Seconds: sum over kernels of repeat * max(FLOPs / peak, bytes / DRAM bandwidth).

    Work without a compute roof (integer arithmetic) counts by its bytes. None when a kernel is
    unplaced, or when the bandwidth is not known.
    """
    total = 0.0
    for one in device.kernels:
        seconds = _roofline_s(one, device.profile)
        if seconds is None:
            return None
        total += one.kernel.repeat * seconds
    return total


def constant_efficiency_s(device: DeviceReport, efficiency: float) -> float | None:
    """Seconds: FLOPs of all kernels / (efficiency * peak of the type with most MACs).

    None when a kernel is unplaced or there is no such peak: a model without contractions.
    """
    bandwidth = device.profile.dram.bandwidth
    if device.ridge is None or bandwidth is None or device.latency_s is None:
        return None
    peak = device.ridge * bandwidth.value  # which is what a ridge is
    flops = sum(one.kernel.repeat * one.kernel.cost.flops for one in device.kernels)
    return flops / (efficiency * peak)


def _roofline_s(one: KernelReport, profile: DeviceProfile) -> float | None:
    """FLOPs / min(peak, intensity * bandwidth), which is max(FLOPs / peak, bytes / bandwidth)."""
    cost, attainable = one.kernel.cost, one.placement.attainable_flop_per_s
    if one.time_s is None:
        return None
    if cost.flops and attainable:
        return cost.flops / attainable
    moved = cost.bytes_read + cost.bytes_written
    bandwidth = profile.dram.bandwidth
    if moved and bandwidth is None:
        return None
    return moved / bandwidth.value if bandwidth else 0.0
