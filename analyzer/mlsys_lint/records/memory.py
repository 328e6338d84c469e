"""Values that describe what a run holds in memory, kernel by kernel."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryStep:
    """Activations while one kernel runs.

    Attributes:
        nodes: Indexes of the nodes that it computes; none for what the runtime inserted.
        op: `DOMAIN::TYPE` of what is executed.
        held_bytes: While its inputs and its outputs are both there.
        kept_bytes: After the inputs that nobody else reads were freed.
    """

    nodes: tuple[int, ...]
    op: str
    held_bytes: int
    kept_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTensor:
    """A tensor whose buffer is there at the peak.

    Attributes:
        nbytes: Bytes of the buffer, which other tensors of its size may have used before.
        node: Index of the node that writes it; None where no node of the file stands for it.
        idle: Nobody needs it any more: the runtime keeps the buffer for a later tensor, or does
            not free what nobody reads.
    """

    name: str
    dtype: str | None
    shape: tuple[int, ...] | None
    nbytes: int
    node: int | None
    idle: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Activations:
    """What a run holds besides weights and inputs.

    Attributes:
        nbytes: The most that is held at once.
        node: Index of the node at which that is.
        least_nbytes: The peak if every buffer were freed after its last reader, and taken again at
            no loss: less than that no allocator needs in this order of kernels.
        steps: By executed kernel, of a Loop or Scan those of one trip.
        tensors: The largest ones that are there at the peak.
    """

    nbytes: int
    node: int | None
    least_nbytes: int
    steps: tuple[MemoryStep, ...] = ()
    tensors: tuple[HeldTensor, ...] = ()
