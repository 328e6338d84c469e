"""Pooling: windows over positions, global pooling, regions of interest."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, prod
from typing import Final

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.conv import interpolation_ops
from mlsys_lint_plugins.ops.first_versions import first_version, power_changes
from mlsys_lint_plugins.ops.inference import infer_from_sizes
from mlsys_lint_plugins.ops.ranks import Formula, ranked


def _window(node: NodeView) -> int:
    """Elements of the kernel; padding and dilation do not change them."""
    return prod(node.integers("kernel_shape"))


def max_pool(node: NodeView) -> OpCost:
    """Window - 1 comparisons per output element; the Indices output moves bytes only."""
    return cost(node, kernel_class="pool", vector_ops=(_window(node) - 1) * node.output().numel)


def average_pool(node: NodeView) -> OpCost:
    """Window - 1 additions and a division per output element; padding counts as if it were data."""
    return cost(node, kernel_class="pool", vector_ops=_window(node) * node.output().numel)


def lp_pool(node: NodeView) -> OpCost:
    """(sum |x|^p)^(1/p) over a window: see _lp_cost."""
    outputs = node.output().numel
    return _lp_cost(node, _window(node) * outputs, outputs)


def _power(node: NodeView) -> int:
    """The attribute p (a float in opset 1); -1 for a broken power."""
    power = node.attributes.get("p", 2)
    return int(power) if isinstance(power, int | float) and power == int(power) else -1


def _lp_cost(node: NodeView, values: int, outputs: int) -> OpCost:
    """`values` elements are combined into `outputs`.

    Sums count values - outputs; p = 1 takes an absolute value each, p = 2 a square each and a root
    per output, any other p an absolute value and a power each and a power per output.
    """
    roots = {1: 0, 2: outputs}.get(_power(node), values + outputs)
    operations = values + max(0, values - outputs)
    return cost(node, kernel_class="pool", vector_ops=operations, transcendentals=roots)


def global_max_pool(node: NodeView) -> OpCost:
    """N - 1 comparisons for each of the N * C results; none where there is nothing to compare."""
    compared = max(0, node.input(0).numel - node.output().numel)
    return cost(node, kernel_class="pool", vector_ops=compared)


def global_average_pool(node: NodeView) -> OpCost:
    """N - 1 additions and a division for each of the N * C results: n operations."""
    return cost(node, kernel_class="pool", vector_ops=node.input(0).numel)


def global_lp_pool(node: NodeView) -> OpCost:
    """(sum |x|^p)^(1/p) over all positions: see _lp_cost."""
    return _lp_cost(node, node.input(0).numel, node.output().numel)


def max_unpool(node: NodeView) -> OpCost:
    """Values are scattered to their places: bytes only."""
    return cost(node, kernel_class="scatter", read=(0, 1))


def max_roi_pool(node: NodeView) -> OpCost | Declined:
    """Every region's maxima: one comparison less than elements for each bin.

    At most every region covers the map. Its p bins along an axis of n then hold at most n + p - 1
    elements: what lies on the edge of two bins belongs to both.
    """
    (_, channels, *extents), (regions, _, *bins) = node.input(0).dims, node.output().dims
    if len(bins) != len(extents):
        return Declined("the output has not as many axes as the map")
    held = prod(extent + bin_ - 1 for extent, bin_ in zip(extents, bins, strict=True))
    return cost(
        node,
        kernel_class="pool",
        vector_ops=regions * channels * (held - prod(bins)),
        assumptions=("data-dependent: every region covers the whole feature map",),
    )


def roi_align(node: NodeView) -> OpCost:
    """Bilinear samples in every bin, then their mean (n operations) or maximum (n - 1).

    A sample takes 7 operations per channel and 12 that all channels share. Their number is
    sampling_ratio^2; 0 means ceil(region / bins) in each direction, at most that of the whole map.
    A sample reads 4 elements of a channel; they count as different ones, at most the whole map.
    """
    x, output = node.input(0), node.output()
    regions, _, height, width = output.dims
    ratio = node.integer("sampling_ratio", 0)
    samples = ratio**2 or ceil(x.dims[2] / max(1, height)) * ceil(x.dims[3] / max(1, width))
    each_value, each_location = interpolation_ops(2)
    combined = samples - (node.text("mode", "avg") == "max")
    widest = "data-dependent: every region covers the whole feature map"
    read = replace(x, shape=(min(x.numel, 4 * samples * output.numel),))
    return cost(
        node,
        kernel_class="pool",
        read=(read, 1, 2),
        vector_ops=output.numel * (samples * each_value + combined)
        + regions * height * width * samples * each_location,
        assumptions=() if ratio else (widest,),
    )


def _spec(
    name: str,
    since: int,
    estimate: Formula,
    shape_inputs: tuple[int, ...] = (),
) -> OperatorSpec:
    return OperatorSpec(
        domain="", op_type=name, since_version=since, estimate=estimate, shape_inputs=shape_inputs
    )


def _windowed(estimate: Formula) -> Formula:
    return ranked(estimate, least={0: 2}, positive=("kernel_shape", "strides", "dilations"))


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    _spec("MaxPool", 1, _windowed(max_pool)),
    _spec("AveragePool", 1, _windowed(average_pool)),
    *first_version(_spec("LpPool", 1, _windowed(lp_pool)), 2, power_changes),
    _spec("GlobalMaxPool", 1, global_max_pool),
    _spec("GlobalAveragePool", 1, global_average_pool),
    *first_version(_spec("GlobalLpPool", 1, global_lp_pool), 2, power_changes),
    OperatorSpec(
        domain="",
        op_type="MaxUnpool",
        since_version=9,
        estimate=max_unpool,
        shape_inputs=(1, 2),
        infer=infer_from_sizes(2),
    ),
    _spec("MaxRoiPool", 1, ranked(max_roi_pool, exactly={0: 4}, positive=("pooled_shape",))),
    _spec("RoiAlign", 10, ranked(roi_align, exactly={0: 4, 1: 2}), (2,)),
)
