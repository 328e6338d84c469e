"""Kernels of integers: which module has their terms."""

from __future__ import annotations

from mlsys_lint.records import Kernel
from mlsys_lint.records.calibration import Terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing import (
    quantized_convolution,
    quantized_move,
    quantized_product,
)
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine


def terms(kernel: Kernel, machine: Machine) -> Terms | None:
    """(class, terms) of a kernel of integers; None for other operators."""
    return (
        quantized_convolution.terms(kernel, machine)
        or quantized_product.terms(kernel, machine)
        or quantized_move.terms(kernel, machine)
    )
