"""A ValidationReport as the JSON document that `schema/validate.schema.json` describes."""

from __future__ import annotations

from typing import Any, TypeAlias

from mlsys_lint.records.device import Interval
from mlsys_lint.records.graph import TensorInfo
from mlsys_lint.records.report import ModelInfo
from mlsys_lint.records.validation import KernelGroup, ValidationReport

Document: TypeAlias = dict[str, Any]


def to_document(report: ValidationReport) -> Document:
    """Plain values for json.dumps; what is not known is None, and nothing is rounded."""
    return {
        "schema_version": report.schema_version,
        "tool": {"name": "mlsys-lint", "version": report.tool_version},
        "model": _model(report.model),
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
            "predicted": _interval(report.predicted),
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
        "problems": [
            {"plugin": one.plugin, "stage": one.stage, "message": one.message, "node": one.node}
            for one in report.problems
        ],
    }


def _model(model: ModelInfo) -> Document:
    """The same part as in the document of `check`."""
    return {
        "path": model.path,
        "opset_imports": dict(model.opset_imports),
        "inputs": [_tensor(one) for one in model.inputs],
        "outputs": [_tensor(one) for one in model.outputs],
        "parameters": model.parameters,
        "parameter_bytes": model.parameter_bytes,
        "dims": {one.name: {"value": one.value, "source": one.source} for one in model.dims},
    }


def _tensor(tensor: TensorInfo) -> Document:
    shape = tensor.shape
    return {
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": None
        if shape is None
        else [
            {"max": size} if axis in tensor.bounded and size is not None else size
            for axis, size in enumerate(shape)
        ],
    }


def _interval(interval: Interval | None) -> Document | None:
    if interval is None:
        return None
    return {
        "floor": interval.floor,
        "low": interval.low,
        "expected": interval.expected,
        "high": interval.high,
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
