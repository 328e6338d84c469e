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
    Interval,
    Kernel,
    MemoryLevel,
    Peak,
    Placement,
    Runtime,
)
from mlsys_lint.records.gradient import Backward, Kept, Saves, Wanted, Work
from mlsys_lint.records.graph import (
    Attribute,
    NodeView,
    Shape,
    TensorInfo,
)
from mlsys_lint.records.memory import Activations, HeldTensor, MemoryStep
from mlsys_lint.records.report import (
    LARGEST_BATCH,
    BudgetVerdict,
    Coverage,
    DeviceReport,
    Dimension,
    Finding,
    Hit,
    KernelReport,
    ModelInfo,
    ModelReport,
    Problem,
    Reporter,
    Rule,
    Severity,
    Totals,
)
from mlsys_lint.records.training import Optimizer, State, Training, Weight

__all__ = [
    "LARGEST_BATCH",
    "Activations",
    "Attribute",
    "Backward",
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
    "HeldTensor",
    "Hit",
    "Interval",
    "Kept",
    "Kernel",
    "KernelReport",
    "MemoryLevel",
    "MemoryStep",
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
    "Saves",
    "Severity",
    "Shape",
    "State",
    "TensorInfo",
    "Totals",
    "Training",
    "Unsupported",
    "Wanted",
    "Weight",
    "Work",
]
