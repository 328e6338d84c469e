"""A runtime's program as kernels: what each computes, reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import reduce
from typing import Final, TypedDict

from mlsys_lint.errors import UnknownSizeError
from mlsys_lint.fusion.reuse import taken, touches_of
from mlsys_lint.operators import normal_domain
from mlsys_lint.program import Op, Program
from mlsys_lint.records import Contraction, Kernel, NodeCost, NodeStatus, NodeView, OpCost

Formula = Callable[[NodeView], OpCost | None]
"""Cost of an operator by its own formula; None where there is none."""

_LOST: Final = "a size is not known: the traffic is that of the nodes, of an inserted kernel none"
_VIEWS: Final = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"})
_MOVES: Final = frozenset({"Transpose", "ReorderInput", "ReorderOutput"})


def kernels_of(
    program: Program, costs: Sequence[NodeCost], formula: Formula, certain: frozenset[int]
) -> tuple[Kernel, ...]:
    """Kernels in execution order, those of bodies after their container.

    Args:
        program: As the runtime has optimized it.
        costs: Of all analysed nodes, by index.
        formula: Costs the parts of a node that runs as several operators.
        certain: Nodes that surely run as often and at the size that is counted.
    """
    return tuple(_Kernels(costs, formula, certain).of(program))


@dataclass(frozen=True, slots=True)
class _Kernels:
    costs: Sequence[NodeCost]
    formula: Formula
    certain: frozenset[int]

    def of(self, program: Program) -> Iterator[Kernel]:
        order = program.order()
        owners: dict[int, list[Op]] = {}
        for op in order:
            for index in op.members:
                owners.setdefault(index, []).append(op)
        parts: dict[Op, OpCost | None] = {}
        repeat, sure = self._around(program)
        touches = touches_of(order)
        for op in order:
            if op.bodies:
                for body in op.bodies.values():
                    yield from self.of(body)
                continue
            if all(len(owners[index]) == 1 for index in op.members):
                cost = self._whole(op)
            else:
                cost = self._part(op, owners, parts)
            if cost is None or not repeat:
                continue
            yield Kernel(
                nodes=tuple(sorted(op.members)),
                op=f"{op.domain or 'ai.onnx'}::{op.op_type}",
                cost=cost,
                kernel_class=cost.kernel_class,
                dtype=cost.dtype or _dtype(op),
                repeat=repeat,
                weights=tuple(_weights(op, cost).items()),
                certain=op.members <= self.certain if op.members else sure,
                view=op.node or _view(op),
                touches=taken(touches[op], cost),
            )

    def _around(self, program: Program) -> tuple[int, bool]:
        """How often the program's operators run, and whether that is sure."""
        for op in program.ops.values():
            for index in op.members:
                return self.costs[index].node.repeat, index in self.certain
        return 1, True

    def _whole(self, op: Op) -> OpCost | None:
        """An operator that shares no node with others; None where a node's cost is not known."""
        if op.node is not None and len(op.members) == 1 and not op.folded:
            return self.costs[op.node.index].cost
        work = self._work(op, op.members - op.folded)
        try:
            return work and replace(work, **_traffic(op))
        except UnknownSizeError:  # a size that the emulation lost
            return work and replace(work, assumptions=(*work.assumptions, _LOST))

    def _part(
        self, op: Op, owners: Mapping[int, Sequence[Op]], parts: dict[Op, OpCost | None]
    ) -> OpCost | None:
        """One of several operators that a node runs as: by its own formula.

        Where one of them has none, the node's cost is booked on the first, so that none is lost.
        """
        others = {one for index in op.members for one in owners[index]}
        for one in others - parts.keys():
            parts[one] = self._by_formula(one)
        if all(parts[one] is not None for one in others):
            return parts[op]
        return self._work(op, {index for index in op.members if owners[index][0] is op})

    def _by_formula(self, op: Op) -> OpCost | None:
        try:
            return self.formula(_view(op))
        except UnknownSizeError:
            return None

    def _work(self, op: Op, members: AbstractSet[int]) -> OpCost | None:
        """Costs of nodes together; that of an inserted operator is its traffic."""
        found = [self.costs[index].cost for index in sorted(members)]
        work = [cost for cost in found if cost is not None]
        if len(work) < len(found) or (op.members and not (work or op.folded)):
            return None
        total = reduce(_added, work, OpCost(kernel_class=_plain_class(op)))
        main = max(work, key=lambda cost: (cost.macs, cost.flops), default=total)
        return replace(
            total,
            kernel_class=main.kernel_class,
            contractions=tuple(_typed(one, op) for one in total.contractions),
        )


