"""Gather, scatter and what turns values into indices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Final

import numpy as np
from onnx.shape_inference import InferenceContext

from mlsys_lint import NodeView, OpCost, OperatorSpec, TensorInfo, cost
from mlsys_lint_plugins.ops.bounds import (
    infer_non_max_suppression,
    infer_nonzero,
)
from mlsys_lint_plugins.ops.inference import element_type, integer, put, scalar_value, sizes
from mlsys_lint_plugins.ops.ranks import Formula, ranked

_COMBINE: Final = ("add", "mul", "max", "min")


def gather(node: NodeView) -> OpCost:
    """Reads the indices, and as many elements as it writes, but never more than they can reach.

    An index that occurs twice reads the same elements. Indices that are stored count as often as
    they differ; others depend on data and count as different ones.
    """
    data, indices = node.input(0), node.input(1)
    elements = min(node.output().numel, data.numel, _REACHED.get(node.op_type, _whole)(node))
    taken = replace(data, shape=(elements,)).nbytes
    weights = (taken if data.constant else 0) + (indices.nbytes if indices.constant else 0)
    return cost(
        node,
        kernel_class="gather",
        bytes_read=indices.nbytes + taken,
        weight_bytes=weights,
    )


def _whole(node: NodeView) -> int:
    return node.input(0).numel


def _stored(indices: TensorInfo) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]] | None:
    """Stored elements; those that are computed from data may stand for a maximum."""
    value = indices.value if indices.constant else None
    return None if value is None else value.astype(np.int64)


def _gathered(node: NodeView) -> int:
    """Gather: the entries along the axis that stored indices name, once each."""
    dims, indices = node.input(0).dims, node.input(1)
    axis = node.integer("axis", 0)
    stored = _stored(indices)
    if stored is None or not -len(dims) <= axis < len(dims) or not dims[axis]:
        return _whole(node)
    entries = np.unique(stored % dims[axis]).size
    return node.input(0).numel // dims[axis] * entries


def _gathered_elements(node: NodeView) -> int:
    """GatherElements: the lines along the axis that indices stand for, or the stored places."""
    dims, indices = node.input(0).dims, node.input(1)
    axis = node.integer("axis", 0)
    if not -len(dims) <= axis < len(dims) or indices.rank != len(dims):
        return _whole(node)
    stored = _stored(indices)
    if stored is None or not indices.numel:
        lines = (*indices.dims[: axis % len(dims)], *indices.dims[axis % len(dims) + 1 :])
        return prod(lines) * dims[axis]
    places = list(np.indices(indices.dims))
    places[axis] = stored.reshape(indices.dims) % max(1, dims[axis])
    return len({*zip(*(place.ravel().tolist() for place in places), strict=True)})


def _gathered_slices(node: NodeView) -> int:
    """GatherND: the slices that stored indices name, once each in every batch."""
    dims, indices, batch = node.input(0).dims, node.input(1), node.integer("batch_dims", 0)
    stored = _stored(indices)
    if stored is None or not indices.dims or not indices.numel:
        return _whole(node)
    parts, batches = indices.dims[-1], prod(indices.dims[:batch])
    if batch + parts > len(dims):
        return _whole(node)
    extents = np.maximum(1, dims[batch : batch + parts])
    rows = (stored.reshape(batches, -1, parts) % extents).tolist()
    named = sum(len(set(map(tuple, of_batch))) for of_batch in rows)
    return named * prod(dims[batch + parts :])


_REACHED: Final[dict[str, Callable[[NodeView], int]]] = {
    "Gather": _gathered,
    "GatherElements": _gathered_elements,
    "GatherND": _gathered_slices,
}


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


def infer_one_hot(context: InferenceContext) -> None:
    """For a single index, which onnx's own inference refuses: one axis as long as the depth."""
    if sizes(context, 0) == () and integer(context, "axis", -1) in (-1, 0):
        put(context, 0, element_type(context, 2), (scalar_value(context, 1),))


def _spec(name: str, estimate: Formula, *shape_inputs: int) -> OperatorSpec:
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
    replace(_spec("OneHot", one_hot, 0, 1), infer=infer_one_hot),
    OperatorSpec(
        domain="", op_type="NonZero", since_version=9, estimate=nonzero, infer=infer_nonzero
    ),
    OperatorSpec(
        domain="",
        op_type="NonMaxSuppression",
        since_version=10,
        estimate=ranked(non_max_suppression, exactly={0: 3, 1: 3}),
        infer=infer_non_max_suppression,
        shape_inputs=(2, 3, 4),
    ),
)
