"""Where the values of a graph input arrive unchanged, through operators that keep values."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy.typing as npt
import onnx

from mlsys_lint.inputs.constants import Shape, Tensors

_Place: TypeAlias = tuple[str, str]
"""(function key or "", value name): bodies of If, Loop and Scan share the names around them."""

_ALL: Final = -1
_KEEPS_VALUES: Final[Mapping[str, tuple[int, ...]]] = {
    # operator -> inputs whose elements are, unchanged, the elements of its outputs
    **dict.fromkeys(["Cast", "CastLike", "Identity", "Dropout", "Clip", "Pad"], (0,)),
    **dict.fromkeys(["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"], (0,)),
    **dict.fromkeys(["Slice", "Split", "Expand", "Tile", "SplitToSequence", "SequenceAt"], (0,)),
    **dict.fromkeys(["Gather", "GatherElements", "GatherND", "Compress"], (0,)),
    **dict.fromkeys(["Concat", "Max", "Min", "SequenceConstruct", "And", "Or"], (_ALL,)),
    "ConcatFromSequence": (0,),
    "Where": (1, 2),
}
_KEEPS_TENSOR: Final = frozenset(["Cast", "CastLike", "Identity"])
_MOST_VISITS: Final = 4
"""Ways to a value that are followed; a loop that counts up would bring a new one on every turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """An operator's input that takes values of a graph input.

    Attributes:
        node: The operator's node.
        position: Of the operator's input.
        shapes: Of all inputs of the node; None where unknown.
        constants: Elements of the node's inputs that the file stores, in no particular shape;
            None for others and for large ones.
        whole: The tensor arrives as a whole, not a part of it or one among others.
        shift: Least and greatest constant that was added on the way.
        negated: A logical Not stands on the way.
    """

    node: onnx.NodeProto
    position: int
    shapes: tuple[Shape | None, ...]
    constants: tuple[npt.NDArray[Any] | None, ...]
    whole: bool = True
    shift: tuple[int, int] = (0, 0)
    negated: bool = False

    @property
    def operator(self) -> tuple[str, str]:
        """(domain, type); the domain of ai.onnx is empty."""
        domain = "" if self.node.domain == "ai.onnx" else self.node.domain
        return domain, self.node.op_type

    def integer(self, name: str, default: int) -> int:
        """An integer attribute of the node."""
        return next((one.i for one in self.node.attribute if one.name == name), default)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Path:
    """How values come from a graph input to a place; see Use."""

    place: _Place
    whole: bool = True
    shift: tuple[int, int] = (0, 0)
    negated: bool = False


