"""Lines and tables of at most 100 columns, without colour and without control characters."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from tabulate import tabulate

from mlsys_lint import ModelReport, formatting

WIDTH: Final = 100
_NAME_WIDTH: Final = 40
_GAP: Final = 2
"""Columns between two cells in tabulate's format `plain`."""

_LEAST: Final = 8
"""Columns that are left to the flexible cell however wide the others are."""


def printable(text: str) -> str:
    """A name from a file, without what would move the cursor or break the line."""
    return "".join(char if char.isprintable() else "?" for char in text)


def shorten(text: str, width: int, *, keep: str = "end") -> str:
    """The end of a long name, where names of nodes and files differ: `...1/conv3`; or its start."""
    clean = printable(text)
    if len(clean) <= width:
        return clean
    return (
        f"{clean[: width - 3]}..." if keep == "start" else f"...{clean[len(clean) - width + 3 :]}"
    )


def place(report: ModelReport, index: int) -> str:
    """A node by index and (the end of its) name: `#12 layer1.0/conv3`."""
    label = formatting.node_label(report.nodes[index].node)
    number, _, name = label.partition(" ")
    return f"{number} {shorten(name, _NAME_WIDTH)}"


def clipped(items: Sequence[str], most: int, more: str = "more") -> list[str]:
    """The first items and how many were left out: `and 5 more`."""
    left = len(items) - most
    return [*items[:most], f"and {left} {more}"] if left > 0 else list(items)


def paragraph(text: str, first: str = "", rest: str | None = None) -> str:
    """Wrapped text: `first` begins the first line, `rest` (default: spaces) the others."""
    indent = " " * len(first) if rest is None else rest
    return textwrap.fill(
        printable(" ".join(text.splitlines())),
        width=WIDTH,
        initial_indent=first,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Sequence[str] = (),
    flexible: str = "",
    keep: str = "end",
    indent: str = "",
) -> str:
    """A table whose columns `numbers` stand right, and whose column `flexible` gives way."""
    # The headings go in as a row: tabulate would widen each of their columns by two.
    cells = [[printable(cell) for cell in row] for row in (headers, *rows)]
    if flexible:
        _give_way(cells, list(headers).index(flexible), WIDTH - len(indent), keep)
    text = tabulate(
        cells,
        tablefmt="plain",
        disable_numparse=True,
        colalign=["right" if header in numbers else "left" for header in headers],
    )
    return "\n".join(f"{indent}{line}".rstrip()[:WIDTH] for line in text.splitlines())


def _give_way(cells: Sequence[list[str]], column: int, width: int, keep: str) -> None:
    """Shorten the cells of one column in place until the table is as wide as it may be."""
    widths = [max(map(len, texts)) for texts in zip(*cells, strict=True)]
    others = sum(widths) - widths[column] + _GAP * (len(widths) - 1)
    for row in cells:
        row[column] = shorten(row[column], max(_LEAST, width - others), keep=keep)
