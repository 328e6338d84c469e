"""Sums over a model's nodes, and whether they are bounds."""

from __future__ import annotations

from collections.abc import Sequence

from mlsys_lint.memory import Peak
from mlsys_lint.records import Coverage, NodeCost, NodeStatus, OpCost, Totals

_UNKNOWN = (NodeStatus.DECLINED, NodeStatus.UNSUPPORTED, NodeStatus.FAILED)


def total(costs: Sequence[NodeCost], peak: Peak | None) -> Totals:
    """Sum of figure x repeat over all nodes; what is not known adds nothing and makes a bound."""
    known = [(one.cost, one.node.repeat) for one in costs if one.cost is not None]

    def summed(name: str) -> int:
        return sum(int(getattr(cost, name)) * repeat for cost, repeat in known)

    counts = {str(status): 0 for status in NodeStatus}
    for one in costs:
        counts[one.status] += 1
    return Totals(
        nodes=len(costs),
        macs=summed("macs"),
        macs_masked=summed("macs_masked"),
        flops=summed("flops"),
        vector_ops=summed("vector_ops"),
        transcendentals=summed("transcendentals"),
        bytes_read=summed("bytes_read"),
        bytes_written=summed("bytes_written"),
        weight_bytes=summed("weight_bytes"),
        peak_activation_bytes=peak.nbytes if peak else None,
        peak_node=peak.node if peak else None,
        coverage=Coverage(nodes=len(costs), counts=counts),
        is_lower_bound=is_lower_bound(costs),
        is_upper_bound=any(
            one.node.repeat > 0 and (one.node.upper_bound or _is_plugin_guess(one)) for one in costs
        ),
    )


def is_lower_bound(costs: Sequence[NodeCost]) -> bool:
    """True when some node that runs has no cost, or a trip count is not known."""
    return any(
        one.node.repeat > 0 and (one.status in _UNKNOWN or one.node.lower_bound) for one in costs
    )


def _is_plugin_guess(one: NodeCost) -> bool:
    return one.status is NodeStatus.ESTIMATED and isinstance(one.cost, OpCost) and one.spec is None
