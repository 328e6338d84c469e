"""com.microsoft: 8-bit and 4-bit floats, block floating point."""

from __future__ import annotations

from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, Unsupported, cost
from mlsys_lint_plugins.ops.conv import per_output
from mlsys_lint_plugins.ops.fused_activation import activation_counts
from mlsys_lint_plugins.ops.inference import element_type, integer, integers, put, sizes
from mlsys_lint_plugins.ops.linear import REQUANTIZE_OPS, contraction_class, gemm_contraction

_DOMAIN: Final = "com.microsoft"
_ROUND_OPS: Final = REQUANTIZE_OPS - 2
"""Round and clamp (2): a result that is quantized without scale and zero point."""


# -- GemmFloat8 ------------------------------------------------------------------------------------


def gemm_float8(node: NodeView) -> OpCost | Declined:
    """Gemm of 8-bit floats: activation(alpha scaleA scaleB A' B' + beta C) scaleY.

    Per result one product for alpha and the scales of A and B together, if there are any, one for
    scaleY, the sum with C (beta, 0 by default, scales C's own elements unless 1; C is not read
    where it is 0), and round and clamp (3) where the result has 8 bits.
    """
    name = node.text("activation", "NONE")
    counts = activation_counts("" if name == "NONE" else name)
    if counts is None:
        return Declined(f"activation {name!r} has no formula")
    contraction = gemm_contraction(node, node.input(0), node.input(1))
    output, beta = node.output(), node.attributes.get("beta", 0.0)
    c = node.optional_input(2) if beta != 0.0 else None
    scaled = node.attributes.get("alpha", 1.0) != 1.0 or any(node.inputs[3:5])
    each = scaled + (c is not None) + counts[0] + (node.optional_input(5) is not None)
    each += _ROUND_OPS if output.type_name.startswith("float8") else 0
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=each * output.numel + (c.numel if c is not None and beta != 1.0 else 0),
        transcendentals=counts[1] * output.numel,
        read=(0, 1, c, 3, 4, 5),
        dtype="float",
    )


def infer_gemm_float8(context: InferenceContext) -> None:
    """[M, N] of the type that the attribute names (float by default)."""
    a, b = sizes(context, 0), sizes(context, 1)
    if a is None or b is None or len(a) != 2 or len(b) != 2:
        return
    m = a[1] if integer(context, "transA") else a[0]
    n = b[0] if integer(context, "transB") else b[1]
    put(context, 0, integer(context, "dtype", TensorProto.FLOAT), (m, n))


# -- Weights in 8 and 4 bits, activations in 16 ----------------------------------------------------


def _weight_only(node: NodeView, n: int, k: int, ops: int, bits: int) -> OpCost:
    a = node.input(0)
    contraction = Contraction(m=a.numel // k if k else 0, n=n, k=k, dtype=a.type_name)
    return cost(
        node,
        kernel_class=f"nbits_{contraction_class(contraction)}",
        contractions=(contraction,),
        vector_ops=ops,
        assumptions=(f"weights of {bits} bits are unpacked to {a.dtype}",),
    )


def matmul_fp8_weight(node: NodeView) -> OpCost:
    """A [.., K] times B [N, K] transposed: M * N * K MACs in A's type, as ONNX Runtime does by default.

    A weight takes the product with its block's scale. With a_scale every element of A is quantized
    (scale, round, clamp: 4) and scaled back (1).
    """
    n, k = node.input(1).dims
    rounded = REQUANTIZE_OPS if node.optional_input(3) is not None else 0
    ops = n * k + rounded * node.input(0).numel + per_output(node, 4)
    return _weight_only(node, n, k, ops, bits=8)


def matmul_fp4_weight(node: NodeView) -> OpCost:
    """A [.., K] times packed B [N, K / 2] transposed: M * N * K MACs in A's type.

    The global scale multiplies every block's scale, which multiplies every weight.
    """
    n, packed = node.input(1).dims
    k = 2 * packed
    ops = n * k + node.input(2).numel + per_output(node, 5)
    return _weight_only(node, n, k, ops, bits=4)


def fp4_elements(node: NodeView, position: int) -> int:
    """Two weights a byte."""
    return node.input(position).numel * (2 if position == 1 else 1)


def infer_weight_only(context: InferenceContext) -> None:
    """[.., N]; B is [N, ..]."""
    a, b = sizes(context, 0), sizes(context, 1)
    if a and b:
        put(context, 0, element_type(context, 0), (*a[:-1], b[0]))


# -- Block floating point --------------------------------------------------------------------------

_FORMAT: Final = Unsupported("the layout of block floating point is the execution provider's own")


def infer_quantize_bfp(context: InferenceContext) -> None:
    """Bytes of a number that the format decides; shape and strides have one entry an axis."""
    shape = sizes(context, 0)
    put(context, 0, TensorProto.UINT8, (None,))
    for position in (1, 2):
        put(context, position, TensorProto.INT64, (None if shape is None else len(shape),))


def infer_dequantize_bfp(context: InferenceContext) -> None:
    """The shape that input 1 holds, in the type that the attribute names (float by default)."""
    shape, rank = integers(context, 1), sizes(context, 1)
    unknown = (None,) * rank[0] if rank and rank[0] is not None else None
    put(context, 0, integer(context, "dtype", TensorProto.FLOAT), shape or unknown)


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    OperatorSpec(
        domain=_DOMAIN,
        op_type="GemmFloat8",
        since_version=1,
        estimate=gemm_float8,
        infer=infer_gemm_float8,
    ),
    OperatorSpec(
        domain=_DOMAIN,
        op_type="MatMulBlockQuantizedFp8Weight",
        since_version=1,
        estimate=matmul_fp8_weight,
        infer=infer_weight_only,
    ),
    OperatorSpec(
        domain=_DOMAIN,
        op_type="MatMulBlockQuantizedFp4Weight",
        since_version=1,
        estimate=matmul_fp4_weight,
        infer=infer_weight_only,
        elements=fp4_elements,
    ),
    OperatorSpec(
        domain=_DOMAIN,
        op_type="QuantizeBFP",
        since_version=1,
        estimate=_FORMAT,
        infer=infer_quantize_bfp,
    ),
    OperatorSpec(
        domain=_DOMAIN,
        op_type="DequantizeBFP",
        since_version=1,
        estimate=_FORMAT,
        infer=infer_dequantize_bfp,
        shape_inputs=(1, 2),
    ),
)
