"""Function calls and If: which bodies run, and what they hand out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import onnx

from mlsys_lint.graph.bodies import Pair, either, pair_of, scalar
from mlsys_lint.graph.functions import without_inputs
from mlsys_lint.graph.ordering import subgraphs
from mlsys_lint.graph.scopes import Scope
from mlsys_lint.graph.visit import Outcome, Visiting, inside, path_of
from mlsys_lint.records import TensorInfo

if TYPE_CHECKING:
    from mlsys_lint.graph.functions import Body
    from mlsys_lint.graph.walker import _Walker


def visit_function(walker: _Walker, at: Visiting, body: Body, key: str) -> Outcome:
    """A call: the body's nodes once, its inputs being the call's."""
    # graphs among the call's attributes (FlexAttention's modifiers) read the values around the call
    scope = Scope(path_of(at, body.name), outer=at.scope if at.call.has_bodies else None)
    for name, value in zip(body.inputs, at.inputs, strict=False):
        if value is not None:
            scope.values[name] = value
    omitted = frozenset(body.inputs) - set(scope.values)
    place = replace(
        inside(at, at.place.repeat),
        opsets=walker.imports_of(body, at.place),
        calls=(*at.place.calls, key),
        declared={},
    )
    nodes = without_inputs(body.nodes, omitted)
    results = walker.walk_nodes(nodes, body.outputs, scope, place)
    constant = all(value is None or value.info.constant for value in at.inputs) and bool(at.inputs)
    outputs = walker.put_results(at, [pair_of(one) for one in results], constant=constant)
    return Outcome(outputs=outputs, container=True, captured=scope.captured)


def visit_if(walker: _Walker, at: Visiting) -> Outcome:
    """A known condition runs its branch; else costing keeps the dearer one.

    A branch in which onnx's inference finds a contradiction to the given sizes can't run: then the
    other one does, whatever the condition says. Nodes of a branch that is not counted are listed
    with `repeat` 0.
    """
    condition = scalar(at.inputs[0]) if at.inputs else None
    graphs = dict(subgraphs(at.node))
    chosen = None if condition is None else "then_branch" if condition else "else_branch"
    note = f"the condition is constant: {chosen} runs"
    mark = walker.mark()
    walked = {name: _branch(walker, at, name, graphs[name], chosen) for name in graphs}
    if chosen is None:
        note = "the condition is not known: the dearer branch is counted"
        possible = [name for name, one in walked.items() if not one.failures]
        if len(walked) == 2 and len(possible) == 1:
            (chosen,) = possible
            (other,) = set(walked) - {chosen}
            note = f"{other} can't run with these sizes ({walked[other].failures[0]})"
            walker.rewind(mark)
            walked = {
                name: _branch(walker, at, name, graphs[name], chosen, reachable=name == chosen)
                for name in graphs
            }
    if chosen in walked:
        pairs = walked[chosen].results
    else:
        branches = [one.results for one in walked.values()]
        pairs = [either(*two) for two in zip(*branches, strict=False)] if len(walked) == 2 else []
    return Outcome(
        outputs=walker.put_results(at, pairs),
        container=True,
        captured={uid: info for one in walked.values() for uid, info in one.captured.items()},
        upper_bound=chosen is None,
        notes=(note,),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Branch:
    results: list[Pair]
    captured: dict[int, TensorInfo]
    failures: list[str]


def _branch(
    walker: _Walker,
    at: Visiting,
    name: str,
    graph: onnx.GraphProto,
    chosen: str | None,
    *,
    reachable: bool = True,
) -> _Branch:
    scope = Scope(path_of(at, name), outer=at.scope)
    repeat = at.place.repeat if chosen in (None, name) else 0
    before = len(walker.plain.failures)
    place = replace(inside(at, repeat), reachable=reachable and at.place.reachable)
    results = walker.walk_graph(graph, scope, place)
    failures = walker.plain.failures[before:]
    if chosen != name:  # one that may not run is no fault of the graph around it
        del walker.plain.failures[before:]
    return _Branch(
        results=[pair_of(one) for one in results], captured=scope.captured, failures=failures
    )
