"""The largest batch whose memory fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mlsys_lint.records import LARGEST_BATCH

MOST: Final = LARGEST_BATCH
"""No larger batch is tried."""


def largest_batch(memory_bytes: Callable[[int], int], capacity_bytes: int) -> int:
    """The largest batch up to MOST that needs no more than the capacity; 0 when 1 does not fit.

    Memory grows with the batch, almost in a line: the line through two known points says where to
    look next, and bisection takes over where it is no help. A handful of evaluations are enough.

    Args:
        memory_bytes: Memory at a batch; must not fall as the batch grows.
        capacity_bytes: What there is.
    """
    known = {1: memory_bytes(1)}
    if known[1] > capacity_bytes:
        return 0
    fits, fails = 1, MOST + 1
    following = 2
    while fails - fits > 1:
        known[following] = memory_bytes(following)
        if known[following] <= capacity_bytes:
            fits = following
        else:
            fails = following
        following = _next(known, fits, fails, capacity_bytes)
    return fits


def _next(known: dict[int, int], fits: int, fails: int, capacity: int) -> int:
    """A batch between the two bounds."""
    if len(known) % 3 == 0:
        return (fits + fails) // 2  # whatever the curve does, the bounds close in
    other = fails if fails in known else max((one for one in known if one != fits), default=fits)
    slope = (known[other] - known[fits]) / (other - fits) if other != fits else 0.0
    guess = MOST if slope <= 0 else fits + int((capacity - known[fits]) / slope)
    if guess <= fits:
        return fits + 1
    return min(guess, fails - 1)
