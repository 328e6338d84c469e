"""Sizes that depend on data: counted at their maximum, marked, and bound by --dim VALUE:AXIS."""

from __future__ import annotations

import pytest

from mlsys_lint.errors import OptionError
from mlsys_lint.records import NodeStatus
from mlsys_lint.testing import check_text

TEXT = (
    "g (float[5,4] mask, float[3,8] x) => (float[?,?] z, float[?,?] y) <float[2,6] u, float[8,7] w>"
    "{ f = NonZero(mask) t = Transpose(f) c = Cast<to=1>(t) z = MatMul(c, u) y = MatMul(x, w) }"
)


def test_the_maximum_flows_and_is_marked() -> None:
    report = check_text(TEXT)
    nonzero, transpose, _, dependent, sure = report.nodes
    assert nonzero.node.output().shape == (2, 20)  # at most 5 * 4 positions of rank 2
    assert nonzero.node.output().bounded == {1}
    assert transpose.node.output().bounded == {0}
    assert dependent.status is NodeStatus.ESTIMATED
    assert dependent.cost is not None
    assert dependent.cost.macs == 20 * 2 * 6
    assert any("data-dependent" in text for text in dependent.node.assumptions)
    assert sure.status is NodeStatus.EXACT
    assert report.totals.is_upper_bound
    assert not report.totals.is_lower_bound


def test_a_given_extent_is_no_bound() -> None:
    report = check_text(TEXT, dims={"f:1": 9})
    dependent = report.nodes[3]
    assert dependent.status is NodeStatus.EXACT
    assert dependent.node.output().shape == (9, 6)
    assert not report.totals.is_upper_bound


def test_an_unknown_value_is_an_error() -> None:
    with pytest.raises(OptionError, match="--dim nowhere:1"):
        check_text(TEXT, dims={"nowhere:1": 9})


def test_the_floor_counts_the_least_case() -> None:
    both, sure = (
        check_text(text, device="i7-12700k").devices[0].latency_s
        for text in (
            TEXT,
            "g (float[3,8] x) => (float[?,?] y) <float[8,7] w> { y = MatMul(x, w) }",
        )
    )
    assert both is not None
    assert sure is not None
    assert both.floor == sure.floor
    assert both.expected > sure.expected


def test_sizes_that_travel_as_values_keep_their_mark() -> None:
    # Shape of the positions -> their number -> Range: at most 20 entries
    report = check_text(
        "g (float[5,4] mask) => (int64[?] r) <int64 one = {1}, int64 zero = {0}> "
        "{ f = NonZero(mask) s = Shape(f) n = Gather(s, one) r = Range(zero, n, one) }"
    )
    result = report.nodes[-1].node.output()
    assert (result.shape, set(result.bounded)) == ((20,), {0})


def test_a_reshape_keeps_the_mark() -> None:
    report = check_text(
        "g (float[6] mask, float[6,4] x) => (float[?,?] y) <int64[2] pairs = {-1,2}> "
        "{ f = NonZero(mask) t = Transpose(f) rows = GatherND(x, t) y = Reshape(rows, pairs) }"
    )
    result = report.nodes[-1].node.output()
    assert (result.shape, set(result.bounded)) == ((12, 2), {0})  # 6 rows of 4 as 12 of 2
