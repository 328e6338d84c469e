"""Bytes of graph inputs and outputs that must cross from and to DRAM in every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlsys_lint.graph import Graph
from mlsys_lint.records import Kernel, NodeCost, TensorInfo


def io_bytes(graph: Graph, costs: Sequence[NodeCost], kernels: Sequence[Kernel]) -> int:
    """Least bytes that graph inputs and outputs move; unknown or data-dependent sizes count 0.

    Of an input only what kernels surely read, itself or a view of it: a lookup takes a few rows. An
    output that may be the buffer of an input (a cache that is updated in place) counts 0.
    """
    roots = _roots(graph, costs)
    read = _read_of_values(costs, kernels, roots)
    fed = sum(
        min(tensor.nbytes, read.get(tensor.uid, 0)) for tensor in filter(_moves, graph.inputs)
    )
    inputs = {tensor.uid for tensor in graph.inputs}
    made = [tensor for tensor in graph.outputs if roots.get(tensor.uid) not in inputs]
    return fed + sum(tensor.nbytes for tensor in filter(_moves, made))


def _moves(tensor: TensorInfo) -> bool:
    known = tensor.is_static and tensor.dtype is not None
    return known and not tensor.bounded and tensor.kind == "tensor" and not tensor.constant


def _roots(graph: Graph, costs: Sequence[NodeCost]) -> Mapping[int, int]:
    """Uid of a view -> that of the value whose buffer it is."""
    roots: dict[int, int] = {}
    for index in graph.visits:
        one = costs[index]
        for source, target in one.cost.aliases if one.cost else ():
            value, view = one.node.optional_input(source), one.node.outputs[target]
            if value is not None and view is not None:
                roots[view.uid] = roots.get(value.uid, value.uid)
    return roots


def _read_of_values(
    costs: Sequence[NodeCost], kernels: Sequence[Kernel], roots: Mapping[int, int]
) -> Mapping[int, int]:
    """Uid -> bytes that sure kernels read of a value and of its views, at most."""
    read: dict[int, int] = {}
    for kernel in kernels:
        inputs = [tensor for index in kernel.nodes for tensor in costs[index].node.inputs]
        moved = kernel.cost.bytes_read - kernel.cost.weight_bytes
        for uid in {roots.get(tensor.uid, tensor.uid) for tensor in inputs if tensor is not None}:
            if kernel.certain:
                read[uid] = read.get(uid, 0) + moved
    return read
