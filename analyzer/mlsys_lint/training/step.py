"""A training step of an analysed graph: its work, and the memory that it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Final

from mlsys_lint import dtypes
from mlsys_lint.errors import ModelError
from mlsys_lint.gradients import is_bound
from mlsys_lint.graph import Graph
from mlsys_lint.parameters import Parameter
from mlsys_lint.records import NodeCost, Optimizer, Training, Weight
from mlsys_lint.totals import is_lower_bound
from mlsys_lint.training.activations import Sizes
from mlsys_lint.training.backward import Tally
from mlsys_lint.training.checkpoints import held
from mlsys_lint.training.options import MASTER, NONE, TrainingOptions
from mlsys_lint.training.plan import Plan, plan_of

TRAINING_DOMAIN: Final = "ai.onnx.preview.training"
_TRAINING_ONLY: Final = frozenset({"BatchNormalization", "Dropout"})
_INFERENCE_EXPORT: Final = (
    "an export for inference: BatchNormalization is folded into convolutions and Dropout is gone; "
    "training has both"
)


def training_step(
    graph: Graph,
    costs: Sequence[NodeCost],
    parameters: Sequence[Parameter],
    optimizer: Optimizer,
    options: TrainingOptions,
    *,
    others: Iterable[Optimizer] = (),
) -> Training:
    """Figures of a training step: forward and backward passes of all micro-batches, one update.

    `others`: the optimizers that its own is compared with.

    Raises:
        ModelError: the file holds a training step already.
        OptionError: an option does not fit the model or the optimizer.
    """
    _refuse_training_graph(costs)
    plan = plan_of(graph, costs, parameters, optimizer, options)
    forward, backward, times = plan.forward(costs), plan.backward(), options.accumulation
    sizes = Sizes(options.held)
    memory = held(plan, sizes, options.checkpointing)
    root = held(plan, sizes, "sqrt") if options.checkpointing == NONE else None
    trained = sum(one.elements for one in plan.weights)
    sums = (times - 1) * trained  # of the gradients of micro-batches
    update = _update(plan, optimizer)
    stored = sum(one.elements for one in parameters)
    return Training(
        optimizer=optimizer.name,
        rank=plan.rank or None,
        precision=options.precision,
        checkpointing=options.checkpointing,
        loss=options.loss,
        accumulation=times,
        trainable_parameters=trained,
        frozen_parameters=stored if optimizer.adapters else stored - trained,
        forward_flops=times * forward.flops,
        backward_flops=times * backward.flops + sums,
        forward_contraction_flops=times * forward.contraction_flops,
        backward_contraction_flops=times * backward.contraction_flops,
        backward_transcendentals=times * backward.transcendentals,
        update_flops=update.flops,
        update_transcendentals=update.transcendentals,
        recompute_flops=times * memory.recompute_flops,
        by_operator=_ranked(backward, times, sums),
        weight_bytes=_weight_bytes(plan, parameters, optimizer, options),
        master_weight_bytes=dtypes.stored_bytes(MASTER, trained) if options.mixed else 0,
        gradient_bytes=_held_bytes(plan.weights, options),
        optimizer_state_bytes=_state_bytes(plan, optimizer, plan.rank),
        activation_bytes=memory.nbytes,
        segments=memory.segments,
        is_lower_bound=backward.unknown or is_lower_bound(costs),
        sqrt_activation_bytes=root.nbytes if root is not None else None,
        sqrt_recompute_flops=times * root.recompute_flops if root is not None else None,
        alternatives=_alternatives(plan, optimizer, others),
        assumptions=tuple(_assumptions(plan, costs, optimizer, options)),
    )


def _refuse_training_graph(costs: Sequence[NodeCost]) -> None:
    for one in costs:
        if one.node.domain == TRAINING_DOMAIN:
            raise ModelError(
                f"--training: node {one.node.index} is {one.node.op}: the file holds a training step "
                "already; check it without --training"
            )


def _update(plan: Plan, optimizer: Optimizer) -> Tally:
    """One update of every weight."""
    work = Tally()
    for weight in plan.weights:
        work.add(optimizer.name, optimizer.update(weight, plan.rank))
    return work


def _ranked(backward: Tally, times: int, sums: int) -> Mapping[str, int]:
    """FLOPs of a step's backward passes by operator, largest first."""
    found = {name: times * flops for name, flops in backward.by_operator.items() if flops}
    if sums:
        found["sums of micro-batches"] = sums
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _weight_bytes(
    plan: Plan, parameters: Sequence[Parameter], optimizer: Optimizer, options: TrainingOptions
) -> int:
    """All parameters in the types that they are held in, and the adapters."""
    stored = sum(
        one.nbytes
        if options.held(one.dtype) == one.dtype
        else dtypes.stored_bytes(options.held(one.dtype), one.elements)
        for one in parameters
    )
    return stored + (_held_bytes(plan.weights, options) if optimizer.adapters else 0)


def _held_bytes(weights: Sequence[Weight], options: TrainingOptions) -> int:
    return sum(dtypes.stored_bytes(options.held(one.dtype), one.elements) for one in weights)


def _state_bytes(plan: Plan, optimizer: Optimizer, rank: int) -> int:
    return sum(
        dtypes.stored_bytes(state.dtype or weight.dtype, state.elements)
        for weight in plan.weights
        for state in optimizer.states(weight, rank)
    )


def _alternatives(
    plan: Plan, optimizer: Optimizer, others: Iterable[Optimizer]
) -> Mapping[str, int]:
    """State bytes of optimizers that train the same weights; adapters would train others."""
    return {
        one.name: _state_bytes(plan, one, one.rank or 0)
        for one in sorted(others, key=attrgetter("name"))
        if one.name != optimizer.name and not one.adapters and not optimizer.adapters
    }


def _assumptions(
    plan: Plan, costs: Sequence[NodeCost], optimizer: Optimizer, options: TrainingOptions
) -> Iterator[str]:
    if not any(one.node.op_type in _TRAINING_ONLY for one in costs):
        yield _INFERENCE_EXPORT
    if not plan.weights:
        yield "nothing is trained: no gradient reaches a stored floating-point weight"
    elif not (options.trainable or optimizer.adapters):
        yield "what is trained is inferred; --trainable and --frozen override it"
    if options.mixed:
        yield "mixed precision: everything but statistics is kept in 16 bits"
    if any(one.node.op == "ai.onnx::QuantizeLinear" for one in costs):
        yield "gradients end at QuantizeLinear"
    pairs = zip(plan.flow.steps, plan.reached.wanted, strict=True)
    bounds = {
        step.one.node.op_type
        for step, wanted in pairs
        if step.one and wanted and is_bound(step.one)
    }
    if bounds:
        names = ", ".join(sorted(bounds))
        yield f"at most: {names}: twice each of the several contractions that they hold"
    if optimizer.note is not None:
        yield f"{optimizer.name}: {optimizer.note}"
