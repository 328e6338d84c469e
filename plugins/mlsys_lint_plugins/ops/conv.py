"""Convolutions: dense, grouped, depthwise, transposed, deformable, integer."""

from __future__ import annotations

from math import prod
from typing import Final

from mlsys_lint import Contraction, NodeView, OpCost, OperatorSpec, TensorInfo, cost
from mlsys_lint_plugins.ops.linear import REQUANTIZE_OPS, shift_ops
from mlsys_lint_plugins.ops.ranks import Fault, ranked


def conv_contraction(
    weight: TensorInfo, output: TensorInfo, group: int, dtype: str, *, channels_last: bool = False
) -> Contraction:
    """Implicit GEMM (im2col): padding counts dense, as kernels compute it.

    W is [Cout, Cin/g, k...] and Y [N, Cout, o...] (or [N, o..., Cout]): batch = N * g, m = prod(o),
    n = Cout / g, k = Cin/g * prod(k).
    """
    positions = output.dims[1:-1] if channels_last else output.dims[2:]
    return Contraction(
        batch=output.dims[0] * group,
        m=prod(positions),
        n=weight.dims[0] // group,
        k=prod(weight.dims[1:]),
        dtype=dtype,
    )


def conv_class(weight: TensorInfo, group: int) -> str:
    """conv_depthwise (one input channel a group), conv_grouped, conv_pointwise (1x1) or conv."""
    if group > 1:
        return "conv_depthwise" if weight.dims[1] == 1 else "conv_grouped"
    return "conv_pointwise" if prod(weight.dims[2:]) == 1 else "conv"


def conv_cost(
    node: NodeView,
    data: TensorInfo,
    weight: TensorInfo,
    *,
    vector_ops: int = 0,
    transcendentals: int = 0,
    channels_last: bool = False,
) -> OpCost:
    """Cost of a convolution whose operands stand at any position of the node."""
    group = node.integer("group", 1)
    product = conv_contraction(
        weight, node.output(), group, data.type_name, channels_last=channels_last
    )
    return cost(
        node,
        kernel_class=conv_class(weight, group),
        contractions=(product,),
        vector_ops=vector_ops,
        transcendentals=transcendentals,
    )


def per_output(node: NodeView, *positions: int) -> int:
    """One operation per output element for each input that is given: a bias, a residual."""
    found = sum(node.optional_input(position) is not None for position in positions)
    return found * node.output().numel


def conv(node: NodeView) -> OpCost:
    """Y[n, o, p] = b[o] + sum over c, k of X W: N * Cout * prod(out) * Cin/g * prod(kernel) MACs.

    The bias is one vector operation per output element. A strided 1x1 kernel is charged all of X.
    """
    return conv_cost(node, node.input(0), node.input(1), vector_ops=per_output(node, 2))


def conv_integer(node: NodeView) -> OpCost:
    """ConvInteger: Conv's MACs; subtracting zero points costs 1 per element of each side."""
    shifts = shift_ops(node, (0, 2), (1, 3))
    return conv_cost(node, node.input(0), node.input(1), vector_ops=shifts)


def qlinear_conv(node: NodeView) -> OpCost:
    """QLinearConv: Conv's MACs, zero points, the int32 bias, and every output's requantization.

    Requantization is a scale, round, shift and clamp (2). com.microsoft's form may keep channels
    last; its weights stay [Cout, Cin/g, k...].
    """
    work = shift_ops(node, (0, 2), (3, 5)) + per_output(node, 8)
    return conv_cost(
        node,
        node.input(0),
        node.input(3),
        vector_ops=work + REQUANTIZE_OPS * node.output().numel,
        channels_last=bool(node.integer("channels_last", 0)),
    )


def conv_transpose(node: NodeView, bias: int = 2) -> OpCost:
    """Each input element meets Cout/g filters: N * Cin * prod(in) * Cout/g * prod(kernel) MACs.

    Overlapping results are accumulated (part of the MACs); what pads crop is computed all the same.
    `bias` is the position of the bias.
    """
    x, w = node.input(0), node.input(1)
    return cost(
        node,
        kernel_class="conv_transpose",
        contractions=(transposed_contraction(x, w, node.integer("group", 1)),),
        vector_ops=per_output(node, bias),
    )


def transposed_contraction(x: TensorInfo, w: TensorInfo, group: int) -> Contraction:
    """W is [Cin, Cout/g, k...]: batch = N * g, m = input pixels, k = Cin/g, n = Cout/g * prod(kernel)."""
    return Contraction(
        batch=x.dims[0] * group,
        m=prod(x.dims[2:]),
        n=prod(w.dims[1:]),
        k=x.dims[1] // group,
        dtype=x.type_name,
    )


def interpolation_ops(axes: int) -> tuple[int, int]:
    """Linear interpolation between 2^axes neighbours: operations per (value, sampling location).

    A value takes 2^axes products and one sum less. A location takes, for each axis, the sum that
    places it, a floor and two distances, and axes - 1 products for each neighbour's weight; all
    channels share it. In the plane: 7 and 12.
    """
    neighbours = 2**axes
    return 2 * neighbours - 1, 4 * axes + neighbours * (axes - 1)


def deform_conv(node: NodeView) -> OpCost:
    """DeformConv: Conv's MACs on interpolated inputs.

    A value is sampled for each input channel, kernel position and output pixel (7 operations in
    the plane, 8 with a mask), a location for each offset group, kernel position and pixel (12).
    """
    x, w, output = node.input(0), node.input(1), node.output()
    each_value, each_location = interpolation_ops(x.rank - 2)
    each_value += node.optional_input(4) is not None
    places = x.dims[0] * prod(w.dims[2:]) * prod(output.dims[2:])
    sampling = places * (x.dims[1] * each_value + node.integer("offset_group", 1) * each_location)
    plain = conv_contraction(w, output, node.integer("group", 1), x.type_name)
    return cost(
        node,
        kernel_class="conv_deformable",
        contractions=(plain,),
        vector_ops=sampling + per_output(node, 3),
    )


def _channels(weight: int, *, transposed: bool = False) -> Fault:
    """X has as many channels as W: Cin/g in each group, Cin in all where it is transposed."""

    def fault(node: NodeView) -> str | None:
        x, w, group = node.input(0).dims[1], node.input(weight).dims, node.integer("group", 1)
        channels = w[0] if transposed else w[1] * group
        return None if x == channels else f"the input has {x} channels, the weight {channels}"

    return fault


_COUNTED: Final = ("group", "strides", "dilations")

OPERATORS: Final[tuple[OperatorSpec, ...]] = tuple(
    OperatorSpec(
        domain="",
        op_type=name,
        since_version=since_version,
        estimate=ranked(
            estimate,
            least={0: 2, weight: 2},
            positive=_COUNTED,
            fault=_channels(weight, transposed=name == "ConvTranspose"),
        ),
    )
    for name, since_version, estimate, weight in (
        ("Conv", 1, conv, 1),
        ("ConvInteger", 10, conv_integer, 1),
        ("QLinearConv", 10, qlinear_conv, 3),
        ("ConvTranspose", 1, conv_transpose, 1),
        ("DeformConv", 19, deform_conv, 1),
    )
)
