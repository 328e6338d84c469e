"""com.microsoft: linear attention with explicit states, and the gates that feed it."""

from __future__ import annotations

from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.inference import element_type, integer, put, sizes
from mlsys_lint_plugins.ops.msft_recurrence import Recurrence, rule_of
from mlsys_lint_plugins.ops.msft_spec import contrib, float_conversions
from mlsys_lint_plugins.ops.rows import with_rows


def linear_attention(node: NodeView) -> OpCost | Declined:
    """S = exp(g) S + k (x) beta (v - S^T k), o = scale q^T S: see Recurrence, and one exp per decay.

    The operator of ai.onnx with the same name has a body; a test compares the two. As there, q, k,
    v, the gates and the states are converted to float, and results back, where they are of another
    type. Forms in chunks do other work for the same result. With a state_window the last slot of
    the past is read and every slot of the present written.
    """
    rule, found = rule_of(node), _sizes(node)
    if isinstance(rule, Declined):
        return rule
    if isinstance(found, Declined):
        return found
    decay = node.input(4) if rule.decays else None
    rate = node.input(5) if rule.retrieves else None
    state, past = node.output(1), node.optional_input(3)
    window = max(1, node.integer("state_window", 0))
    conversions = float_conversions(
        *(node.input(position) for position in range(3)), decay, rate, node.output(0), state
    )
    base = cost(
        node,
        kernel_class="recurrent",
        contractions=found.contractions(rule, "float"),
        vector_ops=found.vector_ops(rule) + conversions + float_conversions(past) // window,
        transcendentals=decay.numel if decay is not None else 0,
        read=(0, 1, 2, decay, rate) if window > 1 else (0, 1, 2, decay, rate, past),
    )
    return with_rows(base, [(past, 1)]) if past is not None and window > 1 else base


def _sizes(node: NodeView) -> Recurrence | Declined:
    """Of [B, T, H * D]: more states than queries (inverse GQA) are read once each."""
    q, v = node.input(0), node.input(2)
    heads, shared = node.integer("q_num_heads", 0), node.integer("kv_num_heads", 0)
    if not heads or not shared:
        return Declined("q_num_heads and kv_num_heads are required")
    batch, steps, width = q.dims
    return Recurrence(
        tokens=batch * steps,
        states=shared,
        readers=max(heads, shared),
        key_size=width // heads,
        value_size=v.dims[2] // shared,
    )


def infer_linear_attention(context: InferenceContext) -> None:
    """[B, T, max(Hq, Hkv) * Dv], and the states [B, Hkv, Dk, Dv] after a window axis, if any."""
    q, v = sizes(context, 0), sizes(context, 2)
    heads, shared = integer(context, "q_num_heads"), integer(context, "kv_num_heads")
    if q is None or v is None or len(q) != 3 or len(v) != 3 or not heads or not shared:
        return
    key_size = None if q[2] is None else q[2] // heads
    value_size = None if v[2] is None else v[2] // shared
    width = None if value_size is None else max(heads, shared) * value_size
    kind, window = element_type(context, 0), integer(context, "state_window")
    put(context, 0, kind, (q[0], q[1], width))
    state = (q[0], shared, key_size, value_size)
    shape = (window, *state) if window else state
    put(context, 1, element_type(context, 3) or kind, shape)


def linear_attention_gate(node: NodeView) -> OpCost:
    """Decay = scale * Softplus(a + dt_bias): sum, softplus (1 and exp, log), product per element.

    beta = Sigmoid(b), where it is an output: 1 transcendental per element. Both in float: what is
    of another type is converted, and its result back.
    """
    a, decay = node.input(0), node.output(0)
    beta = node.outputs[1] if len(node.outputs) > 1 else None
    rates = node.input(3) if beta is not None else None
    return cost(
        node,
        kernel_class="elementwise",
        vector_ops=3 * decay.numel + float_conversions(a, decay, rates, beta),
        transcendentals=2 * decay.numel + (beta.numel if beta is not None else 0),
        read=(0, 1, 2, rates),
    )


def infer_gate(context: InferenceContext) -> None:
    """Both outputs have the type of `a`."""
    shape = sizes(context, 0)
    if shape is not None:
        for position in range(2):
            put(context, position, element_type(context, 0), shape)


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("LinearAttention", linear_attention, infer_linear_attention),
    contrib("LinearAttentionGate", linear_attention_gate, infer_gate),
)
