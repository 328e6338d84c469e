"""Sums over a model's nodes, and whether they are bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mlsys_lint.records import Activations, Coverage, NodeCost, NodeStatus, OpCost, Totals

_UNKNOWN = (NodeStatus.DECLINED, NodeStatus.UNSUPPORTED, NodeStatus.FAILED)


def total(costs: Sequence[NodeCost], peak: Activations | None) -> Totals:
    """Sum of figure x repeat over all nodes; what is not known adds nothing and makes a bound."""
    sums = _sums(costs)
    found = Counter([one.status for one in costs if one.node.repeat > 0])
    counts = {str(status): found[status] for status in NodeStatus}
    return Totals(
        nodes=len(costs),
        macs=sums.macs,
        macs_masked=sums.macs_masked,
        flops=2 * sums.macs + sums.vector_ops,
        vector_ops=sums.vector_ops,
        transcendentals=sums.transcendentals,
        bytes_read=sums.bytes_read,
        bytes_written=sums.bytes_written,
        weight_bytes=sums.weight_bytes,
        peak_activation_bytes=peak.nbytes if peak else None,
        peak_node=peak.node if peak else None,
        coverage=Coverage(nodes=found.total(), counts=counts),
        is_lower_bound=is_lower_bound(costs),
        is_upper_bound=any(
            one.node.repeat > 0 and (one.node.upper_bound or _is_plugin_guess(one)) for one in costs
        ),
    )


@dataclass(slots=True)
class _Sums:
    macs: int = 0
    macs_masked: int = 0
    vector_ops: int = 0
    transcendentals: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    weight_bytes: int = 0


def _sums(costs: Sequence[NodeCost]) -> _Sums:
    """Figure x repeat, in one pass."""
    sums = _Sums()
    for one in costs:
        cost, repeat = one.cost, one.node.repeat
        if cost is not None:
            sums.macs += cost.macs * repeat
            sums.macs_masked += cost.macs_masked * repeat
            sums.vector_ops += cost.vector_ops * repeat
            sums.transcendentals += cost.transcendentals * repeat
            sums.bytes_read += cost.bytes_read * repeat
            sums.bytes_written += cost.bytes_written * repeat
            sums.weight_bytes += cost.weight_bytes * repeat
    return sums


def is_lower_bound(costs: Sequence[NodeCost]) -> bool:
    """True when some node that runs has no cost, or a trip count is not known."""
    return any(
        one.node.repeat > 0 and (one.status in _UNKNOWN or one.node.lower_bound) for one in costs
    )


def _is_plugin_guess(one: NodeCost) -> bool:
    return one.status is NodeStatus.ESTIMATED and isinstance(one.cost, OpCost) and one.spec is None
