"""Kernels of two sources made comparable: members reduced to those that carry the work.

A node may be absorbed, moved, folded or merged without a change of what executes; two kernels are
the same when what remains is the same. Both sides are reduced by the same table, that of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mlsys_lint.joining.anchors import REORDERS, RESHAPES
from mlsys_lint.joining.classes import Classes, classes_of
from mlsys_lint.joining.graph import Graph

Key = tuple[str, ...] | tuple[int, ...]
"""Indexes of the core; for a kernel without one (operator type, tensor)."""
MOVES: Final = REORDERS | {"Transpose"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """What a comparison of kernels leaves out.

    Attributes:
        leader: Node -> the first that computes the same, where that is another one.
        absent: Nodes that never run: what is known before the run, and copies.
        shapes: Nodes that compute with sizes of tensors only.
        reshapes: Reshapes and the like; passed over where a kernel does more.
        casts: Passed over where a kernel does anything else.
        transposes: Transposes: where they stand is compared, not which of them it was.
        tensors: Tensor -> its class, Transposes apart.
        reads: Transpose -> the tensor that it reads.
        op_types: Of all nodes.
    """

    leader: Mapping[int, int]
    absent: frozenset[int]
    shapes: frozenset[int]
    reshapes: frozenset[int]
    casts: frozenset[int]
    transposes: frozenset[int]
    tensors: Mapping[str, str]
    reads: Mapping[int, str]
    op_types: Mapping[int, str]

    def core(self, op_type: str, members: Iterable[int]) -> frozenset[int]:
        """Members that make a kernel what it is; none for a Transpose or an inserted kernel."""
        led = frozenset(self.leader.get(index, index) for index in members)
        found = (led - self.absent or led) - self.transposes
        for light in (self.casts, self.shapes, self.reshapes):
            found = found - light or found
        return found - self.reshapes if op_type in MOVES else found

    def key(self, op_type: str, members: frozenset[int], anchor: str | None) -> Key:
        """Equal for kernels that do the same."""
        core = self.core(op_type, members)
        if core:
            return tuple(sorted(core))
        read = (self.reads[index] for index in sorted(members) if index in self.reads)
        at = anchor if anchor is not None else next(read, "")
        return (op_type, self.tensors.get(at, at))


def reduction_of(graph: Graph) -> Reduction:
    """The table of a file and of the bodies in it."""
    scopes = list(with_classes(graph))
    nodes = [(node, classes) for scope, classes in scopes for node in scope.nodes]
    tensors: dict[str, str] = {}
    for scope, classes in scopes:
        for name, own in _without_transposes(scope, classes).items():
            tensors.setdefault(name, own)
    return Reduction(
        leader={
            node.index: classes.leader[node.index]
            for node, classes in nodes
            if classes.leader.get(node.index, node.index) != node.index
        },
        absent=frozenset(
            node.index
            for node, classes in nodes
            if node.index in classes.copies or classes.constant.issuperset(classes.writes(node))
        ),
        shapes=frozenset(n.index for n, classes in nodes if classes.shape & {*classes.writes(n)}),
        reshapes=frozenset(node.index for node, _ in nodes if node.is_a(*RESHAPES)),
        casts=frozenset(node.index for node, _ in nodes if node.is_a("Cast", "Expand")),
        transposes=frozenset(node.index for node, _ in nodes if node.is_a("Transpose")),
        tensors=tensors,
        reads={node.index: node.inputs[0] for node, _ in nodes if node.is_a("Transpose")},
        op_types={node.index: node.op_type for node, _ in nodes},
    )


def with_classes(graph: Graph, around: Classes | None = None) -> Iterator[tuple[Graph, Classes]]:
    """A graph and the bodies in it."""
    classes = classes_of(graph, around)
    yield graph, classes
    for node in graph.nodes:
        for body in node.bodies.values():
            yield from with_classes(body, classes)


def _without_transposes(graph: Graph, classes: Classes) -> dict[str, str]:
    """Tensor -> class, where a Transpose's two sides share one."""
    found: dict[str, str] = {}
    for node in graph.sorted_nodes():
        if node.is_a("Transpose"):
            source, copy = classes.of[node.inputs[0]], classes.of[node.outputs[0]]
            found.setdefault(copy, found.get(source, source))
    return {name: found.get(own, own) for name, own in classes.of.items()}
