"""What a node's backward pass computes, and what the forward pass must keep for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from mlsys_lint.records.frozen import record
from mlsys_lint.records.graph import NodeView, TensorInfo

if TYPE_CHECKING:
    from mlsys_lint.records.cost import Contraction, OpCost


@record
class Work:
    """Arithmetic: of a backward pass, an update, a loss; counted as in OpCost."""

    contractions: tuple[Contraction, ...] = ()
    vector_ops: int = 0
    transcendentals: int = 0

    @property
    def contraction_flops(self) -> int:
        """2 FLOPs a multiply-accumulate."""
        return 2 * sum(one.macs for one in self.contractions)


@record
class Kept:
    """What a node's backward pass reads besides the gradients of its outputs.

    Attributes:
        tensors: Inputs and outputs of the node, and values inside of it (their uid is -1: each is a
            buffer of its own). Stored weights among them are no activations.
        statistics: Numbers of 32 bits, whatever the model's precision: means, deviations.
    """

    tensors: tuple[TensorInfo, ...] = ()
    statistics: int = 0


Wanted: TypeAlias = frozenset[int]
"""Positions of a node's inputs that need a gradient."""

Backward: TypeAlias = Callable[[NodeView, "OpCost", Wanted], Work]
"""Cost of the gradients that are wanted, from the node and what its forward pass costs."""

Saves: TypeAlias = Callable[[NodeView, "OpCost", Wanted], Kept]
"""What the gradients that are wanted need, from the node and what its forward pass costs."""
