"""The report for people: what is it, what does it cost, does it fit, what should change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlsys_lint import ModelReport, formatting
from mlsys_lint_plugins.reporters.text import devices, findings, head, kernels, training
from mlsys_lint_plugins.reporters.text.layout import table


def render(reports: Sequence[ModelReport]) -> str:
    """Each report in turn; of several reports, a summary at the end."""
    parts = ["\n".join(_lines(report)) for report in reports]
    if len(reports) > 1:
        parts.append(_summary(reports))
    return "\n\n".join(parts) + "\n" if parts else ""


def _lines(report: ModelReport) -> Iterator[str]:
    yield from head.lines(report)
    if report.devices:
        yield ""
        yield from devices.lines(report)
    where = list(kernels.lines(report))
    if where:
        yield ""
        yield from where
    if report.training is not None:
        yield ""
        yield from training.lines(report.training)
    yield ""
    yield from findings.lines(report)
    yield from findings.assumed(report)


def _summary(reports: Sequence[ModelReport]) -> str:
    headers = ["model", "parameters", "MACs", "median time", "on", "findings"]
    rows = [
        [
            report.model.path,
            formatting.count(report.model.parameters),
            formatting.count(report.totals.macs),
            *_first_device(report),
            findings.tally(report.findings),
        ]
        for report in reports
    ]
    numbers = ["parameters", "MACs", "median time"]
    title = f"summary of {len(reports)} models"
    return f"{title}\n{table(headers, rows, numbers=numbers, flexible='model', indent='  ')}"


def _first_device(report: ModelReport) -> tuple[str, str]:
    if not report.devices:
        return formatting.UNKNOWN, formatting.UNKNOWN
    device = report.devices[0]
    time = device.latency_s
    text = formatting.duration(time.expected) if time else "unknown"
    return (f">= {text}" if time and device.lower_bound else text), devices.label(device)
