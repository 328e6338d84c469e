"""Kernels without a class of their own: their bytes, their arithmetic, their start."""

from __future__ import annotations

from dataclasses import replace

from mlsys_lint.records import Kernel
from mlsys_lint.records.calibration import Terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine

CLASS = "generic"


def terms(kernel: Kernel, machine: Machine) -> Terms:
    """Every byte counts; those beyond the private caches once more, constants as all that is read."""
    cost = kernel.cost
    touches = (replace(one, kind="read") if one.kind == "weight" else one for one in kernel.touches)
    return CLASS, {
        "kernel": 1.0,
        "byte": float(cost.bytes_read + cost.bytes_written),
        **machine.beyond(touches),
    }
