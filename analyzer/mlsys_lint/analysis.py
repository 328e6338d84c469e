"""A model with its sizes bound and its nodes costed: what all devices share."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mlsys_lint.costing import cost_nodes
from mlsys_lint.errors import MlsysLintError
from mlsys_lint.graph import Graph, build
from mlsys_lint.loading import LoadedModel
from mlsys_lint.parameters import Parameter, find_parameters
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.precision import AS_IS, PRECISIONS, Retyped, retyped
from mlsys_lint.records import NodeCost, Problem
from mlsys_lint.shapes import Bindings


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """A model with its sizes bound and its nodes costed; independent of any device."""

    model: LoadedModel
    graph: Graph
    stored: Graph
    """Likewise in the types that the file stores."""
    types: Retyped | None
    """The types of another precision; None as the file stands."""
    unbound: Graph | None
    """Likewise with the sizes that the file leaves open; None where it leaves none."""
    costs: tuple[NodeCost, ...]
    parameters: tuple[Parameter, ...]
    problems: tuple[Problem, ...]


def analyse(
    model: LoadedModel,
    host: PluginHost,
    bindings: Bindings,
    precision: str = AS_IS,
    unbound: Graph | None = None,
) -> Analysis:
    """Bind sizes, walk the graph, cost every node; in another precision where one is named.

    `unbound`: the model's graph without sizes, where it is known from an analysis for others.
    """
    with nothing_collected():
        graph = stored = build(model, bindings, host.operators)
        costs, problems = cost_nodes(graph, host)
        types = None if precision == AS_IS else retyped(PRECISIONS[precision], costs)
        if types is not None:
            graph = types.graph(stored)
            costs, problems = cost_nodes(graph, host)
        if "ai.onnx.preview.training" in model.opsets:
            costs = _with_gradients(graph, costs)
        parameters, by_node = find_parameters(graph, costs)
        costs = tuple(
            one.with_parameters(by_node[one.node.index]) if one.node.index in by_node else one
            for one in costs
        )
    return Analysis(
        model=model,
        graph=graph,
        stored=stored,
        types=types,
        unbound=(unbound or _unbound(model, host)) if _is_open(stored) else None,
        costs=costs,
        parameters=tuple(parameters.values()),
        problems=problems,
    )


def _with_gradients(graph: Graph, costs: Sequence[NodeCost]) -> tuple[NodeCost, ...]:
    """The costs, those of Gradient nodes from the nodes between."""
    from mlsys_lint.training import cost_gradients

    return cost_gradients(graph, costs)


def _is_open(graph: Graph) -> bool:
    """True where a runtime knows less of the sizes when it loads the file than the analysis."""
    return bool(graph.dims) or any(node.op_type == "Loop" for node in graph.nodes)


def _unbound(model: LoadedModel, host: PluginHost) -> Graph | None:
    """The model as a runtime knows it when it loads the file; None where that can't be told."""
    try:
        return build(model, Bindings(unbound=True, strict=False), host.operators)
    except MlsysLintError:
        return None


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Pause the cycle collector: nearly all that is made here is kept, and records make no cycles.

    What was made goes to the oldest generation at once, unless the caller has frozen objects that
    this would thaw: the next collection of young objects need not look at it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()