def _added(one: OpCost, other: OpCost) -> OpCost:
    return replace(
        one,
        contractions=one.contractions + other.contractions,
        vector_ops=one.vector_ops + other.vector_ops,
        transcendentals=one.transcendentals + other.transcendentals,
        bytes_read=one.bytes_read + other.bytes_read,
        bytes_written=one.bytes_written + other.bytes_written,
        weight_bytes=one.weight_bytes + other.weight_bytes,
        workspace_bytes=max(one.workspace_bytes, other.workspace_bytes),
        macs_masked=one.macs_masked + other.macs_masked,
        assumptions=one.assumptions + other.assumptions,
    )


def _typed(contraction: Contraction, op: Op) -> Contraction:
    """Kernels contract integers that they read, and float where they stand in for half precision."""
    source = op.input(0)
    types = ("int8", "uint8", "float") if contraction.dtype == "float16" else ("int8", "uint8")
    if source is None or source.dtype is None or source.dtype not in types:
        return contraction
    return replace(contraction, dtype=source.dtype)


class _Traffic(TypedDict):
    bytes_read: int
    bytes_written: int
    weight_bytes: int


def _traffic(op: Op) -> _Traffic:
    """What an operator moves: each value it reads and each that it writes, once."""
    if op.op_type in _VIEWS:
        return _Traffic(bytes_read=0, bytes_written=0, weight_bytes=0)
    read = dict.fromkeys(value for value in op.reads() if value.dtype is not None)
    return _Traffic(
        bytes_read=sum(value.nbytes for value in read),
        bytes_written=sum(value.nbytes for value in op.outputs if value is not None),
        weight_bytes=sum(value.nbytes for value in read if value.stored),
    )


def _plain_class(op: Op) -> str:
    """Class of an operator that a rule inserted."""
    if op.op_type in _VIEWS:
        return "view"
    return "transpose" if op.op_type in _MOVES else "elementwise"


def _view(op: Op) -> NodeView:
    """The operator as a node, in executed sizes."""
    return NodeView(
        index=min(op.members, default=-1),
        name=op.name,
        domain=normal_domain(op.domain),
        op_type=op.op_type,
        opset=op.program.opset if op.program is not None and not op.domain else 1,
        inputs=tuple(None if value is None else value.info() for value in op.inputs),
        outputs=tuple(None if value is None else value.info() for value in op.outputs),
        attributes=op.attributes,
    )


def _dtype(op: Op) -> str | None:
    """Type of a kernel's vector work: that of its first output."""
    return next((value.dtype for value in op.outputs if value is not None), None)


def _weights(op: Op, cost: OpCost) -> dict[str, int]:
    """Constants that a kernel reads, each with the bytes it takes of it (Gather takes rows)."""
    left = cost.weight_bytes
    found: dict[str, int] = {}
    for value in op.inputs:
        if value is None or not value.stored or value.dtype is None or value.shape is None:
            continue
        key = value.origin or f"#{value.uid if value.uid >= 0 else value.name}"
        if left and key not in found:
            found[key] = min(value.nbytes, left)
            left -= found[key]
    return found


def certain_nodes(costs: Iterable[NodeCost]) -> frozenset[int]:
    """Nodes that surely run as often and at the size that is counted; a plugin's guess is not sure."""
    known = list(costs)
    nodes = {one.node.index: one.node for one in known}
    guessed = {
        one.node.index for one in known if one.status is NodeStatus.ESTIMATED and one.spec is None
    }
    found: dict[int, bool] = {}
    for index in sorted(nodes):  # owners come before their bodies
        node = nodes[index]
        around = node.owner is None or found.get(node.owner, nodes.get(node.owner) is None)
        exact = not (node.upper_bound or node.lower_bound or index in guessed)
        found[index] = around and exact
    return frozenset(index for index, certain in found.items() if certain)
