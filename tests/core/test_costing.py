"""The verdict on nodes: tiers, and which branch of an If counts."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, hookimpl
from mlsys_lint.records import ModelReport, NodeCost
from mlsys_lint.testing import check_text

ONE = "g (float[4,8] x) => (float[4,8] y) {{ y = {0}(x) }}"


def _plugin(**hooks: Callable[..., object]) -> ModuleType:
    module = ModuleType("toy")
    for name, function in hooks.items():
        setattr(module, name, hookimpl(function))
    return module


def _only(report: ModelReport) -> NodeCost:
    (one,) = report.nodes
    return one


def _priced(estimate: Callable[[NodeView], object]) -> ModelReport:
    """A model of one com.acme::Op that a plugin prices."""
    spec = OperatorSpec(
        domain="com.acme",
        op_type="Op",
        since_version=1,
        estimate=estimate,  # type: ignore[arg-type]
    )

    def register_operators() -> list[OperatorSpec]:
        return [spec]

    plugins = {"toy": _plugin(register_operators=register_operators)}
    return check_text(ONE.format("com.acme.Op"), plugins=plugins)


# -- tiers -----------------------------------------------------------------------------------------


def test_exact() -> None:
    report = check_text(ONE.format("Relu"))
    one = _only(report)
    assert (one.status, one.reason) == ("exact", None)
    assert one.cost is not None
    assert one.cost.flops == report.totals.flops == 32
    assert report.totals.coverage.fraction_of_nodes == 1
    assert not report.totals.is_lower_bound
    assert not report.totals.is_upper_bound


def test_an_operator_without_formula_is_expanded_through_its_function() -> None:
    # The loss has no formula here but a body in onnx.
    text = """g (float[6,5] x, int64[6] labels) => (float y) {
        y = SoftmaxCrossEntropyLoss(x, labels)
    }"""
    report = check_text(text)
    container, *inside = report.nodes
    assert container.status == "expanded"
    assert container.cost is not None
    assert (container.cost.flops, container.cost.bytes_read) == (0, 0)
    assert inside
    assert all(one.node.owner == 0 for one in inside if one.node.scope.count("/") == 0)
    flops = sum(one.cost.flops * one.node.repeat for one in inside if one.cost)
    assert report.totals.flops == flops > 0


def test_a_plugins_estimate_is_estimated() -> None:
    def estimate_unknown(node: NodeView) -> OpCost | None:
        return OpCost(vector_ops=7) if node.op_type == "Op" else None

    plugins = {"toy": _plugin(estimate_unknown=estimate_unknown)}
    report = check_text(ONE.format("com.acme.Op"), plugins=plugins)
    one = _only(report)
    assert (one.status, one.plugin, one.spec) == ("estimated", "toy", None)
    assert report.totals.flops == 7
    assert report.totals.is_upper_bound
    assert not report.totals.is_lower_bound


def test_unsupported() -> None:
    report = check_text(ONE.format("com.acme.Op"))
    one = _only(report)
    assert (one.status, one.cost, one.plugin) == ("unsupported", None, None)
    assert one.reason == "no plugin has a formula for com.acme::Op at opset 1"
    assert report.totals.is_lower_bound
    assert report.totals.coverage.fraction_of_nodes == 0


def _declining(node: NodeView) -> Declined:
    return Declined(reason=f"{node.op_type} is shy")


def _lacking(node: NodeView) -> OpCost:
    return OpCost(vector_ops=node.input(5).numel)


@pytest.mark.parametrize(
    ("estimate", "reason"), [(_declining, "Op is shy"), (_lacking, "input 5 is omitted")]
)
def test_declined(estimate: Callable[[NodeView], object], reason: str) -> None:
    report = _priced(estimate)
    one = _only(report)
    assert (one.status, one.cost, one.reason, one.plugin) == ("declined", None, reason, "toy")
    assert report.totals.is_lower_bound
    assert report.problems == ()


def _raising(_: NodeView) -> OpCost:
    raise ZeroDivisionError("oops")


def _untyped(_: NodeView) -> object:
    return 3


def _negative(_: NodeView) -> OpCost:
    return OpCost(vector_ops=-1)


@pytest.mark.parametrize(
    ("estimate", "reason"),
    [
        (_raising, "ZeroDivisionError: oops"),
        (_untyped, "estimate must return OpCost or Declined, got int"),
        (_negative, "ValueError: OpCost.vector_ops must be a non-negative int, got -1"),
    ],
)
def test_failed(estimate: Callable[[NodeView], object], reason: str) -> None:
    report = _priced(estimate)
    one = _only(report)
    assert (one.status, one.cost, one.reason) == ("failed", None, reason)
    (problem,) = report.problems
    assert (problem.plugin, problem.stage, problem.message, problem.node) == (
        "toy",
        "estimate",
        reason,
        0,
    )
    assert report.totals.is_lower_bound


def test_a_size_that_depends_on_data_is_estimated_at_its_maximum() -> None:
    text = """g (float[16,8] x, bool[16] c) => (float[n,8] y) {
        t = Compress<axis: int = 0>(x, c)
        y = Relu(t)
    }"""
    report = check_text(text)
    assert [one.status for one in report.nodes] == ["estimated", "estimated"]
    assert report.nodes[1].cost is not None
    assert report.nodes[1].cost.flops == 16 * 8
    assert report.totals.is_upper_bound


def test_one_unknown_node_hides_no_other() -> None:
    text = """g (float[4,8] x) => (float[4,8] y, float[4,8] z) {
        y = com.acme.Op(x)
        z = Relu(x)
    }"""
    report = check_text(text)
    assert [one.status for one in report.nodes] == ["unsupported", "exact"]
    assert report.totals.flops == 32
    assert report.totals.coverage.fraction_of_nodes == 0.5


# -- branches --------------------------------------------------------------------------------------


def _if(then_body: str, else_body: str) -> ModelReport:
    return check_text(
        f"""g (bool c, float[8,8] x) => (float[8,8] y) {{
        y = If (c) <
            then_branch = left () => (float[8,8] p) {{ {then_body} }},
            else_branch = right () => (float[8,8] q) {{ {else_body} }}
        >
    }}"""
    )


def _repeats(report: ModelReport) -> dict[str, int]:
    """What is counted, by operator."""
    found: dict[str, int] = {}
    for one in report.nodes:
        found[one.node.op_type] = found.get(one.node.op_type, 0) + one.node.repeat
    return found


@pytest.mark.parametrize("swapped", [False, True])
def test_the_branch_with_more_flops_counts_and_the_other_is_listed(swapped: bool) -> None:  # noqa: FBT001
    bodies = ("{0} = MatMul(x, x)", "{0} = Relu(x)")
    first, second = reversed(bodies) if swapped else bodies
    report = _if(first.format("p"), second.format("q"))
    assert _repeats(report) == {"If": 1, "MatMul": 1, "Relu": 0}
    assert report.totals.flops == 2 * 8**3
    assert report.totals.is_upper_bound
    assert len(report.nodes) == 3


@pytest.mark.parametrize("swapped", [False, True])
def test_among_equal_flops_the_branch_with_more_bytes_counts(swapped: bool) -> None:  # noqa: FBT001
    # Neither computes anything: one transposition reads 256 bytes, two read 512.
    bodies = (
        "{0}a = Transpose(x) {0} = Transpose({0}a)",
        "{0} = Transpose(x)",
    )
    first, second = reversed(bodies) if swapped else bodies
    report = _if(first.format("p"), second.format("q"))
    assert report.totals.flops == 0
    assert _repeats(report) == {"If": 1, "Transpose": 2}
    assert report.totals.bytes_read == 2 * 4 * 64


def test_a_known_condition_takes_its_branch() -> None:
    text = """g (float[8,8] x) => (float[8,8] y) <bool c = {0}> {
        y = If (c) <
            then_branch = left () => (float[8,8] p) { p = MatMul(x, x) },
            else_branch = right () => (float[8,8] q) { q = Relu(x) }
        >
    }"""
    report = check_text(text)
    assert report.totals.macs == 0
    assert report.totals.flops == 64
    assert not report.totals.is_upper_bound


def test_an_outer_if_weighs_what_its_inner_one_counts() -> None:
    # Outer then: an inner If with 2 products in either branch, of which one branch runs.
    # Outer else: 3 products, fewer than the 4 of both inner branches together.
    text = """g (bool c, bool d, float[8,8] x) => (float[8,8] y) {
        y = If (c) <
            then_branch = left () => (float[8,8] p) {
                p = If (d) <
                    then_branch = a () => (float[8,8] r) { ra = MatMul(x, x) r = MatMul(ra, x) },
                    else_branch = b () => (float[8,8] s) { sa = MatMul(x, x) s = MatMul(sa, x) }
                >
            },
            else_branch = right () => (float[8,8] q) {
                qa = MatMul(x, x)
                qb = MatMul(qa, x)
                q = MatMul(qb, x)
            }
        >
    }"""
    report = check_text(text)
    assert report.totals.macs == 3 * 8**3
    counted = [one.node for one in report.nodes if one.node.repeat]
    assert sum(node.op_type == "MatMul" for node in counted) == 3
    # The branch that is not counted is dropped with everything inside.
    assert sum(one.node.repeat == 0 for one in report.nodes) == 1 + 4


def test_a_dearer_inner_branch_decides_the_outer_one() -> None:
    text = """g (bool c, bool d, float[8,8] x) => (float[8,8] y) {
        y = If (c) <
            then_branch = left () => (float[8,8] p) {
                p = If (d) <
                    then_branch = a () => (float[8,8] r) { ra = MatMul(x, x) r = MatMul(ra, x) },
                    else_branch = b () => (float[8,8] s) { s = Relu(x) }
                >
            },
            else_branch = right () => (float[8,8] q) { q = MatMul(x, x) }
        >
    }"""
    report = check_text(text)
    assert report.totals.macs == 2 * 8**3
    assert report.totals.vector_ops == 0


def test_trips_weigh_in_a_branch() -> None:
    # Ten Relus of 64 operations in a loop against one MatMul of 1024: the product is dearer;
    # a hundred are not.
    text = """g (bool c, float[8,8] x) => (float[8,8] y) <int64 n = {{{0}}}, bool t = {{1}}> {{
        y = If (c) <
            then_branch = left () => (float[8,8] p) {{
                p = Loop (n, t, x) <body = step (int64 i, bool go, float[8,8] h)
                    => (bool on, float[8,8] k) {{ on = Identity(go) k = Relu(h) }}>
            }},
            else_branch = right () => (float[8,8] q) {{ q = MatMul(x, x) }}
        >
    }}"""
    ten, hundred = (check_text(text.format(trips)).totals for trips in (10, 100))
    assert (ten.macs, ten.vector_ops) == (512, 0)
    assert (hundred.macs, hundred.vector_ops) == (0, 6400)


def test_an_unknown_node_in_a_branch_that_is_not_counted_makes_no_bound() -> None:
    report = _if("p = MatMul(x, x)", "q = com.acme.Op(x)")
    assert _repeats(report)["Op"] == 0
    assert not report.totals.is_lower_bound
