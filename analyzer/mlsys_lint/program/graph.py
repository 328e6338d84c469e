"""The graph that a runtime optimizes: operators and values that rules rewrite in place.

A program is built from the analysed nodes (fusion/building.py), rewritten by a runtime's rules, and
then read as kernels in execution order. Values are shared by a graph and the bodies inside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mlsys_lint.program.ops import Op
from mlsys_lint.program.order import execution_order
from mlsys_lint.program.values import Dim, Value

if TYPE_CHECKING:
    from mlsys_lint.records.graph import Array, Attribute


class Program:
    """One graph (or body) while a runtime's rules rewrite it.

    Attributes:
        ops: By index.
        results: The graph's outputs.
        opset: Version of the default domain that the model imports.
        block: Channels in a block of the CPU's blocked layout (16 with AVX-512, 8 with AVX2); 0
            where there is none.
        floats: Float types that the provider's arithmetic has kernels for.
        eliminated: Analysed node -> why no kernel runs for it (`folded`, `duplicate`, ...).
        owner: Of a body: type of the operator that it belongs to (`If`, `Loop`, `Scan`).
        trips: Of a body: how often it runs in one run of its owner; 0 where it never does.
        counted: False for the body of a branch that another one is counted for.
    """

    def __init__(
        self,
        *,
        scope: str = "",
        opset: int = 1,
        block: int = 0,
        first: int = 0,
        order: Callable[[Iterable[Op]], list[Op]] = execution_order,
        inline: Callable[[Program, Op], bool] = lambda *_: False,
    ) -> None:
        self.scope = scope
        self._ordering = order
        self._inline = inline
        self.opset = opset
        self.block = block
        self.floats = frozenset({"float"})
        self.ops: dict[int, Op] = {}
        self.results: list[Value] = []
        self.eliminated: dict[int, str] = {}
        self.types: Counter[str] = Counter()
        self.version = 0
        """Changes with every rewrite."""
        self.owner = ""
        self.trips = 1
        self.counted = True
        self.fresh = 0
        self._next = first
        self._order: tuple[int, list[Op]] = (-1, [])

    # -- reading ----------------------------------------------------------------------------

    def order(self) -> list[Op]:
        """The operators in the order in which the runtime would execute them now."""
        version, found = self._order
        if version != self.version:
            found = self._ordering(self.ops.values())
            self._order = (self.version, found)
        return list(found)

    def walk(self) -> Iterator[Program]:
        """This program and every body inside it."""
        yield self
        for op in list(self.ops.values()):
            for body in op.bodies.values():
                yield from body.walk()

    # -- rewriting --------------------------------------------------------------------------

    def put(self, op: Op) -> Op:
        """Enter an operator and connect it."""
        self.ops[op.index] = op
        self._next = max(self._next, op.index + 1)
        op.program = self
        self.types[op.op_type] += 1
        for value in op.outputs:
            if value is not None:
                value.producer, value.home, value.constant = op, self, False
        for value in op.reads():
            self._connect(op, value)
        self.version += 1
        return op

    def append(self, op: Op) -> Op:
        """Enter an operator with the next free index."""
        op.index = self._next
        return self.put(op)

    def add(
        self,
        op_type: str,
        inputs: Iterable[Value | None],
        outputs: Iterable[Value | None],
        *,
        domain: str = "",
        attributes: Mapping[str, Attribute] | None = None,
        members: Iterable[int] = (),
        folded: Iterable[int] = (),
        name: str = "",
    ) -> Op:
        """A new operator, with the next free index."""
        return self.put(
            Op(
                self._next,
                op_type,
                domain,
                inputs,
                outputs,
                attributes=attributes or {},
                name=name,
                members=frozenset(members),
                folded=frozenset(folded),
            )
        )

    def remove(self, op: Op) -> None:
        """Take an operator out; its outputs lose their producer."""
        del self.ops[op.index]
        op.program = None
        self.types[op.op_type] -= 1
        for value in op.outputs:
            if value is not None and value.producer is op:
                value.producer = None
        for value in op.reads():
            self._disconnect(op, value)
        self.version += 1

    def fuse(
        self,
        ops: Sequence[Op],
        op_type: str,
        inputs: Iterable[Value | None],
        outputs: Iterable[Value | None] | None = None,
        *,
        domain: str = "",
        attributes: Mapping[str, Attribute] | None = None,
        folded: Iterable[Op] = (),
        name: str = "",
    ) -> Op:
        """Replace operators by one that computes what the last of them did.

        Args:
            ops: The replaced operators; the members of the new one are theirs.
            op_type: Type of the new operator.
            inputs: What it reads.
            outputs: What it writes; None: the outputs of the last replaced one.
            domain: Its domain.
            attributes: Its attributes.
            folded: Those of `ops` whose arithmetic goes into constants.
            name: Its name.
        """
        written = list(ops[-1].outputs if outputs is None else outputs)
        read = list(inputs)
        members = frozenset().union(*(op.members for op in ops))
        gone = frozenset().union(*(op.folded for op in ops), *(op.members for op in folded))
        for op in ops:
            self.remove(op)
        return self.add(
            op_type,
            read,
            written,
            domain=domain,
            attributes=attributes,
            members=members,
            folded=gone,
            name=name,
        )

    def extend(
        self,
        op: Op,
        ops: Sequence[Op],
        outputs: Iterable[Value | None] | None = None,
        *,
        folded: Iterable[Op] = (),
    ) -> None:
        """Let an operator that keeps its place also compute what others did: they are removed.

        Args:
            op: The operator.
            ops: The removed ones; their members become its own.
            outputs: What it writes now; None: the outputs of the last removed one.
            folded: Those of `ops` whose arithmetic nobody does at run time.
        """
        written = list(ops[-1].outputs if outputs is None else outputs)
        for one in ops:
            self.remove(one)
            op.members |= one.members
            op.folded |= one.folded
        for one in folded:
            op.folded |= one.members
        op.outputs, op.node = written, None
        for value in written:
            if value is not None:
                value.producer, value.home = op, self
        self.version += 1

    def retype(
        self, op: Op, op_type: str, domain: str, attributes: Mapping[str, Attribute] | None = None
    ) -> None:
        """Change an operator in place: it keeps its index."""
        self.types[op.op_type] -= 1
        self.types[op_type] += 1
        op.op_type, op.domain, op.node = op_type, domain, None
        if attributes is not None:
            op.attributes = attributes
        self.version += 1

    def set_input(self, op: Op, position: int, value: Value | None) -> None:
        """Let an operator read another value (or none) at a position."""
        op.inputs += [None] * (position + 1 - len(op.inputs))
        old = op.inputs[position]
        if old is value:
            return
        if old is not None:
            self._disconnect(op, old)
        op.inputs[position] = value
        if value is not None:
            self._connect(op, value)
        op.node = None
        self.version += 1

    def replace(self, old: Value, new: Value) -> None:
        """Let every reader of a value read another one; `old` must be no result."""
        for op in [*old.readers, *old.inner]:
            op.inputs = [new if value is old else value for value in op.inputs]
            op.implicit = [new if value is old else value for value in op.implicit]
        for ours, theirs in ((new.readers, old.readers), (new.inner, old.inner)):
            for op, times in theirs.items():
                ours[op] = ours.get(op, 0) + times
            theirs.clear()
        self.version += 1

    def drop(self, op: Op, reason: str) -> None:
        """Remove an operator whose results nobody needs at run time, and note why."""
        self.remove(op)
        for index in op.members:
            self.eliminated[index] = reason

    def fold(self, op: Op, reason: str = "folded") -> None:
        """Turn an operator's outputs into constants."""
        self.drop(op, reason)
        for value in op.outputs:
            if value is not None:
                value.constant = True

    def inline(self, op: Op) -> bool:
        """Put the function by which onnx defines an operator in its place; False without one."""
        return self._inline(self, op)

    def value(
        self,
        like: Value,
        *,
        shape: tuple[int, ...] | None = None,
        dims: tuple[Dim, ...] | None = None,
        dtype: str | None = None,
        constant: bool = False,
        array: Array | None = None,
        name: str = "",
    ) -> Value:
        """A new value, of the type of another one where nothing else is said."""
        self.fresh += 1
        made = Value(
            name or f"{like.name.partition('~')[0]}~{self.fresh}",
            dtype or like.dtype,
            like.shape if shape is None else shape,
            (like.dims if shape is None else shape) if dims is None else dims,
            constant=constant,
            array=array,
        )
        made.home = self
        return made

    def _connect(self, op: Op, value: Value) -> None:
        readers = value.readers if value.home is self else value.inner
        readers[op] = readers.get(op, 0) + 1

    def _disconnect(self, op: Op, value: Value) -> None:
        """Take back what `_connect` noted; the value may have moved to another graph since."""
        readers = value.readers if op in value.readers else value.inner
        left = readers.pop(op) - 1
        if left:
            readers[op] = left
