"""Nodes of the report and nodes of the file: the same nodes, numbered in two ways.

The report lists bodies in the order in which they are executed and the nodes of function bodies
too; joining numbers the file as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from mlsys_lint.joining.graph import Graph
from mlsys_lint.records import NodeView

CONTROL_FLOW: Final = frozenset({"If", "Loop", "Scan"})


def report_indexes(file: Graph, nodes: Sequence[NodeView]) -> dict[int, int]:
    """Index in the file -> index in the report; bodies that were not analysed are left out."""
    first: dict[str, int] = {}
    for node in nodes:
        first[node.scope] = min(first.get(node.scope, node.index), node.index)
    return dict(_pairs(file, "", first))


def _pairs(graph: Graph, scope: str, first: Mapping[str, int]) -> Iterable[tuple[int, int]]:
    if scope not in first:
        return
    for position, node in enumerate(graph.nodes):
        index = first[scope] + position
        yield node.index, index
        for name, body in node.bodies.items():
            yield from _pairs(body, f"{scope}/{index}.{name}".lstrip("/"), first)


def file_indexes(indexes: Mapping[int, int], nodes: Sequence[NodeView]) -> dict[int, int]:
    """Index in the report -> index in the file; nodes of a function body stand for its call."""
    back = {ours: theirs for theirs, ours in indexes.items()}
    by_index = {node.index: node for node in nodes}
    found = {}
    for node in nodes:
        at = called = node.index
        while (owner := by_index[at].owner) is not None:
            at = owner
            if by_index[at].op_type not in CONTROL_FLOW:
                called = at
        if called in back:
            found[node.index] = back[called]
    return found
