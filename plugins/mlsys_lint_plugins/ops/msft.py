"""com.microsoft: matrix products and convolutions with something fused, low-bit weights."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.activation import ACTIVATIONS
from mlsys_lint_plugins.ops.conv import conv_cost, per_output
from mlsys_lint_plugins.ops.fused_activation import activation_counts
from mlsys_lint_plugins.ops.inference import (
    Infer,
    Sizes,
    element_type,
    infer_conv,
    integer,
    product,
    put,
    sizes,
)
from mlsys_lint_plugins.ops.linear import (
    contraction_class,
    gemm_contraction,
    gemm_vector_ops,
    matmul_contraction,
)

_DOMAIN: Final = "com.microsoft"


def _turned(shape: Sizes, *, transposed: bool, batched: bool) -> Sizes:
    """Stored shape -> shape that is multiplied.

    `transBatchA` says that the batch axes follow the rows: [M, batch..., K] -> [batch..., M, K].
    """
    if len(shape) < 2:
        return shape
    if batched:
        shape = (*shape[1:-1], shape[0], shape[-1])
    return (*shape[:-2], shape[-1], shape[-2]) if transposed else shape


def _side(node: NodeView, position: int, side: str) -> tuple[int, ...]:
    turned = _turned(
        node.input(position).dims,
        transposed=bool(node.integer(f"trans{side}", 0)),
        batched=bool(node.integer(f"transBatch{side}", 0)),
    )
    return tuple(size for size in turned if size is not None)


def fused_matmul(node: NodeView) -> OpCost | Declined:
    """Alpha A' B' with transposed operands: MatMul's MACs; alpha counts once per result if not 1.

    FusedMatMulActivation applies the activation that it names to every result.
    """
    counts = activation_counts(node.text("activation"))
    if counts is None:
        return _unknown(node)
    contraction = matmul_contraction(
        _side(node, 0, "A"),
        _side(node, 1, "B"),
        node.input(0).type_name,
        foldable=not (node.integer("transA", 0) or node.integer("transBatchA", 0)),
    )
    elements = node.output().numel
    scaled = node.attributes.get("alpha", 1.0) != 1.0
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=(scaled + counts[0]) * elements,
        transcendentals=counts[1] * elements,
    )


def _unknown(node: NodeView) -> Declined:
    return Declined(f"activation {node.text('activation')!r} has no formula")


def infer_fused_matmul(context: InferenceContext) -> None:
    """Shape of numpy.matmul of the turned operands."""
    shapes = [sizes(context, 0), sizes(context, 1)]
    turned = [
        _turned(
            shape,
            transposed=bool(integer(context, f"trans{side}")),
            batched=bool(integer(context, f"transBatch{side}")),
        )
        for shape, side in zip(shapes, "AB", strict=True)
        if shape
    ]
    if len(turned) == 2:
        put(context, 0, element_type(context, 0), product(turned[0], turned[1]))


def fused_gemm(node: NodeView) -> OpCost | Declined:
    """Gemm followed by the activation that it names."""
    counts = activation_counts(node.text("activation"))
    if counts is None:
        return _unknown(node)
    contraction = gemm_contraction(node, node.input(0), node.input(1))
    elements = node.output().numel
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=gemm_vector_ops(node, node.optional_input(2)) + counts[0] * elements,
        transcendentals=counts[1] * elements,
    )


def infer_gemm(context: InferenceContext) -> None:
    """[M, N] of the operands as stored."""
    a, b = sizes(context, 0), sizes(context, 1)
    if a is None or b is None or len(a) != 2 or len(b) != 2:
        return
    m = a[1] if integer(context, "transA") else a[0]
    n = b[0] if integer(context, "transB") else b[1]
    put(context, 0, element_type(context, 0), (m, n))


def gemm_fast_gelu(node: NodeView) -> OpCost:
    """FastGelu(X W + bias): MatMul's MACs; per result the bias where there is one, and FastGelu."""
    x = node.input(0)
    contraction = matmul_contraction(x.dims, node.input(1).dims, x.type_name)
    ops, transcendentals = ACTIVATIONS["FastGelu"]
    elements = node.output().numel
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=per_output(node, 2) + ops * elements,
        transcendentals=transcendentals * elements,
    )


