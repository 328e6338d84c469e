"""MLS102 unmodelled-operator: the cost of some nodes is not known.

## What it does

Reports each operator with nodes that are `unsupported` (no formula, no function body), `declined`
(a size is missing) or `failed` (a plugin's formula raised), one finding per operator.

## Why it matters

What these nodes compute and move is missing from the totals, so latency and memory are lower
bounds and no budget can be said to hold.

## Example

`y = acme.MyFft (x)` in a model that does not bring a function body for `MyFft`.

## Use instead

`unsupported`: a plugin with an `OperatorSpec` for the operator, or a model-local function that
gives it a body. `declined`: the missing size, with `--dim`. `failed`: a corrected plugin.

## Limits

Nodes that count at an upper bound (`estimated`) are not reported: the bound is safe. Neither are
nodes that do not run: those of a branch that is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from mlsys_lint import Hit, ModelReport, NodeCost, NodeStatus, Rule, Severity

_REMEDY: Final[Mapping[NodeStatus, str]] = MappingProxyType(
    {
        NodeStatus.UNSUPPORTED: "add a cost formula for it with a plugin (hook register_operators)",
        NodeStatus.DECLINED: "give the missing size with --dim",
        NodeStatus.FAILED: "correct the plugin that raised; the problems name it",
    }
)


def check(report: ModelReport) -> Iterator[Hit]:
    """A hit for each operator with nodes whose cost is not known."""
    by_operator: dict[str, list[NodeCost]] = {}
    for entry in report.nodes:
        if entry.status in _REMEDY and entry.node.repeat > 0:
            by_operator.setdefault(entry.node.op, []).append(entry)
    for op, entries in sorted(by_operator.items()):
        yield _hit(op, entries)


def _hit(op: str, entries: Sequence[NodeCost]) -> Hit:
    reasons = dict.fromkeys(entry.reason or entry.status.value for entry in entries)
    first = next(iter(reasons))
    others = len(reasons) - 1
    more = f" (and {others} other reason{'s' * (others > 1)})" if others else ""
    return Hit(
        message=f"{op} x{len(entries)} not counted: {first}{more}",
        node=entries[0].node.index,
        help="; ".join(dict.fromkeys(_REMEDY[entry.status] for entry in entries)),
    )


RULE: Final = Rule(
    code="MLS102",
    name="unmodelled-operator",
    severity=Severity.WARNING,
    check=check,
    doc=__doc__ or "",
)
