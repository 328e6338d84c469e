"""Sizes that depend on data: counted at their maximum, marked, and bound by --dim VALUE:AXIS."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_an_axis_that_may_be_one_makes_the_rank_unknown() -> None:
    # [1, n]: with n = 1 Squeeze leaves a scalar, else a vector
    report = check_text(
        "g (float[6] x) => (int64 y) { p = NonZero(x) s = Squeeze(p) n = Neg(s) y = Size(n) }"
    )
    _, squeezed, negated, _ = report.nodes
    assert squeezed.node.output().shape is None
    assert any("data-dependent" in text for text in squeezed.node.assumptions)
    assert negated.status is NodeStatus.DECLINED
    assert report.totals.is_lower_bound


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
        ("Slice(x, s, e, a, t)", "float[3,10] x, int64[1] e", "int64[1] s = {2}, int64[1] a = {1}, int64[1] t = {3}", (3, 3), {1}),
        # backwards from 6 to an unknown end: 6, 4, 2, 0
        ("Slice(x, s, e, a, t)", "float[10] x, int64[1] e", "int64[1] s = {6}, int64[1] a = {0}, int64[1] t = {-2}", (4,), {0}),
        # an unknown step leaves at most what a step of 1 leaves; unknown axes may be any of them
        ("Slice(x, s, e, a, t)", "float[3,10] x, int64[1] t", "int64[1] s = {0}, int64[1] e = {9}, int64[1] a = {0}", (3, 10), {0}),
        ("Slice(x, s, e, a)", "float[3,10] x, int64[1] a", "int64[1] s = {0}, int64[1] e = {9}", (3, 10), {0, 1}),
        # 2 images, 3 classes, at most 4 boxes a class
        ("NonMaxSuppression(b, p, k)", "float[2,9,4] b, float[2,3,9] p", "int64[1] k = {4}", (24, 3), {0}),
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


POSITIONS = "p = NonZero(x)"  # of float[4] x: at most (1, 4)
LOOP_BODY = "graph = b (int64 i, bool c, int64[?,?] v) => (bool co, int64[?,?] w, int64[?,?] k)"


@pytest.mark.parametrize(
    ("other", "shape"),
    [("q = Neg(p)  e = Neg(q)", (1, 4)), ("e = Neg(z)", (1, 4)), ("e = Neg(wide)", (1, 9))],
)
def test_a_branch_with_a_maximum_marks_the_result(other: str, shape: tuple[int, ...]) -> None:
    report = check_text(
        "g (bool cond, float[4] x, int64[1,4] z, int64[1,9] wide) => (int64[?,?] r) "
        f"{{ {POSITIONS}  r = If (cond) <then_branch: graph = a () => (int64[?,?] t) {{ t = Neg(p) }}, "
        f"else_branch: graph = b () => (int64[?,?] e) {{ {other} }}> }}"
    )
    result = report.nodes[1].node.output()
    assert (result.shape, set(result.bounded)) == (shape, {1})


def test_a_loop_hands_marks_on() -> None:
    # a state of another size in every trip, and 3 of them stacked
    report = check_text(
        "g (float[4] x) => (int64[?,?] r, int64[?,?,?] s) "
        "<int64 trips = {3}, bool go = {1}, int64[1,4] start> "
        f"{{ r, s = Loop (trips, go, start) <body: {LOOP_BODY} "
        "{ co = Identity(c)  w = NonZero(x)  k = Identity(v) }> }"
    )
    state, rows = report.nodes[0].node.outputs
    assert state is not None
    assert rows is not None
    assert (state.shape, set(state.bounded)) == ((1, 4), {1})
    assert (rows.shape, set(rows.bounded)) == ((3, 1, 4), {2})


def test_a_scan_hands_marks_on() -> None:
    report = check_text(
        "g (float[3,4] x) => (int64[?,?,?] s) { s = Scan <num_scan_inputs=1, "
        "body: graph = b (float[4] v) => (int64[?,?] w) { w = NonZero(v) }> (x) }"
    )
    result = report.nodes[0].node.output()
    assert (result.shape, set(result.bounded)) == ((3, 1, 4), {2})


@pytest.mark.parametrize(
    ("start", "body"),
    [
        # the body may end the loop; what is fed may keep it from starting
        ("<int64 trips = {5}, bool go = {1}>", "co = Gather(goes, i)"),
        ("<int64 trips = {5}>", "co = Identity(c)"),
    ],
)
def test_rows_of_a_loop_that_may_end_early_are_a_maximum(start: str, body: str) -> None:
    fed = "float[2] x, bool[5] goes" + ("" if "go =" in start else ", bool go")
    report = check_text(
        f"g ({fed}) => (float[?,?] rows) {start} {{ rows = Loop (trips, go) "
        f"<body: graph = b (int64 i, bool c) => (bool co, float[?] s) {{ {body}  s = Neg(x) }}> }}"
    )
    result = report.nodes[0].node.output()
    assert (result.shape, set(result.bounded)) == ((5, 2), {0})


def test_trips_that_depend_on_data_are_a_maximum() -> None:
    report = check_text(
        "g (float[30] x) => (float[?,?] y) <bool go = {1}> { p = NonZero(x)  n = Size(p) "
        "y = Loop (n, go) <body: graph = b (int64 t, bool c) => (bool co, float[?] s) "
        "{ co = Identity(c)  s = Neg(x) }> }"
    )
    loop, inner = report.nodes[2], report.nodes[-1]
    result = loop.node.output()
    assert (result.shape, set(result.bounded)) == ((30, 30), {0})
    assert inner.node.repeat == 30
    assert report.totals.is_upper_bound


@pytest.mark.parametrize(("start", "end"), [("{0}", "{2}"), ("{-2}", "{99}"), ("{3}", "{5}")])
def test_a_cut_of_a_data_dependent_axis_is_a_maximum(start: str, end: str) -> None:
    # 2 of the first, last or middle positions, if there are as many
    report = check_text(
        f"g (float[6] x) => (int64[?,?] y) <int64[1] s = {start}, int64[1] e = {end}> "
        "{ p = NonZero(x)  t = Transpose(p)  y = Slice(t, s, e) }"
    )
    result = report.nodes[-1].node.output()
    assert (result.shape, set(result.bounded)) == ((2, 1), {0})


NUMBER = "p = NonZero(x)  i = Squeeze(p, z)  n = Shape(i)"  # of float[30] x: 0 to 30


@pytest.mark.parametrize(
    ("made", "most"),
    [
        ("k = Min(n, twelve)", 12),
        ("k = Sub(hundred, n)", 100),
        ("k = Max(n, twelve)", 30),
        ("k = Clip(n, zero, five)", 5),
        ("h = Sub(n, twelve)  k = Max(h, z)", 18),
        ("h = Sub(twelve, n)  k = Max(h, z)", 12),
    ],
)
def test_sizes_computed_from_data_dependent_sizes(made: str, most: int) -> None:
    # largest value of the expression for n = 0 ... 30
    report = check_text(
        "g (float[30] x) => (float[?] y) <int64[1] z = {0}, int64[1] twelve = {12}, "
        "int64[1] hundred = {100}, int64 zero = {0}, int64 five = {5}> "
        f"{{ {NUMBER}  {made}  y = ConstantOfShape(k) }}"
    )
    result = report.nodes[-1].node.output()
    assert (result.shape, set(result.bounded)) == ((most,), {0})


def test_a_condition_on_a_data_dependent_size_is_not_known() -> None:
    report = check_text(
        "g (float[30] x, float[1000] a, float[4] b) => (float[?] y) <int64[1] z = {0}> "
        f"{{ {NUMBER}  c = Greater(n, z) "
        "y = If (c) <then_branch: graph = t () => (float[?] u) { u = Neg(b) }, "
        "else_branch: graph = e () => (float[?] v) { v = Neg(a) }> }"
    )
    result = report.nodes[4].node.output()
    assert (result.shape, set(result.bounded)) == ((1000,), {0})
    # NonZero compares 30 elements, Greater one; the dearer branch has 1000
    assert report.totals.vector_ops == 30 + 1 + 1000


Expression = tuple[str, Callable[[int], int]]
"""Nodes that compute something from n, the last of which writes `{name}`; and what they compute."""


def _leaf(value: int | None) -> Expression:
    if value is None:
        return "{name} = Identity(n)", lambda n: n
    return f"{{name}} = Constant<value_ints=[{value}]>()", lambda _: value


def _joined(op: str, one: Expression, other: Expression) -> Expression:
    functions: dict[str, Callable[[int, int], int]] = {
        "Add": lambda a, b: a + b,
        "Sub": lambda a, b: a - b,
        "Mul": lambda a, b: a * b,
        "Min": min,
        "Max": max,
        # by 3: ONNX's quotient is cut towards zero, its remainder has the divisor's sign
        "Div": lambda a, _: a // 3 if a >= 0 else -(-a // 3),
        "Mod": lambda a, _: a % 3,
    }
    second = "three" if op in ("Div", "Mod") else "{name}b"
    nodes = [
        text.replace("{name}", f"{{name}}{at}") for text, at in ((one[0], "a"), (other[0], "b"))
    ]
    text = f"{nodes[0]} {nodes[1]} {{name}} = {op}({{name}}a, {second})"
    return text, lambda n: functions[op](one[1](n), other[1](n))


EXPRESSIONS = st.recursive(
    st.sampled_from([None, None, 1, 2, 5, 40]).map(_leaf),
    lambda inner: st.builds(
        _joined, st.sampled_from(["Add", "Sub", "Mul", "Min", "Max", "Div", "Mod"]), inner, inner
    ),
    max_leaves=5,
)


@given(EXPRESSIONS)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_claims_hold_whatever_the_data(expression: Expression) -> None:
    nodes, function = expression
    report = check_text(
        "g (float[30] x) => (float[?] y) <int64[1] z = {0}, int64[1] three = {3}> "
        f"{{ {NUMBER}  {nodes.replace('{name}', 'e')}  k = Max(e, z)  y = ConstantOfShape(k) }}"
    )
    result = report.nodes[-1].node.output()
    sizes = {max(0, function(n)) for n in range(31)}
    assert result.shape is not None
    (claimed,) = result.shape
    if claimed is not None:
        assert sizes == {claimed} if not result.bounded else claimed >= max(sizes)


def test_a_negative_number_as_a_condition_is_not_sure() -> None:
    # n - 12 is -12 .. 18, and as a condition false for n = 12 only: both branches are possible
    report = check_text(
        "g (float[30] x, float[4] b) => (float[?] y) <int64[1] z = {0}, int64[1] twelve = {12}> {"
        f" {NUMBER} d = Sub(n, twelve) c = Cast<to=9>(d)"
        " y = If(c) <then_branch: graph = t () => (float[?] u) { u = Neg(b) },"
        "  else_branch: graph = e () => (float[?] v) { v = Concat<axis=0>(b, b) }> }"
    )
    (result,) = report.model.outputs
    assert (result.shape, set(result.bounded)) == ((8,), {0})