def matmul_nbits(node: NodeView) -> OpCost | Declined:
    """A [.., K] times a K x N weight of `bits` bits in blocks along K: M * N * K MACs.

    The multiplication is done in A's type; unpacking a weight counts 2 operations (zero point,
    scale), once per kernel. An empty weight stands for a projection that is left out: the output is
    filled with the bias, or zeros.
    """
    a, k, n = node.input(0), node.integer("K", 0), node.integer("N", 0)
    if not k or not n:
        return Declined("K and N are required")
    if node.input(1).numel == 0:
        return cost(node, kernel_class="fill", read=(5,))
    contraction = Contraction(m=prod(a.dims[:-1]), n=n, k=k, dtype=a.type_name)
    return cost(
        node,
        kernel_class=f"nbits_{contraction_class(contraction)}",
        contractions=(contraction,),
        vector_ops=2 * n * k + per_output(node, 5),
        assumptions=(f"weights of {node.integer('bits', 4)} bits are unpacked to {a.dtype}",),
    )


def nbits_elements(node: NodeView, position: int) -> int:
    """Logical weights of MatMulNBits: N * K, without what pads the last block; other inputs as stored.

    Zero points that are packed into bytes count one per block: N * ceil(K / block_size).
    """
    tensor, k, n = node.input(position), node.integer("K", 0), node.integer("N", 0)
    if position == 1:
        return n * k if tensor.numel else 0
    if position == 3 and tensor.numel and tensor.dtype == "uint8":
        return n * -(-k // max(1, node.integer("block_size", 1)))
    return tensor.numel


def infer_matmul_nbits(context: InferenceContext) -> None:
    """[.., N]."""
    a = sizes(context, 0)
    if a:
        put(context, 0, element_type(context, 0), (*a[:-1], integer(context, "N")))


def fused_conv(node: NodeView) -> OpCost | Declined:
    """Conv, a residual sum where input 3 is given, and the activation that it names."""
    counts = activation_counts(node.text("activation"))
    if counts is None:
        return _unknown(node)
    elements = node.output().numel
    return conv_cost(
        node,
        node.input(0),
        node.input(1),
        vector_ops=per_output(node, 2, 3) + counts[0] * elements,
        transcendentals=counts[1] * elements,
    )


def _spec(
    name: str, estimate: Callable[[NodeView], OpCost | Declined], infer: Infer
) -> OperatorSpec:
    return OperatorSpec(
        domain=_DOMAIN, op_type=name, since_version=1, estimate=estimate, infer=infer
    )


def infer_product(context: InferenceContext) -> None:
    """Shape of numpy.matmul, in the type of the first operand."""
    a, b = sizes(context, 0), sizes(context, 1)
    if a and b:
        put(context, 0, element_type(context, 0), product(a, b))


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    _spec("FusedMatMul", fused_matmul, infer_fused_matmul),
    _spec("FusedMatMulActivation", fused_matmul, infer_fused_matmul),
    _spec("TransposeMatMul", fused_matmul, infer_fused_matmul),
    _spec("FusedGemm", fused_gemm, infer_gemm),
    _spec("GemmFastGelu", gemm_fast_gelu, infer_product),
    _spec("FusedConv", fused_conv, infer_conv(0, 1)),
    OperatorSpec(
        domain=_DOMAIN,
        op_type="MatMulNBits",
        since_version=1,
        estimate=matmul_nbits,
        infer=infer_matmul_nbits,
        shape_inputs=(4,),
        elements=nbits_elements,
    ),
)
