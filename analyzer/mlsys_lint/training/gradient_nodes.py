"""ai.onnx.preview.training.Gradient: the backward pass of the nodes between xs and y.

The operator names values of the graph around it, so that no formula of the node alone can tell its
cost. It counts the gradients of y in the named xs as a backward pass does: y's forward pass is in the
graph already. It reads its inputs and what the nodes in between keep, and writes the gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mlsys_lint.errors import UnknownSizeError
from mlsys_lint.graph import Graph
from mlsys_lint.records import Declined, NodeCost, NodeStatus, NodeView, OpCost, TensorInfo
from mlsys_lint.training.activations import Sizes, kept_buffers
from mlsys_lint.training.backward import backward_work
from mlsys_lint.training.flow import Flow, flow_of
from mlsys_lint.training.reach import Reach, reach

_DOMAIN: Final = "ai.onnx.preview.training"


def cost_gradients(graph: Graph, costs: Sequence[NodeCost]) -> tuple[NodeCost, ...]:
    """The costs, those of Gradient nodes filled in where xs and y name values beside them."""
    if not any(_is_gradient(one) for one in costs):
        return tuple(costs)
    flow = flow_of(graph, costs)
    return tuple(_costed(one, flow, graph, costs) if _is_gradient(one) else one for one in costs)


def _is_gradient(one: NodeCost) -> bool:
    return one.node.domain == _DOMAIN and one.node.op_type == "Gradient"


def _costed(one: NodeCost, flow: Flow, graph: Graph, costs: Sequence[NodeCost]) -> NodeCost:
    try:
        found = _cost(one.node, flow, graph, costs)
    except UnknownSizeError as error:
        found = Declined(str(error))
    if isinstance(found, Declined):
        return replace(one, status=NodeStatus.DECLINED, reason=found.reason)
    return replace(one, status=NodeStatus.EXACT, reason=None, cost=found)


def _cost(node: NodeView, flow: Flow, graph: Graph, costs: Sequence[NodeCost]) -> OpCost | Declined:
    named = {tensor.name: tensor for tensor in _values(graph, costs, node.scope)}
    listed, target = node.attributes.get("xs"), node.text("y")
    sources = [str(name) for name in listed] if isinstance(listed, tuple) else []
    for name in (*sources, target):
        if name not in named:
            return Declined(f"no value beside it is named {name!r}")
    reached = reach(flow, {named[name].uid for name in sources}, {named[target].uid})
    if named[target].uid not in reached.reached:
        return Declined(f"no gradient of {target!r} reaches xs through nodes of known type")
    work, kept = backward_work(flow, reached), _kept(flow, reached)
    if work.unknown or None in kept.values():
        return Declined("a node between xs and y has no cost")
    moved = {key: size or 0 for key, size in kept.items()}
    moved |= {tensor.uid: tensor.nbytes for tensor in node.inputs if tensor is not None}
    return OpCost(
        contractions=tuple(work.contractions),
        vector_ops=work.vector_ops,
        transcendentals=work.transcendentals,
        bytes_read=sum(moved.values()),
        bytes_written=sum(tensor.nbytes for tensor in node.outputs if tensor is not None),
        kernel_class="gradient",
        assumptions=("gradients between the nodes from xs to y move no bytes",),
    )


def _kept(flow: Flow, reached: Reach) -> dict[int, int | None]:
    """Bytes of each buffer that the nodes in between keep."""
    return {
        -at if buffer.key is None else buffer.key: buffer.nbytes
        for at, buffer in enumerate(kept_buffers(flow, reached, Sizes(_as_it_is)), start=1)
    }


def _as_it_is(dtype: str) -> str:
    return dtype


def _values(graph: Graph, costs: Sequence[NodeCost], scope: str) -> list[TensorInfo]:
    """Values of a scope: what is fed, stored, read and computed there."""
    nodes: list[NodeView] = [costs[index].node for index in graph.frames[scope].order]
    found = list(graph.inputs) if not scope else []
    for node in nodes:
        found += [one for one in (*node.inputs, *node.outputs) if one is not None]
    return found
