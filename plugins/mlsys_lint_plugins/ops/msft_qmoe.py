"""com.microsoft: mixtures of experts whose weights are packed in few bits."""

from __future__ import annotations

from typing import Final

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.inference import same_as
from mlsys_lint_plugins.ops.msft_experts import Experts, routing
from mlsys_lint_plugins.ops.msft_moe import experts_cost, tokens_of
from mlsys_lint_plugins.ops.msft_spec import contrib, factor
from mlsys_lint_plugins.ops.rows import with_rows

_LAYERS: Final = {
    # position of the weights: (layer, position of its zero points)
    2: ("fc1", 11),
    5: ("fc2", 12),
    8: ("fc3", 13),
}
_TABLES: Final = (*range(2, 14), 15, 16)
_PACKED_BITS: Final = {"fp4": 4, "nvfp4": 4, "fp8": 8}


def _bits(node: NodeView, layer: str) -> int:
    kind = node.text("quant_type", "int")
    if kind in _PACKED_BITS:
        return _PACKED_BITS[kind]
    shared = node.integer("expert_weight_bits", 4)
    return node.integer(f"{layer}_expert_weight_bits", shared) or shared


def _weights(node: NodeView, position: int) -> int:
    """Logical weights: bytes hold 8 / bits of them; 8-bit floats are stored one by one."""
    packed = node.optional_input(position)
    if packed is None:
        return 0
    if packed.dtype != "uint8":
        return packed.numel
    return packed.numel * 8 // max(1, _bits(node, _LAYERS[position][0]))


def qmoe_elements(node: NodeView, position: int) -> int:
    """Logical weights and zero points: of those one per row, or per block of a row's inputs."""
    if position in _LAYERS:
        return _weights(node, position)
    for weights, (layer, zeros) in _LAYERS.items():
        if position == zeros:
            hidden = max(1, tokens_of(node)[1])
            inner = _weights(node, 5) // max(1, node.input(5).dims[0] * hidden)
            depth = max(1, inner if layer == "fc2" else hidden)
            block = node.integer("block_size", 0)
            return _weights(node, weights) // depth * (depth // block if block > 0 else 1)
    return node.input(position).numel


def qmoe(node: NodeView) -> OpCost | Declined:
    """MoE on weights of few bits: its MACs in the type of the input, of logical sizes.

    Unpacking counts 2 operations per weight of an expert that is taken (zero point or conversion,
    scale), once per kernel; scales of whole experts are not counted. router_weights replace softmax.
    """
    kind = node.text("quant_type", "int")
    if kind not in ("int", *_PACKED_BITS):
        return Declined(f"quant_type {kind!r} has no formula")
    tokens, hidden = tokens_of(node)
    count = node.input(2).dims[0]
    first, second, third = (_weights(node, position) for position in _LAYERS)
    per_expert = max(1, count * hidden)
    experts = Experts(
        tokens=tokens,
        experts=count,
        chosen=node.integer("k", 1),
        hidden=hidden,
        inner=second // per_expert,
        first=first // per_expert,
        third=third > 0,
    )
    return experts_cost(
        node,
        experts,
        [node.optional_input(position) is not None for position in (4, 7, 10)],
        tables=_TABLES,
        read=(0, 1, 14),
        weighted=node.optional_input(14) is not None,
        unpacked=(first + second + third) // max(1, count) * experts.active,
        notes=(f"weights of {_bits(node, 'fc1')} bits are unpacked to {node.input(0).dtype}",),
    )


def moe_packed(node: NodeView) -> OpCost | Declined:
    """Gate [E, I, ..] and down [E, H, ..] in a packed format, up for swiglu: N k (2 or 3) H I MACs.

    SwiGLU takes SiLU and a product per element inside, relu2 a maximum and a square. Unpacking
    counts 2 operations per weight of an expert that is taken, whatever the format. router_weights
    replace softmax; routed_scaling_factor (unless 1) and routing_epsilon (unless 0) count.
    """
    name = node.text("activation_type", "swiglu")
    if name not in ("swiglu", "relu2", "relu_squared"):
        return Declined(f"activation_type {name!r} has no formula")
    experts = _packed_experts(node)
    weighted, chosen = node.optional_input(5) is not None, experts.chosen
    normalized = bool(node.integer("normalize_routing_weights", 1))
    picks, exps = routing(
        experts.tokens, experts.experts, chosen, softmax=not weighted, normalized=normalized
    )
    scaled = chosen if factor(node, "routed_scaling_factor") != 1.0 else 0
    shifted = factor(node, "routing_epsilon", 0.0) != 0.0
    inside = experts.routed * experts.inner
    layers = 2 + experts.third
    unpacked = layers * experts.active * experts.hidden * experts.inner
    base = cost(
        node,
        kernel_class="nbits_gemv" if experts.routed <= experts.active else "nbits_gemm",
        contractions=experts.contractions(node.input(0).type_name),
        vector_ops=picks
        + experts.tokens * (scaled + shifted)
        + 2 * inside
        + experts.combined
        + 2 * unpacked,
        transcendentals=exps + (inside if experts.third else 0),
        read=(0, 1, 5),
        assumptions=(*experts.notes(), f"weights are unpacked to {node.input(0).dtype}"),
    )
    tables = [node.optional_input(position) for position in (2, 3, 4)]
    return with_rows(base, [(one, experts.active) for one in tables if one is not None])


def _packed_experts(node: NodeView) -> Experts:
    gate = node.input(2)
    tokens, hidden = tokens_of(node)
    return Experts(
        tokens=tokens,
        experts=gate.dims[0],
        chosen=node.integer("k", 1),
        hidden=hidden,
        inner=gate.dims[1],
        first=gate.dims[1],
        third=node.optional_input(3) is not None,
    )


def packed_elements(node: NodeView, position: int) -> int:
    """Logical weights of a blob: E * H * I, without what its format adds."""
    if position not in (2, 3, 4):
        return node.input(position).numel
    experts = _packed_experts(node)
    return experts.experts * experts.hidden * experts.inner


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("QMoE", qmoe, same_as(0), elements=qmoe_elements),
    contrib("MoEPacked", moe_packed, same_as(0), elements=packed_elements),
)
