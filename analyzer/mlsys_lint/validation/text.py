"""A ValidationReport for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Final

from mlsys_lint import formatting
from mlsys_lint.records.validation import ValidationReport
from mlsys_lint.validation.tables import WIDTH, group_lines, signed, worst_lines

_LABEL: Final = 12
_MOST_INPUTS: Final = 8
_TELLING: Final = (
    *("use_tf32", "cudnn_conv_algo_search", "cudnn_conv_use_max_workspace", "prefer_nhwc"),
    *("enable_cuda_graph", "do_copy_in_default_stream", "device_id"),
)
"""Options of the CUDA provider that change times; the document has all."""


def to_text(report: ValidationReport) -> str:
    """What ran, prediction, measurement, error, memory, and what casts doubt on them."""
    lines = [_title(report)]
    for label, text in _rows(report):
        lines += textwrap.wrap(
            text,
            width=WIDTH,
            initial_indent=f"  {label:<{_LABEL}}",
            subsequent_indent=" " * (_LABEL + 2),
            break_on_hyphens=False,
        )
    for part in (group_lines(report), worst_lines(report)):
        if below := list(part):
            lines += ["", *below]
    return "\n".join(lines) + "\n"


def _title(report: ValidationReport) -> str:
    threads = f"{report.threads} thread{'s' if report.threads > 1 else ''}"
    runs = f"{report.runs} warm run{'s' if report.runs > 1 else ''}"
    rest = (
        f": {runs} in ONNX Runtime {report.runtime_version}, {report.provider.upper()}, {threads}"
    )
    name = PurePath(report.model.path).name
    room = WIDTH - len(rest)
    return (name if len(name) <= room else f"{name[: room - 3]}...") + rest


def _rows(report: ValidationReport) -> Iterator[tuple[str, str]]:
    yield "predicted", _predicted(report)
    yield "measured", _measured(report)
    if report.error is not None:
        yield "error", _error(report)
    yield "memory", _memory(report)
    yield "machine", "; ".join((report.noise.verdict, *report.noise.reasons))
    for text in _baselines(report):
        yield "baseline", text
    if report.provider_options:
        yield "options", _options(report)
    yield from _elsewhere(report)
    yield "inputs", _inputs(report)
    for problem in report.problems:
        yield "note", problem.message


def _options(report: ValidationReport) -> str:
    options = report.provider_options
    return ", ".join(f"{name} {options[name]}" for name in _TELLING if name in options)


def _elsewhere(report: ValidationReport) -> Iterator[tuple[str, str]]:
    """Nodes that left the GPU, and the copies that this took."""
    for one in report.fallbacks:
        why = " by design: arithmetic on sizes" if one.benign else ""
        label = "on the CPU" if one.benign else "fallback"
        yield label, f"{_count(one.nodes, one.op_type)} ran on {one.provider}{why}"
    for copied in report.copies:
        share = copied.time_fraction
        spent = "" if share is None else f", {formatting.percent(share)} of the profiled time"
        yield "copies", f"{_count(copied.nodes, copied.op_type)}{spent}"


def _count(nodes: Sequence[str], op_type: str) -> str:
    return f"{len(nodes)} {op_type} node{'s' if len(nodes) > 1 else ''}"


def _predicted(report: ValidationReport) -> str:
    interval = report.predicted
    if interval is None:
        return f"{formatting.UNKNOWN} (see notes)"
    return (
        f"{formatting.duration(interval.expected)} on {report.device}, 80 % interval "
        f"{formatting.duration_range(interval)}, floor {formatting.duration(interval.floor)}"
    )


def _measured(report: ValidationReport) -> str:
    measured = report.measured
    doubt = "" if report.noise.quiet else " (noisy machine)"
    return (
        f"{formatting.duration(measured.median)} median{doubt}, "
        f"fastest {formatting.duration(measured.min)}, p10 {formatting.duration(measured.p10)}, "
        f"p90 {formatting.duration(measured.p90)}, first run "
        f"{formatting.duration(report.first_run_s)}"
    )


def _error(report: ValidationReport) -> str:
    place = "inside" if report.covered else "outside"
    text = f"{signed(report.error)}, measured median {place} the interval"
    if report.breaks_floor:
        return f"{text}; the floor was beaten: a count, the profile or the floor is wrong"
    if report.summary.floor_tightness is not None:
        text += f", floor at {formatting.percent(report.summary.floor_tightness)} of it"
    return text


def _memory(report: ValidationReport) -> str:
    predicted = report.predicted_peak_activation_bytes
    measured = report.measured_peak_activation_bytes
    text = (
        f"peak activations {_size(predicted)} predicted, {_size(measured)} measured by the runtime"
    )
    if predicted is None or not measured:
        return text
    return f"{text}, error {signed(predicted / measured - 1)}"


def _baselines(report: ValidationReport) -> Iterator[str]:
    """What simpler predictions say, and how well the measurement repeats itself."""
    found = report.baselines
    share = found.constant_efficiency
    for name, seconds in (
        ("naive roofline", found.naive_roofline_s),
        (
            f"all FLOPs at {formatting.percent(share)} of the peak" if share else "",
            found.constant_efficiency_s,
        ),
        ("noise ceiling, the kernels of other runs added up:", found.profile_replay_s),
    ):
        if seconds is not None:
            error = signed(seconds / report.measured.median - 1)
            yield f"{name} {formatting.duration(seconds)}, error {error}"


def _inputs(report: ValidationReport) -> str:
    shown = [
        f"{one.name} [{','.join(map(str, one.shape))}] {one.recipe}"
        for one in report.inputs[:_MOST_INPUTS]
    ]
    if hidden := len(report.inputs) - len(shown):
        shown.append(f"{hidden} more")
    return ", ".join(shown) or "none"


def _size(value: int | None) -> str:
    return formatting.UNKNOWN if value is None else formatting.size(value)
