"""Kernels without a class of their own: their bytes, their arithmetic, their start."""

from __future__ import annotations

from mlsys_lint.records import Kernel
from mlsys_lint.records.calibration import Terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine

CLASS = "generic"


def terms(kernel: Kernel, machine: Machine) -> Terms:
    """Every byte counts; those beyond the private caches once more."""
    cost = kernel.cost
    return CLASS, {
        "kernel": 1.0,
        "byte": float(cost.bytes_read + cost.bytes_written),
        **machine.beyond(kernel.touches),
    }
