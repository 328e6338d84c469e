"""Which tables the values of a graph input index, followed through operators that keep values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

import onnx

_Place: TypeAlias = tuple[str, str]
"""(function key or "", value name): bodies of If, Loop and Scan share the names around them."""

_INDEX_INPUTS: Final[Mapping[str, Mapping[int, int]]] = {
    # operator -> index input -> the input that it indexes (ONNX and com.microsoft operators)
    "Gather": {1: 0},
    "GatherElements": {1: 0},
    "GatherND": {1: 0},
    "GatherBlockQuantized": {1: 0},
    "ScatterElements": {1: 0},
    "Scatter": {1: 0},
    "ScatterND": {1: 0},
    "EmbedLayerNormalization": {0: 2, 1: 4, 8: 3},
    "QEmbedLayerNormalization": {0: 2, 1: 4},
}
_ROTARY_TABLE: Final[Mapping[str, tuple[int, int]]] = {"com.microsoft": (1, 2), "": (3, 1)}
"""RotaryEmbedding by domain: (position_ids, cos_cache)."""
_ALL: Final = -1
_KEEPS_VALUES: Final[Mapping[str, tuple[int, ...]]] = {
    # operator -> inputs whose elements are, unchanged, the elements of its outputs
    **dict.fromkeys(["Cast", "CastLike", "Identity", "Dropout", "Clip", "Pad"], (0,)),
    **dict.fromkeys(["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"], (0,)),
    **dict.fromkeys(["Slice", "Split", "Expand", "Tile", "SplitToSequence", "SequenceAt"], (0,)),
    **dict.fromkeys(["Gather", "GatherElements", "GatherND", "Compress"], (0,)),
    **dict.fromkeys(["Concat", "Max", "Min", "SequenceConstruct"], (_ALL,)),
    "ConcatFromSequence": (0,),
    "Where": (1, 2),
}
_KEEPS_SHAPE: Final = frozenset(["Cast", "DequantizeLinear", "Identity", "QuantizeLinear"])


class IndexBounds:
    """The flow of values from graph inputs to the tables that they index.

    Args:
        model: The model; only types, shapes and names are looked at.
        shapes: Bound shapes of graph inputs.
    """

    def __init__(self, model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._flows: dict[_Place, list[_Place]] = defaultdict(list)
        self._tables: dict[_Place, list[int | None]] = defaultdict(list)
        self._shapes: dict[_Place, tuple[int, ...]] = {}
        self._functions = {(one.domain, one.name): one for one in model.functions}
        self._walked: set[tuple[str, str]] = set()
        self._shapes.update({("", name): shape for name, shape in shapes.items()})
        self._walk_graph(model.graph, "")

    def tables(self, name: str) -> tuple[int | None, ...]:
        """Rows of every table that a graph input indexes; None: of unknown size."""
        found: list[int | None] = []
        seen, waiting = {("", name)}, [("", name)]
        while waiting:
            place = waiting.pop()
            found += self._tables.get(place, [])
            fresh = [one for one in self._flows.get(place, []) if one not in seen]
            seen.update(fresh)
            waiting += fresh
        return tuple(found)

    def _walk_graph(self, graph: onnx.GraphProto, scope: str) -> None:
        for tensor in graph.initializer:
            self._shapes[scope, tensor.name] = tuple(tensor.dims)
        for sparse in graph.sparse_initializer:
            self._shapes[scope, sparse.values.name] = tuple(sparse.dims)
        for value in (*graph.input, *graph.value_info):
            dims = value.type.tensor_type.shape.dim
            if dims and all(dim.HasField("dim_value") for dim in dims):
                shape = tuple(dim.dim_value for dim in dims)
                self._shapes.setdefault((scope, value.name), shape)
        for node in graph.node:
            self._walk_node(node, scope)

    def _walk_node(self, node: onnx.NodeProto, scope: str) -> None:
        self._note_shape(node, scope)
        self._note_tables(node, scope)
        kept = _KEEPS_VALUES.get(node.op_type, ())
        for position, name in enumerate(node.input):
            if name and (position in kept or _ALL in kept):
                self._flows[scope, name] += [(scope, output) for output in node.output if output]
        for attribute in node.attribute:
            for body in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                self._link_body(node, body, scope)
                self._walk_graph(body, scope)
        self._call(node, scope)

    def _note_shape(self, node: onnx.NodeProto, scope: str) -> None:
        """Shapes of Constant nodes and of element-wise copies, such as a dequantized table."""
        shape = None
        if node.op_type == "Constant":
            shape = next((tuple(one.t.dims) for one in node.attribute if one.HasField("t")), None)
        elif node.input and (known := self._shapes.get((scope, node.input[0]))):
            if node.op_type in _KEEPS_SHAPE:
                shape = known
            elif node.op_type == "Transpose":
                axes = next((one.ints for one in node.attribute if one.name == "perm"), ())
                order = tuple(axes) or tuple(reversed(range(len(known))))
                shape = tuple(known[axis] for axis in order if 0 <= axis < len(known))
        if shape is not None and node.output:
            self._shapes.setdefault((scope, node.output[0]), shape)

    def _note_tables(self, node: onnx.NodeProto, scope: str) -> None:
        for position, table in _index_inputs(node).items():
            if position < len(node.input) and node.input[position] and table < len(node.input):
                rows = _rows(node, self._shapes.get((scope, node.input[table])))
                self._tables[scope, node.input[position]].append(rows)

    def _link_body(self, node: onnx.NodeProto, body: onnx.GraphProto, scope: str) -> None:
        """Values enter a body by position and leave it by position; states also return to it."""
        # A Loop begins with trip count and condition, which are no data; its body returns the latter.
        first_state, first_result = (2, 1) if node.op_type == "Loop" else (0, 0)
        outputs = [one.name for one in body.output][first_result:]
        entering = [one.name for one in body.input][first_state:]
        for inner, outer in zip(outputs, node.output, strict=False):
            self._flows[scope, inner].append((scope, outer))
        for outer, inner in zip(node.input[first_state:], entering, strict=False):
            if outer:
                self._flows[scope, outer].append((scope, inner))
        for inner, again in zip(outputs, entering, strict=False):
            self._flows[scope, inner].append((scope, again))

    def _call(self, node: onnx.NodeProto, scope: str) -> None:
        """A model-local function: one copy of its body serves all calls."""
        key = (node.domain, node.op_type)
        function = self._functions.get(key)
        if function is None:
            return
        inside = f"{node.domain}::{node.op_type}"
        for outer, inner in zip(node.input, function.input, strict=False):
            self._flows[scope, outer].append((inside, inner))
            if shape := self._shapes.get((scope, outer)):
                self._shapes.setdefault((inside, inner), shape)
        for inner, outer in zip(function.output, node.output, strict=False):
            self._flows[inside, inner].append((scope, outer))
        if key not in self._walked:
            self._walked.add(key)
            for one in function.node:
                self._walk_node(one, inside)


def _index_inputs(node: onnx.NodeProto) -> Mapping[int, int]:
    if node.op_type == "RotaryEmbedding":
        positions, table = _ROTARY_TABLE.get(node.domain.removeprefix("ai.onnx"), (-1, -1))
        return {positions: table} if positions >= 0 else {}
    return _INDEX_INPUTS.get(node.op_type, {})


def _rows(node: onnx.NodeProto, shape: tuple[int, ...] | None) -> int | None:
    """Size of the axis that is indexed; the least of all axes where an index has several parts."""
    if not shape:
        return None
    if node.op_type in ("GatherND", "ScatterND"):
        batch = next(_integers(node, ("batch_dims",)), 0)
        return min(shape[batch:], default=None)
    axis = next(_integers(node, ("axis", "gather_axis")), 0)
    return shape[axis] if -len(shape) <= axis < len(shape) else None


def _integers(node: onnx.NodeProto, names: tuple[str, ...]) -> Iterator[int]:
    return (one.i for one in node.attribute if one.name in names)
