from __future__ import annotations

import pytest

from mlsys_lint_plugins.runtimes.onnxruntime.timing.threads import by_cost, by_rows, divided
from timed_kernels import machine


def test_a_loop_is_divided_once_it_costs_enough() -> None:
    # 8 bytes at 11/64 cycles and 1 cycle are 2.375 cycles an element. Two threads need
    # (cycles - 100,000) / 100,000 + 0.9 >= 2, so 210,000 cycles: 88,422 elements.
    assert by_cost(machine(2), 88_421, 8, 1) == 1
    assert by_cost(machine(2), 88_422, 8, 1) == 0.5


def test_four_threads_need_four_blocks() -> None:
    # 100,000 elements: a block is 40,000 / 2.375 = 16,842 elements, 5 whole blocks.
    assert by_cost(machine(4), 100_000, 8, 1) == 0.25
    # Two iterations of 200,000 cycles are two blocks, whatever the number of threads.
    assert by_cost(machine(4), 2, 0, 200_000) == 0.5


def test_one_thread_does_everything() -> None:
    assert by_cost(machine(), 10**9, 8, 1) == 1
    assert by_rows(machine(), 7) == 1


def test_rows_are_dealt_out_evenly() -> None:
    assert by_rows(machine(2), 7) == pytest.approx(4 / 7)
    assert by_rows(machine(8), 3) == pytest.approx(1 / 3)
    assert by_rows(machine(2), 0) == 1


def test_who_is_not_alone_waits_for_the_others() -> None:
    amounts = {"element": 10.0, "kernel": 1.0}
    assert divided(amounts, 1) == amounts
    assert divided(amounts, 0.5) == {"element": 5, "kernel": 1, "fork": 1}
