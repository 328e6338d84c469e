"""A ModelReport and a Measurement of the same model, side by side."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from mlsys_lint.records.device import DeviceProfile
from mlsys_lint.records.report import DeviceReport, KernelReport, ModelReport, Problem
from mlsys_lint.records.validation import (
    Baselines,
    Measurement,
    Noise,
    Spread,
    Summary,
    ValidationReport,
)

LARGEST_DRIFT: Final = 0.03
"""Change of the fixed matmul's time; repeats on a quiet machine stay within 1 to 3 %."""
LARGEST_SCATTER: Final = 1.10
"""Median over fastest run; quiet machines stay below, a second job on the cores does not."""
LARGEST_LOAD: Final = 1.25
"""Load average per CPU: above 1 there are more jobs than CPUs; the rest allows for our own."""


def compare(report: ModelReport, measurement: Measurement) -> ValidationReport:
    """Put the prediction that `check` prints for its first device beside the measured runs.

    Nothing is predicted anew here, and nothing measured corrects the prediction.
    """
    device = report.devices[0] if report.devices else None
    result = ValidationReport(
        schema_version=report.schema_version,
        tool_version=report.tool_version,
        model=report.model,
        device=device.profile.id if device else None,
        provider=measurement.provider,
        runtime_version=measurement.runtime_version,
        threads=measurement.threads,
        runs=len(measurement.seconds),
        noise=judge_noise(measurement),
        predicted=device.latency_s if device else None,
        measured=spread(measurement.seconds),
        first_run_s=measurement.first_run_s,
        session_s=measurement.session_s,
        predicted_peak_activation_bytes=(device or report.totals).peak_activation_bytes,
        measured_peak_activation_bytes=measurement.peak_activation_bytes,
        groups=None,
        summary=Summary(),
        baselines=Baselines(naive_roofline_s=naive_roofline_s(device) if device else None),
        inputs=measurement.inputs,
        fallbacks=measurement.fallbacks,
        problems=(
            *report.problems,
            *(
                Problem(plugin="mlsys_lint", stage="validate", message=text)
                for text in differences(report, measurement)
            ),
            *measurement.problems,
        ),
    )
    return replace(result, summary=_summary(result))


def exit_status(report: ValidationReport, max_error: float | None) -> int:
    """1 when a floor was beaten on a quiet machine or the error exceeds `max_error`, else 0.

    A limit on an error that is not known is not kept. Noise alone never changes the status.
    """
    if report.breaks_floor and report.noise.quiet:
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
    if measurement.fallbacks:
        nodes = sum(len(one.nodes) for one in measurement.fallbacks)
        yield (
            f"{nodes} nodes did not run on {measurement.provider.upper()}, as the prediction "
            "assumes; see fallbacks"
        )


def _release(version: str) -> list[str]:
    """Major and minor number: patch releases change no fusion."""
    return version.split(".")[:2]


def _summary(report: ValidationReport) -> Summary:
    """The figures that one model without kernel groups allows."""
    if report.predicted is None:
        return Summary()
    return Summary(
        floor_violations=int(report.breaks_floor),
        floor_tightness=report.predicted.floor / report.measured.median,
        interval_coverage=float(bool(report.covered)),
    )
