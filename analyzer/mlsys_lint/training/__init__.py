"""Training: backward cost, activations that are kept, gradients, optimizer states, checkpoints.

Data flows: the graph as a list of steps (flow), what is trained (trainable, adapters), which values
need gradients (reach), the backward work (backward), what is kept (activations, checkpoints), the
figures of a step (step).
"""

from __future__ import annotations

from mlsys_lint.training.gradient_nodes import cost_gradients
from mlsys_lint.training.options import TrainingOptions
from mlsys_lint.training.step import training_step

__all__ = ["TrainingOptions", "cost_gradients", "training_step"]
