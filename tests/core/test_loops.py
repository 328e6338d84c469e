"""Loops that are followed trip by trip, sequences tensor by tensor, branches that can't run."""

from __future__ import annotations

from mlsys_lint.records import ModelReport, NodeCost, NodeStatus
from mlsys_lint.testing import check_text


def node(report: ModelReport, op_type: str) -> NodeCost:
    return next(one for one in report.nodes if one.node.op_type == op_type)


def test_a_while_loop_is_followed_to_its_end() -> None:
    # i = 0, 3, 6, 9: the condition i < 10 fails after the fourth trip, when i is 12
    report = check_text(
        "g (float[2,4] x) => (float[2,4] y) <float[4,4] w, int64 zero = {0}, int64 ten = {10}> {"
        " start = Less(zero, ten)"
        " n, y = Loop(, start, zero, x) <body: graph = b (int64 t, bool c, int64 i, float[2,4] h)"
        "  => (bool more, int64 j, float[2,4] k) { three = Constant<value_int=3>()"
        "  j = Add(i, three) k = MatMul(h, w) more = Less(j, ten) }> }"
    )
    product = node(report, "MatMul")
    assert product.node.repeat == 4
    assert report.totals.macs == 4 * 2 * 4 * 4
    assert node(report, "Loop").node.assumptions == ("4 trips, found by following its condition",)
    assert not report.totals.is_lower_bound
    assert not report.totals.is_upper_bound


def test_a_loop_whose_end_data_decide_is_not_followed() -> None:
    report = check_text(
        "g (float[2] x, bool go) => (float[2] y) {"
        " y = Loop(, go, x) <body: graph = b (int64 t, bool c, float[2] h)"
        "  => (bool more, float[2] k) { k = Neg(h) more = Identity(go) }> }"
    )
    assert report.totals.is_lower_bound
    assert node(report, "Neg").node.repeat == 1


def test_an_endless_loop_ends_here() -> None:
    report = check_text(
        "g (float[2] x) => (float[2] y) <bool go = {1}> {"
        " y = Loop(, go, x) <body: graph = b (int64 t, bool c, float[2] h)"
        "  => (bool more, float[2] k) { k = Neg(h) more = Identity(c) }> }"
    )
    assert report.totals.is_lower_bound


def test_a_value_that_grows_counts_at_its_largest() -> None:
    # h has 1, 2, 3 rows at the start of a trip: at most 3 * 4 negations, and 4 rows at the end
    report = check_text(
        "g (float[1,4] x) => (float[?,4] y) <int64 limit = {3}, int64 zero = {0}, bool go = {1}> {"
        " n, y = Loop(limit, go, zero, x) <body: graph = b (int64 t, bool c, int64 i, float[?,4] h)"
        "  => (bool more, int64 j, float[?,4] k) { one = Constant<value_int=1>() j = Add(i, one)"
        "  m = Neg(h) k = Concat<axis=0>(m, x) more = Less(j, limit) }> }"
    )
    negation = node(report, "Neg")
    assert (negation.status, negation.node.repeat) == (NodeStatus.ESTIMATED, 3)
    assert negation.cost is not None
    assert negation.cost.vector_ops == 3 * 4
    assert report.model.outputs[0].shape == (4, 4)


def test_a_list_of_tensors_of_different_sizes() -> None:
    # a split into 1 and 3 rows, the second taken: 3 rows of 4 by 4 x 5
    report = check_text(
        "g (float[4,4] x) => (float[?,?] y) <int64[2] sizes = {1,3}, int64 one = {1}, float[4,5] w>"
        " { s = SplitToSequence<axis=0>(x, sizes) t = SequenceAt(s, one) y = MatMul(t, w) }"
    )
    assert report.totals.macs == 3 * 4 * 5
    assert report.model.outputs[0].shape == (3, 5)


def test_a_list_that_a_loop_fills() -> None:
    # four times [2,3], side by side
    report = check_text(
        "g (float[2,3] x) => (float[?,?] y) <int64 trips = {4}, bool go = {1}> {"
        " none = SequenceEmpty<dtype=1>()"
        " s = Loop(trips, go, none) <body: graph = b (int64 i, bool c, seq(float[?,?]) v)"
        "  => (bool more, seq(float[?,?]) w) { more = Identity(c) w = SequenceInsert(v, x) }>"
        " y = ConcatFromSequence<axis=1>(s) }"
    )
    assert report.model.outputs[0].shape == (2, 12)


def test_a_map_over_a_list() -> None:
    report = check_text(
        "g (float[2,3] a, float[2,3] b) => (float[?,?] y) <int64 last = {1}> {"
        " s = SequenceConstruct(a, b)"
        " r = SequenceMap(s) <body: graph = f (float[2,3] t) => (float[2,3] u) { u = Neg(t) }>"
        " y = SequenceAt(r, last) }"
    )
    assert node(report, "Neg").node.repeat == 2
    assert node(report, "SequenceMap").status is NodeStatus.EXPANDED


def test_a_branch_that_contradicts_the_sizes_can_not_run() -> None:
    # Squeeze refuses an axis of 2; whatever the condition says, only the other branch can run.
    report = check_text(
        "g (float[2,4] x, bool c) => (float[?,?] y) <int64[1] axis = {0}, float[4,5] w> {"
        " y = If(c) <then_branch: graph = t () => (float[?,?] p) { p = MatMul(x, w) },"
        "  else_branch: graph = e () => (float[?,?] q) { s = Squeeze(x, axis) q = MatMul(s, w) }> }"
    )
    assert report.model.outputs[0].shape == (2, 5)
    assert report.totals.macs == 2 * 4 * 5
    dead = [one for one in report.nodes if one.node.repeat == 0]
    assert {one.status for one in dead} == {NodeStatus.DECLINED}
    assert report.totals.coverage.fraction_of_nodes == 1.0
    assert report.totals.coverage.nodes == len(report.nodes) - len(dead)
    assert not report.totals.is_upper_bound
    assert report.model.parameters == 20  # w, which both branches read
    assert report.findings == ()
    assert "else_branch can't run with these sizes" in node(report, "If").node.assumptions[0]


def test_a_contradiction_outside_any_branch_is_declined() -> None:
    report = check_text("g (float[2,4] x) => (float[4] y) <int64[1] a = {0}> { y = Squeeze(x, a) }")
    (found,) = report.nodes
    assert found.status is NodeStatus.DECLINED
    assert "type inference failed" in (found.reason or "")
    assert report.totals.is_lower_bound


def test_a_loop_that_data_may_keep_from_starting_hands_out_a_maximum() -> None:
    # As above, but what is fed may keep it from starting: 1 to 4 rows.
    report = check_text(
        "g (float[1,4] x, bool go) => (float[?,4] y) <int64 limit = {3}, int64 zero = {0}> {"
        " n, y = Loop(limit, go, zero, x) <body: graph = b (int64 t, bool c, int64 i, float[?,4] h)"
        "  => (bool more, int64 j, float[?,4] k) { one = Constant<value_int=1>() j = Add(i, one)"
        "  k = Concat<axis=0>(h, x) more = Less(j, limit) }> }"
    )
    (result,) = report.model.outputs
    assert (result.shape, set(result.bounded)) == ((4, 4), {0})
    assert report.totals.is_upper_bound
