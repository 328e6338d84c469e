"""What equals what in a graph, and what a runtime knows before it runs.

Tensors that must hold the same elements share a class, named by the first of them in the file: the
outputs of equal nodes on equal inputs, copies, and constants of equal content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mlsys_lint.joining.graph import Graph, Node

RANDOM: Final = frozenset(
    {
        *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
        *("Multinomial", "Bernoulli"),
    }
)
UNFOLDED: Final = frozenset(
    {"DequantizeLinear", "SequenceEmpty", "SequenceConstruct", "SplitToSequence", "Optional"}
)
"""Operators that the runtime runs although every input is constant."""
_NEUTRAL: Final = {"Add": 0.0, "Sub": 0.0, "Mul": 1.0, "Div": 1.0}
_SAME_ELEMENTS: Final = ("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze")
_OPEN_END: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """Classes of a graph's tensors.

    Attributes:
        of: Tensor -> name of its class; names from outside a body included.
        maker: Class -> the first node that makes it.
        writer: Tensor -> the node that writes it, copies included.
        leader: Index of a node -> index of the first node that computes the same.
        copies: Indexes of nodes that only pass their first input on.
        constant: Classes that are known before the run.
        shape: Classes that hold sizes of tensors and what follows from them and constants alone.
        values: Tensor -> its elements, where they are few and stored, whatever their shape.
    """

    of: dict[str, str] = field(default_factory=dict)
    maker: dict[str, Node] = field(default_factory=dict)
    writer: dict[str, Node] = field(default_factory=dict)
    leader: dict[int, int] = field(default_factory=dict)
    copies: set[int] = field(default_factory=set)
    constant: set[str] = field(default_factory=set)
    shape: set[str] = field(default_factory=set)
    values: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def reads(self, node: Node) -> list[str]:
        """Classes of what a node needs."""
        return [self.of[name] for name in node.reads]

    def writes(self, node: Node) -> list[str]:
        """Classes of what a node makes."""
        return [self.of[name] for name in node.writes]


def classes_of(graph: Graph, around: Classes | None = None) -> Classes:
    """Classes of a graph's tensors; of a body, with those of the graph around it."""
    found = Classes()
    known: dict[object, str] = {}
    for name in (*graph.inputs, *graph.free):
        found.of[name] = name if around is None else around.of.get(name, name)
    if around is not None:
        found.constant.update(around.constant)
        found.shape.update(around.shape)
        found.values.update(around.values)
    found.values.update(graph.values)
    for name, digest in graph.constants.items():
        found.of[name] = known.setdefault(digest, name)
        found.constant.add(found.of[name])
    needed = {*graph.outputs, *(name for node in graph.nodes for name in node.reads)}
    for node in graph.sorted_nodes():
        _name(found, node, known, copy=_is_copy(node, found.values, needed))
        _mark(found, node)
    return found


def _name(found: Classes, node: Node, known: dict[object, str], *, copy: bool) -> None:
    key = _key(node, found.of)
    for at, name in enumerate(node.outputs):
        found.writer[name] = node
        if name and not (copy and at == 0):
            own = found.of[name] = known.setdefault((*key, at), name)
            found.leader.setdefault(node.index, found.maker.setdefault(own, node).index)
    if copy:
        found.copies.add(node.index)
        found.leader[node.index] = node.index
        found.of[node.outputs[0]] = found.of[node.inputs[0]]


def _mark(found: Classes, node: Node) -> None:
    """Carry constants and shapes over a node."""
    reads, writes = found.reads(node), found.writes(node)
    if node.is_a(*_SAME_ELEMENTS) and node.inputs[0] in found.values:
        found.values[node.outputs[0]] = found.values[node.inputs[0]]
    if node.is_a("Shape", "Size"):
        found.shape.update(writes)
    elif node.bodies or node.op_type in RANDOM or node.op_type in UNFOLDED:
        return
    elif all(one in found.constant for one in reads):
        found.constant.update(writes)
    elif all(one in found.constant or one in found.shape for one in reads):
        found.shape.update(writes)


def _key(node: Node, of: Mapping[str, str]) -> tuple[object, ...]:
    """Equal for nodes that compute the same."""
    if node.bodies or node.op_type in RANDOM:
        return (node.index,)
    attributes = tuple(sorted(node.attributes.items()))
    if node.is_a("Constant"):
        return tuple(digest for _, digest in attributes)  # equal to a stored tensor's
    inputs = tuple(of[name] if name else "" for name in node.inputs)
    return (node.domain, node.op_type, attributes, inputs)


def _is_copy(node: Node, values: Mapping[str, tuple[float, ...]], needed: set[str]) -> bool:
    """Identity, Dropout outside of training, x + 0, x * 1, x[0:]."""
    if not node.inputs or not node.inputs[0] or needed & {*node.outputs[1:]}:
        return False
    if node.is_a("Dropout"):
        return not any(node.inputs[2:])
    if node.is_a("Slice"):
        return _takes_all([values.get(name) for name in node.inputs[1:]])
    if node.is_a(*_NEUTRAL):
        return values.get(node.inputs[1]) == (_NEUTRAL[node.op_type],)
    return node.is_a("Identity")


def _takes_all(bounds: Sequence[tuple[float, ...] | None]) -> bool:
    """Starts, ends, axes and steps of a Slice that the runtime removes."""
    if len(bounds) < 2:  # attributes, in early operator sets
        return False
    starts, ends, steps = bounds[0], bounds[1], bounds[3] if len(bounds) > 3 else (1,)
    whole = starts is not None and not any(starts) and ends is not None
    return whole and set(ends or ()) == {_OPEN_END} and steps is not None and set(steps) == {1}
