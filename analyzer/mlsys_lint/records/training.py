"""Training: optimizers, and the figures of a training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from math import prod
from typing import TypeAlias

from mlsys_lint.records.frozen import record
from mlsys_lint.records.gradient import Work


@record
class Weight:
    """A tensor that is trained.

    Attributes:
        name: That of the stored tensor.
        shape: As stored.
        dtype: Type of the optimizer's copy: fp32 where master weights are kept.
        is_matrix: It has rank 2 and is an operand of a contraction: what low-rank methods treat.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    is_matrix: bool = False

    @property
    def elements(self) -> int:
        """Number of weights."""
        return prod(self.shape)


@record
class State:
    """A tensor that an optimizer keeps for a weight between steps; dtype None: the weight's."""

    elements: int
    dtype: str | None = None


States: TypeAlias = Callable[[Weight, int], tuple[State, ...]]
Update: TypeAlias = Callable[[Weight, int], Work]


@record
class Optimizer:
    """How an optimizer treats each weight.

    Attributes:
        name: As `--optimizer` takes it.
        states: The tensors kept for a weight, from the weight and the rank.
        update: Work of one update of a weight, likewise; what is computed once a step or tensor (a
            corrected rate) is not counted.
        source: Paper, and what was decided where it leaves a choice.
        rank: Rank of a low-rank method unless `--rank` says otherwise; None: it has none.
        adapters: Weights stay as they are; each matrix gets a pair of adapters [m, r] and [r, n],
            and these are what is trained.
        note: What its figures leave out, in words.
    """

    name: str
    states: States
    update: Update
    source: str
    rank: int | None = None
    adapters: bool = False
    note: str | None = None


@record
class Training:
    """One training step: the passes over all micro-batches and one update of the weights.

    FLOPs are those of a whole step; bytes are what is held when the backward pass begins, or, with
    checkpoints, in its largest segment.

    Attributes:
        precision: `as-is`, or `mixed-fp16`, `mixed-bf16`.
        checkpointing: `none`, `every-N` or `sqrt`.
        loss: `none`: gradients of ones arrive at the model's outputs.
        accumulation: Micro-batches (each a run of the model) for one update.
        trainable_parameters, frozen_parameters: Elements.
        by_operator: Operator -> FLOPs of its nodes' backward passes, largest first.
        activation_bytes: None where the size of a tensor that is kept is not known.
        is_lower_bound: Some node on the way of the gradients has no cost.
        segments: Parts that the checkpoints make; 1 without.
        sqrt_activation_bytes, sqrt_recompute_flops: What activations and recomputation would be with
            the `sqrt` policy, where no policy was asked for; else None.
        alternatives: Other optimizer -> bytes of the states that it would keep for the same weights.
        assumptions: What the figures rest on, in words.
    """

    optimizer: str
    rank: int | None
    precision: str
    checkpointing: str
    loss: str
    accumulation: int
    trainable_parameters: int
    frozen_parameters: int
    forward_flops: int
    backward_flops: int
    forward_contraction_flops: int
    backward_contraction_flops: int
    backward_transcendentals: int
    update_flops: int
    update_transcendentals: int
    recompute_flops: int
    by_operator: Mapping[str, int]
    weight_bytes: int
    master_weight_bytes: int
    gradient_bytes: int
    optimizer_state_bytes: int
    activation_bytes: int | None
    segments: int
    is_lower_bound: bool
    sqrt_activation_bytes: int | None = None
    sqrt_recompute_flops: int | None = None
    alternatives: Mapping[str, int] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()

    @property
    def sqrt_total_bytes(self) -> int | None:
        """The total with the `sqrt` policy."""
        if self.total_bytes is None or self.sqrt_activation_bytes is None:
            return None
        return self.total_bytes - (self.activation_bytes or 0) + self.sqrt_activation_bytes

    @property
    def total_bytes(self) -> int | None:
        """Weights, master weights, gradients, optimizer states and activations."""
        if self.activation_bytes is None:
            return None
        return (
            self.weight_bytes
            + self.master_weight_bytes
            + self.gradient_bytes
            + self.optimizer_state_bytes
            + self.activation_bytes
        )
