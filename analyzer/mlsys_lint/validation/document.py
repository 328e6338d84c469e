"""A ValidationReport as the JSON document that `schema/validate.schema.json` describes."""

from __future__ import annotations

from mlsys_lint.documents import (
    Document,
    interval_document,
    model_document,
    problem_document,
    tool_document,
)
from mlsys_lint.records.validation import KernelGroup, ValidationReport


def to_document(report: ValidationReport) -> Document:
    """Plain values for json.dumps; what is not known is None, and nothing is rounded."""
    return {
        "schema_version": report.schema_version,
        "tool": tool_document(report.tool_version),
        "model": model_document(report.model),
        "device": report.device,
        "provider": report.provider,
        "runtime_version": report.runtime_version,
        "threads": report.threads,
        "runs": report.runs,
        "inputs": [
            {
                "name": one.name,
                "dtype": one.dtype,
                "shape": list(one.shape),
                "recipe": one.recipe,
                "seed": one.seed,
            }
            for one in report.inputs
        ],
        "noise": {
            "verdict": report.noise.verdict,
            "first_last_ratio": report.noise.first_last_ratio,
            "p50_over_min": report.noise.p50_over_min,
            "load": report.noise.load,
            "reasons": list(report.noise.reasons),
        },
        **_figures(report),
    }


def _figures(report: ValidationReport) -> Document:
    measured, summary, baselines = report.measured, report.summary, report.baselines
    return {
        "latency_s": {
            "predicted": interval_document(report.predicted),
            "measured": {
                "min": measured.min,
                "p10": measured.p10,
                "median": measured.median,
                "p90": measured.p90,
            },
        },
        "first_run_s": report.first_run_s,
        "session_s": report.session_s,
        "error": report.error,
        "memory_bytes": {
            "predicted_peak_activation": report.predicted_peak_activation_bytes,
            "measured_peak_activation": report.measured_peak_activation_bytes,
        },
        "groups": None if report.groups is None else [_group(one) for one in report.groups],
        "summary": {
            "time_weighted_error": summary.time_weighted_error,
            "median_error_over_20us": summary.median_error_over_20us,
            "spearman": summary.spearman,
            "mapped_time_fraction": summary.mapped_time_fraction,
            "single_kernel_time_fraction": summary.single_kernel_time_fraction,
            "floor_violations": summary.floor_violations,
            "floor_tightness": summary.floor_tightness,
            "interval_coverage": summary.interval_coverage,
        },
        "baselines": {
            "naive_roofline_s": baselines.naive_roofline_s,
            "constant_efficiency_s": baselines.constant_efficiency_s,
            "profile_replay_s": baselines.profile_replay_s,
        },
        "fallbacks": [
            {"provider": one.provider, "op_type": one.op_type, "nodes": list(one.nodes)}
            for one in report.fallbacks
        ],
        "problems": [problem_document(one) for one in report.problems],
    }


def _group(group: KernelGroup) -> Document:
    return {
        "nodes": list(group.nodes),
        "executed": list(group.executed),
        "predicted_s": group.predicted.expected,
        "floor_s": group.predicted.floor,
        "low_s": group.predicted.low,
        "high_s": group.predicted.high,
        "measured_s": group.measured_s,
        "error": group.error,
    }
