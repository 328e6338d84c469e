"""mlsys-lint's public API: what plugins import. Everything else is internal."""

from __future__ import annotations

from mlsys_lint.hookspecs import hookimpl
from mlsys_lint.operators import cost, view
from mlsys_lint.records import (
    Contraction,
    Declined,
    DeviceEntry,
    DeviceProfile,
    Efficiency,
    Figure,
    Finding,
    Hit,
    Interval,
    Kernel,
    KernelReport,
    MemoryLevel,
    ModelReport,
    NodeCost,
    NodeStatus,
    NodeView,
    OpCost,
    OperatorSpec,
    Optimizer,
    Peak,
    Reporter,
    Rule,
    Runtime,
    Severity,
    TensorInfo,
    Unsupported,
)

__version__ = "0.1.0"

__all__ = [
    "Contraction",
    "Declined",
    "DeviceEntry",
    "DeviceProfile",
    "Efficiency",
    "Figure",
    "Finding",
    "Hit",
    "Interval",
    "Kernel",
    "KernelReport",
    "MemoryLevel",
    "ModelReport",
    "NodeCost",
    "NodeStatus",
    "NodeView",
    "OpCost",
    "OperatorSpec",
    "Optimizer",
    "Peak",
    "Reporter",
    "Rule",
    "Runtime",
    "Severity",
    "TensorInfo",
    "Unsupported",
    "__version__",
    "cost",
    "hookimpl",
    "view",
]
