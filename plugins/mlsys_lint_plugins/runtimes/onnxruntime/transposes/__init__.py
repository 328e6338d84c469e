"""Transposes that move until they cancel (TransposeOptimizer), before and after kernels are chosen.

For rules that insert Transposes themselves: `transpose_input` and `transpose_output` wrap an
operator, `optimize_transposes` moves what they inserted.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from mlsys_lint.program import Step, Sweep
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.edits import (
    transpose_input,
    transpose_output,
)
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.optimizer import optimize_transposes
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.permutations import (
    channels_first,
    channels_last,
)

__all__ = [
    "CPU",
    "LEVEL_1",
    "channels_first",
    "channels_last",
    "optimize_transposes",
    "transpose_input",
    "transpose_output",
]

LEVEL_1: Final[tuple[Step, ...]] = (
    Sweep(name="TransposeOptimizer", run=optimize_transposes, once=True),
)
CPU: Final[tuple[Step, ...]] = (
    Sweep(name="TransposeOptimizer_CPU", run=partial(optimize_transposes, cpu=True), once=True),
)
"""Before the fusions of level 2."""
