"""The JSON report: the `check` document of schema_version "1" (mlsys_lint/schema)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mlsys_lint import KernelReport, ModelReport, NodeCost
from mlsys_lint.documents import (
    interval_document,
    model_document,
    problem_document,
    tensor_document,
    tool_document,
)
from mlsys_lint.records import Activations, BudgetVerdict, DeviceReport, Finding, Totals, Training


def render(reports: Sequence[ModelReport]) -> str:
    """One document for one model; {schema_version, tool, reports} for several."""
    documents = [document(one) for one in reports]
    if len(documents) == 1:
        return json.dumps(documents[0], indent=1)
    head = {key: documents[0][key] for key in ("schema_version", "tool")} if documents else {}
    return json.dumps({**head, "reports": documents}, indent=1)


def document(report: ModelReport) -> dict[str, Any]:
    """A report in the field order of the contract."""
    return {
        "schema_version": report.schema_version,
        "tool": tool_document(report.tool_version),
        "model": model_document(report.model),
        "totals": _totals(report.totals),
        "training": _training(report.training),
        "nodes": [_node(one) for one in report.nodes],
        "devices": [_device(one) for one in report.devices],
        "budgets": [_budget(one) for one in report.budgets],
        "findings": [_finding(one) for one in report.findings],
        "problems": [problem_document(one) for one in report.problems],
    }


def _totals(totals: Totals) -> dict[str, Any]:
    coverage = totals.coverage
    return {
        "nodes": totals.nodes,
        "macs": totals.macs,
        "macs_masked": totals.macs_masked,
        "flops": totals.flops,
        "vector_ops": totals.vector_ops,
        "transcendentals": totals.transcendentals,
        "bytes_read": totals.bytes_read,
        "bytes_written": totals.bytes_written,
        "weight_bytes": totals.weight_bytes,
        "peak_activation_bytes": totals.peak_activation_bytes,
        "peak_node": totals.peak_node,
        "coverage": {
            "nodes": coverage.nodes,
            **coverage.counts,
            "fraction_of_nodes": coverage.fraction_of_nodes,
        },
        "is_lower_bound": totals.is_lower_bound,
        "is_upper_bound": totals.is_upper_bound,
    }


def _training(one: Training | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "optimizer": one.optimizer,
        "rank": one.rank,
        "precision": one.precision,
        "checkpointing": one.checkpointing,
        "loss": one.loss,
        "accumulation": one.accumulation,
        "trainable_parameters": one.trainable_parameters,
        "frozen_parameters": one.frozen_parameters,
        "forward_flops": one.forward_flops,
        "backward_flops": one.backward_flops,
        "forward_contraction_flops": one.forward_contraction_flops,
        "backward_contraction_flops": one.backward_contraction_flops,
        "backward_transcendentals": one.backward_transcendentals,
        "update_flops": one.update_flops,
        "update_transcendentals": one.update_transcendentals,
        "recompute_flops": one.recompute_flops,
        "backward_flops_by_operator": dict(one.by_operator),
        "weight_bytes": one.weight_bytes,
        "master_weight_bytes": one.master_weight_bytes,
        "gradient_bytes": one.gradient_bytes,
        "optimizer_state_bytes": one.optimizer_state_bytes,
        "optimizer_alternatives": dict(one.alternatives),
        "sqrt_activation_bytes": one.sqrt_activation_bytes,
        "sqrt_recompute_flops": one.sqrt_recompute_flops,
        "activation_bytes": one.activation_bytes,
        "total_bytes": one.total_bytes,
        "segments": one.segments,
        "is_lower_bound": one.is_lower_bound,
        "assumptions": list(one.assumptions),
    }


def _node(one: NodeCost) -> dict[str, Any]:
    node, cost = one.node, one.cost
    assumptions = [*node.assumptions, *(cost.assumptions if cost else ())]
    return {
        "index": node.index,
        "name": node.name,
        "scope": node.scope,
        "op": node.op,
        "since_version": node.since_version,
        "status": str(one.status),
        "reason": one.reason,
        "plugin": one.plugin,
        "repeat": node.repeat,
        "macs": cost.macs if cost else None,
        "flops": cost.flops if cost else None,
        "transcendentals": cost.transcendentals if cost else None,
        "bytes_read": cost.bytes_read if cost else None,
        "bytes_written": cost.bytes_written if cost else None,
        "parameters": one.parameters,
        "weight_bytes": cost.weight_bytes if cost else None,
        "intensity": cost.intensity if cost else None,
        "contractions": [
            [part.batch, part.m, part.n, part.k, part.dtype]
            for part in (cost.contractions if cost else ())
        ],
        "outputs": [tensor_document(output) for output in node.outputs if output is not None],
        "assumptions": assumptions,
    }


def _device(device: DeviceReport) -> dict[str, Any]:
    profile = device.profile
    return {
        "id": profile.id,
        "name": profile.name,
        "calibrated": profile.calibrated,
        "precision": device.precision,
        "runtime": device.runtime,
        "runtime_version": device.runtime_version,
        "threads": profile.threads,
        "ridge": device.ridge,
        "latency_s": interval_document(device.latency_s),
        "throughput_per_s": device.throughput_per_s,
        "bound_time_s": dict(device.bound_time_s),
        "memory_bytes": interval_document(device.memory_bytes),
        "memory_items": dict(device.memory_items),
        "peak_activation_bytes": device.peak_activation_bytes,
        **_activations(device.activations),
        "capacity_bytes": device.capacity_bytes,
        "fits": device.fits,
        "training_fits": device.training_fits,
        "max_batch": device.max_batch,
        "unplaced": list(device.unplaced),
        "untimed": list(device.untimed),
        "kernels": [_kernel(one) for one in device.kernels],
    }


def _activations(held: Activations | None) -> dict[str, Any]:
    return {
        "least_activation_bytes": held.least_nbytes if held else None,
        "peak_node": held.node if held else None,
        "peak_tensors": [
            {
                "name": one.name,
                "dtype": one.dtype,
                "shape": None if one.shape is None else list(one.shape),
                "bytes": one.nbytes,
                "node": one.node,
                "idle": one.idle,
            }
            for one in (held.tensors if held else ())
        ],
        "memory_timeline": [
            {
                "nodes": list(step.nodes),
                "op": step.op,
                "held_bytes": step.held_bytes,
                "kept_bytes": step.kept_bytes,
            }
            for step in (held.steps if held else ())
        ],
    }


def _kernel(one: KernelReport) -> dict[str, Any]:
    cost = one.kernel.cost
    return {
        "nodes": list(one.kernel.nodes),
        "op": one.kernel.op,
        "kernel_class": one.kernel.kernel_class,
        "repeat": one.kernel.repeat,
        "flops": cost.flops,
        "bytes": cost.bytes_read + cost.bytes_written,
        "intensity": one.placement.intensity,
        "bound": one.bound,
        "attainable_flop_per_s": one.placement.attainable_flop_per_s,
        "time_s": interval_document(one.time_s),
    }


def _budget(one: BudgetVerdict) -> dict[str, Any]:
    return {
        "name": one.name,
        "limit": one.limit,
        "unit": one.unit,
        "device": one.device,
        "value": interval_document(one.value),
        "verdict": one.verdict,
        "reason": one.reason,
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "code": one.code,
        "name": one.name,
        "severity": str(one.severity),
        "message": one.message,
        "node": one.node,
        "device": one.device,
        "saving_s": one.saving_s,
        "saving_bytes": one.saving_bytes,
        "help": one.help,
    }
