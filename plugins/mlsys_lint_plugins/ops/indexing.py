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
    """Reads the indices, and as many elements as it writes, but never more than the data has.

    An index that occurs twice reads the same elements; indices depend on data, so they count as
    different ones.
    """
    data, indices = node.input(0), node.input(1)
    taken = min(node.output().nbytes, data.nbytes)
    weights = (taken if data.constant else 0) + (indices.nbytes if indices.constant else 0)
    return cost(
        node,
        kernel_class="gather",
        bytes_read=indices.nbytes + taken,
        weight_bytes=weights,
    )


def scatter(node: NodeView) -> OpCost:
    """The data with updates put in: reads data, indices and updates, writes all of the output.

    A reduction (add, mul, min, max) takes one operation per update. Kernels that work in place
    move less.
    """
    combines = node.text("reduction") in _COMBINE
    return cost(
        node,
        kernel_class="scatter",
        vector_ops=node.input(2).numel if combines else 0,
    )


def tensor_scatter(node: NodeView) -> OpCost:
    """A cache with updates at write_indices: reads cache, updates and indices, writes the cache."""
    return cost(node, kernel_class="scatter")


def nonzero(node: NodeView) -> OpCost:
    """One comparison per element; the indices are written at their maximum number."""
    return cost(node, kernel_class="nonzero", vector_ops=node.input(0).numel)


def one_hot(node: NodeView) -> OpCost:
    """One comparison per output element; indices and the two values are read."""
    return cost(node, kernel_class="scatter", vector_ops=node.output().numel, read=(0, 2))


_PAIR_OPS: Final = 13
"""Intersection over union: 4 extremes, 2 differences, each clamped at 0 (4), product, sum of two
areas less the intersection (2), division, comparison."""
_BOX_OPS: Final = 3
"""Area of a box: 2 differences and a product."""


def non_max_suppression(node: NodeView) -> OpCost:
    """At most: 13 operations for each pair of a box and a kept one, 3 per box, 1 per score.

    With N batches, C classes, B boxes and at most K kept ones a class: 13 N C B K + 3 N B + N C B.
    Sorting by score is not counted.
    """
    batches, boxes, _ = node.input(0).dims
    scores = node.input(1).numel
    classes = node.input(1).dims[1]
    kept = node.output().dims[0] // max(1, batches * classes)
    return cost(
        node,
        kernel_class="nms",
        vector_ops=_PAIR_OPS * scores * kept + _BOX_OPS * batches * boxes + scores,
        assumptions=("data-dependent, at most: every box is compared with every kept one",),
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
        shape_inputs=(2, 3, 4),
    ),
)
