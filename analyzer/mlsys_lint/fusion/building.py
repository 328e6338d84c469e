"""The analysed graph as a program: functions inlined, Constant nodes stored, bodies nested."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from mlsys_lint.fusion.definitions import inline
from mlsys_lint.graph import Graph
from mlsys_lint.program import Dim, Op, Program, Value, execution_order
from mlsys_lint.records import NodeView, TensorInfo

CONTROL_FLOW: Final = frozenset({"If", "Loop", "Scan"})


def program_of(
    graph: Graph,
    known: Graph | None = None,
    *,
    opset: int,
    block: int = 0,
    order: Callable[[Iterable[Op]], list[Op]] = execution_order,
    overridable: Collection[str] = (),
) -> Program:
    """A program of the nodes as they stand in the file.

    Args:
        graph: With every size bound.
        known: The same model with its symbols unbound, as the runtime loads it; None where the
            file leaves no size open.
        opset: Version of the default domain.
        block: Channels in a block of the blocked layout; 0 for none.
        order: Execution order of the operators.
        overridable: Stored tensors that a caller may replace (graph inputs since IR version 4): the
            runtime does not take them for constants.
    """
    empty = partial(Program, opset=opset, block=block, order=order, inline=inline)
    return _Builder(graph, known, empty, {f"/{name}" for name in overridable}).build("")


class _Builder:
    def __init__(
        self,
        graph: Graph,
        known: Graph | None,
        empty: Callable[..., Program],
        overridable: Collection[str],
    ) -> None:
        self.graph = graph
        self.empty = empty
        self.overridable = overridable
        """Origins of stored tensors that are no constants to the runtime."""
        self.values: dict[int, Value] = {}
        self.known = None if known is None else _by_place(known)
        self.next = max((node.index for node in graph.nodes), default=-1) + 1
        self.children: dict[int, list[str]] = {}
        for scope in graph.frames:
            if scope:
                owner = int(scope.rpartition("/")[2].partition(".")[0])
                self.children.setdefault(owner, []).append(scope)

    def build(self, scope: str) -> Program:
        """The program of one scope."""
        program = self.empty(scope=scope, first=self.next)
        for node, index in self._inlined(scope):
            self._enter(program, node, index)
        for uid in self.graph.frames[scope].outputs:
            value = self.values.get(uid)
            if value is None:  # an input that no node reads
                value = Value("", None, None, None, uid=uid)
            value.is_result = value.is_result or value.home is program
            program.results.append(value)
        return program

    def _body(self, owner: NodeView, scope: str) -> Program:
        """The program of a body, and how often it runs."""
        body = self.build(scope)
        inner = [self.graph.nodes[index] for index in self.graph.frames[scope].order]
        body.owner = owner.op_type
        body.counted = not inner or inner[0].repeat > 0
        if inner and not inner[0].reachable:
            body.trips = 0
        elif inner and owner.repeat:
            body.trips = max(1, inner[0].repeat // owner.repeat)
        return body

    def _inlined(self, scope: str) -> Iterator[tuple[NodeView, int]]:
        """Nodes of a scope with function calls replaced by their bodies, and their indexes.

        Inlined nodes come last in the runtime's list: it appends them.
        """
        for index in self.graph.frames[scope].order:
            node = self.graph.nodes[index]
            if node.container and node.op_type not in CONTROL_FLOW:
                for body in self.children.get(index, ()):
                    for inner, _ in self._inlined(body):
                        yield inner, self._number()
                    self._unify(node, self.graph.frames[body].outputs)
            else:
                yield node, index

    def _number(self) -> int:
        self.next += 1
        return self.next - 1

    def _unify(self, call: NodeView, results: Sequence[int]) -> None:
        """A call's outputs are its body's."""
        for info, uid in zip(call.outputs, results, strict=False):
            if info is not None and uid in self.values:
                self.values[info.uid] = self.values[uid]

    def _enter(self, program: Program, node: NodeView, index: int) -> None:
        if node.op_type == "Constant" and node.domain == "":
            program.eliminated[node.index] = "constant"
            for info in node.outputs:
                if info is not None:
                    self._value(program, node.scope, info, stored=True)
            return
        op = Op(
            index,
            node.op_type,
            node.domain,
            [self._read(program, node.scope, info) for info in node.inputs],
            [self._value(program, node.scope, info) for info in node.outputs],
            attributes=node.attributes,
            name=node.name,
            members=frozenset([node.index]),
            node=node,
            implicit=[
                value
                for info in node.implicit
                if (value := self._read(program, node.scope, info)) is not None
            ],
        )
        program.put(op)
        for scope in self.children.get(node.index, ()) if node.container else ():
            op.bodies[scope.rpartition(".")[2]] = self._body(node, scope)

    def _read(self, program: Program, scope: str, info: TensorInfo | None) -> Value | None:
        if info is None:
            return None
        stored = info.constant and info.origin not in self.overridable
        return self._value(program, scope, info, stored=stored)

    def _value(
        self, program: Program, scope: str, info: TensorInfo | None, *, stored: bool = False
    ) -> Value | None:
        if info is None:
            return None
        found = self.values.get(info.uid)
        if found is None:
            twin = self._twin(scope, info)
            found = Value(
                info.name,
                info.dtype,
                info.dims if info.is_static else None,
                _dims(twin),
                kind=info.kind,
                constant=stored,
                array=twin.value,
                origin=info.origin,
                uid=info.uid,
            )
            found.home = program
            self.values[info.uid] = found
        return found

    def _twin(self, scope: str, info: TensorInfo) -> TensorInfo:
        """The value as the runtime knows it at load."""
        if self.known is None or info.constant:
            return info
        return self.known.get((scope, info.name)) or TensorInfo(name=info.name, dtype=info.dtype)


def _by_place(graph: Graph) -> dict[tuple[str, str], TensorInfo]:
    found = {("", info.name): info for info in graph.inputs}
    for node in graph.nodes:
        for info in (*node.inputs, *node.implicit, *node.outputs):
            if info is not None:
                found.setdefault((node.scope, info.name), info)
    return found


def _dims(info: TensorInfo) -> tuple[Dim, ...] | None:
    """Sizes as far as the runtime knows them: numbers, symbols; data-dependent ones it does not."""
    if info.shape is None:
        return None
    symbols = info.symbols or ("",) * len(info.shape)
    return tuple(
        None if axis in info.bounded else (name or None) if size is None else size
        for axis, (size, name) in enumerate(zip(info.shape, symbols, strict=True))
    )
