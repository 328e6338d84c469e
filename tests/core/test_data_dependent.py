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


@pytest.mark.parametrize(
    ("node", "inputs", "stored", "shape", "bounded"),
    [
        # positions of a tensor's elements: at most all 3 * 4, each of 2 coordinates
        ("NonZero(x)", "float[3,4] x", "", (2, 12), {1}),
        # with an axis: at most its entries, or as many as the condition is long
        ("Compress<axis=1>(x, c)", "float[3,4] x, bool[2] c", "", (3, 2), {1}),
        ("Compress<axis=1>(x, c)", "float[3,4] x, bool[9] c", "", (3, 4), {1}),
        ("Compress(x, c)", "float[3,4] x, bool[9] c", "", (9,), {0}),
        ("Unique(x)", "float[3,4] x", "", (12,), {0}),
        ("Unique<axis=-2>(x)", "float[3,4] x", "", (3, 4), {0}),
        ("TopK<axis=0>(x, k)", "float[3,4] x, int64[1] k", "", (3, 4), {0}),
        # between a known start and the end: 10 - 2 entries, every third of them: 3
        (
            "Slice(x, s, e, a, t)",
            "float[3,10] x, int64[1] e",
            "int64[1] s = {2}, int64[1] a = {1}, int64[1] t = {3}",
            (3, 3),
            {1},
        ),
        # backwards from 6 to an unknown end: 6, 4, 2, 0
        (
            "Slice(x, s, e, a, t)",
            "float[10] x, int64[1] e",
            "int64[1] s = {6}, int64[1] a = {0}, int64[1] t = {-2}",
            (4,),
            {0},
        ),
        # an unknown step leaves at most what a step of 1 leaves; unknown axes may be any of them
        (
            "Slice(x, s, e, a, t)",
            "float[3,10] x, int64[1] t",
            "int64[1] s = {0}, int64[1] e = {9}, int64[1] a = {0}",
            (3, 10),
            {0},
        ),
        (
            "Slice(x, s, e, a)",
            "float[3,10] x, int64[1] a",
            "int64[1] s = {0}, int64[1] e = {9}",
            (3, 10),
            {0, 1},
        ),
        # 2 images, 3 classes, at most 4 boxes a class
        (
            "NonMaxSuppression(b, p, k)",
            "float[2,9,4] b, float[2,3,9] p",
            "int64[1] k = {4}",
            (24, 3),
            {0},
        ),
        ("NonMaxSuppression(b, p, k)", "float[2,9,4] b, float[2,3,9] p, int64[1] k", "", (54, 3), {0}),
        ("NonMaxSuppression(b, p)", "float[2,9,4] b, float[2,3,9] p", "", (0, 3), {0}),
    ],
)  # fmt: skip
def test_maxima_of_operators(
    node: str, inputs: str, stored: str, shape: tuple[int, ...], bounded: set[int]
) -> None:
    weights = f"<{stored}>" if stored else ""
    call = f"y, i = {node}" if node.startswith("TopK") else f"y = {node}"
    report = check_text(f"g ({inputs}) => (float[?] y) {weights} {{ {call} }}")
    result = report.nodes[0].node.output()
    assert (result.shape, set(result.bounded)) == (shape, bounded)
