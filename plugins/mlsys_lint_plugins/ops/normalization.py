"""Normalizations: statistics per row, then scale and shift."""

from __future__ import annotations

from math import prod
from typing import Final

from mlsys_lint import NodeView, OpCost, OperatorSpec, TensorInfo, cost


def layer_norm_cost(node: NodeView, data: TensorInfo, *, extra: int = 0, bias: bool) -> OpCost:
    """As onnx's body: per element mean, square, mean of squares, deviation, division, scale, bias (7).

    Per row square of the mean, variance, epsilon, reciprocal (4) and a root. `extra` are further
    operations per element.
    """
    rows = data.numel // _row_size(node, data)
    each = 6 + bias + extra
    return cost(
        node,
        kernel_class="norm",
        vector_ops=each * data.numel + 4 * rows,
        transcendentals=rows,
    )


def rms_norm_cost(node: NodeView, data: TensorInfo, *, extra: int = 0) -> OpCost:
    """As onnx's body: per element square, mean, product, scale (4).

    Per row epsilon and reciprocal (2) and a root. `extra` are further operations per element.
    """
    rows = data.numel // _row_size(node, data)
    return cost(
        node,
        kernel_class="norm",
        vector_ops=(4 + extra) * data.numel + 2 * rows,
        transcendentals=rows,
    )


def _row_size(node: NodeView, data: TensorInfo) -> int:
    """Elements that share statistics: the axes from `axis` on."""
    axis = node.integer("axis", -1)
    return max(1, prod(data.dims[axis % data.rank :])) if data.dims else 1


def layer_norm(node: NodeView) -> OpCost:
    """LayerNormalization over the axes from `axis` on: see layer_norm_cost."""
    return layer_norm_cost(node, node.input(0), bias=node.optional_input(2) is not None)


def rms_norm(node: NodeView) -> OpCost:
    """RMSNormalization: see rms_norm_cost."""
    return rms_norm_cost(node, node.input(0))


def batch_norm(node: NodeView) -> OpCost:
    """(x - mean) / sqrt(var + eps) * scale + bias: 4 operations per element.

    Per channel epsilon (1) and a root. In training the statistics of the batch come on top: mean,
    deviation, square, mean (4 per element) and the running averages (6 per channel).
    """
    x = node.input(0)
    channels = x.dims[1] if x.rank > 1 else 1
    training = node.integer("training_mode", 0)
    return cost(
        node,
        kernel_class="norm",
        vector_ops=(8 if training else 4) * x.numel + (7 if training else 1) * channels,
        transcendentals=channels,
    )


def instance_norm(node: NodeView) -> OpCost:
    """Per element mean, deviation, square, mean of squares, division, scale, shift (7).

    Per (n, c) epsilon (1) and a root.
    """
    x = node.input(0)
    rows = prod(x.dims[:2])
    return cost(node, kernel_class="norm", vector_ops=7 * x.numel + rows, transcendentals=rows)


def group_norm(node: NodeView) -> OpCost:
    """As instance normalization, with the statistics of N * num_groups groups."""
    x = node.input(0)
    rows = x.dims[0] * node.integer("num_groups", 1)
    return cost(node, kernel_class="norm", vector_ops=7 * x.numel + rows, transcendentals=rows)


def lp_norm(node: NodeView) -> OpCost:
    """X / (sum |x|^p)^(1/p): abs or square, sum, division (3 n - 1 a row); p = 2 takes a root a row."""
    x = node.input(0)
    size = x.dims[node.integer("axis", -1) % x.rank] if x.dims else 1
    rows = x.numel // size if size else 0
    return cost(
        node,
        kernel_class="norm",
        vector_ops=3 * x.numel - rows,
        transcendentals=rows if node.integer("p", 2) == 2 else 0,
    )


def mean_variance(node: NodeView) -> OpCost:
    """Per element mean, square (pow), mean of squares, deviation, division.

    As onnx's body: E[x]^2 is a pow per row, the difference and epsilon 2 operations, and a root.
    """
    x = node.input(0)
    axes = node.integers("axes", (0, 2, 3))
    size = prod(x.dims[axis] for axis in axes if -x.rank <= axis < x.rank)
    rows = x.numel // size if size else 0
    return cost(
        node,
        kernel_class="norm",
        vector_ops=4 * x.numel + 2 * rows,
        transcendentals=x.numel + 2 * rows,
    )


def local_response(node: NodeView) -> OpCost:
    """X / (bias + alpha / size * sum of squares)^beta over `size` channels.

    Per element: a square, size - 1 sums, scale, bias, division, and a pow.
    """
    x, size = node.input(0), node.integer("size", 1)
    return cost(
        node,
        kernel_class="norm",
        vector_ops=(size + 3) * x.numel,
        transcendentals=x.numel,
    )


_ESTIMATES: Final = {
    "BatchNormalization": batch_norm,
    "InstanceNormalization": instance_norm,
    "GroupNormalization": group_norm,
    "LayerNormalization": layer_norm,
    "RMSNormalization": rms_norm,
    "LpNormalization": lp_norm,
    "MeanVarianceNormalization": mean_variance,
    "LRN": local_response,
}

OPERATORS: Final[tuple[OperatorSpec, ...]] = tuple(
    OperatorSpec(domain="", op_type=name, since_version=1, estimate=estimate)
    for name, estimate in _ESTIMATES.items()
)
