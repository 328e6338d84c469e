"""NodeViews -> NodeCosts: exact, expanded through a body, a plugin's estimate, or unsupported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from mlsys_lint.errors import UnknownSizeError
from mlsys_lint.graph import Graph
from mlsys_lint.inference import FAILED
from mlsys_lint.operators import Entry
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import (
    Declined,
    Estimate,
    NodeCost,
    NodeStatus,
    NodeView,
    OpCost,
    Problem,
    Unsupported,
)

DATA_DEPENDENT: Final = "data-dependent"
"""How an estimator's assumption begins when the figure is a maximum that data may stay below."""
_UNREACHABLE: Final = "stands in a branch that can't run with these sizes"
_CONTAINER_COST = OpCost(kernel_class="container")


def cost_nodes(graph: Graph, host: PluginHost) -> tuple[tuple[NodeCost, ...], tuple[Problem, ...]]:
    """The verdict on every node, by index, and what went wrong in plugins."""
    problems: list[Problem] = []
    costs = [_cost_node(node, host, problems) for node in graph.nodes]
    return tuple(_settle_branches(costs)), tuple(problems)


def _cost_node(node: NodeView, host: PluginHost, problems: list[Problem]) -> NodeCost:
    if node.container:
        return NodeCost(node=node, status=NodeStatus.EXPANDED, cost=_CONTAINER_COST)
    entry = host.operators.find(node.domain, node.op_type, node.opset)
    if not node.reachable:
        return _without_cost(node, entry, NodeStatus.DECLINED, _UNREACHABLE)
    formula = entry.spec.estimate if entry is not None else None
    if entry is not None and formula is not None and not isinstance(formula, Unsupported):
        return _by_formula(node, entry, formula, problems)
    estimate = host.estimate_unknown(node)
    if estimate is not None:
        plugin, cost = estimate
        return NodeCost(node=node, status=NodeStatus.ESTIMATED, cost=cost, plugin=plugin)
    reason = f"no plugin has a formula for {node.op} at opset {node.opset}"
    if isinstance(formula, Unsupported):
        reason = formula.reason
    return _without_cost(node, entry, NodeStatus.UNSUPPORTED, reason)


def _by_formula(
    node: NodeView, entry: Entry, formula: Estimate, problems: list[Problem]
) -> NodeCost:
    contradiction = _contradiction(node) if node.assumptions else None
    try:
        cost: object = formula(node)
    except UnknownSizeError as error:
        return _without_cost(node, entry, NodeStatus.DECLINED, str(error))
    except Exception as error:  # noqa: BLE001  a plugin may raise anything
        fault = f"{type(error).__name__}: {error}"
    else:
        if isinstance(cost, Declined):
            return _without_cost(node, entry, NodeStatus.DECLINED, cost.reason)
        if isinstance(cost, OpCost) and contradiction is None:
            if cost.assumptions and _is_maximum(cost):
                node = replace(node, upper_bound=True)
            status = NodeStatus.ESTIMATED if node.upper_bound else NodeStatus.EXACT
            return NodeCost(
                node=node, status=status, cost=cost, plugin=entry.plugin, spec=entry.spec
            )
        fault = f"estimate must return OpCost or Declined, got {type(cost).__name__}"
    if contradiction is not None:
        return _without_cost(node, entry, NodeStatus.DECLINED, contradiction)
    problems.append(Problem(plugin=entry.plugin, stage="estimate", message=fault, node=node.index))
    return _without_cost(node, entry, NodeStatus.FAILED, fault)


def _is_maximum(cost: OpCost) -> bool:
    return any(one.startswith(DATA_DEPENDENT) for one in cost.assumptions)


def _contradiction(node: NodeView) -> str | None:
    """Why a node can't run with these sizes, whatever the file declares of its results."""
    return next((one for one in node.assumptions if one.startswith(FAILED)), None)


def _without_cost(node: NodeView, entry: Entry | None, status: NodeStatus, reason: str) -> NodeCost:
    if entry is None:
        return NodeCost(node=node, status=status, reason=reason)
    return NodeCost(node=node, status=status, reason=reason, plugin=entry.plugin, spec=entry.spec)


def _settle_branches(costs: Sequence[NodeCost]) -> list[NodeCost]:
    """Of an If whose condition is not known, count the dearer branch: by FLOPs, then bytes.

    Innermost first, so that an outer If weighs what its inner ones really count. The other branch
    stays listed with `repeat` 0.
    """
    settled = list(costs)
    undecided = [one.node for one in costs if one.node.op_type == "If" and one.node.upper_bound]
    members = _members(costs)
    for owner in sorted(undecided, key=_depth, reverse=True):
        branches = members.get(owner.index, {})
        if owner.container and len(branches) > 1:
            dearest = max(branches, key=lambda scope: _weight(settled, members, branches[scope]))
            for scope, indexes in branches.items():
                if scope != dearest:
                    _drop(settled, members, indexes)
    return settled


def _depth(node: NodeView) -> int:
    """Number of containers around a node: a scope is `""`, `3.then_branch`, `3.then_branch/7.body`."""
    return len(node.scope.split("/")) if node.scope else 0


def _members(costs: Sequence[NodeCost]) -> dict[int, dict[str, list[int]]]:
    """Owner -> scope -> indexes of the nodes right in that scope."""
    members: dict[int, dict[str, list[int]]] = {}
    for one in costs:
        if one.node.owner is not None:
            scopes = members.setdefault(one.node.owner, {})
            scopes.setdefault(one.node.scope, []).append(one.node.index)
    return members


def _below(members: Mapping[int, Mapping[str, list[int]]], indexes: Iterable[int]) -> Iterator[int]:
    for index in indexes:
        yield index
        for inner in members.get(index, {}).values():
            yield from _below(members, inner)


def _weight(
    costs: Sequence[NodeCost],
    members: Mapping[int, Mapping[str, list[int]]],
    indexes: Iterable[int],
) -> tuple[int, int]:
    flops = moved = 0
    for index in _below(members, indexes):
        one = costs[index]
        if one.cost is not None:
            flops += one.cost.flops * one.node.repeat
            moved += (one.cost.bytes_read + one.cost.bytes_written) * one.node.repeat
    return flops, moved


def _drop(
    costs: list[NodeCost],
    members: Mapping[int, Mapping[str, list[int]]],
    indexes: Iterable[int],
) -> None:
    for index in _below(members, indexes):
        costs[index] = replace(costs[index], node=replace(costs[index].node, repeat=0))
