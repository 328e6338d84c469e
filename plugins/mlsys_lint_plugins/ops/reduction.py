"""Reductions, cumulative sums, selections of the largest."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, log2
from typing import Final

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.bounds import infer_top_k
from mlsys_lint_plugins.ops.ranks import ranked

_PER_INPUT: Final = {
    # name: (operations, transcendentals per input element; operations, transcendentals per output),
    # besides the n - 1 operations that combine n elements into one
    "ReduceSum": (0, 0, 0, 0),
    "ReduceProd": (0, 0, 0, 0),
    "ReduceMax": (0, 0, 0, 0),
    "ReduceMin": (0, 0, 0, 0),
    "ReduceMean": (0, 0, 1, 0),  # division
    "ReduceL1": (1, 0, 0, 0),  # abs
    "ReduceL2": (1, 0, 0, 1),  # square, root
    "ReduceSumSquare": (1, 0, 0, 0),  # square
    "ReduceLogSum": (0, 0, 0, 1),  # log
    "ReduceLogSumExp": (0, 1, 0, 1),  # exp, log
    "ArgMax": (0, 0, 0, 0),
    "ArgMin": (0, 0, 0, 0),
}


def reduction(node: NodeView) -> OpCost:
    """N - 1 operations to combine n elements, and what the operator does before and after.

    A reduction over no axis at all (noop_with_empty_axes) combines nothing. ReduceLogSumExp does not
    count its body's conversions to double and back, which serve precision and which kernels leave out.
    """
    before, exps, after, roots = _PER_INPUT[node.op_type]
    inputs, outputs = node.input(0).numel, node.output().numel
    return cost(
        node,
        kernel_class="reduction",
        vector_ops=max(0, inputs - outputs) + before * inputs + after * outputs,
        transcendentals=exps * inputs + roots * outputs,
        read=(0,),
    )


def cumulative(node: NodeView) -> OpCost | Declined:
    """N - 1 operations along an axis of n; along the longest one (at most) where it is not known.

    An exclusive sum takes as many: it begins with 0 (a product with 1) instead of the first element,
    and does not read the last one.
    """
    data, axis = node.input(0), node.input(1)
    inputs, dims = data.numel, data.dims or (1,)
    known = axis.value is not None or len(set(dims)) == 1
    size = max(dims)
    if axis.value is not None:
        if axis.value.size != 1 or not -len(dims) <= (place := int(axis.value.item())) < len(dims):
            return Declined(f"axis is none of the input's {len(dims)}")
        size = dims[place]
    unread = inputs // size if size and node.integer("exclusive", 0) else 0
    return cost(
        node,
        kernel_class="reduction",
        vector_ops=inputs - inputs // size if size else 0,
        read=(replace(data, shape=(inputs - unread,)),),
        assumptions=() if known else ("data-dependent: along the longest axis",),
    )


def top_k(node: NodeView) -> OpCost:
    """Selection of k among n by a heap: n * ceil(log2(k + 1)) comparisons for each row."""
    inputs, outputs = node.input(0), node.output()
    if not inputs.dims:
        return cost(node, kernel_class="topk", read=(0,))
    k = outputs.dims[node.integer("axis", -1) % inputs.rank]
    return cost(
        node,
        kernel_class="topk",
        vector_ops=inputs.numel * ceil(log2(k + 1)),
        read=(0,),
        assumptions=("comparisons of a heap of k elements",),
    )


def determinant(node: NodeView) -> OpCost:
    """Elimination of an n x n matrix: step k of n - 1 divides k rows and updates k x k elements (2).

    Then a product of n pivots: n - 1. Search for pivots is not counted.
    """
    x = node.input(0)
    n = x.dims[-1]
    steps = n * (n - 1) // 2 + n * (n - 1) * (2 * n - 1) // 3
    matrices = node.output().numel
    return cost(node, kernel_class="reduction", vector_ops=matrices * (steps + max(0, n - 1)))


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    *(
        OperatorSpec(
            domain="", op_type=name, since_version=1, estimate=reduction, shape_inputs=(1,)
        )
        for name in _PER_INPUT
    ),
    *(
        OperatorSpec(
            domain="", op_type=name, since_version=11, estimate=cumulative, shape_inputs=(1,)
        )
        for name in ("CumSum", "CumProd")
    ),
    OperatorSpec(
        domain="",
        op_type="Det",
        since_version=11,
        estimate=ranked(determinant, least={0: 2}),
    ),
    OperatorSpec(
        domain="",
        op_type="TopK",
        since_version=1,
        estimate=ranked(top_k, along=True),
        shape_inputs=(1,),
        infer=infer_top_k,
    ),
)
