"""A ModelReport and a Measurement of the same model, side by side."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Final

from mlsys_lint.joining import Joined
from mlsys_lint.records.report import DeviceReport, ModelReport, Problem
from mlsys_lint.records.validation import (
    Measurement,
    Noise,
    Spread,
    ValidationReport,
)
from mlsys_lint.validation.baselines import baselines_of
from mlsys_lint.validation.causes import worst_of
from mlsys_lint.validation.groups import Grouped, grouped
from mlsys_lint.validation.statistics import summary_of

LARGEST_DRIFT: Final = 0.03
"""Change of the fixed matmul's time; repeats on a quiet machine stay within 1 to 3 %."""
LARGEST_SCATTER: Final = 1.10
"""Median over fastest run; quiet machines stay below, a second job on the cores does not."""
LARGEST_LOAD: Final = 1.25
"""Load average per CPU: above 1 there are more jobs than CPUs; the rest allows for our own."""


def compare(
    report: ModelReport, measurement: Measurement, joined: Joined | Problem | None = None
) -> ValidationReport:
    """Put the prediction that `check` prints for its first device beside the measured runs.

    Nothing is predicted anew here, and nothing measured corrects the prediction. `joined`: which
    nodes the measured kernels stand for, or why that is not known.
    """
    device = report.devices[0] if report.devices else None
    measured, noise = spread(measurement.seconds), judge_noise(measurement)
    kernels = _grouped(report, measurement, joined)
    groups = kernels.groups if kernels else None
    predicted = device.latency_s if device else None
    unmapped = kernels.unmapped if kernels else ()
    lost_s = sum(seconds for _, seconds in unmapped)
    return ValidationReport(
        schema_version=report.schema_version,
        tool_version=report.tool_version,
        model=report.model,
        device=device.profile.id if device else None,
        provider=measurement.provider,
        runtime_version=measurement.runtime_version,
        threads=measurement.threads,
        runs=len(measurement.seconds),
        noise=noise,
        predicted=predicted,
        measured=measured,
        first_run_s=measurement.first_run_s,
        session_s=measurement.session_s,
        predicted_peak_activation_bytes=(device or report.totals).peak_activation_bytes,
        measured_peak_activation_bytes=measurement.peak_activation_bytes,
        groups=groups,
        summary=summary_of(predicted, measured, groups, lost_s, quiet=noise.quiet),
        baselines=baselines_of(device, kernels.replay_s if kernels else None),
        worst=worst_of(report, kernels) if kernels and device else (),
        unmapped=unmapped,
        inputs=measurement.inputs,
        fallbacks=measurement.fallbacks,
        copies=measurement.copies,
        provider_options=measurement.provider_options,
        problems=(
            *_problems(report, measurement),
            *([joined] if isinstance(joined, Problem) else ()),
        ),
    )


def _problems(report: ModelReport, measurement: Measurement) -> Iterator[Problem]:
    yield from report.problems
    for text in differences(report, measurement):
        yield Problem(plugin="mlsys_lint", stage="validate", message=text)
    yield from measurement.problems


def _grouped(
    report: ModelReport, measurement: Measurement, joined: Joined | Problem | None
) -> Grouped | None:
    """None where no kernel was measured or joined."""
    if not isinstance(joined, Joined) or not measurement.kernels:
        return None
    return grouped(report, measurement.kernels, joined, statistics.median(measurement.seconds))


def exit_status(report: ValidationReport, max_error: float | None) -> int:
    """1 when a floor was beaten on a quiet machine or the error exceeds `max_error`, else 0.

    A limit on an error that is not known is not kept. Noise alone never changes the status.
    """
    if report.summary.floor_violations:
        return 1
    if max_error is not None and (report.error is None or abs(report.error) > max_error):
        return 1
    return 0


def spread(seconds: Sequence[float]) -> Spread:
    """Quantiles of at least one run, linear between neighbours."""
    if len(seconds) == 1:
        return Spread(min=seconds[0], p10=seconds[0], median=seconds[0], p90=seconds[0])
    tenths = statistics.quantiles(seconds, n=10, method="inclusive")
    return Spread(
        min=min(seconds), p10=tenths[0], median=statistics.median(seconds), p90=tenths[-1]
    )


def judge_noise(measurement: Measurement) -> Noise:
    """Quiet unless the machine changed speed, runs scatter, or there are more jobs than CPUs."""
    before, after = measurement.sentinel_s
    drift = after / before
    scatter = statistics.median(measurement.seconds) / min(measurement.seconds)
    reasons = []
    if max(drift, 1 / drift) > 1 + LARGEST_DRIFT:
        change = "slower" if drift > 1 else "faster"
        reasons.append(f"the machine got {abs(drift - 1):.1%} {change} during the runs")
    if scatter > LARGEST_SCATTER:
        reasons.append(f"the median run took {scatter - 1:.0%} longer than the fastest")
    if measurement.load is not None and measurement.load > LARGEST_LOAD * measurement.cpus:
        reasons.append(f"load average {measurement.load:.1f} on {measurement.cpus} CPUs")
    return Noise(
        verdict="noisy" if reasons else "quiet",
        first_last_ratio=drift,
        p50_over_min=scatter,
        load=measurement.load,
        reasons=tuple(reasons),
    )


def differences(report: ModelReport, measurement: Measurement) -> Iterator[str]:
    """What the prediction assumed and the run, or the lack of a figure, contradicts."""
    if not report.devices:
        yield "no device was given: there is no prediction to compare"
        return
    device = report.devices[0]
    name = device.profile.id
    if device.latency_s is None:
        nodes = ", ".join(f"#{index}" for index in device.unplaced[:5]) or "some node"
        yield f"{name} has no peak for the type of {nodes}: there is no prediction to compare"
    if device.lower_bound or report.totals.is_lower_bound:
        yield "the cost of some nodes is not known: the prediction may be too small"
    if report.totals.is_upper_bound:
        yield "sizes that depend on data count at their maximum: the prediction may be too large"
    if device.precision != "as-is":
        yield f"predicted for {device.precision}, the run computes in the types of the file"
    yield from _machine_differences(device, measurement)


def _machine_differences(device: DeviceReport, measurement: Measurement) -> Iterator[str]:
    profile = device.profile
    runtime = f"onnxruntime-{measurement.provider}"
    if device.runtime != runtime:
        yield f"predicted for the runtime {device.runtime}, measured on {runtime}"
    elif device.runtime_version and _release(device.runtime_version) != _release(
        measurement.runtime_version
    ):
        yield (
            f"fusion and buffers follow ONNX Runtime {device.runtime_version}, "
            f"{measurement.runtime_version} ran"
        )
    if profile.kind == "cpu" and profile.threads not in (None, measurement.threads):
        yield f"predicted for {profile.threads} threads, measured with {measurement.threads}"
    strayed = [one for one in measurement.fallbacks if not one.benign]
    if strayed:
        nodes = sum(len(one.nodes) for one in strayed)
        yield (
            f"{nodes} node{'s' if nodes > 1 else ''} did not run on {measurement.provider.upper()}, as the prediction "
            "assumes; see fallbacks"
        )


def _release(version: str) -> list[str]:
    """Major and minor number: patch releases change no fusion."""
    return version.split(".")[:2]
