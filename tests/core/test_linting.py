from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsys_lint import linting
from mlsys_lint.errors import OptionError
from mlsys_lint.records import Finding, Hit, Interval, ModelReport, Rule, Severity
from report_values import report

SPAN = Interval(floor=10e-3, low=18e-3, expected=20e-3, high=23e-3)


def _rule(
    code: str,
    *hits: Hit,
    name: str | None = None,
    severity: Severity = Severity.WARNING,
    check: Callable[[ModelReport], Iterable[Hit]] | None = None,
) -> Rule:
    return Rule(
        code=code,
        name=name or code.lower(),
        severity=severity,
        check=check or (lambda _: hits),
        doc="",
    )


def _codes(*rules: Rule, select: Iterable[str] = (), ignore: Iterable[str] = ()) -> list[str]:
    findings, _ = linting.lint(report(), rules, {}, select=tuple(select), ignore=tuple(ignore))
    return [finding.code for finding in findings]


def test_a_hit_becomes_a_finding_of_its_rule() -> None:
    hit = Hit(message="slow", node=3, device="toy", saving_s=0.5, help="hurry")
    findings, problems = linting.lint(
        report(), [_rule("MLS201", hit, name="slowness", severity=Severity.INFO)], {}
    )
    assert problems == ()
    assert findings == (
        Finding(
            code="MLS201",
            name="slowness",
            severity=Severity.INFO,
            message="slow",
            node=3,
            device="toy",
            saving_s=0.5,
            help="hurry",
        ),
    )


def test_a_rule_that_raises_is_off_and_its_plugin_is_named() -> None:
    def _half(_: ModelReport) -> Iterator[Hit]:
        yield Hit(message="before the fault")
        raise ZeroDivisionError("a row of no columns")

    rules = [_rule("ACM100", check=_half), _rule("MLS201", Hit(message="still here"))]
    findings, problems = linting.lint(report(), rules, {"ACM100": "acme"})
    assert [finding.code for finding in findings] == ["MLS201"]
    assert [(one.plugin, one.stage, one.message) for one in problems] == [
        ("acme", "rule ACM100", "ZeroDivisionError: a row of no columns")
    ]


def test_order_is_saving_then_severity_then_code_then_node() -> None:
    def _hit(node: int | None = None, saving_s: float | None = None) -> Hit:
        return Hit(message="m", node=node, saving_s=saving_s)

    rules = [
        _rule("MLS301", _hit(node=9), _hit(node=2), _hit()),
        _rule("MLS202", _hit(), severity=Severity.INFO),
        _rule("MLS201", _hit(saving_s=0.1), severity=Severity.INFO),
        _rule("MLS501", _hit(), severity=Severity.ERROR),
        _rule("MLS203", _hit(saving_s=0.3), _hit()),
    ]
    findings, _ = linting.lint(report(), rules, {})
    assert [(one.code, one.node) for one in findings] == [
        ("MLS203", None),
        ("MLS201", None),
        ("MLS501", None),
        ("MLS203", None),
        ("MLS301", None),
        ("MLS301", 2),
        ("MLS301", 9),
        ("MLS202", None),
    ]


def test_select_and_ignore_take_prefixes_and_names() -> None:
    hit = Hit(message="m")
    rules = [_rule("MLS101", hit), _rule("MLS201", hit, name="slowness"), _rule("MLS202", hit)]
    assert _codes(*rules) == ["MLS101", "MLS201", "MLS202"]
    assert _codes(*rules, select=["MLS2"]) == ["MLS201", "MLS202"]
    assert _codes(*rules, select=["mls101", "slowness"]) == ["MLS101", "MLS201"]
    assert _codes(*rules, ignore=["slowness"]) == ["MLS101", "MLS202"]
    assert _codes(*rules, select=["MLS2"], ignore=["MLS202"]) == ["MLS201"]
    assert _codes(*rules, select=["MLS"], ignore=["MLS"]) == []


