"""Time of a kernel on a device that was not calibrated, from sourced roofs and efficiencies.

`expected = overhead + (Tc^4 + Tm^4)^(1/4)`: Tc is compute time under the device's peaks, Tm the
time to move its bytes, each roof times a sourced efficiency of the kernel's class. The 4-norm is a
smooth maximum: 19 % above the larger term where both are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mlsys_lint.prediction import efficiency
from mlsys_lint.prediction.windows import window_of
from mlsys_lint.records import DeviceProfile, Efficiency, Figure, Kernel
from mlsys_lint.roofline import Roofs, heaviest

_NORM: Final = 4
_BLOCKED: Final = "com.microsoft.nchwc::"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Seconds of one execution of a kernel, and the resource that bounds it."""

    low: float
    expected: float
    high: float
    bound: str


def estimate(kernel: Kernel, profile: DeviceProfile, roofs: Roofs) -> Estimate:
    """The uncalibrated form; `bound` is the largest term of the expected time."""
    optimistic, typical, pessimistic = (_terms(kernel, profile, roofs, pick) for pick in _PICKS)
    return Estimate(
        low=_combined(optimistic),
        expected=_combined(typical),
        high=_combined(pessimistic),
        bound=_bound(typical, roofs),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pick:
    """Which end of every range: optimistic, typical or pessimistic."""

    figure: Callable[[Figure], float]
    share: Callable[[Efficiency], float]
    cost: Callable[[Figure], float]
    cached: bool
    alone: bool
    """A kernel that is too small for all threads gets no more than their share of the bandwidth."""


_PICKS: Final = (
    _Pick(
        figure=lambda x: x.high,
        share=lambda x: x.high,
        cost=lambda x: x.low,
        cached=True,
        alone=False,
    ),
    _Pick(
        figure=lambda x: x.value,
        share=lambda x: x.typ,
        cost=lambda x: x.value,
        cached=False,
        alone=False,
    ),
    _Pick(
        figure=lambda x: x.low,
        share=lambda x: x.low,
        cost=lambda x: x.high,
        cached=False,
        alone=True,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    compute: float
    memory: float
    overhead: float


def _terms(kernel: Kernel, profile: DeviceProfile, roofs: Roofs, pick: _Pick) -> _Terms:
    useful = _useful(kernel, pick)
    compute = 0.0
    for work in roofs.matrix:
        share = pick.share(efficiency.of_compute(profile, kernel, work.contraction))
        compute += work.flops * useful / (pick.figure(work.peak.dense) * share)
    if roofs.vector is not None:
        compute += roofs.vector.flops / pick.figure(roofs.vector.peak.dense)
    overhead = profile.launch_s.get("stream", profile.launch_s.get("dispatch"))
    return _Terms(
        compute=compute,
        memory=_memory_time(kernel, profile, pick),
        overhead=pick.cost(overhead) if overhead else 0.0,
    )


def _useful(kernel: Kernel, pick: _Pick) -> float:
    """Share of a convolution's products that are computed: some kernels leave out those with padding.

    The kernels of ONNX Runtime's blocked layout do (microsoft/onnxruntime core/mlas/lib/snchwc.cpp):
    with dilation 24 on 33 x 33 pixels half of the products meet padding. Others at best.
    """
    skips = pick.cached or (not pick.alone and kernel.op.startswith(_BLOCKED))
    if not skips or kernel.view is None or not kernel.kernel_class.startswith("conv"):
        return 1.0
    window = window_of(kernel.view)
    return 1.0 if window is None else window.useful


def _memory_time(kernel: Kernel, profile: DeviceProfile, pick: _Pick) -> float:
    """Bytes over the bandwidth of the nearest level that holds them.

    In the optimistic case that is the level that holds all that the kernel moves, and a cache of
    unknown bandwidth costs nothing. Otherwise a tensor comes from the level that has kept it since it
    was touched last.
    """
    moved = kernel.cost.bytes_read + kernel.cost.bytes_written
    key = "operands" if kernel.cost.contractions else kernel.kernel_class
    share = pick.share(efficiency.of_memory(profile, key))
    if pick.cached:
        return moved * _byte_time(moved, profile, pick) / share
    touched = sum(one.nbytes for one in kernel.touches)
    if not touched:
        seconds = moved * _byte_time(moved, profile, pick)
    else:  # a kernel may take less than all of what it touches: a lookup takes rows
        seconds = (moved / touched) * sum(
            one.nbytes * _byte_time(one.distance + one.nbytes, profile, pick)
            for one in kernel.touches
        )
    return seconds / (share * (efficiency.of_threads(profile, kernel) if pick.alone else 1.0))


def _byte_time(held: int, profile: DeviceProfile, pick: _Pick) -> float:
    """Seconds per byte from the nearest level of known bandwidth whose capacity holds `held` bytes."""
    for level in profile.memory[:-1]:
        if level.capacity_bytes is not None and held <= level.capacity_bytes:
            if level.bandwidth is not None:
                return 1 / pick.figure(level.bandwidth)
            if pick.cached and level.managed == "hardware":
                return 0.0
    bandwidth = profile.dram.bandwidth
    return 1 / pick.figure(bandwidth) if bandwidth else 0.0


def _combined(terms: _Terms) -> float:
    roof: float = (terms.compute**_NORM + terms.memory**_NORM) ** (1 / _NORM)
    return terms.overhead + roof


def _bound(terms: _Terms, roofs: Roofs) -> str:
    largest = max(terms.compute, terms.memory, terms.overhead)
    if largest == terms.overhead:
        return "overhead"
    engine = heaviest(roofs)
    if largest == terms.compute and engine is not None:
        return engine.peak.engine
    return "memory"
