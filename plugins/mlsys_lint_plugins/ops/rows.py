"""Tables of which an operator reads some rows: embeddings, caches of cosines and sines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mlsys_lint import OpCost, TensorInfo


def with_rows(base: OpCost, tables: Iterable[tuple[TensorInfo, int]]) -> OpCost:
    """The cost with `rows` rows (axis 0) of each table read on top, at most all of them.

    Which rows, and how many of them are the same, depends on data; they count as different.
    """
    read = weights = 0
    for table, rows in tables:
        size = table.dims[0]
        taken = table.nbytes * min(rows, size) // size if size else 0
        read += taken
        weights += taken if table.constant else 0
    return replace(
        base, bytes_read=base.bytes_read + read, weight_bytes=base.weight_bytes + weights
    )
