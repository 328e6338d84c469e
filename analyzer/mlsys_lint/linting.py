"""Runs the rules over a report, chooses and orders their findings, and judges budgets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from mlsys_lint import formatting
from mlsys_lint.errors import OptionError
from mlsys_lint.records import (
    BudgetVerdict,
    Finding,
    Hit,
    Interval,
    ModelReport,
    Problem,
    Rule,
    Severity,
)

FAIL_ON: Final = ("error", "warning", "never")
"""Values of `--fail-on`: the lightest severity that makes the exit status 1."""

_WEIGHT: Final[Mapping[Severity, int]] = {severity: at for at, severity in enumerate(Severity)}


def lint(
    report: ModelReport,
    rules: Iterable[Rule],
    owners: Mapping[str, str],
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> tuple[tuple[Finding, ...], tuple[Problem, ...]]:
    """Findings of the chosen rules, the most time saved first, and the rules that raised.

    A rule that raises is off for this report: none of its hits count, and a problem names its
    plugin. Findings are ordered by saving, severity, code and node.

    :param owners: rule code -> plugin that brought it.
    :param select: code prefixes (`MLS2`) or rule names; empty: all rules.
    :param ignore: likewise; wins over `select`.

    Raises:
        OptionError: an entry of `select` or `ignore` fits no rule.
    """
    findings: list[Finding] = []
    problems: list[Problem] = []
    for rule in chosen(rules, select=select, ignore=ignore):
        try:
            findings += [_finding(rule, hit) for hit in rule.check(report)]
        except Exception as error:  # noqa: BLE001  a plugin's rule may raise anything
            message = f"{type(error).__name__}: {error}"
            owner = owners.get(rule.code, "unknown")
            problems.append(Problem(plugin=owner, stage=f"rule {rule.code}", message=message))
    return tuple(sorted(findings, key=_order)), tuple(problems)


def chosen(
    rules: Iterable[Rule], *, select: Sequence[str], ignore: Sequence[str]
) -> tuple[Rule, ...]:
    """The rules to run, by code; OptionError for an entry that fits no rule."""
    known = sorted(rules, key=lambda rule: rule.code)
    for option, entries in [("--select", select), ("--ignore", ignore)]:
        for entry in entries:
            if not any(_fits(rule, entry) for rule in known):
                raise OptionError(_unknown(option, entry, known))
    return tuple(
        rule
        for rule in known
        if (not select or any(_fits(rule, entry) for entry in select))
        and not any(_fits(rule, entry) for entry in ignore)
    )


def _fits(rule: Rule, entry: str) -> bool:
    """Whether an entry is the rule's name or the beginning of its code."""
    wanted = entry.strip()
    return bool(wanted) and (wanted == rule.name or rule.code.startswith(wanted.upper()))


def _unknown(option: str, entry: str, known: Sequence[Rule]) -> str:
    near = get_close_matches(entry, [word for rule in known for word in (rule.code, rule.name)], 1)
    guess = f"did you mean {near[0]}? " if near else ""
    listed = ", ".join(f"{rule.code} {rule.name}" for rule in known) or "none is installed"
    return f"{option}: no rule fits {entry!r}; {guess}known rules: {listed}"


def _finding(rule: Rule, hit: Hit) -> Finding:
    return Finding(
        code=rule.code,
        name=rule.name,
        severity=rule.severity,
        message=hit.message,
        node=hit.node,
        device=hit.device,
        saving_s=hit.saving_s,
        saving_bytes=hit.saving_bytes,
        help=hit.help,
    )


def _order(finding: Finding) -> tuple[float, int, int, str, int, str, str]:
    return (
        -(finding.saving_s or 0.0),
        -(finding.saving_bytes or 0),
        _WEIGHT[finding.severity],
        finding.code,
        -1 if finding.node is None else finding.node,
        finding.device or "",
        finding.message,
    )


def judge(
    name: str,
    limit: float,
    unit: str,
    device: str,
    value: Interval | None,
    *,
    lower_bound: bool = False,
    reason_unknown: str = "",
    assumed: Sequence[str] = (),
) -> BudgetVerdict:
    """The verdict on one budget, the first that holds.

    `unknown` (no figure), `impossible` (floor > limit), `exceeds` (low > limit), `at-risk`
    (high > limit, or the figure is a lower bound), `fits`.

    :param name: what is limited: `latency` or `memory`.
    :param unit: of `limit` and `value`: `s` or `bytes`.
    :param lower_bound: some cost is unknown, so the truth may be larger than `value`.
    :param reason_unknown: why there is no figure.
    :param assumed: dynamic dimensions that were taken as 1, as `NAME=1`; the reason names them.
    """
    verdict, reason = _judged(value, limit, unit, lower_bound=lower_bound)
    if value is None and reason_unknown:
        reason = reason_unknown
    if assumed:
        reason += f"; rests on assumed {', '.join(assumed)}"
    return BudgetVerdict(
        name=name,
        limit=limit,
        unit=unit,
        device=device,
        value=value,
        verdict=verdict,
        reason=reason,
    )


def _judged(
    value: Interval | None, limit: float, unit: str, *, lower_bound: bool
) -> tuple[str, str]:
    if value is None:
        return "unknown", "there is no figure to compare with"
    budget = formatting.limit(limit, unit)
    incomplete = " even without the nodes that are not counted" if lower_bound else ""
    if value.floor > limit:
        return (
            "impossible",
            f"at least {formatting.quantity(value.floor, unit)} > {budget}{incomplete}",
        )
    if value.low > limit:
        return "exceeds", f"{formatting.quantity(value.low, unit)} at best > {budget}{incomplete}"
    if value.high > limit:
        return "at-risk", f"up to {formatting.quantity(value.high, unit)} > {budget}"
    if lower_bound:
        return (
            "at-risk",
            f"some nodes are not counted; the rest needs up to {formatting.quantity(value.high, unit)}",
        )
    return "fits", f"at most {formatting.quantity(value.high, unit)} <= {budget}"


def exit_status(findings: Iterable[Finding], fail_on: str) -> int:
    """1 when a finding is at or above the severity `fail_on`, else 0; `never` is always 0.

    Raises:
        OptionError: `fail_on` is none of `FAIL_ON`.
    """
    if fail_on not in FAIL_ON:
        raise OptionError(f"--fail-on: unknown {fail_on!r}; known: {', '.join(FAIL_ON)}")
    if fail_on == "never":
        return 0
    worst = _WEIGHT[Severity(fail_on)]
    return int(any(_WEIGHT[finding.severity] <= worst for finding in findings))
