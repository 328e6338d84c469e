"""com.microsoft: mixtures of experts - router, two or three layers, weighted sum."""

from __future__ import annotations

from math import inf, prod
from typing import Final

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, TensorInfo, cost
from mlsys_lint_plugins.ops.activation import ACTIVATIONS
from mlsys_lint_plugins.ops.inference import same_as
from mlsys_lint_plugins.ops.linear import contraction_class
from mlsys_lint_plugins.ops.msft_experts import Experts, routing, sparse_mixer
from mlsys_lint_plugins.ops.msft_gating import clamped_swiglu
from mlsys_lint_plugins.ops.msft_spec import contrib, factor
from mlsys_lint_plugins.ops.rows import with_rows

_ACTIVATIONS: Final = {
    # (vector operations, transcendentals) per element; gelu is the tanh form, as in the kernels
    "relu": ACTIVATIONS["Relu"],
    "gelu": ACTIVATIONS["FastGelu"],
    "silu": (1, 1),
    "relu2": (2, 0),
    "identity": (0, 0),
}


def tokens_of(node: NodeView) -> tuple[int, int]:
    """(tokens, features) of [tokens, H] or [B, S, H]."""
    dims = node.input(0).dims
    return prod(dims[:-1]), dims[-1]


def activation_of(node: NodeView, experts: Experts) -> tuple[int, int] | Declined:
    """(operations, transcendentals) per element inside; a linear half takes a product."""
    name = node.text("activation_type", "relu")
    if name == "swiglu":
        if not experts.gated and not experts.third:
            return Declined("swiglu needs a first layer of both halves, or a third layer")
        clamped = factor(node, "swiglu_limit", inf) < inf
        return clamped_swiglu(clamped=clamped, beta=factor(node, "activation_beta", 0.0))
    if name == "geglu" and not experts.gated:
        return Declined("geglu needs a first layer of both halves")
    if name == "geglu":
        ops, transcendentals = ACTIVATIONS["FastGelu"]
        return ops + 1, transcendentals
    if name not in _ACTIVATIONS:
        return Declined(f"activation_type {name!r} has no formula")
    ops, transcendentals = _ACTIVATIONS[name]
    return ops + experts.third, transcendentals


def router_of(node: NodeView, experts: Experts, *, weighted: bool) -> tuple[int, int]:
    """(operations, transcendentals) of the choice; weights that are given need no softmax."""
    if node.integer("use_sparse_mixer", 0):
        return sparse_mixer(experts.tokens, experts.experts)
    return routing(
        experts.tokens,
        experts.experts,
        experts.chosen,
        softmax=not weighted,
        normalized=bool(node.integer("normalize_routing_weights", 0)),
    )


def moe(node: NodeView) -> OpCost | Declined:
    """N tokens, k experts each: N * k * (n * H + H * I) MACs, and N * k * I * H of a third layer.

    n is I, or 2 I where the first layer holds both halves of a gated activation. Operations: see
    routing, the activation per element inside, biases, the weighted sum of k results. Weights and
    biases are read of the experts that are taken: of min(E, N k) at most.
    """
    first, second, third = node.input(2), node.input(4), node.optional_input(6)
    tokens, hidden = tokens_of(node)
    count = first.dims[0]
    per_expert = max(1, count * hidden)
    experts = Experts(
        tokens=tokens,
        experts=count,
        chosen=node.integer("k", 1),
        hidden=hidden,
        inner=second.numel // per_expert,
        first=first.numel // per_expert,
        third=third is not None,
    )
    given = [node.optional_input(position) is not None for position in (3, 5, 7)]
    return experts_cost(node, experts, given, tables=range(2, 8), read=(0, 1))


def experts_cost(
    node: NodeView,
    experts: Experts,
    biases: list[bool],
    *,
    tables: range | tuple[int, ...],
    read: tuple[int, ...],
    weighted: bool = False,
    unpacked: int = 0,
    notes: tuple[str, ...] = (),
) -> OpCost | Declined:
    """Cost of routing and experts; `tables` have an entry per expert, `unpacked` weights take 2."""
    activated = activation_of(node, experts)
    if isinstance(activated, Declined):
        return activated
    chosen, exps = router_of(node, experts, weighted=weighted)
    products = experts.contractions(node.input(0).type_name)
    inside = experts.routed * experts.inner
    base = cost(
        node,
        kernel_class=_kernel_class(experts, unpacked=bool(unpacked)),
        contractions=products,
        vector_ops=chosen
        + activated[0] * inside
        + experts.biases(*biases)
        + experts.combined
        + 2 * unpacked,
        transcendentals=exps + activated[1] * inside,
        read=read,
        assumptions=(*experts.notes(), *notes),
    )
    return with_rows(base, [(table, experts.active) for table in _given(node, tables)])


def _given(node: NodeView, positions: range | tuple[int, ...]) -> list[TensorInfo]:
    found = [node.optional_input(position) for position in positions]
    return [one for one in found if one is not None]


def _kernel_class(experts: Experts, *, unpacked: bool) -> str:
    """Packed weights: by the rows of an expert; else as a product for each expert."""
    if unpacked:
        return "nbits_gemv" if experts.routed <= experts.active else "nbits_gemm"
    products = experts.contractions("float")
    return contraction_class(products[-1]) if products else "gemm"


OPERATORS: Final[tuple[OperatorSpec, ...]] = (contrib("MoE", moe, same_as(0)),)
