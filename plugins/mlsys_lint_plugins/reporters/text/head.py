"""What the model is, what it costs, and how much of it was counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from mlsys_lint import ModelReport, NodeStatus, TensorInfo, dtypes, formatting
from mlsys_lint.records import Dimension, Totals
from mlsys_lint_plugins.reporters.text.layout import (
    WIDTH,
    clipped,
    paragraph,
    place,
    printable,
    shorten,
)

_MOST_OPSETS: Final = 3
_MOST_INPUTS: Final = 4
_MOST_SIZES: Final = 4
_NAME_WIDTH: Final = 40
_LABEL: Final = "  {:<10}"
_REST: Final = " " * len(_LABEL.format(""))

_WHY: Final[Mapping[NodeStatus, str]] = {
    NodeStatus.UNSUPPORTED: "no formula",
    NodeStatus.DECLINED: "a size is missing",
    NodeStatus.FAILED: "a plugin failed",
}


_SOURCES: Final = {"batch": "by --batch", "derived": "derived from others"}


def lines(report: ModelReport) -> Iterator[str]:
    """The first lines of a report: name, inputs, work, memory."""
    line = f"{_path(report)}   {_facts(report)}"
    yield (
        line if len(line) <= WIDTH else f"{_path(report)}\n{paragraph(_facts(report), first='  ')}"
    )
    yield from _inputs(report)
    yield _joined("work", _work(report.totals), coverage(report))
    yield paragraph(_memory(report), first=_LABEL.format("memory"))


def _path(report: ModelReport) -> str:
    return shorten(report.model.path, WIDTH - 2)


def _facts(report: ModelReport) -> str:
    model = report.model
    imports = sorted(model.opset_imports.items(), key=lambda item: item[0] not in {"", "ai.onnx"})
    opsets = [f"{domain or 'ai.onnx'} {version}" for domain, version in imports]
    nodes = f"{report.totals.nodes} node{'s' * (report.totals.nodes != 1)}"
    facts = [*clipped(opsets, _MOST_OPSETS), nodes, parameters(report)]
    return ", ".join(facts)


def parameters(report: ModelReport) -> str:
    """`25.6 M parameters (102.2 MB fp32)`."""
    model = report.model
    if not model.parameters:
        return "no parameters"
    by_weight = sorted(model.parameter_dtypes, key=lambda name: -model.parameter_dtypes[name])
    types = " + ".join(_short(name) for name in by_weight)
    stored = f"{formatting.size(model.parameter_bytes)} {types}".strip()
    return f"{formatting.count(model.parameters)} parameters ({stored})"


def _short(name: str) -> str:
    try:
        return dtypes.short(name)
    except KeyError:  # a type that is newer than this table
        return name


def _inputs(report: ModelReport) -> Iterator[str]:
    shown = [_tensor(tensor) for tensor in report.model.inputs]
    texts = clipped(shown, _MOST_INPUTS, "more inputs")
    sizes = _sizes(report.model.dims)
    if len(texts) == 1:
        yield _joined("input", texts[0], sizes)
        return
    for at, text in enumerate(texts):
        yield paragraph(text, first=_LABEL.format("inputs" if at == 0 else ""))
    if sizes:
        yield paragraph(sizes, first=_LABEL.format("sizes"))


def _sizes(dims: Sequence[Dimension]) -> str:
    """`N=1 assumed, change with --dim N=...; S=128 given`: first what the user may have to change."""
    sources = dict.fromkeys(
        one.source for one in sorted(dims, key=lambda one: one.source != "assumed")
    )
    words = []
    for source in sources:
        same = [one for one in dims if one.source == source]
        named = ", ".join(clipped([f"{one.name}={one.value}" for one in same], _MOST_SIZES))
        remedy = f", change with --dim {same[0].name}=..." if source == "assumed" else ""
        words.append(f"{named} {_SOURCES.get(source, source)}{remedy}")
    return "; ".join(words)


def _tensor(tensor: TensorInfo) -> str:
    name = shorten(tensor.name, _NAME_WIDTH)
    kind = "" if tensor.kind == "tensor" else f"{tensor.kind} of "
    dtype = _short(tensor.dtype) if tensor.dtype else "unknown type"
    if tensor.shape is None:
        return f"{name} {kind}{dtype}, shape unknown"
    sizes = [
        "?" if size is None else f"<={size}" if axis in tensor.bounded else str(size)
        for axis, size in enumerate(tensor.shape)
    ]
    return f"{name} {kind}{dtype}[{','.join(sizes)}]"


def _joined(label: str, left: str, right: str) -> str:
    """Both on the labelled line where they fit, else the second below the first."""
    line = f"{_LABEL.format(label)}{printable(left)}"
    if not right:
        return line
    if len(line) + 3 + len(right) <= WIDTH:
        return f"{line}   {printable(right)}"
    return f"{paragraph(left, first=_LABEL.format(label))}\n{paragraph(right, first=_REST)}"


def _work(totals: Totals) -> str:
    masked = f" ({formatting.count(totals.macs_masked)} masked)" if totals.macs_masked else ""
    return (
        f"{formatting.count(totals.macs)} MACs{masked}   {formatting.count(totals.flops)} FLOPs   "
        f"{formatting.count(totals.transcendentals)} transcendentals"
    )


def coverage(report: ModelReport) -> str:
    """How complete the figures are, naming every operator that is not counted."""
    totals = report.totals
    missing = Counter(
        (entry.node.op.removeprefix("ai.onnx::"), entry.status)
        for entry in report.nodes
        if entry.status in _WHY
    )
    words = []
    if missing:
        named = ", ".join(
            f"{op} x{times} ({_WHY[status]})" for (op, status), times in sorted(missing.items())
        )
        words.append(f"at least: {missing.total()} of {totals.nodes} nodes not counted: {named}")
    elif totals.is_lower_bound:
        words.append("at least: a loop of unknown length counts one trip")
    if totals.is_upper_bound:
        words.append("at most: what depends on data counts at its maximum")
    estimated = totals.coverage.counts.get("estimated", 0)
    if estimated and not totals.is_upper_bound:
        words.append(f"{estimated} of {totals.nodes} nodes estimated")
    complete = "every node counted exactly" if totals.nodes else "there are no nodes"
    return "; ".join(words) or complete


def _memory(report: ModelReport) -> str:
    totals = report.totals
    weights = f"weights {formatting.size(report.model.parameter_bytes)}"
    if totals.peak_activation_bytes is None:
        return f"{weights}   peak activations unknown: a size is missing"
    at = ""
    if totals.peak_node is not None:
        at = f" at {place(report, totals.peak_node)}"
    return f"{weights}   peak activations {formatting.size(totals.peak_activation_bytes)}{at}"
