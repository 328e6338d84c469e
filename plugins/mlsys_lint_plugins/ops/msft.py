"""com.microsoft: fused matrix products, normalizations with a skip, low-bit weights, activations."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.activation import ACTIVATIONS
from mlsys_lint_plugins.ops.conv import conv_cost
from mlsys_lint_plugins.ops.inference import (
    Infer,
    Sizes,
    element_type,
    integer,
    product,
    put,
    same_as,
    sizes,
)
from mlsys_lint_plugins.ops.linear import (
    REQUANTIZE_OPS,
    contraction_class,
    gemm_contraction,
    gemm_vector_ops,
    matmul_contraction,
)
from mlsys_lint_plugins.ops.normalization import layer_norm_cost, rms_norm_cost

_DOMAIN: Final = "com.microsoft"


# -- matrix products -------------------------------------------------------------------------------


def _turned(shape: Sizes, *, transposed: bool, batched: bool) -> Sizes:
    """Stored shape -> shape that is multiplied.

    `transBatchA` says that the batch axes follow the rows: [M, batch..., K] -> [batch..., M, K].
    """
    if len(shape) < 2:
        return shape
    if batched:
        shape = (*shape[1:-1], shape[0], shape[-1])
    return (*shape[:-2], shape[-1], shape[-2]) if transposed else shape


def fused_matmul(node: NodeView) -> OpCost:
    """Alpha A' B' with transposed operands: MatMul's MACs; alpha counts once per result if not 1."""
    sides = []
    for position, side in ((0, "A"), (1, "B")):
        turned = _turned(
            node.input(position).dims,
            transposed=bool(node.integer(f"trans{side}", 0)),
            batched=bool(node.integer(f"transBatch{side}", 0)),
        )
        sides.append(tuple(size for size in turned if size is not None))
    contraction = matmul_contraction(sides[0], sides[1], node.input(0).type_name)
    scaled = node.output().numel if node.attributes.get("alpha", 1.0) != 1.0 else 0
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=scaled,
    )


def infer_fused_matmul(context: InferenceContext) -> None:
    """Shape of numpy.matmul of the turned operands."""
    shapes = [sizes(context, 0), sizes(context, 1)]
    if shapes[0] is None or shapes[1] is None:
        return
    turned = [
        _turned(
            shape or (),
            transposed=bool(integer(context, f"trans{side}")),
            batched=bool(integer(context, f"transBatch{side}")),
        )
        for shape, side in zip(shapes, "AB", strict=True)
    ]
    put(context, 0, element_type(context, 0), product(turned[0], turned[1]))


def fused_gemm(node: NodeView) -> OpCost:
    """Gemm followed by the activation that it names."""
    contraction = gemm_contraction(node)
    ops, transcendentals = ACTIVATIONS.get(node.text("activation"), (1, 0))
    elements = node.output().numel
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=gemm_vector_ops(node, node.optional_input(2)) + ops * elements,
        transcendentals=transcendentals * elements,
    )


def infer_gemm(context: InferenceContext) -> None:
    """[M, N] of the operands as stored."""
    a, b = sizes(context, 0), sizes(context, 1)
    if a is None or b is None or len(a) != 2 or len(b) != 2:
        return
    m = a[1] if integer(context, "transA") else a[0]
    n = b[0] if integer(context, "transB") else b[1]
    put(context, 0, element_type(context, 0), (m, n))


def qgemm(node: NodeView) -> OpCost:
    """Integer Gemm: a at 0, b at 3, int32 bias at 6; results are requantized when y_scale is given."""
    a, b = node.input(0).dims, node.input(3).dims
    m, k = reversed(a) if node.integer("transA", 0) else a
    n = b[0] if node.integer("transB", 0) else b[1]
    contraction = Contraction(m=m, n=n, k=k, dtype=node.input(0).type_name)
    per_result = (node.optional_input(6) is not None) + (
        REQUANTIZE_OPS if node.optional_input(7) is not None else 1
    )
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=per_result * m * n,
    )


def infer_qgemm(context: InferenceContext) -> None:
    """[M, N] of the type of y_zero_point, or float without y_scale."""
    a, b = sizes(context, 0), sizes(context, 3)
    if a is None or b is None:
        return
    m = a[1] if integer(context, "transA") else a[0]
    n = b[0] if integer(context, "transB") else b[1]
    quantized = sizes(context, 7) is not None
    kind = element_type(context, 8) or element_type(context, 0)
    put(context, 0, kind if quantized else TensorProto.FLOAT, (m, n))


