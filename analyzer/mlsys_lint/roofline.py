"""Cost x device -> placement under the nominal roofs; pure arithmetic.

Roofline model: Williams, Waterman, Patterson, CACM 52(4), 2009.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlsys_lint import dtypes
from mlsys_lint.records import Contraction, DeviceProfile, Kernel, Peak, Placement

_SAME_RATE = {"uint8": "int8", "uint4": "int4"}
"""Unsigned data run at the rate that datasheets give for signed data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A share of a kernel's FLOPs and the roof it stands under."""

    flops: int
    peak: Peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Product(Work):
    """The FLOPs of a contraction."""

    contraction: Contraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofs:
    """A kernel's work by engine; `missing` names a type for which the device has no peak."""

    matrix: tuple[Product, ...]
    vector: Work | None
    missing: str | None


def roofs_of(kernel: Kernel, profile: DeviceProfile, fast_math: Mapping[str, str]) -> Roofs:
    """The peaks a kernel's work stands under; nothing is borrowed from another type.

    A contraction runs on the matrix engine where that has its type, else on the vector engine.
    Vector work on a type that the device has on its matrix engine only (bf16 on TPUs), and integer
    work, have no compute roof: their bytes decide.
    """
    matrix = []
    missing = None
    for contraction in kernel.cost.contractions:
        peak = contraction_peak(contraction.dtype, profile, fast_math)
        if peak is None:
            missing = dtypes.short(contraction.dtype)
        elif contraction.macs:
            matrix.append(Product(flops=2 * contraction.macs, peak=peak, contraction=contraction))
    vector = None
    if kernel.cost.vector_ops or kernel.cost.transcendentals:
        name = rate_name(kernel.dtype) if kernel.dtype else None
        peak = profile.peaks.get(("vector", name)) if name else None
        if peak is not None:
            vector = Work(flops=kernel.cost.vector_ops, peak=peak)
        elif name is not None and not _runs(name, kernel.dtype, profile):
            missing = missing or name
    return Roofs(matrix=tuple(matrix), vector=vector, missing=missing)


def contraction_peak(
    dtype: str, profile: DeviceProfile, fast_math: Mapping[str, str]
) -> Peak | None:
    """Peak for a contraction: the runtime's fast math first, the matrix engine, the vector one."""
    name = rate_name(dtype)
    fast = fast_math.get(name)
    candidates = [("matrix", fast)] if fast else []
    candidates += [("matrix", name), ("vector", name)]
    return next((profile.peaks[key] for key in candidates if key in profile.peaks), None)


def rate_name(dtype: str) -> str:
    """Short name under which devices give the rate of a data type."""
    short = dtypes.short(dtype)
    return _SAME_RATE.get(short, short)


def _runs(name: str, dtype: str | None, profile: DeviceProfile) -> bool:
    """True when the device can hold the type: any engine has it, or it is no float type."""
    if dtype is None or dtypes.lookup(dtype).kind != "float":
        return True
    return any(key[1] == name for key in profile.peaks)


def ridge(peak: Peak, profile: DeviceProfile) -> float | None:
    """FLOP per byte at which a roofline bends: peak / DRAM bandwidth."""
    bandwidth = profile.dram.bandwidth
    return peak.dense.value / bandwidth.value if bandwidth else None


def heaviest(roofs: Roofs) -> Work | None:
    """The work that takes longest at nominal rates; None where there is no arithmetic."""
    return max(
        (*roofs.matrix, *((roofs.vector,) if roofs.vector else ())),
        key=lambda work: work.flops / work.peak.dense.value,
        default=None,
    )


def place(kernel: Kernel, profile: DeviceProfile, roofs: Roofs) -> Placement:
    """Where a kernel stands: bound by an engine or by memory, and what it can attain."""
    cost = kernel.cost
    engine = heaviest(roofs)
    bandwidth = profile.dram.bandwidth
    if engine is None or bandwidth is None:
        name = roofs.missing or (rate_name(kernel.dtype) if kernel.dtype else "none")
        moved = cost.bytes_read + cost.bytes_written
        return Placement(
            engine="none",
            dtype=name,
            intensity=cost.intensity,
            ridge=None,
            attainable_flop_per_s=None,
            bound="none" if roofs.missing or not moved else "memory",
        )
    bend = engine.peak.dense.value / bandwidth.value
    intensity = cost.intensity
    peak = engine.peak.dense.value
    attainable = peak if intensity is None else min(peak, intensity * bandwidth.value)
    compute_bound = intensity is None or intensity >= bend
    return Placement(
        engine=engine.peak.engine,
        dtype=engine.peak.dtype,
        intensity=intensity,
        ridge=bend,
        attainable_flop_per_s=attainable,
        bound=engine.peak.engine if compute_bound else "memory",
    )
