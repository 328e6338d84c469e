"""com.microsoft: gates on activations - SwiGLU, scaled SiLU, gated sums and normalizations."""

from __future__ import annotations

from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.activation import ACTIVATIONS
from mlsys_lint_plugins.ops.inference import element_type, given, put, same_as, sizes
from mlsys_lint_plugins.ops.msft_spec import contrib, factor, float_conversions
from mlsys_lint_plugins.ops.normalization import rms_ops


def clamped_swiglu(*, clamped: bool, beta: float) -> tuple[int, int]:
    """(operations, transcendentals) per result of G sigmoid(alpha G) (L + beta).

    SwiGLU, the sum with beta unless it is 0, and with a limit the clamps of G (one bound) and L
    (two).
    """
    ops, transcendentals = ACTIVATIONS["SwiGLU"]
    return ops + (beta != 0.0) + 3 * clamped, transcendentals


def swiglu(node: NodeView) -> OpCost:
    """Per result: see clamped_swiglu. The arithmetic is in float: three conversions of other types.

    round_activation converts the activated gate to the type and back (2).
    """
    y = node.output()
    ops, transcendentals = clamped_swiglu(
        clamped=factor(node, "limit", 0.0) > 0, beta=factor(node, "activation_beta", 0.0)
    )
    rounded = 2 * float_conversions(y) if node.integer("round_activation", 0) else 0
    return cost(
        node,
        kernel_class="unary:swiglu",
        vector_ops=ops * y.numel + float_conversions(y, y, y) + rounded,
        transcendentals=transcendentals * y.numel,
    )


def infer_swiglu(context: InferenceContext) -> None:
    """The gate's shape; half of its last axis where it carries both parts."""
    shape = sizes(context, 0)
    if not shape:
        return
    last = shape[-1]
    if not given(context, 1) and last is not None:
        last //= 2
    put(context, 0, element_type(context, 0), (*shape[:-1], last))


def scaled_silu(node: NodeView) -> OpCost:
    """Z sigmoid(z) with z = scale x: as Swish, two products and a sigmoid per element."""
    ops, transcendentals = ACTIVATIONS["Swish"]
    elements = node.output().numel
    return cost(
        node,
        kernel_class="unary:swish",
        vector_ops=ops * elements,
        transcendentals=transcendentals * elements,
    )


def gated_add(node: NodeView) -> OpCost:
    """X + Y gate: two operations per element.

    With a gate_weight [K, 1] the gate is a sigmoid of a product: K MACs and a sigmoid a row.
    """
    y, gate = node.output(), node.input(2)
    if node.optional_input(3) is None:
        return cost(node, kernel_class="elementwise", vector_ops=2 * y.numel)
    width = gate.dims[-1]
    rows = gate.numel // width if width else 0
    return cost(
        node,
        kernel_class="elementwise",
        contractions=(Contraction(m=rows, n=1, k=width, dtype=gate.type_name),),
        vector_ops=2 * y.numel,
        transcendentals=rows,
    )


def gated_rms_norm(node: NodeView) -> OpCost | Declined:
    """RMS normalization of rows as long as `scale`, times the activated gate.

    Per element the normalization's 4, the gate's sigmoid, its product for SiLU, and the product
    with the gate. The arithmetic is in float: x, gate and result are converted from other types.
    """
    x, y = node.input(0), node.output()
    name = node.text("activation", "silu")
    if name not in ("silu", "swish", "sigmoid"):
        return Declined(f"activation {name!r} has no formula")
    rows = x.numel // max(1, node.input(1).numel)
    gate = 1 + (name != "sigmoid")
    return cost(
        node,
        kernel_class="norm",
        vector_ops=rms_ops(x.numel, rows) + gate * x.numel + float_conversions(x, node.input(2), y),
        transcendentals=rows + x.numel,
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("SwiGLU", swiglu, infer_swiglu),
    contrib("ScaledSiLU", scaled_silu, same_as(0)),
    contrib("GatedAdd", gated_add, same_as(0)),
    contrib("GatedRMSNorm", gated_rms_norm, same_as(0)),
)
