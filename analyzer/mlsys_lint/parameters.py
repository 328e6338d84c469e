"""Which stored tensors are parameters: constants that feed data, not shapes (README, conventions)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mlsys_lint import dtypes
from mlsys_lint.errors import UnknownSizeError
from mlsys_lint.graph import Graph
from mlsys_lint.records import NodeCost, TensorInfo
from mlsys_lint.records.frozen import record


@record
class Parameter:
    """A stored tensor that feeds data; `elements` are logical weights, `nbytes` as stored."""

    origin: str
    dtype: str
    elements: int
    nbytes: int


def find_parameters(
    graph: Graph, costs: Sequence[NodeCost]
) -> tuple[dict[str, Parameter], dict[int, int]]:
    """Parameters by origin, and their elements by the first node that reads them.

    A constant counts when some operator reads it as data: not as a shape, axis or index, and not
    to compute one (an addend of shape arithmetic is none). Scalars (rank 0) are none.
    """
    data, logical = _data_values(graph, costs), _logical_elements(graph, costs)
    found: dict[str, Parameter] = {}
    by_node: dict[int, int] = {}
    for index in graph.visits:
        reader = costs[index]
        for tensor in reader.node.inputs:
            if tensor is None or tensor.origin is None or tensor.uid not in data:
                continue
            if tensor.origin not in found and (one := _parameter(tensor, logical)):
                found[tensor.origin] = one
                by_node[index] = by_node.get(index, 0) + one.elements
    return found, by_node


def _logical_elements(graph: Graph, costs: Sequence[NodeCost]) -> dict[str, int]:
    """Weights in packed tensors, by origin: as the reader that unpacks them says.

    It need not be the first that reads them, and may see them through views: a table that serves an
    embedding and a projection is reshaped for one of the two.
    """
    found: dict[str, int] = {}
    stored: dict[int, str] = {}
    packs = {one.spec.elements for one in costs if one.spec is not None}
    for index in graph.visits if packs != {None} else ():
        one = costs[index]
        for position, tensor in enumerate(one.node.inputs):
            if tensor is None or (origin := tensor.origin or stored.get(tensor.uid)) is None:
                continue
            stored[tensor.uid] = origin
            if origin not in found and (count := _unpacked(one, tensor, position)) is not None:
                found[origin] = count
        for source, result in one.cost.aliases if one.cost is not None else ():
            tensor, seen = one.node.optional_input(source), one.node.outputs[result]
            if tensor is not None and seen is not None and tensor.uid in stored:
                stored[seen.uid] = stored[tensor.uid]
    return found


def _unpacked(one: NodeCost, tensor: TensorInfo, position: int) -> int | None:
    """Weights that a reader finds in a tensor, None where it takes the elements as they are."""
    if one.spec is None or one.spec.elements is None:
        return None
    try:
        count = one.spec.elements(one.node, position)
        stored = tensor.numel
    except UnknownSizeError:
        return None
    return None if count == stored else count


def _parameter(tensor: TensorInfo, logical: Mapping[str, int]) -> Parameter | None:
    try:
        elements, dtype = tensor.numel, tensor.type_name
        if not tensor.dims:
            return None
        stored = elements if tensor.stored_elements is None else tensor.stored_elements
        nbytes = dtypes.stored_bytes(dtype, stored)
    except UnknownSizeError:
        return None
    origin = tensor.origin or ""
    return Parameter(
        origin=origin, dtype=dtype, elements=logical.get(origin, stored), nbytes=nbytes
    )


def _data_values(graph: Graph, costs: Sequence[NodeCost]) -> set[int]:
    """Uids of the values that reach data: consumers before producers, in one pass."""
    read = {
        tensor.uid
        for one in costs
        for tensor in (*one.node.inputs, *one.node.implicit)
        if tensor is not None
    }
    data = {uid for frame in graph.frames.values() for uid in frame.outputs}
    for index in reversed(graph.visits):
        one = costs[index]
        results = {tensor.uid for tensor in one.node.outputs if tensor is not None}
        if read.isdisjoint(results) or not data.isdisjoint(results):
            data.update(_data_inputs(one))
    return data


def _data_inputs(one: NodeCost) -> Iterable[int]:
    skipped = one.spec.shape_inputs if one.spec is not None else ()
    if one.node.container:
        if one.node.op_type not in ("Loop", "Scan"):
            return ()  # the nodes of the body read the same values
        skipped = (0, 1) if one.node.op_type == "Loop" else ()  # trip count and condition
    return [
        tensor.uid
        for position, tensor in enumerate(one.node.inputs)
        if tensor is not None and position not in skipped
    ]


def by_dtype(parameters: Iterable[Parameter]) -> Mapping[str, int]:
    """Elements by stored type, largest first."""
    counts: dict[str, int] = {}
    for one in parameters:
        counts[one.dtype] = counts.get(one.dtype, 0) + one.elements
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
