"""What the forward pass keeps for the backward pass: each buffer once, weights apart.

The rules for each operator are in `mlsys_lint.gradients`. Of what they name, stored tensors and
what is computed from untrained constants are no activations; a view is its source's buffer; a value in a
loop's body is kept for each trip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mlsys_lint import dtypes
from mlsys_lint.errors import UnknownSizeError
from mlsys_lint.gradients import kept_of
from mlsys_lint.records import TensorInfo
from mlsys_lint.training.flow import Flow
from mlsys_lint.training.reach import Reach

STATISTIC_BYTES = 4
"""Means and deviations are kept in fp32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """A tensor that is kept.

    Attributes:
        key: The buffer's identity; None for one that no other node shares.
        place: Of the step that keeps it.
        nbytes: Bytes over all trips; None when the size is not known.
    """

    key: int | None
    place: int
    nbytes: int | None


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of kept tensors; `held` says in which type a type is held (mixed precision)."""

    held: Callable[[str], str]

    def of(self, tensor: TensorInfo) -> int | None:
        """Bytes, None when the size or the type is not known."""
        try:
            return dtypes.stored_bytes(self.held(tensor.type_name), tensor.numel)
        except UnknownSizeError:
            return None


def is_activation(tensor: TensorInfo, flow: Flow, reached: Reach) -> bool:
    """False for (views of) what the file stores; no weight reaches constants and empty sequences."""
    if flow.root(tensor) in flow.stored:
        return False
    fixed = tensor.constant or tensor.kind != "tensor"
    return not fixed or tensor.uid in reached.reached


def kept_buffers(flow: Flow, reached: Reach, sizes: Sizes) -> Iterator[Buffer]:
    """Everything that each step keeps, in order; a shared buffer comes as often as it is kept."""
    for step, wanted in zip(flow.steps, reached.wanted, strict=True):
        if step.one is None or not wanted:
            continue
        try:
            kept = kept_of(step.one, wanted)
        except UnknownSizeError:
            kept = None
        if kept is None:
            yield Buffer(key=None, place=step.place, nbytes=None)
            continue
        for tensor in kept.tensors:
            inner = tensor.uid < 0
            if inner or is_activation(tensor, flow, reached):
                size = sizes.of(tensor)
                yield Buffer(
                    key=None if inner else flow.root(tensor),
                    place=step.place,
                    nbytes=None if size is None else size * step.repeat,
                )
        if kept.statistics:
            nbytes = STATISTIC_BYTES * kept.statistics * step.repeat
            yield Buffer(key=None, place=step.place, nbytes=nbytes)