def matmul_nbits(node: NodeView) -> OpCost:
    """A [.., K] times a K x N weight of `bits` bits in blocks along K: M * N * K MACs.

    The multiplication is done in A's type; unpacking a weight counts 2 operations (zero point,
    scale), once per kernel.
    """
    a, k, n = node.input(0), node.integer("K", 0), node.integer("N", 0)
    contraction = Contraction(m=prod(a.dims[:-1]), n=n, k=k, dtype=a.type_name)
    biased = node.output().numel if node.optional_input(5) is not None else 0
    return cost(
        node,
        kernel_class=f"nbits_{contraction_class(contraction)}",
        contractions=(contraction,),
        vector_ops=2 * n * k + biased,
        assumptions=(f"weights of {node.integer('bits', 4)} bits are unpacked to {a.dtype}",),
    )


def nbits_elements(node: NodeView, position: int) -> int:
    """Logical weights of MatMulNBits: N x blocks x block_size in the packed input."""
    tensor = node.input(position)
    if position == 1:
        return tensor.numel * 8 // node.integer("bits", 4)
    return tensor.numel


def infer_matmul_nbits(context: InferenceContext) -> None:
    """[.., N]."""
    a = sizes(context, 0)
    if a is not None:
        put(context, 0, element_type(context, 0), (*a[:-1], integer(context, "N")))


def dynamic_quantize_matmul(node: NodeView) -> OpCost:
    """A is quantized on the fly (range 2, scale, round, shift, clamp 2), multiplied in 8 bits, rescaled.

    Per result: conversion, the product of scales, and the bias where there is one.
    """
    a, b = node.input(0), node.input(1)
    contraction = matmul_contraction(a.dims, b.dims, b.type_name)
    per_result = 2 + (node.optional_input(4) is not None)
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=(REQUANTIZE_OPS + 2) * a.numel + per_result * node.output().numel,
    )


def matmul_integer_to_float(node: NodeView) -> OpCost:
    """MatMulInteger whose results are converted and scaled; a bias is added where there is one."""
    a, b = node.input(0), node.input(1)
    contraction = matmul_contraction(a.dims, b.dims, a.type_name)
    per_result = 2 + (node.optional_input(6) is not None)
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=per_result * node.output().numel,
    )


def infer_float_product(context: InferenceContext) -> None:
    """Shape of numpy.matmul, in float."""
    a, b = sizes(context, 0), sizes(context, 1)
    if a is not None and b is not None:
        put(context, 0, TensorProto.FLOAT, product(a, b))


def fused_conv(node: NodeView) -> OpCost:
    """Conv, a residual sum where input 3 is given, and the activation that it names."""
    ops, transcendentals = ACTIVATIONS.get(node.text("activation"), (0, 0))
    extra = ops + (node.optional_input(3) is not None)
    plain = conv_cost(node, node.input(0), node.input(1), node.optional_input(2), extra=extra)
    return cost(
        node,
        kernel_class=plain.kernel_class,
        contractions=plain.contractions,
        vector_ops=plain.vector_ops,
        transcendentals=transcendentals * node.output().numel,
    )


def infer_conv(context: InferenceContext) -> None:
    """Conv's output with explicit pads (NOTSET), the form in which the runtime writes it."""
    x, w = sizes(context, 0), sizes(context, 1)
    if x is None or w is None or len(x) != len(w) or None in x or None in w:
        return
    rank = len(x) - 2
    lists = {}
    for name, default in (("strides", 1), ("dilations", 1), ("pads", 0)):
        attribute = context.get_attribute(name)
        width = 2 * rank if name == "pads" else rank
        lists[name] = list(attribute.ints) if attribute is not None else [default] * width
    positions = [
        (
            (x[2 + axis] or 0)
            + lists["pads"][axis]
            + lists["pads"][axis + rank]
            - lists["dilations"][axis] * ((w[2 + axis] or 0) - 1)
            - 1
        )
        // lists["strides"][axis]
        + 1
        for axis in range(rank)
    ]
    put(context, 0, element_type(context, 0), (x[0], w[0], *positions))


# -- normalizations --------------------------------------------------------------------------------


def skip_layer_norm(node: NodeView) -> OpCost:
    """LayerNormalization of input + skip (+ bias): one more operation per element for each sum."""
    sums = 1 + (node.optional_input(4) is not None)
    return layer_norm_cost(node, node.input(0), extra=sums, bias=node.optional_input(3) is not None)


