"""Gather, scatter and what turns values into indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mlsys_lint import NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.bounds import (
    infer_non_max_suppression,
    infer_nonzero,
)

_COMBINE: Final = ("add", "mul", "max", "min")


def gather(node: NodeView) -> OpCost:
    """Reads the indices and the elements it takes (as many as it writes), never the whole table."""
    data, indices, taken = node.input(0), node.input(1), node.output().nbytes
    weights = (taken if data.constant else 0) + (indices.nbytes if indices.constant else 0)
    return cost(
        node,
        kernel_class="gather",
        bytes_read=indices.nbytes + taken,
        weight_bytes=weights,
    )


def scatter(node: NodeView) -> OpCost:
    """Writes the data with updates put in: reads data, indices, updates; combining counts 1 an update."""
    combines = node.text("reduction") in _COMBINE
    return cost(
        node,
        kernel_class="scatter",
        vector_ops=node.input(2).numel if combines else 0,
    )


def tensor_scatter(node: NodeView) -> OpCost:
    """The updates replace a slice of the cache: reads cache and updates, writes the cache."""
    return cost(node, kernel_class="scatter")


def nonzero(node: NodeView) -> OpCost:
    """One comparison per element; indices are written at their maximum number."""
    return cost(node, kernel_class="nonzero", vector_ops=node.input(0).numel)


def one_hot(node: NodeView) -> OpCost:
    """One comparison per output element; indices and the two values are read."""
    return cost(node, kernel_class="scatter", vector_ops=node.output().numel, read=(0, 2))


_IOU_OPS: Final = 15
"""Intersection over union of two boxes: 4 extremes, 2 differences clamped at 0 (2), 1 product; two
areas are kept (0); union 2, division 1, comparison 1, and the comparison of scores 1 with its 1."""


def non_max_suppression(node: NodeView) -> OpCost:
    """At most every box of a class is compared with every kept one: boxes * kept * 15 operations."""
    boxes, scores = node.input(0), node.input(1)
    count, classes = boxes.dims[1], scores.dims[1]
    rows = node.output().dims[0]
    kept = rows // (boxes.dims[0] * classes) if boxes.dims[0] * classes else 0
    pairs = boxes.dims[0] * classes * count * kept
    return cost(
        node,
        kernel_class="nms",
        vector_ops=_IOU_OPS * pairs,
        assumptions=("at most: every box is compared with every kept one",),
    )


def _spec(name: str, estimate: Callable[[NodeView], OpCost], *shape_inputs: int) -> OperatorSpec:
    return OperatorSpec(
        domain="", op_type=name, since_version=1, estimate=estimate, shape_inputs=shape_inputs
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    _spec("Gather", gather, 1),
    _spec("GatherElements", gather, 1),
    _spec("GatherND", gather, 1),
    _spec("Scatter", scatter, 1),
    _spec("ScatterElements", scatter, 1),
    _spec("ScatterND", scatter, 1),
    _spec("TensorScatter", tensor_scatter, 2),
    _spec("OneHot", one_hot, 0, 1),
    OperatorSpec(
        domain="", op_type="NonZero", since_version=9, estimate=nonzero, infer=infer_nonzero
    ),
    OperatorSpec(
        domain="",
        op_type="NonMaxSuppression",
        since_version=10,
        estimate=non_max_suppression,
        infer=infer_non_max_suppression,
        shape_inputs=(2,),
    ),
)
