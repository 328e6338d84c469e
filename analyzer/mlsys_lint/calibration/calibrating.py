"""The order of a calibration: build networks, run them, join kernels, fit, judge the noise."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import hypot, log, sqrt
from pathlib import Path
from typing import Final

from mlsys_lint.calibration.fitting import Row, fit_classes
from mlsys_lint.calibration.rows import TICK_S, plain_rows, rows_of
from mlsys_lint.calibration.running import Run, Timed, timing_of
from mlsys_lint.calibration.steadiness import LARGEST_DRIFT, noise_of, unsteady
from mlsys_lint.cpu import kernel_flags, read_cpu
from mlsys_lint.host import detect_host, with_seen_rates
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.prediction import calibrated
from mlsys_lint.records import DeviceProfile, Kernel, Runtime
from mlsys_lint.records.calibration import Calibration, KernelModel
from mlsys_lint.roofline import rate_name

LIMIT_S: Final = 50.0
"""Seconds within which doubtful networks are timed again."""
AGAIN_S: Final = 0.6
"""Seconds that timing one of them takes, with its session."""
_LONG_S: Final = 1e-4
"""Shorter kernels tell no rate: the profile counts whole microseconds."""
_PART: Final = 8
_FAR: Final = 2
"""Reuse distance over the capacity of the last cache, from which data come from memory."""


def calibrate(
    host: PluginHost,
    profile: DeviceProfile,
    progress: Callable[[str, float], None] = lambda _name, _share: None,
) -> Calibration:
    """Time the kernels of the profile's runtime with the profile's number of threads.

    Args:
        host: Whose runtime is timed.
        profile: This machine; what it says of caches and vector width is taken over.
        progress: Called with what is being done and the share that is done.

    Raises:
        MlsysLintError: the runtime can't be calibrated or is not installed.
    """
    start = time.perf_counter()
    runtime = host.runtimes[profile.runtime]
    networks = list(timing_of(runtime).networks())
    run = Run(host=host, runtime=runtime, profile=profile)
    # The first network once more, at the end: has the machine changed?
    version, timed = run.timed([*networks, networks[0]], progress, 0.0)
    noise = noise_of(timed)
    best = dict(zip((one.name for one in networks), timed, strict=False))
    found = fit(list(best.values()), runtime, profile)
    room = int((LIMIT_S - (time.perf_counter() - start)) / AGAIN_S)
    doubtful = unsteady(best.values(), found, run.terms)[: max(0, room)]
    if doubtful:
        wanted = [one for one in networks if one.name in doubtful]
        for one in run.timed(wanted, progress, 1.0)[1]:
            best[one.name] = min(best[one.name], one, key=lambda timed: timed.total)
        found = fit(list(best.values()), runtime, profile)
    moved = log(timed[-1].total / timed[0].total)
    return replace(
        found,
        version=version,
        drift=hypot(found.drift, moved),
        noise=noise,
        seconds=time.perf_counter() - start,
    )


def calibrated_profile(
    host: PluginHost,
    threads: int | None,
    progress: Callable[[str, float], None] = lambda _name, _share: None,
) -> DeviceProfile:
    """This machine's profile with the kernels of so many threads timed; see `calibrate`.

    Hard rates, which floors rest on, exceed the best that was seen.
    """
    detected = detect_host(threads)
    calibration = calibrate(host, detected, progress)
    seen = with_seen_rates(detected, calibration.flop_per_s, calibration.bytes_per_s or 0.0)
    return replace(seen, calibration=calibration)


def fit(
    timed: Sequence[Timed], runtime: Runtime, profile: DeviceProfile, tick_s: float = TICK_S
) -> Calibration:
    """Parameters and errors from timed networks; networks without told kernels are left out.

    Doubling all times, and the tick of their clock, doubles all parameters exactly.
    """
    timing = timing_of(runtime)
    terms, plain = timing.terms(profile), timing.plain(profile)
    known = [one for one in timed if one.pairs]
    run_s = _run_s(known)
    rows: list[Row] = []
    spare: list[Row] = []
    for one in known:
        own = list(rows_of(one.name, one.pairs, one.total - run_s, terms, tick_s))
        rows += own
        spare += plain_rows(one.pairs, own, plain)
    classes = fit_classes([*rows, *spare], timing.fallback, tick_s)
    return Calibration(
        runtime=runtime.name,
        version="",
        threads=profile.threads or 1,
        cpu=profile.name,
        flags=kernel_flags(read_cpu(Path("/"))),
        run_s=run_s,
        drift=_drift(known, rows, classes),
        classes=classes,
        flop_per_s=_best_rates(known),
        bytes_per_s=_best_stream(known, profile),
        left_out=tuple(one.name for one in timed if not one.pairs),
    )


def _run_s(timed: Sequence[Timed]) -> float:
    """What a run takes besides its kernels: the least excess of an unprofiled total over them."""
    return max(0.0, min(one.total - sum(seconds for _, seconds in one.pairs) for one in timed))


def _drift(
    timed: Sequence[Timed], rows: Sequence[Row], classes: Mapping[str, KernelModel]
) -> float:
    """How far whole networks lie from their prediction beyond what their classes' errors explain.

    Never less than a quiet machine may change its speed between two uses.

    Robust: 1.4826 x the median deviation is the standard deviation of a normal distribution.
    """
    kernels: dict[str, list[calibrated.Timed]] = {one.name: [] for one in timed}
    for row in rows:
        kernels[row.network].append(calibrated.of_class(row.kernel_class, row.terms, classes))
    errors, explained = [], []
    for one in timed:
        predicted = sum(kernel.seconds for kernel in kernels[one.name])
        if predicted:
            errors.append(abs(log(one.total / predicted)))
            explained.append(calibrated.deviation(kernels[one.name], 0.0))
    whole, known = 1.4826 * statistics.median(errors), statistics.median(explained)
    return max(LARGEST_DRIFT, sqrt(max(0.0, whole**2 - known**2)))


def _best_rates(timed: Sequence[Timed]) -> dict[str, float]:
    """Short dtype -> the most FLOPs per second that a kernel's contractions reached."""
    best: dict[str, float] = {}
    for one in timed:
        for kernel, seconds in one.pairs:
            if kernel.cost.contractions and seconds >= _LONG_S:
                name = rate_name(kernel.cost.contractions[0].dtype)
                best[name] = max(best.get(name, 0.0), 2 * kernel.cost.macs / seconds)
    return best


def _best_stream(timed: Sequence[Timed], profile: DeviceProfile) -> float | None:
    """The highest rate at which a kernel moved bytes that no cache can have held."""
    last = max((level.capacity_bytes or 0 for level in profile.memory[:-1]), default=0)
    rates = [
        nbytes / seconds
        for one in timed
        for kernel, seconds in one.pairs
        if (nbytes := _beyond(kernel, _FAR * last)) > last / _PART and seconds >= _LONG_S
    ]
    return max(rates, default=None)


def _beyond(kernel: Kernel, distance: float) -> int:
    """Bytes that were touched so long ago."""
    return sum(touch.nbytes for touch in kernel.touches if touch.distance >= distance)
