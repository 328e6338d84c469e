"""Running a model in ONNX Runtime, in a child process: the only place that executes models."""

from __future__ import annotations

from mlsys_lint.measure.micro import time_networks
from mlsys_lint.measure.parent import measure
from mlsys_lint.measure.schemas import registered_operators

__all__ = ["measure", "registered_operators", "time_networks"]
