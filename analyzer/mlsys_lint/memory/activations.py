"""The peak of a run's activations: how much, where, and which tensors."""

from __future__ import annotations

from heapq import nlargest
from typing import Final

from mlsys_lint.errors import UnknownSizeError
from mlsys_lint.memory.replay import Policy, replay
from mlsys_lint.memory.trace import Stay, Step, Trace
from mlsys_lint.program import Op, Program
from mlsys_lint.records import Activations, HeldTensor, MemoryStep, Runtime

_LARGEST: Final = 10
"""Tensors that are named."""


def peak_activations(program: Program, runtime: Runtime) -> Activations | None:
    """Activations of a run; None when a live value's size is not known."""
    ideal = Policy(runtime=runtime, reuse=False, frees_unread=True)
    try:
        least = trace = replay(program, ideal)
        if runtime.reuses_buffers:
            trace = replay(program, Policy(runtime=runtime, reuse=True))
    except UnknownSizeError:
        return None
    if not trace.steps:
        return Activations(nbytes=0, node=None, least_nbytes=0)
    at = max(range(len(trace.steps)), key=lambda one: trace.steps[one].held)
    return Activations(
        nbytes=trace.steps[at].held,
        node=_node(trace.steps[at].op),
        least_nbytes=least.peak,
        steps=tuple(_record(step) for step in trace.steps),
        tensors=tuple(_tensors(trace, at)),
    )


def _record(step: Step) -> MemoryStep:
    return MemoryStep(
        nodes=tuple(sorted(step.op.members)),
        op=f"{step.op.domain or 'ai.onnx'}::{step.op.op_type}",
        held_bytes=step.held,
        kept_bytes=step.kept,
    )


def _tensors(trace: Trace, at: int) -> list[HeldTensor]:
    """The largest buffers at a step, those that came first before others of their size."""
    there = [
        stay
        for stay in trace.stays
        if stay.tenants and stay.born <= at and (stay.died is None or at <= stay.died)
    ]
    steps = {step.op: number for number, step in enumerate(trace.steps)}
    return [
        _held(stay, at, steps)
        for stay in nlargest(_LARGEST, there, key=lambda one: (one.nbytes, -one.born))
    ]


def _held(stay: Stay, at: int, steps: dict[Op, int]) -> HeldTensor:
    value = stay.tenant(at) or stay.tenants[0][1]
    needed = value.is_result or any(steps.get(op, at) >= at for op in value.readers)
    return HeldTensor(
        name=value.name,
        dtype=value.dtype,
        shape=value.shape,
        nbytes=stay.nbytes,
        node=_node(value.producer) if value.producer is not None else None,
        idle=not needed,
    )


def _node(op: Op) -> int | None:
    """The node of the file that an operator stands for; of an inserted one, that which feeds it."""
    while not op.members:
        fed = [value.producer for value in op.inputs if value is not None and value.producer]
        if not fed:
            return None
        op = fed[0]
    return min(op.members)