@pytest.mark.parametrize("option", ["select", "ignore"])
def test_an_unknown_code_lists_the_known_ones(option: str) -> None:
    rules = [_rule("MLS101"), _rule("MLS201", name="slowness")]
    with pytest.raises(OptionError) as caught:
        _codes(*rules, **{option: ["slownes"]})
    assert str(caught.value) == (
        f"--{option}: no rule fits 'slownes'; did you mean slowness? "
        "known rules: MLS101 mls101, MLS201 slowness"
    )


@pytest.mark.parametrize("entry", ["", "MLS9", "LS1", "1"])
def test_only_beginnings_of_codes_select(entry: str) -> None:
    with pytest.raises(OptionError, match="no rule fits"):
        _codes(_rule("MLS101"), select=[entry])


@pytest.mark.parametrize(
    ("limit", "lower_bound", "verdict"),
    [
        (9e-3, False, "impossible"),  # floor 10 > 9
        (9e-3, True, "impossible"),  # what is not counted can only add to it
        (10e-3, False, "exceeds"),  # the floor itself is attainable; low 18 > 10
        (17e-3, True, "exceeds"),
        (18e-3, False, "at-risk"),  # low 18 is not above 18; high 23 is
        (22e-3, False, "at-risk"),
        (23e-3, False, "fits"),  # high 23 is not above 23
        (23e-3, True, "at-risk"),  # an incomplete cost never fits
        (1.0, True, "at-risk"),
    ],
)
def test_the_first_verdict_that_holds(limit: float, *, lower_bound: bool, verdict: str) -> None:
    judged = linting.judge("latency", limit, "s", "toy", SPAN, lower_bound=lower_bound)
    assert judged.verdict == verdict
    assert (judged.name, judged.limit, judged.unit, judged.device) == ("latency", limit, "s", "toy")
    assert judged.value == SPAN
    assert judged.reason


def test_without_a_figure_the_verdict_is_unknown_and_says_why() -> None:
    judged = linting.judge("latency", 1, "s", "toy", None, reason_unknown="no bf16 peak")
    assert (judged.verdict, judged.reason) == ("unknown", "no bf16 peak")
    assert linting.judge("latency", 1, "s", "toy", None).reason


def test_the_reason_gives_both_figures_and_what_was_assumed() -> None:
    judged = linting.judge("latency", 9e-3, "s", "toy", SPAN, assumed=["N=1", "S=1"])
    assert judged.reason == "at least 10.0 ms > 9 ms; rests on assumed N=1, S=1"
    memory = Interval(floor=1e8, low=1e8, expected=1.2e8, high=1.3e8)
    judged = linting.judge("memory", 2**30, "bytes", "toy", memory)
    assert judged.reason == "at most 130.0 MB <= 1.1 GB"


@given(
    st.lists(st.floats(min_value=0, max_value=1e3), min_size=4, max_size=4).map(sorted),
    st.floats(min_value=1e-6, max_value=1e3),
    st.booleans(),
)
def test_a_verdict_never_promises_what_the_interval_does_not(
    ends: list[float],
    limit: float,
    lower_bound: bool,  # noqa: FBT001  hypothesis passes arguments by position
) -> None:
    span = Interval(floor=ends[0], low=ends[1], expected=ends[2], high=ends[3])
    verdict = linting.judge("latency", limit, "s", "toy", span, lower_bound=lower_bound).verdict
    assert (verdict == "fits") == (span.high <= limit and not lower_bound)
    assert (verdict == "impossible") == (span.floor > limit)


def _found(severity: Severity) -> Finding:
    return Finding(code="MLS101", name="n", severity=severity, message="m")


@pytest.mark.parametrize(
    ("severity", "on_error", "on_warning"),
    [(Severity.ERROR, 1, 1), (Severity.WARNING, 0, 1), (Severity.INFO, 0, 0)],
)
def test_exit_status(severity: Severity, on_error: int, on_warning: int) -> None:
    assert linting.exit_status([_found(severity)], "error") == on_error
    assert linting.exit_status([_found(severity)], "warning") == on_warning
    assert linting.exit_status([_found(severity)], "never") == 0


def test_exit_status_without_findings_and_with_an_unknown_word() -> None:
    assert linting.exit_status([], "warning") == 0
    with pytest.raises(OptionError, match="known: error, warning, never"):
        linting.exit_status([], "info")
