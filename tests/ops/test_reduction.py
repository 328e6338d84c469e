"""Reductions: n - 1 operations to combine n elements, whatever the axes."""

from __future__ import annotations

import pytest

from mlsys_lint.testing import check_text, estimate_text
from node_costs import cost_of, counts, moved, node_of

# 2 * 3 * 5 = 30 elements, 6 rows of 5.
X = "float[2,3,5] x"


@pytest.mark.parametrize(
    ("name", "whole", "rows"),
    [
        # over everything (1 result); over the last axis (6 results)
        ("ReduceSum", (29, 0), (24, 0)),
        ("ReduceProd", (29, 0), (24, 0)),
        ("ReduceMax", (29, 0), (24, 0)),
        ("ReduceMin", (29, 0), (24, 0)),
        ("ReduceMean", (30, 0), (30, 0)),  # a division per result
        ("ReduceL1", (59, 0), (54, 0)),  # abs per element
        ("ReduceSumSquare", (59, 0), (54, 0)),  # square per element
        ("ReduceL2", (59, 1), (54, 6)),  # and a root per result
        ("ReduceLogSum", (29, 1), (24, 6)),  # a logarithm per result
        ("ReduceLogSumExp", (29, 31), (24, 36)),  # exp per element, logarithm per result
    ],
)
def test_combining(name: str, whole: tuple[int, int], rows: tuple[int, int]) -> None:
    assert counts(f"{name}<keepdims=0>(x)", X) == whole
    # Axes are an attribute before opset 18 (ReduceSum: 13), an input after that.
    assert counts(f"{name}<axes=[2]>(x)", X, opset=12) == rows
    assert counts(f"{name}<axes=[-1], keepdims=0>(x)", X, opset=12) == rows


@pytest.mark.parametrize("name", ["ArgMax", "ArgMin"])
def test_positions_take_comparisons(name: str) -> None:
    # 6 results of int64.
    assert counts(f"{name}<axis=-1>(x)", X) == (24, 0)
    assert moved(f"{name}<axis=-1>(x)", X) == (120, 48)


def test_axes_from_an_input() -> None:
    # Known axes shape the result and are no parameters; unknown ones leave its size open.
    text = f"g ({X}) => (float[?] y) <int64[2] a = {{0,-1}}> {{ y = ReduceSum<keepdims=0>(x, a) }}"
    found = check_text(text)
    cost = found.nodes[0].cost
    assert cost is not None
    # 3 results of 10 elements each.
    assert (cost.vector_ops, cost.bytes_read, cost.bytes_written) == (27, 120, 12)
    assert found.model.parameters == 0
    unknown = node_of("ReduceSum<keepdims=0>(x, a)", f"{X}, int64[1] a")
    assert (unknown.cost, unknown.status.value) == (None, "declined")


def test_reducing_nothing_computes_nothing() -> None:
    assert counts("ReduceSum<noop_with_empty_axes=1>(x)", X) == (0, 0)


def test_no_elements() -> None:
    # Three sums over nothing.
    assert counts("ReduceSum<axes=[1]>(x)", "float[3,0] x", opset=12) == (0, 0)


def test_running_sums() -> None:
    # 6 lines of 5 take 4 each; 10 lines of 3 take 2. Where the axis is not known: at most.
    text = f"{X}, int64 unknown"
    assert counts("CumSum(x, unknown)", text) == (24, 0)
    assert cost_of("CumSum(x, unknown)", text).bytes_read == 120
    assert node_of("CumSum(x, unknown)", text).status.value == "estimated"
    assert counts("CumSum(x, unknown)", "float[3,3] x, int64 unknown") == (6, 0)
    assert node_of("CumSum(x, unknown)", "float[7] x, int64 unknown").status.value == "exact"
    assert counts("CumSum(x, unknown)", "float[3,0] x, int64 unknown") == (0, 0)
    for axis, operations in ((0, 15), (1, 20), (-1, 24)):
        body = f"g ({X}) => (float[?] y) <int64 a = {{{axis}}}> {{ y = CumSum(x, a) }}"
        (found,) = estimate_text(body)
        assert found.cost is not None
        assert found.cost.vector_ops == operations


def test_the_largest_k() -> None:
    # A heap of 3: ceil(log2(3 + 1)) = 2 comparisons for each of 30 elements.
    text = f"g ({X}) => (float[?] v, int64[?] i) <int64[1] k = {{3}}> {{ v, i = TopK(x, k) }}"
    (found,) = estimate_text(text)
    assert found.cost is not None
    assert (found.cost.vector_ops, found.cost.bytes_read) == (60, 120)
    # 6 rows of 3 values and 3 positions.
    assert found.cost.bytes_written == 18 * (4 + 8)
    assert found.cost.assumptions == ("comparisons of a heap of k elements",)


def test_an_unknown_k_is_at_most_the_axis() -> None:
    found = node_of("TopK<axis=1>(x, k)", f"{X}, int64[1] k", outputs="v, i")
    assert found.cost is not None
    assert found.status.value == "estimated"
    assert [one.shape for one in found.node.outputs if one] == [(2, 3, 5), (2, 3, 5)]
    assert [one.bounded for one in found.node.outputs if one] == [frozenset({1})] * 2
    # A heap of 3 again.
    assert found.cost.vector_ops == 60


def test_determinants_by_elimination() -> None:
    # n = 3. First pivot: 2 divisions, 2 * 2 elements updated by product and difference: 10.
    # Second: 1 division, 1 element: 3. Then 2 products of the pivots: 15 for each of 4 matrices.
    assert counts("Det(x)", "float[4,3,3] x") == (60, 0)
    assert counts("Det(x)", "float[1,1] x") == (0, 0)
