"""Normalizations: statistics per row, then scale and shift."""

from __future__ import annotations

from math import prod
from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import NodeView, OpCost, OperatorSpec, TensorInfo, cost
from mlsys_lint_plugins.ops.inference import element_type, put, same_as, sizes
from mlsys_lint_plugins.ops.ranks import Formula, ranked


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
    """As onnx's body: per element square, mean, division, scale (4).

    Per row epsilon (1) and a root. `extra` are further operations per element.
    """
    rows = data.numel // _row_size(node, data)
    return cost(
        node,
        kernel_class="norm",
        vector_ops=rms_ops(data.numel, rows) + extra * data.numel,
        transcendentals=rows,
    )


def rms_ops(elements: int, rows: int, *, scaled: bool = True) -> int:
    """Operations of an RMS normalization of so many rows, whose roots count apart.

    Per element square, mean, division and, if there is one, a scale; per row epsilon.
    """
    return (3 + scaled) * elements + rows


def _row_size(node: NodeView, data: TensorInfo) -> int:
    """Elements that share statistics: the axes from `axis` on."""
    axis = node.integer("axis", -1)
    return max(1, prod(data.dims[axis % data.rank :])) if data.dims else 1


_STASH_TYPES: Final = {1: "float", 10: "float16", 11: "double", 16: "bfloat16"}


def _conversions(node: NodeView) -> int:
    """Conversions per element: to the type of the statistics (`stash_type`) and back, if it differs."""
    stash = _STASH_TYPES.get(node.integer("stash_type", 1))
    return 2 if node.input(0).dtype != stash else 0


def layer_norm(node: NodeView) -> OpCost:
    """LayerNormalization over the axes from `axis` on: see layer_norm_cost.

    Two conversions per element come on top where x is not of the type of the statistics.
    """
    bias = node.optional_input(2) is not None
    return layer_norm_cost(node, node.input(0), extra=_conversions(node), bias=bias)


def rms_norm(node: NodeView) -> OpCost:
    """RMSNormalization: see rms_norm_cost; conversions as LayerNormalization."""
    return rms_norm_cost(node, node.input(0), extra=_conversions(node))


def batch_norm(node: NodeView) -> OpCost:
    """(x - mean) / sqrt(var + eps) * scale + bias: 4 operations per element.

    Per channel epsilon (1) and a root. In training the statistics of the batch come on top: mean,
    square of the deviation and its mean (3 per element), two running averages (6 per channel).
    Runtimes that fold the statistics into one scale and one shift do less. A scale has an element for
    each channel; before opset 9 with spatial = 0 for each position, too, and so have the statistics.
    """
    x, channels = node.input(0), node.input(1).numel
    per_element, per_channel = (7, 7) if _trains(node) else (4, 1)
    return cost(
        node,
        kernel_class="norm",
        vector_ops=per_element * x.numel + per_channel * channels,
        transcendentals=channels,
    )


def _trains(node: NodeView) -> bool:
    """BatchNormalization says so by an attribute, from opset 7 to 13 by having more outputs than Y."""
    if node.opset >= 14:
        return bool(node.integer("training_mode", 0))
    if node.opset >= 7:
        return any(node.outputs[1:])
    return not node.integer("is_test", 0)


def instance_norm(node: NodeView) -> OpCost:
    """Per element mean, deviation, square, mean of squares, division, scale, shift (7).

    Per (n, c) epsilon (1) and a root.
    """
    x = node.input(0)
    rows = prod(x.dims[:2])
    return cost(node, kernel_class="norm", vector_ops=7 * x.numel + rows, transcendentals=rows)


def group_norm(node: NodeView) -> OpCost:
    """As onnx's body: per element mean, square, mean of squares, deviation, division, scale, bias (7).

    Per group (N * num_groups) square of the mean, variance, epsilon (3) and a root. Conversions as
    LayerNormalization, from opset 21; those of scale and bias are not counted.
    """
    extra = _conversions(node) if node.opset >= 21 else 0
    return group_norm_cost(node, node.integer("num_groups", 1), extra=extra)


def group_norm_cost(
    node: NodeView, groups: int, *, extra: int = 0, transcendentals: int = 0
) -> OpCost:
    """GroupNormalization of input 0; `extra` and `transcendentals` come on top per element."""
    x = node.input(0)
    rows = x.dims[0] * groups
    return cost(
        node,
        kernel_class="norm",
        vector_ops=(7 + extra) * x.numel + 3 * rows,
        transcendentals=rows + transcendentals * x.numel,
    )


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


def infer_batch_norm(context: InferenceContext) -> None:
    """Y like X; statistics, where they are outputs, like the mean (onnx leaves them open)."""
    shape, statistics = sizes(context, 0), sizes(context, 3)
    if shape is None or statistics is None:
        return
    put(context, 0, element_type(context, 0), shape)
    for position in range(1, 5):
        put(context, position, element_type(context, 3), statistics)


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
_LEAST_RANK: Final = {
    "BatchNormalization": 1,
    "InstanceNormalization": 2,
    "GroupNormalization": 2,
    "LRN": 2,
}


def _guarded(name: str, estimate: Formula) -> Formula:
    if name in ("LayerNormalization", "RMSNormalization", "LpNormalization"):
        return ranked(estimate, along=True)
    return ranked(estimate, least={0: _LEAST_RANK.get(name, 0)})


OPERATORS: Final[tuple[OperatorSpec, ...]] = tuple(
    OperatorSpec(
        domain="",
        op_type=name,
        since_version=1,
        estimate=_guarded(name, estimate),
        infer=infer_batch_norm if name == "BatchNormalization" else same_as(0),
    )
    for name, estimate in _ESTIMATES.items()
)
