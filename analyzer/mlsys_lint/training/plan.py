"""What is trained, and how gradients flow through the model to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlsys_lint import dtypes
from mlsys_lint.graph import Graph
from mlsys_lint.parameters import Parameter
from mlsys_lint.records import NodeCost, Optimizer, TensorInfo, Weight, Work
from mlsys_lint.training.activations import Buffer, Sizes, kept_buffers
from mlsys_lint.training.adapters import Site, chosen, find_sites
from mlsys_lint.training.backward import Tally, backward_work
from mlsys_lint.training.flow import Flow, flow_of, is_real
from mlsys_lint.training.losses import Loss, loss_of
from mlsys_lint.training.options import TrainingOptions
from mlsys_lint.training.reach import Reach, reach
from mlsys_lint.training.trainable import Candidates, choose, find_candidates

_LAST: int = 2**62
"""A place behind every node: what the loss keeps belongs to the last segment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A model and what is trained of it.

    Attributes:
        weights: Everything that the optimizer updates.
        sites: Where adapters stand; empty without.
        rank: Of a low-rank method, else 0.
        loss: None where gradients of ones arrive at the outputs.
        predictions: What the loss is applied to.
    """

    flow: Flow
    reached: Reach
    weights: tuple[Weight, ...]
    sites: tuple[Site, ...]
    rank: int
    loss: Loss | None
    predictions: TensorInfo | None

    def forward(self, costs: Sequence[NodeCost]) -> Tally:
        """All nodes, adapters and the loss."""
        work = Tally()
        for one in costs:
            if one.cost is not None:
                work.add(one.node.op, _forward_of(one), one.node.repeat)
        for site in self.sites:
            work.add("adapters", site.forward(self.rank), self.flow.steps[site.at].repeat)
        if self.loss is not None:
            work.add("loss", self.loss.forward)
        return work

    def backward(self) -> Tally:
        """The backward pass of nodes, adapters and the loss."""
        work = backward_work(self.flow, self.reached)
        for site in self.sites:
            gradient = site.backward(self.rank, wanted=0 in self.reached.wanted[site.at])
            if self.reached.active[site.at]:
                work.add("adapters", gradient, self.flow.steps[site.at].repeat)
        if self.loss is not None:
            work.add("loss", self.loss.backward)
        return work

    def kept(self, sizes: Sizes) -> Iterator[Buffer]:
        """What nodes, adapters and the loss keep."""
        yield from kept_buffers(self.flow, self.reached, sizes)
        for site in self.sites:
            step = self.flow.steps[site.at]
            for tensor in site.kept(step, self.rank):
                key = self.flow.root(tensor) if tensor.uid >= 0 else None
                size = sizes.of(tensor)
                nbytes = None if size is None else size * step.repeat
                yield Buffer(key=key, place=step.place, nbytes=nbytes)
        if self.loss is not None and self.predictions is not None:
            dtype = sizes.held(self.predictions.type_name)
            kept = dtypes.stored_bytes(dtype, self.loss.kept)
            yield Buffer(key=None, place=_LAST, nbytes=kept)

    def adapter_flops(self) -> dict[int, int]:
        """Forward work of adapters by place."""
        found: dict[int, int] = {}
        for site in self.sites:
            step, work = self.flow.steps[site.at], site.forward(self.rank)
            flops = (work.contraction_flops + work.vector_ops) * step.repeat
            found[step.place] = found.get(step.place, 0) + flops
        return found


def plan_of(
    graph: Graph,
    costs: Sequence[NodeCost],
    parameters: Sequence[Parameter],
    optimizer: Optimizer,
    options: TrainingOptions,
) -> Plan:
    """Find the weights, then the way of the gradients.

    Raises:
        OptionError: an option does not fit the model or the optimizer.
    """
    rank = options.rank_for(optimizer)
    flow = flow_of(graph, costs)
    predictions = next((tensor for tensor in graph.outputs if is_real(tensor)), None)
    targets = flow.results if options.loss == "none" or not predictions else {predictions.uid}
    sites: tuple[Site, ...] = ()
    if optimizer.adapters:
        sites = chosen(tuple(find_sites(flow)), options)
        weights = tuple(_adapters(sites, options, rank))
        reached = reach(flow, (), targets, frozenset(site.at for site in sites))
    else:
        found = find_candidates(flow, {one.origin for one in parameters})
        trained = choose(found, options)
        reached = reach(flow, {one.uid for one in trained.values()}, targets)
        weights = tuple(
            _weight(found, origin, one, options)
            for origin, one in trained.items()
            if one.uid in reached.alive
        )
    return Plan(
        flow=flow,
        reached=reached,
        weights=weights,
        sites=sites,
        rank=rank,
        loss=loss_of(options.loss, predictions),
        predictions=predictions,
    )


def _forward_of(one: NodeCost) -> Work:
    cost = one.cost
    if cost is None:
        return Work()
    return Work(contractions=cost.contractions, vector_ops=cost.vector_ops)


def _weight(found: Candidates, origin: str, tensor: TensorInfo, options: TrainingOptions) -> Weight:
    return Weight(
        name=tensor.name,
        shape=tensor.dims,
        dtype=options.updated(tensor.type_name),
        is_matrix=len(tensor.dims) == 2 and origin in found.matrices,
    )


def _adapters(sites: Sequence[Site], options: TrainingOptions, rank: int) -> Iterator[Weight]:
    """One pair for each matrix, however many products read it."""
    for site in {site.origin: site for site in sites}.values():
        yield from site.weights(rank, options.updated(site.product.dtype))
