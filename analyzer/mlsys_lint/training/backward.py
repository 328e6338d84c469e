"""Cost of the backward pass, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import prod

from mlsys_lint.errors import UnknownSizeError
from mlsys_lint.gradients import gradient_of
from mlsys_lint.records import Contraction, TensorInfo, Work
from mlsys_lint.training.flow import Flow, Step
from mlsys_lint.training.reach import Reach


@dataclass(slots=True)
class Tally:
    """Sums of a pass.

    Attributes:
        contraction_flops, vector_ops, transcendentals: Figure x repeat over all nodes.
        by_operator: Operator -> FLOPs.
        contractions: The matrix products; their batches say how often they run.
        unknown: Some node on the way has no cost.
    """

    contraction_flops: int = 0
    vector_ops: int = 0
    transcendentals: int = 0
    by_operator: dict[str, int] = field(default_factory=dict)
    contractions: list[Contraction] = field(default_factory=list)
    unknown: bool = False

    @property
    def flops(self) -> int:
        """Contractions and vector operations."""
        return self.contraction_flops + self.vector_ops

    def add(self, operator: str, gradient: Work, repeat: int = 1) -> None:
        """Count a node's work, as often as the node runs."""
        products = gradient.contraction_flops * repeat
        operations = gradient.vector_ops * repeat
        self.contraction_flops += products
        self.vector_ops += operations
        self.transcendentals += gradient.transcendentals * repeat
        self.contractions += [
            replace(one, batch=one.batch * repeat) for one in gradient.contractions
        ]
        self.by_operator[operator] = self.by_operator.get(operator, 0) + products + operations


def backward_work(flow: Flow, reached: Reach) -> Tally:
    """The backward pass of all steps, and the sums of gradients that arrive from several readers."""
    work = Tally()
    for at, step in enumerate(flow.steps):
        one, wanted = step.one, reached.wanted[at]
        if one is None or not wanted:
            continue
        try:
            gradient = gradient_of(one, wanted)
        except UnknownSizeError:
            gradient = None
        if gradient is None:
            work.unknown = True
        else:
            work.add(one.node.op, gradient, step.repeat)
    for elements in _sums(flow, reached):
        work.add("sums of gradients", Work(vector_ops=elements))
    return work


def _sums(flow: Flow, reached: Reach) -> Iterable[int]:
    """Additions, by value: its gradients from all readers, less one for each time it is made."""
    uses: dict[int, int] = {}
    made: dict[int, int] = {}
    infos: dict[int, TensorInfo] = {}
    for step, wanted in zip(flow.steps, reached.wanted, strict=True):
        for position in wanted if step.one is not None else ():
            tensor = step.inputs[position]
            if tensor is not None:
                uses[tensor.uid] = uses.get(tensor.uid, 0) + step.repeat
                infos[tensor.uid] = tensor
        made.update(_made(step))
    for uid, times in uses.items():
        if times > made.get(uid, 1) and infos[uid].is_static:
            yield (times - made.get(uid, 1)) * prod(infos[uid].dims)


def _made(step: Step) -> Mapping[int, int]:
    return {tensor.uid: step.repeat for tensor in step.outputs if tensor is not None}
