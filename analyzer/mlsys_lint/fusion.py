"""Nodes -> kernels: what a runtime drops before it runs, and what each kernel reads.

Public for runtime plugins. What is here holds for any optimizing runtime: constants are folded,
results that nobody reads are never computed, equal nodes are computed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from mlsys_lint.records import Kernel, NodeCost, NodeStatus, TensorInfo

_NOT_EQUAL: Final = frozenset(
    [
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Bernoulli",
        "Multinomial",
    ]
)
_FREE: Final = frozenset({"Constant", "Identity"})


def every_node(costs: Sequence[NodeCost], results: frozenset[int]) -> tuple[Kernel, ...]:
    """A kernel for every node that is known and executed: no runtime's cleverness at all."""
    del results
    certain = _certain(costs)
    return tuple(
        as_kernel(one, certain=one.node.index in certain)
        for one in costs
        if _is_work(one) and one.node.op_type != "Constant"
    )


def executed_nodes(costs: Sequence[NodeCost], results: frozenset[int]) -> tuple[Kernel, ...]:
    """A kernel for every node that survives folding and elimination."""
    certain = _certain(costs)
    alive = _alive(costs, results)
    folded = _folded(costs)
    kept = [
        one
        for one in costs
        if one.node.index in alive and one.node.index not in folded and _is_work(one)
    ]
    return tuple(
        as_kernel(one, certain=one.node.index in certain)
        for one in _distinct(kept)
        if one.node.op_type not in _FREE
    )


def as_kernel(one: NodeCost, *, certain: bool = True) -> Kernel:
    """A node as a kernel of its own; its cost must be known."""
    cost = one.cost
    if cost is None:
        raise ValueError(f"node {one.node.index} has no cost")
    return Kernel(
        nodes=(one.node.index,),
        cost=cost,
        kernel_class=cost.kernel_class,
        dtype=cost.dtype or _dtype(one),
        repeat=one.node.repeat,
        weights=_weights(one),
        certain=certain,
    )


def _dtype(one: NodeCost) -> str | None:
    """Type of a kernel's vector work: that of its first output."""
    return next((tensor.dtype for tensor in one.node.outputs if tensor is not None), None)


def _is_work(one: NodeCost) -> bool:
    known = one.cost is not None and one.status is not NodeStatus.EXPANDED
    return known and one.node.repeat > 0


def _weights(one: NodeCost) -> tuple[tuple[str, int], ...]:
    """Constants that a kernel reads, each with the bytes it takes of it (Gather takes rows)."""
    left = one.cost.weight_bytes if one.cost else 0
    found: dict[str, int] = {}
    for tensor in one.node.inputs:
        if tensor is None or not tensor.constant or tensor.dtype is None or not left:
            continue
        if tensor.shape is None or None in tensor.shape:
            continue
        key = tensor.origin or f"#{tensor.uid}"
        if key not in found:
            found[key] = min(tensor.nbytes, left)
            left -= found[key]
    return tuple(found.items())


def _folded(costs: Iterable[NodeCost]) -> set[int]:
    """Nodes whose results are known before the run."""
    return {
        one.node.index
        for one in costs
        if any(one.node.outputs)
        and all(tensor is None or tensor.constant for tensor in one.node.outputs)
    }


def _alive(costs: Sequence[NodeCost], results: frozenset[int]) -> set[int]:
    """Nodes that a result depends on; bodies of a dropped container drop with it."""
    dropped: set[int] = set()
    while True:
        alive, dead_owners = _backwards(costs, results, dropped)
        if dead_owners <= dropped:
            return alive
        dropped |= dead_owners


def _backwards(
    costs: Sequence[NodeCost], results: frozenset[int], dropped: set[int]
) -> tuple[set[int], set[int]]:
    wanted, alive, dead_owners = set(results), set(), set(dropped)
    for one in reversed(costs):
        node = one.node
        needed = any(tensor is not None and tensor.uid in wanted for tensor in node.outputs)
        if node.owner in dropped or not needed:
            if node.container:
                dead_owners.add(node.index)
            continue
        alive.add(node.index)
        wanted.update(tensor.uid for tensor in (*node.inputs, *node.implicit) if tensor)
    return alive, dead_owners


def _distinct(costs: Iterable[NodeCost]) -> list[NodeCost]:
    """One of each set of equal nodes: same operator, attributes and (equal) inputs."""
    leader: dict[int, int] = {}
    seen: dict[object, NodeCost] = {}
    kept = []
    for one in costs:
        node = one.node
        inputs = tuple(
            leader.get(tensor.uid, tensor.uid) if tensor else None for tensor in node.inputs
        )
        key = (
            node.scope,
            node.op,
            inputs,
            tuple(sorted(node.attributes.items(), key=lambda item: item[0])),
        )
        plain = not any(isinstance(value, TensorInfo) for value in node.attributes.values())
        twin = seen.get(key) if plain else None
        if (
            twin is None
            or node.op_type in _NOT_EQUAL
            or len(twin.node.outputs) != len(node.outputs)
        ):
            kept.append(one)
            if plain:
                seen[key] = one
            continue
        for own, other in zip(node.outputs, twin.node.outputs, strict=True):
            if own is not None and other is not None:
                leader[own.uid] = other.uid
    return kept


def _certain(costs: Sequence[NodeCost]) -> set[int]:
    """Nodes that surely run as often and at the size that is counted."""
    nodes = {one.node.index: one.node for one in costs}
    found: dict[int, bool] = {}
    for one in costs:  # owners come before their bodies
        node = one.node
        around = node.owner is None or found.get(node.owner, nodes.get(node.owner) is None)
        found[node.index] = around and not node.upper_bound and not node.lower_bound
    return {index for index, certain in found.items() if certain}
