"""What the analysis of a model and its options say about the inputs of a run."""

from __future__ import annotations

from collections.abc import Mapping

from mlsys_lint.graph import Graph
from mlsys_lint.inputs.constants import Shape
from mlsys_lint.shapes import Bindings


def known_shapes(graph: Graph) -> dict[str, Shape]:
    """Shapes of the values of the top level, by name; none that depends on data."""
    written = (out for node in graph.nodes if not node.scope for out in node.outputs)
    values = (*graph.inputs, *(out for out in written if out is not None))
    return {one.name: one.dims for one in values if one.is_static and not one.bounded}


def own_fills(graph: Graph, bindings: Bindings, fills: Mapping[str, str]) -> dict[str, str]:
    """The user's recipes that concern this model, and the trip counts that the analysis was given.

    Where one model is validated all recipes are passed on, so that a wrong name is told.
    """
    names = {one.name for one in graph.inputs}
    trips = {}
    for node in graph.nodes:
        limit = node.inputs[0] if node.op_type == "Loop" and node.inputs else None
        given = bindings.trips.get(str(node.index), bindings.trips.get(node.name))
        if limit is not None and limit.name in names and given is not None:
            trips[limit.name] = str(given)
    own = {name: recipe for name, recipe in fills.items() if bindings.strict or name in names}
    return {**trips, **own}
