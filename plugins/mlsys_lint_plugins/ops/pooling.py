"""Pooling: windows over positions, global pooling, regions of interest."""

from __future__ import annotations

from math import prod
from typing import Final

from mlsys_lint import NodeView, OpCost, OperatorSpec, cost


def max_pool(node: NodeView) -> OpCost:
    """Window - 1 comparisons per output element; the Indices output moves bytes only."""
    window = prod(node.integers("kernel_shape"))
    return cost(node, kernel_class="pool", vector_ops=(window - 1) * node.output().numel)


def average_pool(node: NodeView) -> OpCost:
    """Window - 1 additions and a division per output element: window operations."""
    window = prod(node.integers("kernel_shape"))
    return cost(node, kernel_class="pool", vector_ops=window * node.output().numel)


def lp_pool(node: NodeView) -> OpCost:
    """(sum |x|^p)^(1/p): abs and add per window element, pow per window element and result."""
    window, outputs = prod(node.integers("kernel_shape")), node.output().numel
    return cost(
        node,
        kernel_class="pool",
        vector_ops=(2 * window - 1) * outputs,
        transcendentals=(window + 1) * outputs,
    )


def global_max_pool(node: NodeView) -> OpCost:
    """N - 1 comparisons for each of the N * C results."""
    outputs = node.output().numel
    return cost(node, kernel_class="pool", vector_ops=node.input(0).numel - outputs)


def global_average_pool(node: NodeView) -> OpCost:
    """N - 1 additions and a division for each of the N * C results: n operations."""
    return cost(node, kernel_class="pool", vector_ops=node.input(0).numel)


def global_lp_pool(node: NodeView) -> OpCost:
    """Abs and add per element, pow per element and result."""
    inputs, outputs = node.input(0).numel, node.output().numel
    return cost(
        node,
        kernel_class="pool",
        vector_ops=2 * inputs - outputs,
        transcendentals=inputs + outputs,
    )


def max_unpool(node: NodeView) -> OpCost:
    """Values are scattered to their places: bytes only."""
    return cost(node, kernel_class="scatter", read=(0, 1))


def max_roi_pool(node: NodeView) -> OpCost:
    """At most one comparison per element of the feature map for each region and channel.

    Regions depend on data; an upper bound is every region covering the whole map.
    """
    rois, maps = node.input(1).dims[0], prod(node.input(0).dims[1:])
    return cost(
        node,
        kernel_class="pool",
        vector_ops=rois * maps,
        assumptions=("at most: every region covers the whole feature map",),
    )


_BILINEAR_OPS: Final = 7
"""Four products and three sums; the weights are shared by all channels and not counted."""


def roi_align(node: NodeView) -> OpCost:
    """sampling_ratio^2 bilinear samples per output: 7 operations each, then their mean or maximum.

    With the default sampling_ratio of 0 the number depends on the regions' sizes; 2 x 2 is taken.
    """
    ratio = node.integer("sampling_ratio", 0)
    samples = (ratio or 2) ** 2
    assumptions = () if ratio else ("sampling_ratio 0 is adaptive: 2 x 2 samples assumed",)
    return cost(
        node,
        kernel_class="pool",
        vector_ops=(_BILINEAR_OPS + 1) * samples * node.output().numel,
        assumptions=assumptions,
    )


_ESTIMATES: Final = {
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "LpPool": lp_pool,
    "GlobalMaxPool": global_max_pool,
    "GlobalAveragePool": global_average_pool,
    "GlobalLpPool": global_lp_pool,
    "MaxUnpool": max_unpool,
    "MaxRoiPool": max_roi_pool,
    "RoiAlign": roi_align,
}
_SHAPE_INPUTS: Final = {"MaxUnpool": (1, 2), "RoiAlign": (2,)}

OPERATORS: Final[tuple[OperatorSpec, ...]] = tuple(
    OperatorSpec(
        domain="",
        op_type=name,
        since_version=1,
        estimate=estimate,
        shape_inputs=_SHAPE_INPUTS.get(name, ()),
    )
    for name, estimate in _ESTIMATES.items()
)
