"""The user's limits against the predictions of every device."""

from __future__ import annotations

from collections.abc import Mapping

from mlsys_lint.linting import judge
from mlsys_lint.records import BudgetVerdict, DeviceReport, ModelReport


def judge_budgets(report: ModelReport, limits: Mapping[str, float]) -> tuple[BudgetVerdict, ...]:
    """A verdict for each limit (`latency` in s, `memory` in bytes) on each device."""
    assumed = [f"{one.name}={one.value}" for one in report.model.dims if one.source == "assumed"]
    verdicts = []
    for device in report.devices:
        figures = {
            "latency": ("s", device.latency_s, _no_latency(device)),
            "memory": ("bytes", device.memory_bytes, "a live tensor's size is not known"),
        }
        for name, limit in limits.items():
            unit, value, unknown = figures[name]
            verdicts.append(
                judge(
                    name,
                    limit,
                    unit,
                    device.profile.id,
                    value,
                    lower_bound=report.totals.is_lower_bound,
                    reason_unknown=unknown,
                    assumed=assumed,
                )
            )
    return tuple(verdicts)


def _no_latency(device: DeviceReport) -> str:
    missing = sorted({one.placement.dtype for one in device.kernels if one.time_s is None})
    return f"{device.profile.id} has no {', '.join(missing)} peak for {len(device.unplaced)} nodes"
