"""com.microsoft: int8 tensors in the layouts of cuBLASLt, quantized without zero points.

The order of a matrix (row, column, COL32 ...) changes where its elements lie, not how many there
are. An element that is dequantized takes a product, one that is quantized a scale, round and clamp
(2), a result of int8 factors the same 4 (the scales make one).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.activation import ACTIVATIONS
from mlsys_lint_plugins.ops.attention import Heads, attention_cost
from mlsys_lint_plugins.ops.conv import per_output
from mlsys_lint_plugins.ops.inference import (
    Infer,
    element_type,
    integer,
    product,
    put,
    same_as,
    sizes,
)
from mlsys_lint_plugins.ops.linear import REQUANTIZE_OPS, contraction_class, matmul_contraction
from mlsys_lint_plugins.ops.msft_decoder_attention import longformer_attention
from mlsys_lint_plugins.ops.normalization import layer_norm_cost
from mlsys_lint_plugins.ops.quantization import quantize

_DEQUANTIZE_OPS: Final = 1
_QUANTIZE_OPS: Final = REQUANTIZE_OPS - 1
"""Scale, round and clamp (2): there is no zero point to add."""


def dequantize_with_order(node: NodeView) -> OpCost:
    """The product of element and scale: 1 per element."""
    return cost(node, kernel_class="quantize", vector_ops=_DEQUANTIZE_OPS * node.output().numel)


def gelu(node: NodeView) -> OpCost:
    """Dequantization, Gelu, quantization of every element."""
    ops, transcendentals = ACTIVATIONS["Gelu"]
    elements = node.output().numel
    return cost(
        node,
        kernel_class="unary:gelu",
        vector_ops=(_DEQUANTIZE_OPS + ops + _QUANTIZE_OPS) * elements,
        transcendentals=transcendentals * elements,
        dtype="float",
    )


def layer_norm(node: NodeView) -> OpCost:
    """LayerNormalization between a dequantization and a quantization of every element."""
    found = layer_norm_cost(
        node,
        node.input(0),
        extra=_DEQUANTIZE_OPS + _QUANTIZE_OPS,
        bias=node.optional_input(3) is not None,
    )
    return replace(found, dtype="float")


def matmul(node: NodeView) -> OpCost:
    """Y = scale A B + bias + beta C in int8: MatMul's MACs, a requantization (4) and a bias per output.

    C is scaled (1 per element of C) and added (1 per output).
    """
    a, b, c = node.input(0), node.input(2), node.optional_input(6)
    contraction = matmul_contraction(a.dims, b.dims, a.type_name)
    elements = node.output().numel
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=_QUANTIZE_OPS * elements
        + per_output(node, 5, 6)
        + (c.numel if c is not None else 0),
        dtype="float",
    )


def attention(node: NodeView) -> OpCost | Declined:
    """Q, K and V projected in int8, then scores and weighted sum in int8 as well.

    A projected element takes its bias and a requantization (4); a score a requantization, the scale
    of the softmax, the mask where there is one, the softmax, and the quantization of its result; an
    output a requantization.
    """
    x, heads = node.input(0), _heads(node)
    if isinstance(heads, Declined):
        return heads
    tokens = heads.batch * heads.queries
    projections = tuple(
        Contraction(m=tokens, n=node.input(at).dims[1], k=x.dims[2], dtype=x.type_name)
        for at in (5, 6, 7)
    )
    projected = sum(one.m * one.n for one in projections)
    masked = node.optional_input(17) is not None
    found = attention_cost(
        node,
        heads,
        causal=bool(node.integer("unidirectional", 0)),
        before=projections,
        vector_ops=(1 + _QUANTIZE_OPS) * projected
        + (2 * _QUANTIZE_OPS + _DEQUANTIZE_OPS + masked) * heads.scores
        + _QUANTIZE_OPS * node.output().numel,
    )
    return replace(found, dtype="float")


def _heads(node: NodeView) -> Heads | Declined:
    count = node.integer("num_heads", 0)
    if not count:
        return Declined("num_heads is required")
    batch, length, _ = node.input(0).dims
    return Heads(
        batch=batch,
        heads=count,
        queries=length,
        keys=length,
        size=node.input(5).dims[1] // count,
        value_size=node.input(7).dims[1] // count,
    )


def longformer(node: NodeView) -> OpCost | Declined:
    """LongformerAttention whose projections are in int8; it attends in float16.

    A projected element takes a requantization (4) and a dequantization on top, an output a
    quantization (4).
    """
    plain = longformer_attention(node)
    if isinstance(plain, Declined):
        return plain
    *projections, local, everywhere = plain.contractions
    attended = [replace(one, dtype="float16") for one in (local, everywhere)]
    projected = sum(one.m * one.n for one in projections)
    return replace(
        plain,
        contractions=(*projections, *attended),
        vector_ops=plain.vector_ops
        + (_QUANTIZE_OPS + _DEQUANTIZE_OPS) * projected
        + _QUANTIZE_OPS * node.output().numel,
        dtype="float16",
    )


def infer_quantize(context: InferenceContext) -> None:
    """The input's shape in int8."""
    shape = sizes(context, 0)
    if shape is not None:
        put(context, 0, TensorProto.INT8, shape)


def infer_dequantize(context: InferenceContext) -> None:
    """The input's shape in the type that `to` names."""
    shape = sizes(context, 0)
    if shape is not None:
        put(context, 0, integer(context, "to", TensorProto.FLOAT), shape)


def infer_matmul(context: InferenceContext) -> None:
    """Shape of numpy.matmul; B stands at position 2."""
    a, b = sizes(context, 0), sizes(context, 2)
    if a and b:
        put(context, 0, element_type(context, 0), product(a, b))


def infer_attention(context: InferenceContext) -> None:
    """[B, S, Hv]."""
    x, values = sizes(context, 0), sizes(context, 7)
    if x and values and len(values) == 2:
        put(context, 0, element_type(context, 0), (*x[:-1], values[1]))


_TABLE: Final[
    tuple[tuple[str, Callable[[NodeView], OpCost | Declined], Infer, tuple[int, ...]], ...]
] = (
    ("QuantizeWithOrder", quantize, infer_quantize, ()),
    ("DequantizeWithOrder", dequantize_with_order, infer_dequantize, ()),
    ("QOrderedGelu", gelu, same_as(0), ()),
    ("QOrderedLayerNormalization", layer_norm, same_as(0), ()),
    ("QOrderedMatMul", matmul, infer_matmul, ()),
    ("QOrderedAttention", attention, infer_attention, (17,)),
    ("QOrderedLongformerAttention", longformer, same_as(0), (7, 12)),
)

OPERATORS: Final[tuple[OperatorSpec, ...]] = tuple(
    OperatorSpec(
        domain="com.microsoft",
        op_type=name,
        since_version=1,
        estimate=estimate,
        infer=infer,
        shape_inputs=shape_inputs,
    )
    for name, estimate, infer, shape_inputs in _TABLE
)
