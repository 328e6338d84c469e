"""Branches that the runtime put in the place of an If whose condition it knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from mlsys_lint.joining.graph import Graph, Node


def inlined(graph: Graph, later: Graph) -> Graph:
    """The file with the chosen branches where the later graph has no If any more.

    ONNX Runtime 1.32.0 calls a branch's tensor T `_if_then_branch_T`; the branch's outputs take the
    names of the If's. A branch without a tensor of its own is not recognized: its If stays.
    """
    kept = {node.outputs for scope in later.scopes() for node in scope.nodes if node.is_a("If")}
    names = {name for scope in later.scopes() for name in _names(scope)}
    return _inline(graph, kept, names)


def _inline(graph: Graph, kept: set[tuple[str, ...]], names: set[str]) -> Graph:
    nodes: list[Node] = []
    constants, values = dict(graph.constants), dict(graph.values)
    for node in graph.nodes:
        branch = _branch(node, names) if node.is_a("If") and node.outputs not in kept else None
        if branch is None:
            bodies = {name: _inline(body, kept, names) for name, body in node.bodies.items()}
            nodes.append(replace(node, bodies=bodies))
            continue
        body = _inline(node.bodies[branch], kept, names)
        called = _called(body, node, branch)
        nodes += (_renamed(inner, called) for inner in body.nodes)
        constants.update((called.get(one, one), key) for one, key in body.constants.items())
        values.update((called.get(one, one), few) for one, few in body.values.items())
    return replace(graph, nodes=tuple(nodes), constants=constants, values=values)


def _branch(node: Node, names: set[str]) -> str | None:
    """The attribute whose body left most tensors in the later graph."""
    left = {
        name: sum(f"_if_{name}_{own}" in names for own in _names(body))
        for name, body in node.bodies.items()
    }
    best = max(left, key=lambda name: left[name])
    return best if left[best] else None


def _called(body: Graph, node: Node, branch: str) -> dict[str, str]:
    """Tensor of a branch -> its name where the If was."""
    own = {name: f"_if_{branch}_{name}" for name in _names(body)}
    return own | dict(zip(body.outputs, node.outputs, strict=True))


def _renamed(node: Node, called: Mapping[str, str]) -> Node:
    return replace(
        node,
        inputs=tuple(called.get(name, name) for name in node.inputs),
        outputs=tuple(called.get(name, name) for name in node.outputs),
        outer=tuple(called.get(name, name) for name in node.outer),
    )


def _names(graph: Graph) -> Iterator[str]:
    """What a graph defines itself."""
    yield from graph.constants
    for node in graph.nodes:
        yield from node.writes
