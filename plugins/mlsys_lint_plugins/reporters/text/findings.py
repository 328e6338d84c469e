"""What should be changed, and what was assumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from mlsys_lint import Finding, ModelReport, Severity, formatting
from mlsys_lint_plugins.reporters.text.layout import clipped, paragraph, place, shorten

MOST_FINDINGS: Final = 20
MOST_ASSUMPTIONS: Final = 3
_NAME_WIDTH: Final = 32
_MORE: Final = "more in --format json"


def lines(report: ModelReport) -> Iterator[str]:
    """The findings in their order, each piece of advice once."""
    yield f"findings ({tally(report.findings)})" if report.findings else "findings: none"
    shown = report.findings[:MOST_FINDINGS]
    names = [shorten(finding.name, _NAME_WIDTH) for finding in shown]
    width = max(map(len, names), default=0)
    advised: set[str] = set()
    for finding, name in zip(shown, names, strict=True):
        first = f"  {finding.severity:<7}  {finding.code}  {name:<{width}}  "
        yield paragraph(
            f"{_where(report, finding)}{finding.message}{_saving(report, finding)}", first
        )
        if finding.help and finding.help not in advised:
            advised.add(finding.help)
            yield paragraph(f"help: {finding.help}", first=" " * len(first))
    if len(report.findings) > MOST_FINDINGS:
        yield f"  and {len(report.findings) - MOST_FINDINGS} {_MORE}"


def tally(findings: Iterable[Finding]) -> str:
    """`1 error, 2 warnings`, heaviest first; `none`."""
    counts = Counter(finding.severity for finding in findings)
    return (
        ", ".join(
            f"{counts[severity]} {severity}{'s' * (counts[severity] != 1)}"
            for severity in Severity
            if counts[severity]
        )
        or "none"
    )


def _where(report: ModelReport, finding: Finding) -> str:
    """Where it is: the node, and of several devices which."""
    node = "" if finding.node is None else f"{place(report, finding.node)}: "
    device = f"{finding.device}: " if finding.device and len(report.devices) > 1 else ""
    return device + node


def _saving(report: ModelReport, finding: Finding) -> str:
    """`; saves 0.8 ms (4 %)`, the share being that of the finding's device; or bytes."""
    if finding.saving_s is None:
        saved = finding.saving_bytes
        return "" if saved is None else f"; saves {formatting.size(saved)}"
    text = f"; saves {formatting.duration(finding.saving_s)}"
    for device in report.devices:
        if device.profile.id == finding.device and device.latency_s and device.latency_s.expected:
            return f"{text} ({formatting.percent(finding.saving_s / device.latency_s.expected)})"
    return text


def assumed(report: ModelReport) -> Iterator[str]:
    """The first assumptions, and how many there are beside them."""
    if report.assumptions:
        shown = clipped(report.assumptions, MOST_ASSUMPTIONS, _MORE)
        yield paragraph("; ".join(shown), first="assumed: ", rest="  ")
