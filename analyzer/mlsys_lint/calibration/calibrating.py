"""The order of a calibration: build networks, run them, join kernels, fit, judge the noise."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from typing import Any, Final

from mlsys_lint.analysis import analyse
from mlsys_lint.calibration.fitting import Row, fit_classes
from mlsys_lint.calibration.rows import joined, plain_rows, rows_of, scatter, steady
from mlsys_lint.errors import MlsysLintError
from mlsys_lint.execution import execute
from mlsys_lint.host import detect_host, kernel_flags, read_cpu, with_seen_rates
from mlsys_lint.loading import prepare
from mlsys_lint.measure import time_networks
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import DeviceProfile, Kernel, Runtime
from mlsys_lint.records.calibration import Calibration, KernelModel, MicroNetwork, Timing
from mlsys_lint.roofline import rate_name
from mlsys_lint.shapes import Bindings

RUN_S: Final = 0.25
"""Seconds in which a network is run over and over, half of them profiled."""
LARGEST_SCATTER: Final = 1.10
NOISY_SHARE: Final = 0.10
LARGEST_DRIFT: Final = 0.03
_LONG_S: Final = 1e-4
"""Shorter kernels tell no rate: the profile counts whole microseconds."""
_FAR: Final = 2
"""Reuse distance over the capacity of the last cache, from which data come from memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A network as it was executed.

    Attributes:
        total: Steady seconds of an unprofiled run.
        scatter: Median over steady run.
        pairs: Kernels with their seconds in the profile; empty when they could not be told.
    """

    name: str
    total: float
    scatter: float
    pairs: Sequence[tuple[Kernel, float]]


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
    again = networks[:1]  # the first once more, at the end: has the machine changed?
    version, results = time_networks(
        [(one.name, one.model) for one in (*networks, *again)],
        threads=profile.threads or 1,
        budget_s=RUN_S,
        progress=progress,
    )
    timed = [
        _timed(one, result, host, runtime, profile)
        for one, result in zip((*networks, *again), results, strict=True)
    ]
    return replace(
        fit(timed[: len(networks)], runtime, profile),
        version=version,
        noise=noise_of(timed),
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


def timing_of(runtime: Runtime) -> Timing:
    """How a runtime's kernels are calibrated.

    Raises:
        MlsysLintError: they can't be.
    """
    if runtime.timing is None:
        raise MlsysLintError(f"runtime {runtime.name} has no kernels to calibrate")
    return runtime.timing


def _timed(
    network: MicroNetwork,
    result: Mapping[str, Any],
    host: PluginHost,
    runtime: Runtime,
    profile: DeviceProfile,
) -> Timed:
    """A network's executed kernels beside those that the runtime's emulation expects."""
    model = prepare(network.model, Path(f"{network.name}.onnx"))
    kernels = execute(analyse(model, host, Bindings()), host, runtime, profile).kernels
    return Timed(
        name=network.name,
        total=steady(result["seconds"]),
        scatter=scatter(result["seconds"]),
        pairs=joined(kernels, result["kernels"]) or (),
    )


def fit(timed: Sequence[Timed], runtime: Runtime, profile: DeviceProfile) -> Calibration:
    """Parameters and errors from timed networks; networks without told kernels are left out.

    Doubling all times doubles all parameters.
    """
    timing = timing_of(runtime)
    terms, plain = timing.terms(profile), timing.plain(profile)
    known = [one for one in timed if one.pairs]
    rows: list[Row] = []
    spare: list[Row] = []
    for one in known:
        own = list(rows_of(one.name, one.pairs, one.total, terms))
        rows += own
        spare += plain_rows(one.pairs, own, plain)
    classes = fit_classes([*rows, *spare], timing.fallback)
    return Calibration(
        runtime=runtime.name,
        version="",
        threads=profile.threads or 1,
        cpu=profile.name,
        flags=kernel_flags(read_cpu(Path("/"))),
        run_s=_run_s(known, rows),
        drift=_drift(known, rows, classes),
        classes=classes,
        flop_per_s=_best_rates(known),
        bytes_per_s=_best_stream(known, profile),
        left_out=tuple(one.name for one in timed if not one.pairs),
    )


def _run_s(timed: Sequence[Timed], rows: Sequence[Row]) -> float:
    """Median over networks of what a run takes besides its kernels."""
    inside = dict.fromkeys((one.name for one in timed), 0.0)
    for row in rows:
        inside[row.network] += row.seconds
    return max(0.0, statistics.median(one.total - inside[one.name] for one in timed))


def _drift(
    timed: Sequence[Timed], rows: Sequence[Row], classes: Mapping[str, KernelModel]
) -> float:
    """Spread of whole networks about their prediction, robustly: 1.4826 x median deviation."""
    predicted = dict.fromkeys((one.name for one in timed), 0.0)
    for row in rows:
        model = classes[row.kernel_class]
        predicted[row.network] += sum(
            model.parameters[term] * amount for term, amount in row.terms.items()
        )
    errors = [abs(log(one.total / predicted[one.name])) for one in timed if predicted[one.name]]
    return 1.4826 * statistics.median(errors)


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
        if (nbytes := _beyond(kernel, _FAR * last)) > _FAR * last
    ]
    return max(rates, default=None)


def _beyond(kernel: Kernel, distance: float) -> int:
    """Bytes that were touched so long ago."""
    return sum(touch.nbytes for touch in kernel.touches if touch.distance >= distance)


def noise_of(timed: Sequence[Timed]) -> tuple[str, ...]:
    """What made the machine unsteady; the last network is the first once more."""
    reasons = []
    ratio = timed[-1].total / timed[0].total
    if max(ratio, 1 / ratio) > 1 + LARGEST_DRIFT:
        change = "slower" if ratio > 1 else "faster"
        reasons.append(f"the machine got {abs(ratio - 1):.1%} {change} from first to last network")
    uneven = sum(one.scatter > LARGEST_SCATTER for one in timed)
    if uneven > NOISY_SHARE * len(timed):
        reasons.append(
            f"in {uneven} of {len(timed)} networks the median run took over "
            f"{LARGEST_SCATTER - 1:.0%} longer than the lower quartile"
        )
    return tuple(reasons)
