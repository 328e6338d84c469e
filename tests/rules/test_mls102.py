from __future__ import annotations

from mlsys_lint.records import NodeStatus
from mlsys_lint_plugins.rules.unmodelled_operator import check
from report_values import node, report


def test_one_hit_per_operator_with_count_and_reason() -> None:
    nodes = [
        node(0, "MyFft", domain="acme", status=NodeStatus.UNSUPPORTED, reason="no formula"),
        node(1, "Relu"),
        node(2, "MyFft", domain="acme", status=NodeStatus.UNSUPPORTED, reason="no formula"),
        node(3, "TopK", status=NodeStatus.DECLINED, reason="k is not known"),
        node(4, "Bad", domain="acme", status=NodeStatus.FAILED, reason="ValueError: oops"),
    ]
    hits = list(check(report(nodes)))
    assert [(hit.node, hit.message) for hit in hits] == [
        (4, "acme::Bad x1 not counted: ValueError: oops"),
        (0, "acme::MyFft x2 not counted: no formula"),
        (3, "ai.onnx::TopK x1 not counted: k is not known"),
    ]
    assert "--dim" in hits[2].help
    assert "register_operators" in hits[1].help


def test_several_reasons_of_one_operator_are_counted() -> None:
    nodes = [
        node(0, "TopK", status=NodeStatus.DECLINED, reason="k is not known"),
        node(1, "TopK", status=NodeStatus.DECLINED, reason="input has no shape"),
    ]
    (hit,) = check(report(nodes))
    assert hit.message.endswith(": k is not known (and 1 other reason)")


def test_bounds_and_exact_costs_are_quiet() -> None:
    known = (NodeStatus.EXACT, NodeStatus.EXPANDED, NodeStatus.ESTIMATED)
    assert list(check(report([node(at, status=status) for at, status in enumerate(known)]))) == []
