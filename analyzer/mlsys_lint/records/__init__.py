"""The records of `check`: frozen values, grouped by what they describe.

Those of `validate` are in `records.validation`, which `check` does not import.
"""

from __future__ import annotations

from mlsys_lint.records.cost import (
    Contraction,
    Declined,
    Estimate,
    NodeCost,
    NodeStatus,
    OpCost,
    OperatorSpec,
    Unsupported,
)
from mlsys_lint.records.device import (
    DeviceEntry,
    DeviceProfile,
    Efficiency,
    Figure,
    FuseNodes,
    Interval,
    Kernel,
    MemoryLevel,
    Peak,
    Placement,
    Runtime,
)
from mlsys_lint.records.graph import (
    Attribute,
    NodeView,
    Shape,
    TensorInfo,
)
from mlsys_lint.records.report import (
    BudgetVerdict,
    Coverage,
    DeviceReport,
    Dimension,
    Finding,
    Hit,
    KernelReport,
    ModelInfo,
    ModelReport,
    Optimizer,
    Problem,
    Reporter,
    Rule,
    Severity,
    Totals,
)

__all__ = [
    "Attribute",
    "BudgetVerdict",
    "Contraction",
    "Coverage",
    "Declined",
    "DeviceEntry",
    "DeviceProfile",
    "DeviceReport",
    "Dimension",
    "Efficiency",
    "Estimate",
    "Figure",
    "Finding",
    "FuseNodes",
    "Hit",
    "Interval",
    "Kernel",
    "KernelReport",
    "MemoryLevel",
    "ModelInfo",
    "ModelReport",
    "NodeCost",
    "NodeStatus",
    "NodeView",
    "OpCost",
    "OperatorSpec",
    "Optimizer",
    "Peak",
    "Placement",
    "Problem",
    "Reporter",
    "Rule",
    "Runtime",
    "Severity",
    "Shape",
    "TensorInfo",
    "Totals",
    "Unsupported",
]
