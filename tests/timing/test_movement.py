from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlsys_lint.records import Kernel
from mlsys_lint_plugins.runtimes.onnxruntime.timing.movement import terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing.transpose import moved_axis, squeezed
from timed_kernels import kernel, machine, tensor


def amounts(one: Kernel, threads: int = 1) -> dict[str, float]:
    found = terms(one, machine(threads))
    assert found is not None
    return dict(found[1])


def transpose(shape: tuple[int, ...], perm: tuple[int, ...]) -> Kernel:
    return kernel("Transpose", [tensor(*shape)], tensor(*(shape[axis] for axis in perm)), perm=perm)


@pytest.mark.parametrize(
    ("perm", "expected"),
    [
        ((0, 2, 1), (1, 2)),
        ((0, 3, 1, 2), (3, 1)),
        ((0, 2, 3, 1), (1, 3)),
        ((0, 2, 1, 4, 3), None),
    ],
)
def test_which_axis_moves(perm: tuple[int, ...], expected: tuple[int, int] | None) -> None:
    assert moved_axis(perm) == expected


def test_neighbours_move_together() -> None:
    assert squeezed((1, 3, 4, 20, 30), (0, 3, 4, 1, 2)) == ([12, 600], [1, 0])
    assert squeezed((5, 1, 7), (1, 0, 2)) == ([35], [0])


def test_a_matrix_is_transposed_in_strips() -> None:
    # Rows of 50 floats lie 200 bytes apart: 30 of them are 30 lines of the nearest cache's 512.
    assert amounts(transpose((30, 50), (1, 0))) == {"matrix": 1500, "kernel": 1}


def test_rows_a_page_apart_share_a_set() -> None:
    # 1,024 floats are 4,096 bytes, so all rows share one set of 8 lines of the nearest cache; of the
    # second (131,072 bytes a way) 32 sets, 256 lines. A line is read in 4 strips.
    assert amounts(transpose((8, 1024), (1, 0))).keys() == {"matrix", "kernel"}
    assert amounts(transpose((200, 1024), (1, 0)))["strip_near"] == 200 * 1024 / 4
    assert amounts(transpose((300, 1024), (1, 0)))["strip_far"] == 300 * 1024 / 4


def test_no_prefetch_from_page_to_page() -> None:
    # 2 x 2,400 KiB last touched 4 MiB ago lie in the shared cache, in rows a page apart.
    one = transpose((600, 1024), (1, 0))
    near = replace(one, touches=tuple(replace(it, distance=4 << 20) for it in one.touches))
    assert amounts(near)["paged"] == 2 * 600 * 4096
    assert "stream_near" not in amounts(near)


def test_heads_move_in_runs() -> None:
    # [5, 4 heads, 16] -> [4, 5, 16]: 20 runs of 64 bytes.
    found = amounts(transpose((1, 5, 4, 16), (0, 2, 1, 3)))
    assert found == {"run_transpose": 20, "byte": 1280, "kernel": 1}


def test_two_moved_axes_step() -> None:
    # [2, 3, 4, 5] -> [2, 4, 5, 3] would move one axis; with the first also inside, none is last.
    assert amounts(transpose((2, 3, 4, 5), (3, 1, 0, 2)))["stepped"] == 120


def test_moving_an_axis_of_one_is_a_copy() -> None:
    assert amounts(transpose((1, 6, 8), (1, 0, 2))) == {"byte": 192, "kernel": 1}


def test_an_empty_tensor_costs_a_start() -> None:
    assert amounts(transpose((3, 0, 5), (2, 0, 1))) == {"byte": 0, "kernel": 1}


def test_runs_of_a_concatenation() -> None:
    one = kernel("Concat", [tensor(3, 4, 10), tensor(3, 2, 10)], tensor(3, 6, 10), axis=1)
    found = amounts(one)
    assert (found["run_join"], found["byte"]) == (6, 720)


def test_a_slice_takes_whole_runs() -> None:
    bounds = [tensor(1, dtype="int64", value=[one]) for one in (0, 2, 1, 1)]
    one = kernel("Slice", [tensor(3, 4, 10), *bounds], tensor(3, 2, 10))
    assert amounts(one)["run_cut"] == 3
    assert "step" not in amounts(one)


def test_a_strided_slice_of_the_last_axis_steps() -> None:
    bounds = [tensor(1, dtype="int64", value=[one]) for one in (0, 10, 1, 2)]
    one = kernel("Slice", [tensor(3, 10), *bounds], tensor(3, 5))
    assert (amounts(one)["run_cut"], amounts(one)["step"]) == (3, 15)


def test_gathered_rows_and_columns() -> None:
    chosen = tensor(7, dtype="int64")
    rows = kernel("Gather", [tensor(100, 8), chosen], tensor(7, 8), axis=0)
    columns = kernel("Gather", [tensor(100, 8), chosen], tensor(100, 7), axis=1)
    assert amounts(rows)["run_gather"] == 7
    assert amounts(columns)["run_gather"] == 700


def test_ragged_blocks_of_channels() -> None:
    # 21 channels are one block of 16 and 5 left, at 6 x 6 positions.
    one = kernel(
        "ReorderOutput", [tensor(1, 32, 6, 6)], tensor(1, 21, 6, 6), domain="com.microsoft.nchwc"
    )
    found = amounts(one)
    assert found["element_ReorderOutput"] == 16 * 36
    assert found["ragged_ReorderOutput"] == 5 * 36


def test_twice_as_large_has_a_loop_of_its_own() -> None:
    x, y = tensor(1, 2, 3, 3), tensor(1, 2, 6, 6)
    how: dict[str, Any] = {
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    assert amounts(kernel("Resize", [x], y, **how)) == {"element_double": 72, "kernel": 1}
    assert amounts(kernel("Resize", [x], y, mode="cubic")) == {"element_cubic": 72, "kernel": 1}


def test_views_move_nothing() -> None:
    assert amounts(kernel("Reshape", [tensor(4, 5), None], tensor(20))) == {"kernel": 1}


@pytest.mark.parametrize("perm", [(0, 2, 1), (1, 0, 2)])
def test_more_elements_never_cost_less_and_two_threads_never_more(perm: tuple[int, ...]) -> None:
    small, large = (amounts(transpose((size, 30, 500), perm)) for size in (20, 40))
    assert all(large[term] >= amount for term, amount in small.items())
    two = amounts(transpose((40, 30, 500), perm), threads=2)
    assert all(two[term] <= amount for term, amount in large.items())
