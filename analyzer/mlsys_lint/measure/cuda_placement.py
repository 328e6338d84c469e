"""Which nodes of a CUDA run ran elsewhere, and what was copied between GPU and host for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any, Final

Event = Mapping[str, Any]

RECORD_ASSIGNMENT: Final = "session.record_ep_graph_assignment_info"
"""Session option without which `get_provider_graph_assignment_info` tells nothing."""
_KERNEL: Final = "_kernel_time"
_COPIES: Final = frozenset({"MemcpyToHost", "MemcpyFromHost"})
_CONTAINERS: Final = frozenset({"If", "Loop", "Scan"})
"""Their events enclose those of their bodies."""
_READS_NO_DATA: Final = frozenset({"Shape", "Size"})
_WHOLE: Final = frozenset({"int32", "int64", "bool"})
_REAL: Final = frozenset({"float", "double"})
_SMALL: Final = 100
"""Elements; kSmallInitializerThreshold in onnxruntime/core/framework/fallback_cpu_capability.cc."""


def fallbacks(runs: Iterable[Iterable[Event]], wanted: str) -> list[dict[str, Any]]:
    """Executed nodes that ran on another provider, by provider, kind and operator.

    `benign`: the provider left them there on purpose, as arithmetic on sizes is faster on the CPU
    (GetCpuPreferredNodes in fallback_cpu_capability.cc). A profile does not name that reason; it is
    seen from all tensors of the node being small, and integers or, as a list of scales, floats.
    """
    found: dict[tuple[str, bool, str], set[str]] = defaultdict(set)
    for event in (event for run in runs for event in run):
        provider = event["args"].get("provider", wanted)
        if provider != wanted:
            key = (provider, _on_sizes(event["args"]), event["args"].get("op_name", ""))
            found[key].add(event["name"].removesuffix(_KERNEL))
    return [
        {"provider": provider, "op_type": op_type, "nodes": sorted(nodes), "benign": benign}
        for (provider, benign, op_type), nodes in sorted(found.items())
    ]


def copies(runs: Iterable[Iterable[Event]]) -> list[dict[str, Any]]:
    """Memcpy nodes by direction, with their share of the profiled time of all nodes.

    Without GPU times in the events, a copy to the host counts with its wait for the kernels that
    were queued before it.
    """
    total = 0
    found: dict[str, tuple[set[str], int]] = {}
    for event in (event for run in runs for event in run):
        op_type = event["args"].get("op_name", "")
        total += 0 if op_type in _CONTAINERS else event["dur"]
        if op_type in _COPIES:
            nodes, spent = found.get(op_type, (set(), 0))
            name = event["name"].removesuffix(_KERNEL)
            found[op_type] = (nodes | {name}, spent + event["dur"])
    return [
        {
            "op_type": op_type,
            "nodes": sorted(nodes),
            "time_fraction": spent / total if total else None,
        }
        for op_type, (nodes, spent) in sorted(found.items())
    ]


def not_executed(session: Any, wanted: str, seen: Sequence[Mapping[str, Any]]) -> list[str]:
    """Operators that were given to another provider and of which no node ran there.

    Branches that were not taken, or operators that the other provider fused with others. Empty
    where the release does not tell which node it gave to whom.

    Args:
        session: An onnxruntime.InferenceSession with RECORD_ASSIGNMENT set.
        wanted: The provider that all nodes should be on.
        seen: What `fallbacks` found.
    """
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return []
    assigned = {
        node.op_type
        for part in session.get_provider_graph_assignment_info()
        if part.ep_name != wanted
        for node in part.get_nodes()
    }
    return sorted(assigned - {one["op_type"] for one in seen})


def _on_sizes(arguments: Mapping[str, Any]) -> bool:
    """True when a node computes sizes: every tensor that it touches is small and no feature map."""
    inputs = list(_tensors(arguments.get("input_type_shape")))
    outputs = list(_tensors(arguments.get("output_type_shape")))
    touched = outputs if arguments.get("op_name") in _READS_NO_DATA else inputs + outputs
    return bool(outputs) and all(_is_size(dtype, shape) for dtype, shape in touched)


def _tensors(described: object) -> Iterator[tuple[str, Sequence[int]]]:
    """(type, shape) of a list such as [{"int64": [2]}, {"float": []}]."""
    for one in described if isinstance(described, list) else ():
        yield from one.items()


def _is_size(dtype: str, shape: Sequence[int]) -> bool:
    if prod(shape) > _SMALL:
        return False
    return dtype in _WHOLE or (dtype in _REAL and len(shape) <= 1)
