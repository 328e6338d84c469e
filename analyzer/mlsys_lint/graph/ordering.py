"""Topological order of a graph's nodes, and the outer values that a body reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import Final

import onnx

from mlsys_lint.errors import ModelError
from mlsys_lint.graph.calls import Call

_WITHOUT_GRAPHS: Final = frozenset(
    [
        *(onnx.AttributeProto.INT, onnx.AttributeProto.INTS, onnx.AttributeProto.FLOAT),
        *(onnx.AttributeProto.FLOATS, onnx.AttributeProto.STRING, onnx.AttributeProto.STRINGS),
        *(onnx.AttributeProto.TENSOR, onnx.AttributeProto.TENSORS),
    ]
)
"""Files of old IR versions may leave the type open: those attributes are looked into."""


def subgraphs(node: onnx.NodeProto) -> Iterator[tuple[str, onnx.GraphProto]]:
    """(attribute name, graph) for each body that the node owns."""
    for attribute in node.attribute:
        if attribute.type in _WITHOUT_GRAPHS:
            continue
        if attribute.HasField("g"):
            yield attribute.name, attribute.g
        for position, graph in enumerate(attribute.graphs):
            yield f"{attribute.name}[{position}]", graph


def free_names(graph: onnx.GraphProto) -> set[str]:
    """Names that a body reads and does not define itself: values of outer scopes."""
    defined = {value.name for value in graph.input}
    defined |= {tensor.name for tensor in graph.initializer}
    defined |= {sparse.values.name for sparse in graph.sparse_initializer}
    read = {value.name for value in graph.output}
    for node in graph.node:
        read.update(reads(node))
        defined.update(node.output)
    return read - defined - {""}


def reads(node: onnx.NodeProto) -> set[str]:
    """Names that a node reads, those that its bodies take from around it included."""
    names = set(node.input)
    for _, body in subgraphs(node):
        names |= free_names(body)
    return names - {""}


def topological_order(calls: Sequence[Call], known: set[str], place: str) -> Sequence[int]:
    """Positions in an executable order: file order wherever that is one, else the lowest first.

    Args:
        calls: The nodes of one graph.
        known: Names defined before the graph runs: inputs, initializers, outer values.
        place: The file and graph, for messages.

    Raises:
        ModelError: a value is defined twice or never, or the nodes form a cycle.
    """
    if _is_executable(calls, known):
        return range(len(calls))
    nodes = [call.node for call in calls]
    producers: dict[str, int] = {}
    for position, node in enumerate(nodes):
        for name in node.output:
            if name and producers.setdefault(name, position) != position:
                raise ModelError(f"{place}: value {name!r} is written by two nodes; export again")
    waiting: list[int] = []
    consumers: dict[int, list[int]] = {}
    for position, node in enumerate(nodes):
        before = set()
        for name in reads(node):
            if name in producers:
                before.add(producers[name])
            elif name not in known:
                raise ModelError(
                    f"{place}: node {position} ({node.op_type}) reads {name!r}, which nothing "
                    "writes; the file is damaged or was cut"
                )
        waiting.append(len(before))
        for producer in before:
            consumers.setdefault(producer, []).append(position)
    return _kahn(waiting, consumers, nodes, place)


def _is_executable(calls: Iterable[Call], known: set[str]) -> bool:
    """True when file order is an order of execution, as in nearly every file."""
    available = known | {""}
    written = 0
    for call in calls:
        if not available.issuperset(call.inputs):
            return False
        for _, body in subgraphs(call.node) if call.has_bodies else ():
            if not available.issuperset(free_names(body)):
                return False
        available.update(call.outputs)
        written += len(call.outputs) - call.outputs.count("")
    # every value written once, and none that was known before
    return len(available) == len(known | {""}) + written


def _kahn(
    waiting: list[int],
    consumers: dict[int, list[int]],
    nodes: Sequence[onnx.NodeProto],
    place: str,
) -> list[int]:
    ready = [position for position, count in enumerate(waiting) if not count]
    heapify(ready)
    order = []
    while ready:
        position = heappop(ready)
        order.append(position)
        for consumer in consumers.get(position, ()):
            waiting[consumer] -= 1
            if not waiting[consumer]:
                heappush(ready, consumer)
    if len(order) < len(nodes):
        stuck = next(position for position, count in enumerate(waiting) if count)
        raise ModelError(
            f"{place}: the graph has a cycle through node {stuck} ({nodes[stuck].op_type})"
        )
    return order
