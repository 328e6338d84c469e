"""From the file's nodes to the executed kernels, in stages: each renames little.

Stages are the graphs saved at BASIC, EXTENDED and ALL. Bodies are followed beside their owners.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlsys_lint.joining.anchors import Anchors, anchors_of
from mlsys_lint.joining.classes import Classes, classes_of
from mlsys_lint.joining.graph import Graph, Node
from mlsys_lint.joining.members import members_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """The tensor of the file that an inserted kernel stands at, and on which side the kernel is."""

    tensor: str
    side: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A graph of some stage, or a body, and what it was in the file.

    Attributes:
        scope: In the file.
        members: Node of this stage -> nodes of the file.
        tensors: Tensor of this stage -> class in the file.
        inserted: Node of this stage that stands for none of the file -> where it acts.
        bodies: (Node of this stage, name of its attribute) -> the body's trace.
    """

    scope: str
    graph: Graph
    members: Mapping[int, frozenset[int]]
    tensors: Mapping[str, str]
    inserted: Mapping[int, Anchor]
    bodies: Mapping[tuple[int, str], Trace]

    def anchor(self, node: Node) -> Anchor | None:
        """Where a kernel that computes nothing acts."""
        return self.inserted.get(node.index) or _anchor(node, self.tensors)

    def scopes(self) -> Iterator[Trace]:
        """This trace and those of the bodies in it."""
        yield self
        for body in self.bodies.values():
            yield from body.scopes()


def start_of(graph: Graph, around: Classes | None = None) -> Trace:
    """The file itself: every node stands for itself."""
    classes = classes_of(graph, around)
    bodies = {
        (node.index, name): start_of(body, classes)
        for node in graph.nodes
        for name, body in node.bodies.items()
    }
    return Trace(
        scope=graph.scope,
        graph=graph,
        members={node.index: frozenset({node.index}) for node in graph.nodes},
        tensors=classes.of,
        inserted={},
        bodies=bodies,
    )


def follow(
    earlier: Trace,
    later: Graph,
    around: Classes | None = None,
    outer: Mapping[str, str] | None = None,
) -> Trace:
    """The next stage.

    `around`: classes of the earlier graph around a body; `outer`: anchors of the later one.
    """
    classes = classes_of(earlier.graph, around)
    anchors = anchors_of(earlier.graph, classes, later, outer)
    parts = members_of(classes, later, anchors)
    members = {index: _union(earlier, some) for index, some in parts.items()}
    origin: dict[str, str] = {}
    for name, own in earlier.tensors.items():
        if name in classes.of:
            origin.setdefault(classes.of[name], own)
    tensors = {name: origin[own] for name, own in anchors.items() if own in origin}
    inserted = {
        node.index: found
        for node in later.nodes
        if not members[node.index]
        and (found := _anchor(node, tensors) or _earlier_anchor(earlier, parts[node.index]))
    }
    return Trace(
        scope=earlier.scope,
        graph=later,
        members=members,
        tensors=tensors,
        inserted=inserted,
        bodies=dict(_bodies(earlier, later, parts, classes, anchors)),
    )


def _bodies(
    earlier: Trace,
    later: Graph,
    parts: Mapping[int, frozenset[int]],
    classes: Classes,
    anchors: Anchors,
) -> Iterator[tuple[tuple[int, str], Trace]]:
    for node in later.nodes:
        for name, body in node.bodies.items():
            owners = [earlier.bodies.get((index, name)) for index in parts[node.index]]
            found = [trace for trace in owners if trace is not None]
            if len(found) == 1:
                yield (node.index, name), follow(found[0], body, classes, anchors)


def _union(earlier: Trace, parts: Sequence[int] | frozenset[int]) -> frozenset[int]:
    return frozenset().union(*(earlier.members[index] for index in parts))


def _anchor(node: Node, tensors: Mapping[str, str]) -> Anchor | None:
    """Where an inserted kernel acts: on what it reads, or else before what it makes."""
    for side, names in (("input", node.inputs[:1]), ("output", node.outputs[:1])):
        for name in names:
            if name in tensors:
                return Anchor(tensor=tensors[name], side=side)
    return None


def _earlier_anchor(earlier: Trace, parts: frozenset[int]) -> Anchor | None:
    return next((earlier.inserted[one] for one in sorted(parts) if one in earlier.inserted), None)
