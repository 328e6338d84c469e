"""Peak activations as a runtime allocates them, and the memory of a model on a runtime."""

from __future__ import annotations

from mlsys_lint.memory.activations import peak_activations
from mlsys_lint.memory.items import memory_of

__all__ = ["memory_of", "peak_activations"]
