"""A run replayed kernel by kernel: what is allocated, when, and until when.

A buffer counts from the kernel that first writes to it to the last kernel that reads anything in
it, idle time in between included: that is what the planner's reuse costs. Results of a graph, and
what nobody reads, are held to its end.

Bodies (ONNX Runtime 1.32.0, observed): an If's branch writes into the If's own outputs, which are
there from the start where their sizes are known at load. A Loop holds its counter, its condition,
all that the trip before wrote and every trip's part of the stacked results; its outputs are copies
made at its end. A Scan allocates its outputs at its start, and two more buffers for each state.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from mlsys_lint.errors import UnknownSizeError
from mlsys_lint.memory.plan import Plan
from mlsys_lint.memory.sizes import added, allocated
from mlsys_lint.memory.trace import Stay, Trace
from mlsys_lint.program import Op, Program, Value
from mlsys_lint.records import Runtime

_COUNTER_BYTES: Final = 8
_CONDITION_BYTES: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How buffers are given and taken.

    Attributes:
        runtime: Knows which kernels compute in place.
        reuse: A dead buffer is kept for a later value of its size.
        frees_unread: What nobody reads is freed at once, not at the end of its graph.
    """

    runtime: Runtime
    reuse: bool
    frees_unread: bool = False


def replay(program: Program, policy: Policy) -> Trace:
    """All steps of a run; of a Loop or Scan those of one trip, the one that holds most.

    Raises:
        UnknownSizeError: a value that is there has no static size.
    """
    trace = Trace()
    _Graph(program, policy, trace).run()
    return trace


class _Graph:
    """One graph of a run, and the buffers of its values by root.

    Args:
        given: Results whose buffers the owner of the graph has allocated.
    """

    def __init__(
        self, program: Program, policy: Policy, trace: Trace, given: Collection[Value] = ()
    ) -> None:
        self.plan = Plan(program, policy.runtime, reuse=policy.reuse)
        self.policy = policy
        self.trace = trace
        self.given = given
        self.buffers: dict[Value, Stay] = {}

    def run(self) -> None:
        freed = self.plan.last_uses(frees_unread=self.policy.frees_unread)
        for op in self.plan.order:
            if op.bodies:
                self._run_bodies(op)
            for value in op.outputs:
                if value is not None:
                    self._write(op, value)
            stays = [self.buffers[root] for root in freed.get(op, ()) if root in self.buffers]
            self.trace.ran(op, stays)

    def _write(self, op: Op, value: Value) -> None:
        root = self.plan.roots.get(value)
        if root is None or value in self.buffers or root in self.given:
            return
        if root is value:
            self.buffers[value] = self.trace.take(allocated(op, value), value)
        else:
            self.trace.move_in(self.buffers[root], value, added(op))

    def _owned(self, op: Op) -> list[Value | None]:
        """Outputs that need buffers of their own; None for the others."""
        return [
            value
            if value is not None and self.plan.roots.get(value) is value and value not in self.given
            else None
            for value in op.outputs
        ]

    # -- bodies -----------------------------------------------------------------------------

    def _run_bodies(self, op: Op) -> None:
        bodies = [body for body in op.bodies.values() if body.trips]
        if op.op_type == "If":
            self._branch(op, bodies)
        elif bodies:
            (self._loop if op.op_type == "Loop" else self._scan)(op, bodies[0])

    def _branch(self, op: Op, bodies: list[Program]) -> None:
        """The branch that holds more; one that is not counted and has unknown sizes is left out."""
        found: list[tuple[Trace, list[Value]]] = []
        for body in bodies:
            try:
                found.append(self._taken(op, body))
            except UnknownSizeError:
                if body.counted:
                    raise
        if found:
            inside, early = max(found, key=lambda one: one[0].peak)
            for value in early:
                self.buffers[value] = self.trace.take(allocated(op, value), value)
            self.trace.contain(inside)

    def _taken(self, op: Op, body: Program) -> tuple[Trace, list[Value]]:
        """One branch, and the outputs of the If that are allocated at its start."""
        given, early = [], []
        for value, result in zip(self._owned(op), body.results, strict=False):
            if value is None or result.static is not None:
                given.append(result)
            if value is not None and result.static is not None:
                early.append(value)
        held = self.trace.held + sum(allocated(op, value) for value in early)
        inside = Trace(self.trace.now, held)
        _Graph(body, self.policy, inside, given).run()
        return inside, early

    def _loop(self, op: Op, body: Program) -> None:
        """The last trip."""
        inside = Trace(self.trace.now, self.trace.held)
        trip = _Graph(body, self.policy, inside)
        inside.take(_COUNTER_BYTES)
        written = [value for value in body.results if value in trip.plan.roots]
        if body.trips == 1 or body.results[0] not in written:
            inside.take(_CONDITION_BYTES)
        if body.trips > 1:
            condition, carried = 1, max(0, len(op.inputs) - 2)
            stacked = frozenset(body.results[condition + carried :])
            for value in dict.fromkeys(written):
                copies = body.trips - 1 if value in stacked else 1
                inside.take(copies * allocated(_producer(value), value), value)
        trip.run()
        self.trace.contain(inside)

    def _scan(self, op: Op, body: Program) -> None:
        for value in self._owned(op):
            if value is not None:
                self.buffers[value] = self.trace.take(allocated(op, value), value)
        inside = Trace(self.trace.now, self.trace.held)
        for value in op.inputs[: len(op.inputs) - op.integer("num_scan_inputs", 1)]:
            if value is not None:
                inside.take(min(2, body.trips - 1) * value.nbytes, value)
        _Graph(body, self.policy, inside, body.results).run()
        self.trace.contain(inside)


def _producer(value: Value) -> Op:
    if value.producer is None:
        raise UnknownSizeError(f"nothing writes {value.name!r}")
    return value.producer
