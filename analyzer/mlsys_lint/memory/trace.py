"""What a replayed run leaves: its steps and its buffers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mlsys_lint.program import Op, Value


@dataclass(frozen=True, slots=True)
class Step:
    """A kernel that ran.

    Attributes:
        held: Bytes while its inputs and its outputs are both there.
        kept: Bytes after the inputs that nobody else reads were freed.
    """

    op: Op
    held: int
    kept: int


@dataclass(slots=True)
class Stay:
    """A buffer: when it was there, and which value moved into it at which step."""

    nbytes: int
    born: int
    tenants: list[tuple[int, Value]]
    died: int | None = None
    """The last step at which it was there; None: it was held to the end."""

    def tenant(self, step: int) -> Value | None:
        """The value that lived there at a step."""
        return next((value for born, value in reversed(self.tenants) if born <= step), None)


@dataclass(slots=True)
class Trace:
    """Steps and buffers of a graph whose first step has the number `start`.

    Attributes:
        held: Bytes held now; at first, those that the owner of a body holds.
    """

    start: int = 0
    held: int = 0
    steps: list[Step] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)

    @property
    def now(self) -> int:
        """Number of the step that comes next."""
        return self.start + len(self.steps)

    @property
    def peak(self) -> int:
        """Most bytes held at a step."""
        return max((step.held for step in self.steps), default=self.held)

    def take(self, nbytes: int, value: Value | None = None) -> Stay:
        """Allocate a buffer."""
        stay = Stay(nbytes, self.now, [] if value is None else [(self.now, value)])
        self.stays.append(stay)
        self.held += nbytes
        return stay

    def move_in(self, stay: Stay, value: Value, more: int) -> None:
        """Let a value live in a buffer, which grows by `more` bytes."""
        stay.tenants.append((self.now, value))
        stay.nbytes += more
        self.held += more

    def ran(self, op: Op, freed: Iterable[Stay]) -> None:
        """Enter a kernel and free what it was the last to read."""
        held, step = self.held, self.now
        for stay in freed:
            stay.died = step
            self.held -= stay.nbytes
        self.steps.append(Step(op, held, self.held))

    def contain(self, body: Trace) -> None:
        """Enter the steps of a body; all of its buffers are gone after its last one."""
        for stay in body.stays:
            if stay.died is None:
                stay.died = body.now - 1
        self.steps += body.steps
        self.stays += body.stays
