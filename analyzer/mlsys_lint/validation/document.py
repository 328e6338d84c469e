"""A ValidationReport as the JSON document that `schema/validate.schema.json` describes."""

from __future__ import annotations

from dataclasses import asdict

from mlsys_lint.documents import (
    Document,
    interval_document,
    model_document,
    problem_document,
    tool_document,
)
from mlsys_lint.records.kernel_groups import KernelGroup
from mlsys_lint.records.validation import ValidationReport


def to_document(report: ValidationReport) -> Document:
    """Plain values for json.dumps; what is not known is None, and nothing is rounded."""
    return {
        "schema_version": report.schema_version,
        "tool": tool_document(report.tool_version),
        "model": model_document(report.model),
        "device": report.device,
        "provider": report.provider,
        "provider_options": dict(report.provider_options),
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
    return {
        "latency_s": {
            "predicted": interval_document(report.predicted),
            "measured": asdict(report.measured),
        },
        "first_run_s": report.first_run_s,
        "session_s": report.session_s,
        "error": report.error,
        "memory_bytes": {
            "predicted_peak_activation": report.predicted_peak_activation_bytes,
            "measured_peak_activation": report.measured_peak_activation_bytes,
        },
        "groups": None if report.groups is None else [_group(one) for one in report.groups],
        "worst": [
            {"group": one.group, "cause": str(one.cause), "evidence": one.evidence}
            for one in report.worst
        ],
        "unmapped": [{"executed": name, "measured_s": time} for name, time in report.unmapped],
        "summary": asdict(report.summary),
        "baselines": asdict(report.baselines),
        "fallbacks": [
            {
                "provider": one.provider,
                "op_type": one.op_type,
                "nodes": list(one.nodes),
                "benign": one.benign,
            }
            for one in report.fallbacks
        ],
        "copies": [
            {"op_type": one.op_type, "nodes": list(one.nodes), "time_fraction": one.time_fraction}
            for one in report.copies
        ],
        "problems": [problem_document(one) for one in report.problems],
    }


def _group(group: KernelGroup) -> Document:
    predicted = interval_document(group.predicted) or {}
    return {
        "label": group.label,
        "nodes": list(group.nodes),
        "executed": list(group.executed),
        "executed_ops": list(group.executed_ops),
        "predicted_ops": list(group.predicted_ops),
        "kernel_class": group.kernel_class,
        "predicted_s": predicted.get("expected"),
        "floor_s": predicted.get("floor"),
        "low_s": predicted.get("low"),
        "high_s": predicted.get("high"),
        "measured_s": group.measured_s,
        "error": group.error,
    }
