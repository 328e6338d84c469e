"""Terms of transposes.

Source: microsoft/onnxruntime, core/framework/transpose_helper.cc, copy.h,
core/providers/cpu/tensor/transpose.cc and core/mlas/lib/transpose.cpp. A permutation that moves one
axis is a series of matrix transposes (blocks of 1, 2, 4 bytes) or of copies of blocks; others step
through the result and compute each source address.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, prod
from typing import Final

from mlsys_lint import dtypes
from mlsys_lint.records import Kernel, NodeView
from mlsys_lint.records.calibration import Terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine
from mlsys_lint_plugins.runtimes.onnxruntime.timing.streams import streamed
from mlsys_lint_plugins.runtimes.onnxruntime.timing.threads import by_cost, divided

_WAYS: Final = 8
_LINE: Final = 64
_PAGE: Final = 4096
"""Rows that lie further apart than half of this are in other pages, which none prefetches."""
_STRIP: Final = 4
"""Columns that a matrix transpose takes at a time."""


def moved_axis(perm: Sequence[int]) -> tuple[int, int] | None:
    """(from, to) of the one axis that a permutation moves; None where it moves more."""
    places = range(len(perm))
    for start in places:
        for stop in places:
            order = [axis for axis in places if axis != start]
            order.insert(stop, start)
            if start != stop and order == list(perm):
                return start, stop
    return None


def squeezed(shape: Sequence[int], perm: Sequence[int]) -> tuple[list[int], list[int]]:
    """Sizes and permutation without axes of size 1, and with axes merged that stay neighbours."""
    groups: list[list[int]] = []
    for axis in (one for one in perm if shape[one] != 1):
        before = groups[-1][-1] if groups else None
        between = range((before or 0) + 1, axis)
        if before is not None and axis > before and all(shape[one] == 1 for one in between):
            groups[-1].append(axis)
        else:
            groups.append([axis])
    order = sorted(groups)
    sizes = [prod(shape[axis] for axis in group) for group in order]
    return sizes, [order.index(group) for group in groups]


def transpose(kernel: Kernel, view: NodeView, machine: Machine) -> Terms:
    """(class, terms) of a Transpose: `copy` or `transpose_matrix`."""
    data = view.input(0)
    width = dtypes.stored_bytes(data.type_name, 8) / 8
    shape, perm = squeezed(data.dims, view.integers("perm") or tuple(range(data.rank))[::-1])
    count = float(data.numel)
    amounts = {"kernel": 1.0, **streamed(kernel, machine)}
    share = by_cost(machine, data.numel, 2 * width, 1)
    moved = moved_axis(perm)
    if len(shape) <= 1 or not count:
        return "copy", divided({"byte": count * width, **amounts}, share)
    if moved is None:
        kept = _kept(shape, perm)
        return "copy", {"stepped": count / kept, "byte": count * width, **amounts}
    inner = prod(shape[max(moved) + 1 :])
    if inner * width > 4:
        runs = {"run_transpose": count / inner, "byte": count * width}
        return "copy", divided({**runs, **amounts}, share)
    rows, columns = _matrix(shape, moved)
    pitch = int(columns * width)
    streams = streamed(kernel, machine)
    if rows > _WAYS and pitch >= _PAGE // 2:
        streams = {"paged": sum(streams.values())}
    words = count * width / 4
    strips = _strips(words, rows, pitch, machine)
    return "transpose_matrix", {"matrix": words, "kernel": 1.0, **strips, **streams}


def _matrix(shape: Sequence[int], moved: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of the matrices that are transposed when an axis moves."""
    start, stop = moved
    side = shape[start]
    other = prod(shape[min(moved) : max(moved) + 1]) // max(side, 1)
    return (other, side) if start > stop else (side, other)


def _strips(words: float, rows: int, pitch: int, machine: Machine) -> dict[str, float]:
    """Lines fetched again, since a line of 64 bytes is read in 4 strips of columns.

    Rows whose distance has a large power of two as a factor share the sets of a cache.
    """
    for level, capacity in list(machine.caches.items())[:2]:
        page = capacity // _WAYS
        if rows <= _WAYS * min(page // _LINE, page // gcd(pitch, page)):
            return {} if level == "l1" else {"strip_near": words / _STRIP}
    return {"strip_far": words / _STRIP}


def _kept(shape: Sequence[int], perm: Sequence[int]) -> int:
    """Elements of the last axes that stay where they are."""
    kept = 1
    for axis in range(len(perm) - 1, -1, -1):
        if perm[axis] != axis:
            break
        kept *= shape[axis]
    return kept
