"""com.microsoft: the packed gated delta network, and the replay of what it captured."""

from __future__ import annotations

from math import prod
from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.inference import (
    Sizes,
    element_type,
    given,
    integer,
    put,
    same_as,
    sizes,
)
from mlsys_lint_plugins.ops.msft_recurrence import Recurrence, Rule, rule_of
from mlsys_lint_plugins.ops.msft_spec import contrib, float_conversions

_GATES: Final = {
    # gate_activation: (vector operations, transcendentals) per decay
    "none": (0, 0),
    "softplus": (3, 2),  # bias, +1 (exp, log), -exp(a_log)
    "qwen": (3, 2),
    "sigmoid": (3, 1),  # bias, exp(a_log), sigmoid, bound
    "kda": (3, 1),
}


def gated_delta_net(node: NodeView) -> OpCost | Declined:
    """The recurrence of LinearAttention, token by token, and the activations fused before it.

    Activations of a decay: see _GATES, and exp(a_log) once per head (negated by softplus). beta: a
    sigmoid if beta_activation says so. qk_l2_norm: per query and key head of n square, sum, division
    (3 n - 1), an epsilon, a root. Gates of another type than float are converted. Products take the
    type of q. What is captured for a replay (state_update) is a copy.
    """
    rule = rule_of(node)
    if isinstance(rule, Declined):
        return rule
    found, query_heads = _sizes(node)
    gates = _gates(node, rule)
    if isinstance(gates, Declined):
        return gates
    normed = 2 * found.tokens * query_heads if node.integer("qk_l2_norm", 0) else 0
    return cost(
        node,
        kernel_class="recurrent",
        contractions=found.contractions(rule, node.input(0).type_name),
        vector_ops=found.vector_ops(rule) + gates[0] + 3 * found.key_size * normed,
        transcendentals=gates[1] + normed,
    )


def _sizes(node: NodeView) -> tuple[Recurrence, int]:
    """Sizes and the number of query heads; the state tells them where q, k and v are packed."""
    q = node.input(0)
    if node.optional_input(1) is None:
        _, states, value_size, key_size = node.input(6).dims
        tokens = q.dims[:-1]
        heads = (q.dims[-1] - states * value_size) // (2 * key_size)
    else:
        *_, states, value_size = node.input(2).dims
        tokens, (heads, key_size) = q.dims[:-2], q.dims[-2:]
    found = Recurrence(
        tokens=prod(tokens),
        states=states,
        readers=max(heads, states),
        key_size=key_size,
        value_size=value_size,
    )
    return found, heads


def _gates(node: NodeView, rule: Rule) -> tuple[int, int] | Declined:
    """(vector operations, transcendentals) of decays and rates, with the exp of every decay."""
    name = node.text("gate_activation", "none")
    if name not in _GATES:
        return Declined(f"gate_activation {name!r} has no formula")
    ops = transcendentals = 0
    if rule.decays:
        decay = node.input(4)
        each = _GATES[name]
        heads = node.input(7).numel if name != "none" else 0
        negated = heads if each[1] == 2 else 0
        ops += each[0] * decay.numel + negated + float_conversions(decay)
        transcendentals += (each[1] + 1) * decay.numel + heads
    if rule.retrieves:
        rate = node.input(5)
        ops += float_conversions(rate)
        transcendentals += rate.numel if node.text("beta_activation") == "sigmoid" else 0
    return ops, transcendentals


def infer_delta_net(context: InferenceContext) -> None:
    """[tokens.., Hv, Dv]; float states [B, Hv, Dv, Dk]; [B, C * factors] for what is captured."""
    q, state = sizes(context, 0), sizes(context, 6)
    key, value = sizes(context, 1), sizes(context, 2)
    if q is None or len(q) < 2:
        return
    if key is not None and value is not None and len(value) >= 2:
        lead, heads, (states, value_size), key_size = q[:-2], q[-2], value[-2:], q[-1]
    elif state is not None and len(state) == 4:
        lead, (_, states, value_size, key_size) = q[:-1], state
        heads = _packed_heads(q[-1], states, value_size, key_size)
    else:
        return
    batch = state[0] if state is not None else _sequences(context)
    put(context, 0, element_type(context, 0), (*lead, states, value_size))
    put(context, 1, TensorProto.FLOAT, (batch, states, value_size, key_size))
    width = _captured(context, len(lead), (heads, states, value_size, key_size))
    put(context, 2, TensorProto.FLOAT, (batch, width))


def _packed_heads(width: int | None, *parts: int | None) -> int | None:
    states, value_size, key_size = parts
    if width is None or states is None or value_size is None or not key_size:
        return None
    return (width - states * value_size) // (2 * key_size)


def _sequences(context: InferenceContext) -> int | None:
    offsets = sizes(context, 3)
    return offsets[0] - 1 if offsets and offsets[0] is not None else None


def _captured(context: InferenceContext, lead: int, parts: Sizes) -> int | None:
    """C * (decays + Hk * Dk + Hv * Dv); a decay per head, or per head and key element."""
    if any(part is None for part in parts):
        return None
    heads, states, value_size, key_size = (part or 0 for part in parts)
    decay = sizes(context, 4) if given(context, 4) else None
    decays = states * (key_size if decay is not None and len(decay) == lead + 2 else 1)
    capacity = integer(context, "state_update_capacity")
    return capacity * (decays + heads * key_size + states * value_size)


def delta_net_replay(node: NodeView) -> OpCost | Declined:
    """S = decay S + key (x) delta for each kept transition: Hv * Dv * Dk MACs and 2 operations.

    As Recurrence counts an update. The source row and what is kept of the capsule are read, the
    destination row is written in place.
    """
    metadata = node.input(3)
    if metadata.value is None or metadata.value.size != 11:
        return Declined("the geometry stands in metadata, which is not known before the run")
    numbers = [int(one) for one in metadata.value.reshape(-1)]
    _, _, decays, keys, _, heads, value_size, key_size, key_heads, capacity, kept = numbers
    per_key = keys - decays == capacity * heads * key_size
    capsule = heads * (key_size if per_key else 1) + key_heads * key_size + heads * value_size
    row = heads * value_size * key_size
    outer = Contraction(batch=kept * heads, m=value_size, n=key_size, k=1, dtype="float")
    return cost(
        node,
        kernel_class="recurrent",
        contractions=(outer,),
        vector_ops=2 * kept * row,
        bytes_read=4 * (row + kept * capsule) + metadata.nbytes,
        bytes_written=4 * row,
        weight_bytes=0,
        aliases=((2, 0),),
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("GatedDeltaNet", gated_delta_net, infer_delta_net, shape_inputs=(3, 9, 10)),
    contrib("GatedDeltaNetStateReplay", delta_net_replay, same_as(2), shape_inputs=(3,)),
)
