"""Which tensor of the earlier graph a tensor of the later one is, layout apart.

Most tensors keep their names. What the optimizers renamed is found by the name of its node, by a
weight, by the naming habits of single optimizers, and through layout operators that they inserted.
All of it was observed on ONNX Runtime 1.32.0.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from mlsys_lint.joining.classes import Classes
from mlsys_lint.joining.graph import Graph, Node

Anchors = dict[str, str]
"""Tensor of the later graph -> class in the earlier one."""
_Habit = Callable[[Node, Anchors], list[str]]
"""Classes of what a node of the later graph makes, in order; none where the habit does not fit."""

RESHAPES: Final = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten"})
REORDERS: Final = frozenset({"ReorderInput", "ReorderOutput"})
VIEWS: Final = RESHAPES | REORDERS | {"Transpose", "Cast"}
"""Kernels that compute nothing: they stand around those that do."""
_BLOCKED: Final = re.compile(r"(?P<tensor>.+?)(_bn|_mul)?_nchwc(_token_\d+)?")
_COPY: Final = re.compile(r"(?:InsertedPrecisionFreeCast_)?(.+?)(?:/duplicated)?$")
_NUMBER: Final = re.compile(r"_token_\d+$")
_ADDED: Final = re.compile(r"(?P<node>.+)/MatMulAddFusion(_token_\d+)?")
_HEAVY: Final = frozenset(
    {"Conv", "FusedConv", "ConvTranspose", "MatMul", "Gemm", "QLinearConv", "QLinearMatMul"}
)
_TO_8_BIT: Final = re.compile("QLinear.+|QGemm")


def anchors_of(
    earlier: Graph, classes: Classes, later: Graph, outer: Mapping[str, str] | None = None
) -> Anchors:
    """Where the tensors of the later graph stood in the earlier one.

    A class stands for "the same elements in whatever layout": Transposes and blocked copies of a
    tensor share its anchor.

    `outer`: anchors of the graph around a body.
    """
    found = {name: classes.of[name] for name in _names(later) if name in classes.of}
    for name in later.free:
        if outer is not None and name in outer:
            found.setdefault(name, outer[name])
    view = _Earlier(earlier, classes)
    habits = (
        *(view.blocked, view.quantized, view.copied, view.relaid, view.moved, view.added),
        _by_weight(view, later),
    )
    seen = set(found.values())
    for node in later.sorted_nodes():
        if all(name in found for name in node.writes):
            continue
        owns: list[str] = next(filter(None, (habit(node, found) for habit in habits)), [])
        for name, own in zip(node.writes, owns, strict=False):
            seen.add(found.setdefault(name, own))
        _over_view(view, node, found, seen, back=False)
    _through_views(view, later, found, seen)
    return found


class _Earlier:
    """The earlier graph by name of a node and by reader of a class."""

    def __init__(self, graph: Graph, classes: Classes) -> None:
        self.classes = classes
        named = Counter(node.name for node in graph.nodes)
        self.named = {n.name: n for n in graph.nodes if n.name and named[n.name] == 1}
        self.readers: dict[str, list[Node]] = {}
        for node in graph.nodes:
            if node.index not in classes.copies:
                for name in dict.fromkeys(classes.reads(node)):
                    self.readers.setdefault(name, []).append(node)
        self.weights = weights_of(graph)

    def copied(self, node: Node, _: Anchors) -> list[str]:
        """`InsertedPrecisionFreeCast_T` and `T/duplicated` hold what T holds."""
        names = [_COPY.sub(r"\1", name) for name in node.outputs]
        return [self.classes.of[name] for name in names if name in self.classes.of]

    def relaid(self, node: Node, _: Anchors) -> list[str]:
        """A tensor in another layout takes the name of the node that made it, numbered if need be.

        That node may be part of this one now. Inserted views are numbered too: `Transpose_token_7`.
        """
        names = [_NUMBER.sub("", name) for name in node.outputs]
        makers = [self.named[name] for name in names if name in self.named]
        foreign = {one.op_type for one in makers} != {node.op_type} or names != [*node.outputs]
        if len(makers) < len(names) or (node.op_type in VIEWS and foreign):
            return []
        writes = map(self.classes.writes, makers)
        return [some[min(at, len(some) - 1)] for at, some in enumerate(writes)]

    def moved(self, node: Node, _: Anchors) -> list[str]:
        """A node that has only moved keeps its name and type."""
        twin = self.named.get(node.name)
        same = twin is not None and twin.op_type == node.op_type
        return self.classes.writes(twin) if twin is not None and same else []

    def added(self, node: Node, _: Anchors) -> list[str]:
        """`M/MatMulAddFusion` made what the Add behind the MatMul named M made."""
        match = _ADDED.fullmatch(node.name)
        twin = self.named.get(match["node"]) if match else None
        return [] if twin is None else [self._after(self.classes.writes(twin)[0], ("Add",))]

    def quantized(self, node: Node, found: Anchors) -> list[str]:
        """A quantized operator keeps the node's name and makes what its QuantizeLinear made."""
        twin = self.named.get(node.name)
        if twin is None or not twin.inputs or not node.inputs:
            return []
        dequantized = self.classes.maker.get(self.classes.of[twin.inputs[0]])
        if dequantized is None or not dequantized.is_a("DequantizeLinear"):
            return []
        direct = found.get(node.inputs[0]) == self.classes.of[dequantized.inputs[0]]
        if not direct and not _TO_8_BIT.fullmatch(node.op_type):
            return []
        at = self.classes.writes(twin)[0]
        for _ in range(2):  # a Relu or Clip that quantization makes redundant may stand between
            after = self._after(at, ("QuantizeLinear", "Relu", "Clip"))
            at, maker = after, self.classes.maker.get(after)
            if maker is not None and maker.op_type == "QuantizeLinear":
                return [after]
        return []

    def blocked(self, node: Node, _: Anchors) -> list[str]:
        """`T_nchwc` made T at first; then it took the sum and the activation behind T."""
        match = _BLOCKED.fullmatch(node.name)
        names = [match["tensor"], _COPY.sub(r"\1", match["tensor"])] if match else []
        at = next((self.classes.of[name] for name in names if name in self.classes.of), None)
        if at is None:
            return []
        maker = self.classes.maker.get(at)
        had = () if maker is None else maker.attributes
        if len(node.inputs) > 3 and node.inputs[3]:
            at = self._after(at, ("Add", "Sum"))
        if "activation" in node.attributes and "activation" not in had:
            at = self._after(at, None)
        return [at]

    def _after(self, tensor: str, types: tuple[str, ...] | None) -> str:
        """Output of the only reader, or of the last where both read it (HardSigmoid, Mul)."""
        readers = self.readers.get(tensor, [])
        if sorted(one.op_type for one in readers) == ["HardSigmoid", "Mul"]:
            readers = [one for one in readers if one.op_type == "Mul"]
        if len(readers) == 1 and (types is None or readers[0].op_type in types):
            return self.classes.writes(readers[0])[0]
        return tensor

    def over_views(self, start: str, kind: frozenset[str], seen: set[str], *, back: bool) -> str:
        """The class that only views of a kind part from the start; known ones end the way."""
        at = start
        while True:
            step = self._step(at, back=back)
            if step is None or step[0].op_type not in kind or step[1] in seen:
                return at
            at = step[1]

    def _step(self, at: str, *, back: bool) -> tuple[Node, str] | None:
        if back:
            node = self.classes.maker.get(at)
            return (node, self.classes.of[node.inputs[0]]) if node and node.inputs else None
        readers = self.readers.get(at, [])
        return (readers[0], self.classes.writes(readers[0])[0]) if len(readers) == 1 else None


