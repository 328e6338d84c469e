"""A bad plugin hurts itself only: at import, registration, estimate, rule and report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mlsys_lint import Hit, NodeView, OpCost, OperatorSpec, Reporter, Rule, Severity, hookimpl
from mlsys_lint import plugin_host as host_module
from mlsys_lint.cli import run
from mlsys_lint.errors import PluginError
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import ModelReport
from mlsys_lint.testing import check_text

TEXT = "g (float[2,3] x) => (float[2,3] y, float[2,3] z) { y = Relu(x) z = com.acme.Bad(x) }"


def plugin(**hooks: Callable[..., object]) -> ModuleType:
    """A plugin module with the given functions as hook implementations."""
    module = ModuleType("bad_plugin")
    for name, function in hooks.items():
        setattr(module, name, hookimpl(function))
    return module


def spec(estimate: Callable[[NodeView], Any], name: str = "Bad", **more: Any) -> OperatorSpec:
    return OperatorSpec(domain="com.acme", op_type=name, since_version=1, estimate=estimate, **more)


def free(node: NodeView) -> OpCost:
    return OpCost(vector_ops=node.output().numel)


def nothing() -> list[OperatorSpec]:
    return []


def seven(node: NodeView) -> OpCost:
    del node
    return OpCost(vector_ops=7)


def raising(node: NodeView) -> OpCost:
    raise ZeroDivisionError(f"in {node.op_type}")


def admit(bad: object) -> PluginHost:
    """A host with the bad plugin and a good one after it, whose operator must survive."""
    good = plugin(register_operators=lambda: [spec(free, "Good")])
    host = PluginHost(third_party=False, extra={"bad": bad, "good": good})
    assert host.operators.find("com.acme", "Good", 1) is not None
    assert host.operators.find("", "MatMul", 13) is not None
    return host


class FakeEntryPoint:
    """An entry point whose module does not import."""

    name = "broken"
    dist = None

    def load(self) -> object:
        raise ModuleNotFoundError("No module named 'does_not_exist'")


def test_import_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "entry_points", lambda **_: [FakeEntryPoint()])
    host = PluginHost()
    (problem,) = host.problems
    assert (problem.plugin, problem.stage) == ("broken", "load")
    assert "does_not_exist" in problem.message
    assert host.operators.find("", "MatMul", 13) is not None


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (plugin(register_operators=lambda registry: [registry]), "registry"),
        (plugin(register_operator=nothing), "register_operator"),
        (plugin(register_operators=lambda: 1 / 0), "ZeroDivisionError"),
        (plugin(register_operators=lambda: ["Bad"]), "OperatorSpec"),
        (plugin(register_operators=lambda: None), "NoneType"),
        (plugin(register_rules=lambda: ["R"]), "Rule"),
        (plugin(register_operators=lambda: [spec(free), spec(free)]), "registered twice"),
        (
            plugin(
                register_operators=lambda: [
                    OperatorSpec(domain="", op_type="MatMul", since_version=1, estimate=free)
                ]
            ),
            "set replace=True",
        ),
        (plugin(register_reporters=lambda: [Reporter(name="text", render=str)]), "already"),
        (
            plugin(
                register_rules=lambda: [
                    Rule(
                        code="MLS999",
                        name="mine",
                        severity=Severity.INFO,
                        check=lambda _: [],
                        doc="",
                    )
                ]
            ),
            "mlsys-lint's own",
        ),
    ],
)
def test_registration_that_fails(bad: ModuleType, message: str) -> None:
    (problem,) = admit(bad).problems
    assert (problem.plugin, problem.stage) == ("bad", "load")
    assert message in problem.message


def test_one_bad_value_drops_the_whole_plugin() -> None:
    bad = plugin(
        register_operators=lambda: [spec(free, "Fine")], register_rules=lambda: ["no rule"]
    )
    host = admit(bad)
    assert host.operators.find("com.acme", "Fine", 1) is None
    assert [one.name for one in host.plugins if one.name == "bad"] == []


def test_replacing_on_purpose() -> None:
    own = OperatorSpec(domain="", op_type="Relu", since_version=1, estimate=free, replace=True)
    host = admit(plugin(register_operators=lambda: [own]))
    entry = host.operators.find("", "Relu", 23)
    assert host.problems == []
    assert entry is not None
    assert entry.plugin == "bad"


def test_a_built_in_that_fails_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ModuleType("mlsys_lint_broken")
    broken.register_rules = hookimpl(lambda: ["no rule"])  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlsys_lint_broken", broken)
    monkeypatch.setattr(host_module, "DEFAULT_PLUGINS", ("mlsys_lint_broken",))
    with pytest.raises(PluginError, match="Rule"):
        PluginHost(third_party=False)


@pytest.mark.parametrize(
    ("estimate", "message"),
    [(raising, "ZeroDivisionError: in Bad"), (lambda _: 42, "got int"), (lambda _: None, "None")],
)
def test_estimate_that_fails(estimate: Callable[[NodeView], Any], message: str) -> None:
    bad = plugin(register_operators=lambda: [spec(estimate)])
    report = check_text(TEXT, plugins={"bad": bad})
    relu, failed = report.nodes
    assert (relu.status, failed.status) == ("exact", "failed")
    assert failed.cost is None
    assert report.totals.flops == 6
    assert report.totals.is_lower_bound
    (problem,) = report.problems
    assert (problem.plugin, problem.node) == ("bad", 1)
    assert message in problem.message


def test_a_negative_cost_is_the_plugins_fault() -> None:
    bad = plugin(register_operators=lambda: [spec(lambda _: OpCost(vector_ops=-1))])
    (problem,) = check_text(TEXT, plugins={"bad": bad}).problems
    assert "OpCost.vector_ops must be a non-negative int, got -1" in problem.message


def test_estimate_unknown_that_raises_leaves_the_next_one_its_turn() -> None:
    plugins = {
        "bad": plugin(estimate_unknown=raising),
        "good": plugin(estimate_unknown=seven),
    }
    report = check_text(TEXT, plugins=plugins)
    unknown = report.nodes[1]
    assert (unknown.status, unknown.plugin) == ("estimated", "good")
    assert report.totals.flops == 6 + 7
    assert [problem.plugin for problem in report.problems] == ["bad"]


def bad_check(report: ModelReport) -> Iterable[Hit]:
    yield Hit(message="before the fault")
    raise KeyError(report.model.path)


def test_rule_that_raises_is_off_and_the_others_run() -> None:
    rule = Rule(code="BAD101", name="bad", severity=Severity.ERROR, check=bad_check, doc="")
    report = check_text(TEXT, plugins={"bad": plugin(register_rules=lambda: [rule])})
    assert [finding.code for finding in report.findings] == ["MLS102"]  # com.acme::Bad
    (problem,) = report.problems
    assert (problem.plugin, problem.stage) == ("bad", "rule BAD101")


def test_reporter_that_raises_is_exit_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def render(_: object) -> str:
        raise RuntimeError("no ink")

    class Point(FakeEntryPoint):
        def load(self) -> object:
            return plugin(register_reporters=lambda: [Reporter(name="ink", render=render)])

    monkeypatch.setattr(host_module, "entry_points", lambda **_: [Point()])
    sample = Path(__file__).parents[2] / "sample_models/lenet5.onnx"
    assert run([str(sample), "--format", "ink"]) == 2
    assert "reporter 'ink' of 'broken' failed: RuntimeError: no ink" in capsys.readouterr().err


def test_strict_plugins_turn_a_problem_into_exit_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(host_module, "entry_points", lambda **_: [FakeEntryPoint()])
    sample = str(Path(__file__).parents[2] / "sample_models/lenet5.onnx")
    assert run([sample]) == 0
    assert "plugin broken, load: ModuleNotFoundError" in capsys.readouterr().err
    assert run([sample, "--strict-plugins"]) == 2
