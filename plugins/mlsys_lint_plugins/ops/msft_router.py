"""com.microsoft: routers of mixtures of experts."""

from __future__ import annotations

from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.inference import Sizes, element_type, given, integer, put, sizes
from mlsys_lint_plugins.ops.linear import contraction_class, matmul_contraction
from mlsys_lint_plugins.ops.msft_experts import HEAP, selection_ops
from mlsys_lint_plugins.ops.msft_gating import clamped_swiglu
from mlsys_lint_plugins.ops.msft_spec import contrib, factor, float_conversions


def group_router(node: NodeView) -> OpCost | Declined:
    """Sigmoid of E logits and a bias for each; then k experts of the best groups.

    Groups, unless all of them stay: the largest group_topk of each group and their sum, the largest
    topk_group sums. Of the experts that are left the k largest, for each a maximum and a log. Full
    scores (outputs 1, 2) select nothing; logits may be projected first: E * width MACs a token.
    """
    logits, bias, weight = node.input(0), node.input(1), node.optional_input(2)
    experts, chosen = bias.numel, node.integer("top_k", 0)
    if not chosen:
        return Declined("top_k is required")
    width = logits.dims[-1] if weight is not None else experts
    tokens = logits.numel // width if width else 0
    selects = bool(node.outputs) and node.outputs[0] is not None
    product = Contraction(m=tokens, n=experts, k=width, dtype=logits.type_name)
    each = experts + (_selection(node, experts, chosen) + chosen if selects else 0)
    return cost(
        node,
        kernel_class="topk" if weight is None else contraction_class(product),
        contractions=() if weight is None else (product,),
        vector_ops=tokens * each,
        transcendentals=tokens * (experts + (chosen if selects else 0)),
        dtype="float",
        assumptions=(HEAP,) if selects else (),
    )


def _selection(node: NodeView, experts: int, chosen: int) -> int:
    """Comparisons and sums for one token."""
    groups, kept = node.integer("n_group", 1), node.integer("topk_group", 1)
    if kept >= groups:
        return selection_ops(experts, chosen)
    size = experts // groups
    best = min(node.integer("group_topk", 2), size)
    scored = selection_ops(experts, best) + groups * (best - 1) + selection_ops(groups, kept)
    return scored + selection_ops(kept * size, chosen)


def infer_group_router(context: InferenceContext) -> None:
    """[tokens, E]: the scores of the logits' type, what is biased or not in float."""
    logits, bias = sizes(context, 0), sizes(context, 1)
    if not logits or not bias:
        return
    shape = (_product(logits[:-1]), bias[0])
    put(context, 0, element_type(context, 0), shape)
    for position in (1, 2):
        put(context, position, TensorProto.FLOAT, shape)


def _product(lead: Sizes) -> int | None:
    count = 1
    for size in lead:
        if size is None:
            return None
        count *= size
    return count


def gate_up_projection(node: NodeView) -> OpCost | Declined:
    """MatMul by [K, router + 2 I], then SwiGLU of com.microsoft on the two halves of I."""
    x, w, y = node.input(0), node.input(1), node.output(1)
    name = node.text("activation", "swiglu")
    if name != "swiglu":
        return Declined(f"activation {name!r} has no formula")
    product = matmul_contraction(x.dims, w.dims, x.type_name)
    ops, transcendentals = clamped_swiglu(
        clamped=factor(node, "limit", 0.0) > 0, beta=factor(node, "activation_beta", 0.0)
    )
    return cost(
        node,
        kernel_class=contraction_class(product),
        contractions=(product,),
        vector_ops=ops * y.numel + float_conversions(y, y, y),
        transcendentals=transcendentals * y.numel,
    )


def infer_gate_up(context: InferenceContext) -> None:
    """[.., router_size] and [.., I]."""
    x, w, router = sizes(context, 0), sizes(context, 1), integer(context, "router_size")
    if not x or w is None or len(w) != 2 or not given(context, 1):
        return
    inner = None if w[1] is None else (w[1] - router) // 2
    put(context, 0, element_type(context, 0), (*x[:-1], router))
    put(context, 1, element_type(context, 0), (*x[:-1], inner))


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("MoEGroupRouter", group_router, infer_group_router),
    contrib("RouterGateUpProj", gate_up_projection, infer_gate_up),
)
