"""What shapes a training step besides the model and the optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mlsys_lint.errors import OptionError
from mlsys_lint.records import Optimizer

NONE: Final = "none"
"""No checkpoints; no loss."""

_HALVES: Final[Mapping[str, str]] = {"fp16": "float16", "bf16": "bfloat16"}
MASTER: Final = "float"
"""Type of master weights, and with them of optimizer states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How a model is trained.

    Attributes:
        optimizer: Its name among those that plugins register.
        rank: Of a low-rank method; None: the optimizer's own.
        checkpointing: `none`, `every-N` or `sqrt`.
        trainable, frozen: Patterns of names of stored tensors.
        accumulation: Micro-batches for one update.
        mixed: `fp16` or `bf16`: weights, gradients and activations of 32 bits and more are held in
            this type, beside fp32 master weights; None: types as they stand.
        loss: `none`, `mse` or `cross-entropy`, applied to the first floating-point output.
        strict: A pattern that fits no tensor of the model is an error.
    """

    optimizer: str = "adam"
    rank: int | None = None
    checkpointing: str = NONE
    trainable: Sequence[str] = ()
    frozen: Sequence[str] = ()
    accumulation: int = 1
    mixed: str | None = None
    loss: str = NONE
    strict: bool = True

    @property
    def precision(self) -> str:
        """`as-is`, `mixed-fp16` or `mixed-bf16`."""
        return f"mixed-{self.mixed}" if self.mixed else "as-is"

    def held(self, dtype: str) -> str:
        """Type in which weights, gradients and activations of a type are held."""
        return _HALVES[self.mixed] if self.mixed and dtype in ("float", "double") else dtype

    def updated(self, dtype: str) -> str:
        """Type of the copy that the optimizer updates."""
        return MASTER if self.mixed else dtype

    def rank_for(self, optimizer: Optimizer) -> int:
        """The rank of a low-rank method; 0 where there is none.

        Raises:
            OptionError: a rank for an optimizer that has none.
        """
        if self.rank is not None and optimizer.rank is None:
            raise OptionError(f"--rank {self.rank}: the optimizer {optimizer.name} has no rank")
        return self.rank or optimizer.rank or 0