class ValueFlow:
    """The ways of values through a model, its bodies and its functions.

    Args:
        model: The model; the data of its large tensors may be dropped.
        shapes: Known shapes of values of the top level, those of graph inputs among them.
    """

    def __init__(self, model: onnx.ModelProto, shapes: Mapping[str, Shape]) -> None:
        self._links: dict[_Place, list[_Place]] = defaultdict(list)
        self._readers: dict[_Place, list[tuple[onnx.NodeProto, int]]] = defaultdict(list)
        self._functions = {(one.domain, one.name): one for one in model.functions}
        self._walked: set[tuple[str, str]] = set()
        self._tensors = Tensors(shapes)
        self._walk_graph(model.graph, "")

    def uses(self, name: str) -> tuple[Use, ...]:
        """Every operator input that values of a graph input reach, the nearest first."""
        found, waiting = [], [_Path(place=("", name))]
        visits: Counter[_Place] = Counter()
        seen = set(waiting)
        for path in waiting:  # grows on the way
            visits[path.place] += 1
            if visits[path.place] > _MOST_VISITS:
                continue
            found += [self._use(path, *reader) for reader in self._readers.get(path.place, ())]
            for ahead in self._ahead(path):
                if ahead not in seen:
                    seen.add(ahead)
                    waiting.append(ahead)
        return tuple(found)

    def _use(self, path: _Path, node: onnx.NodeProto, position: int) -> Use:
        places = [(path.place[0], one) for one in node.input]
        return Use(
            node=node,
            position=position,
            shapes=tuple(self._tensors.shape(one) for one in places),
            constants=tuple(self._tensors.elements(one) for one in places),
            whole=path.whole,
            shift=path.shift,
            negated=path.negated,
        )

    def _ahead(self, path: _Path) -> Iterator[_Path]:
        """Where the values of a place go next."""
        yield from (replace(path, place=one) for one in self._links.get(path.place, ()))
        scope = path.place[0]
        for node, position in self._readers.get(path.place, ()):
            kept = _KEEPS_VALUES.get(node.op_type, ())
            step: _Path | None = None
            if position in kept or _ALL in kept:
                step = replace(path, whole=path.whole and node.op_type in _KEEPS_TENSOR)
            elif node.op_type == "Not":
                step = replace(path, negated=not path.negated)
            elif node.op_type in ("Add", "Sub"):
                step = self._shifted(path, node, position)
            if step is not None:
                yield from (replace(step, place=(scope, name)) for name in node.output if name)

    def _shifted(self, path: _Path, node: onnx.NodeProto, position: int) -> _Path | None:
        """The path beyond the sum with a constant integer, or the difference to one."""
        if len(node.input) != 2 or (node.op_type == "Sub" and position == 1):
            return None
        other = self._tensors.elements((path.place[0], node.input[1 - position]))
        if other is None or not other.size or other.dtype.kind not in "iu":
            return None
        least, greatest = int(other.min()), int(other.max())
        if node.op_type == "Sub":
            least, greatest = -greatest, -least
        return replace(path, whole=False, shift=(path.shift[0] + least, path.shift[1] + greatest))

    def _walk_graph(self, graph: onnx.GraphProto, scope: str) -> None:
        self._tensors.add_graph(graph, scope)
        for node in graph.node:
            self._walk_node(node, scope)

    def _walk_node(self, node: onnx.NodeProto, scope: str) -> None:
        self._tensors.add_node(node, scope)
        for position, name in enumerate(node.input):
            if name:
                self._readers[scope, name].append((node, position))
        for attribute in node.attribute:
            for body in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                self._link_body(node, body, scope)
                self._walk_graph(body, scope)
        self._call(node, scope)

    def _link_body(self, node: onnx.NodeProto, body: onnx.GraphProto, scope: str) -> None:
        """Values enter a body by position and leave it by position; states also return to it."""
        # A Loop begins with trip count and condition, which are no data; its body returns the latter.
        first_state, first_result = (2, 1) if node.op_type == "Loop" else (0, 0)
        outputs = [one.name for one in body.output][first_result:]
        entering = [one.name for one in body.input][first_state:]
        for inner, outer in zip(outputs, node.output, strict=False):
            self._links[scope, inner].append((scope, outer))
        for outer, inner in zip(node.input[first_state:], entering, strict=False):
            if outer:
                self._links[scope, outer].append((scope, inner))
        for inner, again in zip(outputs, entering, strict=False):
            self._links[scope, inner].append((scope, again))

    def _call(self, node: onnx.NodeProto, scope: str) -> None:
        """A model-local function: one copy of its body serves all calls."""
        key = (node.domain, node.op_type)
        function = self._functions.get(key)
        if function is None:
            return
        inside = f"{node.domain}::{node.op_type}"
        for outer, inner in zip(node.input, function.input, strict=False):
            self._links[scope, outer].append((inside, inner))
            self._tensors.pass_on((scope, outer), (inside, inner))
        for inner, outer in zip(function.output, node.output, strict=False):
            self._links[inside, inner].append((scope, outer))
        if key not in self._walked:
            self._walked.add(key)
            for one in function.node:
                self._walk_node(one, inside)
