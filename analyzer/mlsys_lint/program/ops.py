"""Operators of a program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from mlsys_lint.errors import UnknownSizeError
from mlsys_lint.program.values import Value
from mlsys_lint.records import NodeView

if TYPE_CHECKING:
    from mlsys_lint.program.graph import Program
    from mlsys_lint.records.graph import Attribute

NO_MEMBERS: Final[frozenset[int]] = frozenset()


class Op:
    """An operator of the program.

    Attributes:
        index: Position in the runtime's node list: it decides the execution order.
        name: The node's name; `""` for what a rule made.
        members: Indexes of the analysed nodes whose results it computes; none when a rule
            inserted it.
        folded: Members whose arithmetic went into constants at load: they cost nothing.
        node: The analysed node, where the operator is that node, unchanged.
        implicit: Outer values that its bodies read.
        bodies: Name of the attribute (`then_branch`, `body`) -> program.
        program: The graph it stands in; None once it was removed.
    """

    __slots__ = (
        *("attributes", "bodies", "domain", "folded", "implicit", "index", "inputs", "members"),
        *("name", "node", "op_type", "outputs", "program"),
    )

    def __init__(
        self,
        index: int,
        op_type: str,
        domain: str,
        inputs: Iterable[Value | None],
        outputs: Iterable[Value | None],
        *,
        attributes: Mapping[str, Attribute],
        name: str = "",
        members: frozenset[int] = NO_MEMBERS,
        folded: frozenset[int] = NO_MEMBERS,
        node: NodeView | None = None,
        implicit: Iterable[Value] = (),
    ) -> None:
        self.index = index
        self.op_type = op_type
        self.domain = domain
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.attributes = attributes
        self.name = name
        self.members = members
        self.folded = folded
        self.node = node
        self.implicit = list(implicit)
        self.bodies: dict[str, Program] = {}
        self.program: Program | None = None

    def __repr__(self) -> str:
        return f"<{self.index} {self.domain or 'ai.onnx'}::{self.op_type} {sorted(self.members)}>"

    def is_a(self, op_type: str, domain: str = "") -> bool:
        """True for an operator of the type, of the default domain unless another is given."""
        return self.op_type == op_type and self.domain == domain

    def input(self, position: int) -> Value | None:
        """The input at a position; None when it is omitted."""
        return self.inputs[position] if position < len(self.inputs) else None

    @property
    def output(self) -> Value:
        """The first output."""
        found = self.outputs[0] if self.outputs else None
        if found is None:
            raise UnknownSizeError(f"{self!r} has no first output")
        return found

    @property
    def only_output(self) -> Value | None:
        """The first output, where no other is there."""
        named = [value for value in self.outputs if value is not None]
        return named[0] if len(named) == 1 and self.outputs[0] is not None else None

    def reads(self) -> Iterator[Value]:
        """Every value it reads, as often as it does; outer values of its bodies last."""
        for value in self.inputs:
            if value is not None:
                yield value
        yield from self.implicit

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        value = self.attributes.get(name, default)
        return value if isinstance(value, int) else default

    def integers(self, name: str) -> tuple[int, ...] | None:
        """An attribute that lists integers; None when it is absent."""
        value = self.attributes.get(name)
        if not isinstance(value, tuple):
            return None
        return tuple(item for item in value if isinstance(item, int))

    def text(self, name: str, default: str = "") -> str:
        """A string attribute."""
        value = self.attributes.get(name, default)
        return value if isinstance(value, str) else default
