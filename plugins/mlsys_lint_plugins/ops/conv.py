"""Convolutions: dense, grouped, depthwise, transposed, deformable, integer."""

from __future__ import annotations

from math import prod
from typing import Final

from mlsys_lint import Contraction, NodeView, OpCost, OperatorSpec, TensorInfo, cost
from mlsys_lint_plugins.ops.linear import REQUANTIZE_OPS


def conv_contraction(weight: TensorInfo, output: TensorInfo, group: int, dtype: str) -> Contraction:
    """Implicit GEMM (im2col): padding counts dense, as kernels compute it.

    W is [Cout, Cin/g, k...] and Y [N, Cout, o...]: batch = N * g, m = prod(o), n = Cout / g,
    k = Cin/g * prod(k).
    """
    n, cout, *positions = output.dims
    return Contraction(
        batch=n * group,
        m=prod(positions),
        n=cout // group,
        k=prod(weight.dims[1:]),
        dtype=dtype,
    )


def conv_class(weight: TensorInfo, group: int) -> str:
    """conv_depthwise (one input channel a group), conv_grouped, conv_pointwise (1x1) or conv."""
    if group > 1:
        return "conv_depthwise" if weight.dims[1] == 1 else "conv_grouped"
    return "conv_pointwise" if prod(weight.dims[2:]) == 1 else "conv"


def conv(node: NodeView) -> OpCost:
    """Y[n, o, p] = b[o] + sum over c, k of X W: N * Cout * prod(out) * Cin/g * prod(kernel) MACs.

    The bias is one vector operation per output element.
    """
    return conv_cost(node, node.input(0), node.input(1), node.optional_input(2))


def conv_cost(
    node: NodeView, data: TensorInfo, weight: TensorInfo, bias: TensorInfo | None, extra: int = 0
) -> OpCost:
    """Cost of a convolution whose operands stand at any position; `extra` vector ops per output."""
    group = node.integer("group", 1)
    output = node.output()
    per_element = extra + (1 if bias is not None else 0)
    return cost(
        node,
        kernel_class=conv_class(weight, group),
        contractions=(conv_contraction(weight, output, group, data.type_name),),
        vector_ops=per_element * output.numel,
    )


def conv_integer(node: NodeView) -> OpCost:
    """ConvInteger: Conv's MACs; subtracting zero points costs 1 per element of each side."""
    x, w = node.input(0), node.input(1)
    group = node.integer("group", 1)
    shifted = sum(
        side.numel
        for side, zero in ((x, node.optional_input(2)), (w, node.optional_input(3)))
        if zero is not None
    )
    return cost(
        node,
        kernel_class=conv_class(w, group),
        contractions=(conv_contraction(w, node.output(), group, x.type_name),),
        vector_ops=shifted,
    )


def qlinear_conv(node: NodeView) -> OpCost:
    """QLinearConv: Conv's MACs, the int32 bias, and the requantization of every output."""
    return conv_cost(
        node, node.input(0), node.input(3), node.optional_input(8), extra=REQUANTIZE_OPS
    )


def conv_transpose(node: NodeView) -> OpCost:
    """W is [Cin, Cout/g, k...]: each input element meets Cout/g filters at all kernel positions.

    N * Cin * prod(in) * Cout/g * prod(kernel) MACs, cropped positions included. Overlapping
    products are summed by the MACs themselves; the bias is one operation per output element.
    """
    x, w = node.input(0), node.input(1)
    group = node.integer("group", 1)
    n, cin, *positions = x.dims
    contraction = Contraction(
        batch=n * group,
        m=prod(positions),
        n=prod(w.dims[1:]),
        k=cin // group,
        dtype=x.type_name,
    )
    bias = node.output().numel if node.optional_input(2) is not None else 0
    return cost(node, kernel_class="conv_transpose", contractions=(contraction,), vector_ops=bias)


_BILINEAR_OPS: Final = 11
"""Per sampled value: 4 corner weights (2 subtractions, 4 products) and 4 products, 3 sums, less the
2 weights that are differences already: 2 + 4 + 4 + 3 - 2 = 11."""


def deform_conv(node: NodeView) -> OpCost:
    """DeformConv: Conv's MACs on bilinearly sampled inputs.

    Sampling happens once per input channel, kernel position and output pixel: 11 vector operations,
    2 more to add the offset, and one for the mask where there is one.
    """
    x, w = node.input(0), node.input(1)
    group = node.integer("group", 1)
    output = node.output()
    kernel, pixels = prod(w.dims[2:]), prod(output.dims[2:])
    sampled = x.dims[0] * x.dims[1] * kernel * pixels
    masked = 1 if node.optional_input(4) is not None else 0
    bias = output.numel if node.optional_input(3) is not None else 0
    return cost(
        node,
        kernel_class="conv_deformable",
        contractions=(conv_contraction(w, output, group, x.type_name),),
        vector_ops=sampled * (_BILINEAR_OPS + 2 + masked) + bias,
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    OperatorSpec(domain="", op_type="Conv", since_version=1, estimate=conv),
    OperatorSpec(domain="", op_type="ConvInteger", since_version=10, estimate=conv_integer),
    OperatorSpec(domain="", op_type="QLinearConv", since_version=10, estimate=qlinear_conv),
    OperatorSpec(domain="", op_type="ConvTranspose", since_version=1, estimate=conv_transpose),
    OperatorSpec(domain="", op_type="DeformConv", since_version=19, estimate=deform_conv),
)