def skip_rms_norm(node: NodeView) -> OpCost:
    """RMS normalization of input + skip (+ bias)."""
    sums = 1 + (node.optional_input(3) is not None)
    return rms_norm_cost(node, node.input(0), extra=sums)


def simplified_layer_norm(node: NodeView) -> OpCost:
    """RMS normalization under the name that ONNX Runtime gives it."""
    return rms_norm_cost(node, node.input(0))


def infer_skip_norm(context: InferenceContext) -> None:
    """The input's shape; mean and inverse deviation keep the rows; the sum has the input's shape."""
    shape = sizes(context, 0)
    if shape is None:
        return
    kind = element_type(context, 0)
    put(context, 0, kind, shape)
    for position in (1, 2):
        put(context, position, TensorProto.FLOAT, (*shape[:-1], 1))
    put(context, 3, kind, shape)


def embed_layer_norm(node: NodeView) -> OpCost:
    """Sum of word, position and segment embeddings, then LayerNormalization: rows read, not tables."""
    output = node.output()
    segment = node.optional_input(1) is not None
    rows = (2 + segment) * output.nbytes
    ids = sum(node.input(at).nbytes for at in (0, 1, 7) if node.optional_input(at) is not None)
    vectors = sum(node.input(at).nbytes for at in (5, 6))
    normed = layer_norm_cost(node, output, extra=1 + segment, bias=True)
    return cost(
        node,
        kernel_class="norm",
        vector_ops=normed.vector_ops,
        transcendentals=normed.transcendentals,
        bytes_read=rows + ids + vectors,
        weight_bytes=rows + vectors,
    )


def infer_embed_layer_norm(context: InferenceContext) -> None:
    """[B, S, width] of the word table; the mask index is int32 [B]."""
    ids, table = sizes(context, 0), sizes(context, 2)
    if ids is None or table is None:
        return
    kind = element_type(context, 2)
    put(context, 0, kind, (*ids, table[1]))
    put(context, 1, TensorProto.INT32, (ids[0],))
    put(context, 2, kind, (*ids, table[1]))


# -- activations -----------------------------------------------------------------------------------


def _activation(name: str, bias: int | None = None) -> Callable[[NodeView], OpCost]:
    """An activation by name; `bias` is the position of a bias that is added first."""

    def estimate(node: NodeView) -> OpCost:
        ops, transcendentals = ACTIVATIONS[name]
        elements = node.output().numel
        added = bias is not None and node.optional_input(bias) is not None
        return cost(
            node,
            kernel_class=f"unary:{name.lower()}",
            vector_ops=(ops + added) * elements,
            transcendentals=transcendentals * elements,
        )

    return estimate


def _spec(
    name: str, estimate: Callable[[NodeView], OpCost], infer: Infer, domain: str = _DOMAIN
) -> OperatorSpec:
    return OperatorSpec(
        domain=domain, op_type=name, since_version=1, estimate=estimate, infer=infer
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    _spec("FusedMatMul", fused_matmul, infer_fused_matmul),
    _spec("TransposeMatMul", fused_matmul, infer_fused_matmul),
    _spec("FusedGemm", fused_gemm, infer_gemm),
    _spec("QGemm", qgemm, infer_qgemm),
    OperatorSpec(
        domain=_DOMAIN,
        op_type="MatMulNBits",
        since_version=1,
        estimate=matmul_nbits,
        infer=infer_matmul_nbits,
        shape_inputs=(4,),
        elements=nbits_elements,
    ),
    _spec("DynamicQuantizeMatMul", dynamic_quantize_matmul, infer_float_product),
    _spec("MatMulIntegerToFloat", matmul_integer_to_float, infer_float_product),
    _spec("FusedConv", fused_conv, infer_conv),
    _spec("SkipLayerNormalization", skip_layer_norm, infer_skip_norm),
    _spec("SkipSimplifiedLayerNormalization", skip_rms_norm, infer_skip_norm),
    _spec("SimplifiedLayerNormalization", simplified_layer_norm, same_as(0), domain=""),
    OperatorSpec(
        domain=_DOMAIN,
        op_type="EmbedLayerNormalization",
        since_version=1,
        estimate=embed_layer_norm,
        infer=infer_embed_layer_norm,
        shape_inputs=(0, 1, 7, 8),
    ),
    _spec("Gelu", _activation("Gelu"), same_as(0)),
    _spec("FastGelu", _activation("FastGelu", bias=1), same_as(0)),
    _spec("BiasGelu", _activation("Gelu", bias=1), same_as(0)),
    _spec("QuickGelu", _activation("QuickGelu"), same_as(0)),
)
