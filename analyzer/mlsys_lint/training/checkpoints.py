"""Activation checkpointing: keep what crosses from segment to segment, compute the rest again.

A stage ends where few values cross: at the valleys of the number of values that are still needed
later (in a transformer at the residual sums, in a chain of layers after each). `every-N` makes
segments of N stages, `sqrt` of the root of their number (Chen et al., arXiv:1604.06174).

Kept are the values that a segment reads from outside of it, and, while its backward pass runs, what
its own nodes keep: counted for the largest. The last segment is not computed again: the backward
pass begins where its forward pass has just ended (so does torch's checkpoint_sequential).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from math import isqrt
from operator import itemgetter
from typing import Final

from mlsys_lint.errors import OptionError
from mlsys_lint.records import TensorInfo
from mlsys_lint.training.activations import Sizes, is_activation
from mlsys_lint.training.flow import Flow, Step
from mlsys_lint.training.options import NONE
from mlsys_lint.training.plan import Plan
from mlsys_lint.training.reach import Reach

_START: Final = -1
"""The place before all nodes, where inputs are fed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is held at most.

    Attributes:
        nbytes: None when the size of a kept tensor is not known.
        recompute_flops: FLOPs of the forward pass of all segments but the last.
        segments: Number of segments.
    """

    nbytes: int | None
    recompute_flops: int
    segments: int


def stages_per_segment(policy: str, stages: int) -> int:
    """Stages in a segment, from `none`, `sqrt` or `every-N`.

    Raises:
        OptionError: the policy is none of these.
    """
    if policy == NONE:
        return max(1, stages)
    if policy == "sqrt":
        root = isqrt(stages)
        return max(1, root + (root * root < stages))
    head, _, count = policy.partition("every-")
    if head or not count.isdecimal() or not int(count):
        raise OptionError(f"--checkpointing {policy}: expected sqrt or every-N, such as every-2")
    return int(count)


def held(plan: Plan, sizes: Sizes, policy: str) -> Held:
    """Bytes held under a policy, and the work that it takes."""
    flow, reached = plan.flow, plan.reached
    steps = list(_computing(flow, reached))
    ends = stage_ends(flow, reached, steps)
    size = stages_per_segment(policy, len(ends) + 1)
    cuts = ends[size - 1 :: size]
    outside = _outside(flow, reached, sizes, steps, cuts)
    inside: list[dict[int, int | None]] = [{} for _ in range(len(cuts) + 1)]
    for number, one in enumerate(plan.kept(sizes), start=1):
        if one.key is None or one.key not in outside:
            key = -number if one.key is None else one.key
            inside[bisect_left(cuts, one.place)][key] = one.nbytes
    always, own = _total(outside.values()), [_total(one.values()) for one in inside]
    unknown = always is None or None in own
    return Held(
        nbytes=None if unknown else (always or 0) + max(one or 0 for one in own),
        recompute_flops=_again(plan, steps, cuts[-1]) if cuts else 0,
        segments=len(cuts) + 1,
    )


def _computing(flow: Flow, reached: Reach) -> Iterator[Step]:
    """Steps on the way of the gradients, without those that hand out stored weights."""
    for step, active in zip(flow.steps, reached.active, strict=True):
        made = [tensor for tensor in step.outputs if tensor is not None]
        if active and any(is_activation(tensor, flow, reached) for tensor in made):
            yield step


def _again(plan: Plan, steps: Sequence[Step], last: int) -> int:
    """FLOPs of the forward pass up to the last cut, adapters included."""
    nodes = sum(_forward_flops(step) for step in steps if step.place <= last)
    adapters = plan.adapter_flops().items()
    return nodes + sum(flops for place, flops in adapters if place <= last)


def _forward_flops(step: Step) -> int:
    cost = step.one.cost if step.one is not None else None
    return cost.flops * step.repeat if cost is not None else 0


def _total(sizes: Iterable[int | None]) -> int | None:
    listed = list(sizes)
    return None if None in listed else sum(size or 0 for size in listed)


def stage_ends(flow: Flow, reached: Reach, steps: Sequence[Step]) -> list[int]:
    """Places after which a segment may end: where fewer values cross than before and after.

    Graph outputs count as needed to the end. A view ends no stage; the last place ends the last
    segment anyway.
    """
    places = sorted({_START, *(step.place for step in steps)})
    working = {step.place for step in steps if not flow.is_view(step)} - {places[-1]}
    ends: list[int] = []
    runs = [list(run) for _, run in groupby(_crossing(flow, reached, steps, places), itemgetter(1))]
    for at, run in enumerate(runs):
        count = run[0][1]
        around = [runs[other][0][1] for other in (at - 1, at + 1) if 0 <= other < len(runs)]
        if all(count < other for other in around):
            ends.extend(place for place, _ in run if place in working)
    return ends


def _crossing(
    flow: Flow, reached: Reach, steps: Sequence[Step], places: Sequence[int]
) -> list[tuple[int, int]]:
    """Each place with the number of buffers that were fed or made by then and are needed later."""
    made: dict[int, int] = {}
    last: dict[int, int] = {}
    for step in steps:
        for tensor in _data(step):
            if is_activation(tensor, flow, reached):
                made.setdefault(flow.root(tensor), _START)
                last[flow.root(tensor)] = step.place
        for result in step.outputs:
            if result is not None and is_activation(result, flow, reached):
                made.setdefault(flow.root(result), step.place)
                if result.uid in flow.results:
                    last[flow.root(result)] = places[-1] + 1
    change = [0] * (len(places) + 1)
    for key, place in made.items():
        change[bisect_left(places, place)] += 1
        change[bisect_left(places, last.get(key, place))] -= 1
    return list(zip(places, accumulate(change[:-1]), strict=True))


def _outside(
    flow: Flow, reached: Reach, sizes: Sizes, steps: Sequence[Step], cuts: Sequence[int]
) -> dict[int, int | None]:
    """Buffers that a segment, but the last, reads and did not make, with their bytes."""
    found: dict[int, int | None] = {}
    made_in: dict[int, int] = {}
    for step in steps:
        segment = bisect_left(cuts, step.place)
        for tensor in _data(step) if segment < len(cuts) else ():
            key = flow.root(tensor)
            if made_in.get(key) != segment and is_activation(tensor, flow, reached):
                found.setdefault(key, sizes.of(tensor))
        for made in step.outputs:
            if made is not None:
                made_in.setdefault(flow.root(made), segment)
    return found


def _data(step: Step) -> Iterator[TensorInfo]:
    """Inputs without shapes, axes and indices."""
    spec = step.one.spec if step.one is not None else None
    for position, tensor in enumerate(step.inputs):
        if tensor is not None and (spec is None or position not in spec.shape_inputs):
            yield tensor
