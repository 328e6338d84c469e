"""The search for the largest batch that fits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlsys_lint.batching import MOST, largest_batch


@given(fixed=st.integers(0, 10**9), each=st.integers(1, 10**7), room=st.integers(0, 10**10))
def test_a_line(fixed: int, each: int, room: int) -> None:
    # The most samples for which the fixed part and theirs stay within the room.
    expected = max(0, min(MOST, (room - fixed) // each))
    assert largest_batch(lambda batch: fixed + each * batch, room) == expected


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.integers(0, 500))
def test_any_curve_that_does_not_fall(steps: list[int], room: int) -> None:
    def memory(batch: int) -> int:
        return sum(steps[:batch]) + 60 * max(0, batch - len(steps))

    batch = 0
    while batch < MOST and memory(batch + 1) <= room:
        batch += 1
    assert largest_batch(memory, room) == batch


def test_a_line_takes_few_looks() -> None:
    seen: list[int] = []

    def memory(batch: int) -> int:
        seen.append(batch)
        return 100_000_000 + 3_456_789 * batch

    assert largest_batch(memory, 80_000_000_000) == (80_000_000_000 - 100_000_000) // 3_456_789
    assert len(seen) <= 8


def test_one_that_does_not_fit() -> None:
    assert largest_batch(lambda batch: 10 * batch, 9) == 0
