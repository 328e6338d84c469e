"""Tables of the text report: the groups with most time, the worst of them, several models."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Final

from mlsys_lint import formatting
from mlsys_lint.records.validation import ValidationReport
from mlsys_lint.validation.statistics import beats_floor, spearman

WIDTH: Final = 100
MOST: Final = 12
_GAP: Final = "  "
_LEAST: Final = 8
"""Columns that a name keeps however wide the others are."""
_MOST_RANGE: Final = 9
_NAMED: Final = 3
_LABEL: Final = 30
"""Columns of a name beside a cause."""


def group_lines(report: ValidationReport) -> Iterator[str]:
    """Groups of kernels by measured time, and what part of the time they hold."""
    if not report.groups:
        return
    ranked = sorted(report.groups, key=lambda one: (-one.measured_s, one.nodes))[:MOST]
    yield f"kernels by measured time ({len(ranked)} of {len(report.groups)} groups shown)"
    rows = [
        (
            _positions(one.nodes),
            one.label,
            one.kernel_class or formatting.UNKNOWN,
            _time(one.predicted.expected if one.predicted else None),
            formatting.duration_range(one.predicted) if one.predicted else formatting.UNKNOWN,
            formatting.duration(one.measured_s),
            signed(one.error),
        )
        for one in ranked
    ]
    headers = ("#", "node", "kernel", "predicted", "80 % interval", "measured", "error")
    yield from table(headers, rows, numbers=("predicted", "measured", "error"), flexible="node")
    yield from _mapped(report)


def _mapped(report: ValidationReport) -> Iterator[str]:
    """How much of the time is in the groups, and how it compares."""
    summary = report.summary
    mapped, single = summary.mapped_time_fraction, summary.single_kernel_time_fraction
    if mapped is None or single is None:
        return
    text = (
        f"{formatting.percent(mapped)} of the kernels' time is joined to nodes, "
        f"{formatting.percent(single)} of that in groups of one kernel"
    )
    if report.unmapped:
        names = ", ".join(name for name, _ in report.unmapped[:_NAMED])
        more = len(report.unmapped) - _NAMED
        text += f"; not joined: {names}{f' and {more} more' if more > 0 else ''}"
    yield from _wrapped(text)
    if beaten := [one.label for one in report.groups or () if beats_floor(one)]:
        doubt = "" if report.noise.quiet else " (noisy machine: no evidence)"
        yield from _wrapped(f"faster than their floor{doubt}: {', '.join(beaten[:_NAMED])}")
    if summary.time_weighted_error is not None:
        yield from _wrapped(
            f"error by kernel: {formatting.percent(summary.time_weighted_error)} of the time, "
            f"median of kernels over 20 us {_share(summary.median_error_over_20us)}; "
            f"{_share(summary.interval_coverage)} of their intervals hold the measured time; "
            f"rank correlation {_number(summary.spearman)}"
        )


def worst_lines(report: ValidationReport) -> Iterator[str]:
    """The groups that were missed by most time, each with its likely cause."""
    if not report.worst or report.groups is None:
        return
    yield "missed by most time"
    groups = [report.groups[miss.group] for miss in report.worst]
    width = min(_LABEL, max(len(one.label) for one in groups))
    for miss, group in zip(report.worst, groups, strict=True):
        label = _short(group.label, width).ljust(width)
        head = f"  {_signed_time(group.missed_s):>9}  {_positions(group.nodes):<9}  {label}  "
        yield from textwrap.wrap(
            miss.evidence, WIDTH, initial_indent=head, subsequent_indent=" " * len(head)
        )


def models_lines(reports: Sequence[ValidationReport]) -> Iterator[str]:
    """Several models side by side, and the error over all of them."""
    yield f"summary of {len(reports)} models"
    rows = [
        (
            PurePath(one.model.path).name,
            _time(one.predicted.expected if one.predicted else None),
            formatting.duration(one.measured.median),
            signed(one.error),
            _inside(one),
            _count(one.summary.floor_violations),
            one.noise.verdict,
        )
        for one in reports
    ]
    headers = ("model", "predicted", "measured", "error", "interval", "floors", "machine")
    yield from table(
        headers, rows, numbers=("predicted", "measured", "error", "floors"), flexible="model"
    )
    known = [one for one in reports if one.error is not None]
    if len(known) < 2:
        return
    errors = [abs(one.error) for one in known if one.error is not None]
    rank = spearman(
        [one.predicted.expected for one in known if one.predicted is not None],
        [one.measured.median for one in known],
    )
    covered = sum(bool(one.covered) for one in known) / len(known)
    beaten = sum(one.summary.floor_violations or 0 for one in known)
    yield from _wrapped(
        f"error: mean {formatting.percent(statistics.mean(errors))}, median "
        f"{formatting.percent(statistics.median(errors))}, worst {formatting.percent(max(errors))}; "
        f"rank correlation {_number(rank)}; {formatting.percent(covered)} of the intervals hold "
        f"the measured median; floors beaten: {beaten}"
    )


def signed(fraction: float | None) -> str:
    """A relative error: `-3.5 %`."""
    return formatting.UNKNOWN if fraction is None else f"{100 * fraction:+.1f} %"


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Sequence[str],
    flexible: str,
) -> Iterator[str]:
    """Lines of at most WIDTH columns; the cells of the flexible column give way at their start."""
    cells = [tuple(headers), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    at = list(headers).index(flexible)
    others = 2 + sum(widths) - widths[at] + len(_GAP) * (len(widths) - 1)
    widths[at] = min(widths[at], max(_LEAST, WIDTH - others))
    for row in cells:
        texts = [
            _short(text, width).rjust(width)
            if name in numbers
            else _short(text, width).ljust(width)
            for name, text, width in zip(headers, row, widths, strict=True)
        ]
        yield f"  {_GAP.join(texts)}".rstrip()


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )


def _positions(nodes: Sequence[int]) -> str:
    """`4-6`, `4,6`, and where there is no room `4,+3`."""
    if not nodes:
        return ""
    if nodes[-1] - nodes[0] + 1 == len(nodes):
        return f"{nodes[0]}-{nodes[-1]}" if len(nodes) > 1 else str(nodes[0])
    text = ",".join(map(str, nodes))
    return text if len(text) <= _MOST_RANGE else f"{nodes[0]},+{len(nodes) - 1}"


def _short(text: str, width: int) -> str:
    clean = "".join(char if char.isprintable() else "?" for char in text)
    return clean if len(clean) <= width else f"...{clean[len(clean) - width + 3 :]}"


def _time(seconds: float | None) -> str:
    return formatting.UNKNOWN if seconds is None else formatting.duration(seconds)


def _signed_time(seconds: float | None) -> str:
    if seconds is None:
        return formatting.UNKNOWN
    return f"{'-' if seconds < 0 else '+'}{formatting.duration(abs(seconds))}"


def _share(fraction: float | None) -> str:
    return formatting.UNKNOWN if fraction is None else formatting.percent(fraction)


def _number(value: float | None) -> str:
    return formatting.UNKNOWN if value is None else f"{value:.3f}"


def _count(value: int | None) -> str:
    return formatting.UNKNOWN if value is None else str(value)


def _inside(report: ValidationReport) -> str:
    if report.covered is None:
        return formatting.UNKNOWN
    return "holds" if report.covered else "missed"