def _by_weight(view: _Earlier, later: Graph) -> _Habit:
    now = weights_of(later)

    def anchor(node: Node, _: Anchors) -> list[str]:
        """A renamed node with a weight that only it reads."""
        for name in node.inputs:
            twin = view.weights.get(name)
            if twin is not None and now.get(name) is node and twin.op_type == node.op_type:
                return view.classes.writes(twin)
        return []

    return anchor


def _through_views(view: _Earlier, later: Graph, found: Anchors, seen: set[str]) -> None:
    """Carry anchors over inserted views, from either side, until none is new."""
    before = -1
    while before != len(found):
        before = len(found)
        for node in later.nodes:
            _over_view(view, node, found, seen, back=False)
            _over_view(view, node, found, seen, back=True)


def _over_view(view: _Earlier, node: Node, found: Anchors, seen: set[str], *, back: bool) -> None:
    """What was inserted to change a layout has one anchor on both sides.

    It may have taken in views of the earlier graph: their other end is the anchor then.
    """
    if node.op_type not in VIEWS or not node.inputs:
        return
    one, other = node.inputs[0], node.outputs[0]
    if back:
        one, other = other, one
    if one in found and other not in found:
        kind = RESHAPES if node.op_type in RESHAPES else frozenset({node.op_type})
        found[other] = view.over_views(found[one], kind, seen, back=back)
        seen.add(found[other])


def weights_of(graph: Graph) -> Mapping[str, Node | None]:
    """Stored tensor -> the contraction that alone reads it, else None."""
    found: dict[str, Node | None] = {}
    for node in graph.nodes:
        for name in node.inputs:
            if name in graph.constants:
                found[name] = node if node.op_type in _HEAVY and name not in found else None
    return found


def _names(graph: Graph) -> Iterator[str]:
    yield from (*graph.inputs, *graph.constants, *graph.free)
    for node in graph.nodes:
        yield from node.writes
