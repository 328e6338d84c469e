"""Which values need gradients: those that trained weights reach and that lead to the loss."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from mlsys_lint.records import Wanted
from mlsys_lint.training.flow import Flow, Step, is_real

NOTHING: Wanted = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where gradients flow.

    Attributes:
        reached: Uids of values that depend on a trained weight, the weights included.
        wanted: For each step of the flow, positions of the inputs whose gradient it computes.
        active: For each step, whether a gradient arrives at a result that a weight reaches.
        alive: Uids of the values whose gradient is computed.
    """

    reached: frozenset[int]
    wanted: tuple[Wanted, ...]
    active: tuple[bool, ...]
    alive: frozenset[int]


def reach(
    flow: Flow,
    trained: Collection[int],
    targets: Collection[int],
    sources: Collection[int] = (),
) -> Reach:
    """Two passes over the steps: weights to results, then targets to weights.

    Args:
        flow: The graph.
        trained: Uids of the values that are trained.
        targets: Uids of the values at which gradients arrive.
        sources: Positions in `flow.steps` of steps that hold trained weights of their own.
    """
    slots = [step.slots() for step in flow.steps]
    reached = _forward(flow, slots, set(trained), set(sources))
    alive = set(targets) & reached
    wanted, active = _backward(flow, slots, reached, alive)
    return Reach(
        reached=frozenset(reached),
        wanted=tuple(wanted),
        active=tuple(active),
        alive=frozenset(alive),
    )


def _forward(
    flow: Flow, slots: Sequence[Sequence[int]], reached: set[int], sources: Collection[int]
) -> set[int]:
    """Values that depend on what is trained; a loop hands its results back to its start."""
    while True:
        known = len(reached)
        for at, step in enumerate(flow.steps):
            if at in sources or any(_uid(step, position) in reached for position in slots[at]):
                reached.update(
                    [one.uid for one in step.outputs if one is not None and is_real(one)]
                )
        if not flow.has_loops or len(reached) == known:
            return reached


def _backward(
    flow: Flow, slots: Sequence[Sequence[int]], reached: AbstractSet[int], alive: set[int]
) -> tuple[list[Wanted], list[bool]]:
    """The inputs whose gradient each step computes, and whether one arrives; fills `alive`."""
    wanted, active = [NOTHING] * len(flow.steps), [False] * len(flow.steps)
    while True:
        known = len(alive)
        for at in range(len(flow.steps) - 1, -1, -1):
            step = flow.steps[at]
            if any(tensor is not None and tensor.uid in alive for tensor in step.outputs):
                found = [position for position in slots[at] if _uid(step, position) in reached]
                wanted[at], active[at] = frozenset(found), True
                alive.update([_uid(step, position) for position in found])
        if not flow.has_loops or len(alive) == known:
            return wanted, active


def _uid(step: Step, position: int) -> int:
    tensor = step.inputs[position]
    return tensor.uid if tensor is not None else -1
