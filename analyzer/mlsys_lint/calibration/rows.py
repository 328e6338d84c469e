"""From the timed runs of a micro-network to one row a kernel."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from mlsys_lint.calibration.fitting import Row
from mlsys_lint.records import Kernel
from mlsys_lint.records.calibration import Terms

TICK_S: Final = 1e-6
"""Profiles count whole microseconds."""
_PROFILER: Final = 2.0
"""Most ticks that writing down one kernel costs; what a profile adds beyond slows all kernels alike."""
_LEAST: Final = 0.2
_QUARTILE: Final = 0.25


def steady(seconds: Sequence[float]) -> float:
    """Lower quartile: what runs take while nothing else disturbs them."""
    ordered = sorted(seconds)
    place = _QUARTILE * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def scatter(seconds: Sequence[float]) -> float:
    """Median run over steady run; 1 on a quiet machine."""
    return statistics.median(seconds) / steady(seconds)


def joined(
    kernels: Sequence[Kernel], executed: Sequence[Mapping[str, Any]]
) -> list[tuple[Kernel, float]] | None:
    """Each kernel with its seconds; None when other kernels were executed than expected.

    The runtime may run independent branches in another order: kernels are known by operator and by
    the shape of what they write.
    """
    waiting: dict[str, list[tuple[tuple[int, ...], float]]] = {}
    for one in executed:
        entry = (tuple(one["shape"]), steady(one["seconds"]))
        waiting.setdefault(one["op_type"], []).append(entry)
    found = []
    for kernel in kernels:
        entries = waiting.get(kernel.op.partition("::")[2], [])
        place = next((at for at, (shape, _) in enumerate(entries) if _fits(kernel, shape)), None)
        if place is None:
            return None
        found.append((kernel, entries.pop(place)[1]))
    return found if not any(waiting.values()) else None


def _fits(kernel: Kernel, shape: tuple[int, ...]) -> bool:
    """Whether a kernel writes a tensor of that shape; extents that depend on data have a maximum."""
    output = kernel.view.outputs[0] if kernel.view and kernel.view.outputs else None
    if output is None:
        return not shape
    if not output.bounded:
        return output.dims == shape
    return len(shape) == output.rank


def without_profiler(seconds: Sequence[float], total: float, tick_s: float = TICK_S) -> list[float]:
    """Kernel times that add up to the unprofiled total.

    What a profile takes longer is taken off each kernel alike, up to a few ticks. The rest is
    shared in proportion: a profile slows all kernels, and quartiles of kernels add up to less than
    the quartile of their sum.
    """
    if not seconds or total <= 0:
        return list(seconds)
    each = min(_PROFILER * tick_s, max(0.0, sum(seconds) - total) / len(seconds))
    rest = [max(one - each, _LEAST * tick_s) for one in seconds]
    scale = total / sum(rest)
    return [one * scale for one in rest]


def rows_of(
    network: str,
    pairs: Sequence[tuple[Kernel, float]],
    total: float,
    terms: Callable[[Kernel], Terms],
    tick_s: float = TICK_S,
) -> Iterator[Row]:
    """A row for each kernel of a network whose unprofiled run took `total` seconds."""
    times = without_profiler([seconds for _, seconds in pairs], total, tick_s)
    for (kernel, _), seconds in zip(pairs, times, strict=True):
        name, amounts = terms(kernel)
        yield Row(network=network, kernel_class=name, terms=amounts, seconds=seconds)


def plain_rows(
    pairs: Sequence[tuple[Kernel, float]], rows: Iterable[Row], plain: Callable[[Kernel], Terms]
) -> Iterator[Row]:
    """Kernels without contractions once more, as the fallback class sees them.

    So it stands for what such kernels usually take, and its error for how much they differ.
    """
    for (kernel, _), row in zip(pairs, rows, strict=True):
        name, amounts = plain(kernel)
        if not kernel.cost.contractions and name != row.kernel_class:
            yield replace(row, kernel_class=name, terms=amounts)
