from __future__ import annotations

import pytest

from mlsys_lint.records import Kernel
from mlsys_lint_plugins.runtimes.onnxruntime.timing.normalization import merged, terms
from timed_kernels import kernel, machine, tensor


def amounts(one: Kernel, threads: int = 1) -> dict[str, float]:
    found = terms(one, machine(threads))
    assert found is not None
    return dict(found[1])


def test_rows_of_a_layer_normalization() -> None:
    x = tensor(2, 3, 16)
    one = kernel("LayerNormalization", [x, tensor(16), tensor(16)], x, axis=-1)
    expected = {"element_centered": 96, "row": 6, "kernel": 1}
    assert terms(one, machine()) == ("layer_norm", expected)
    # 6 rows for 4 threads: two of them at most.
    expected = {"element_centered": 32, "row": 2, "kernel": 1, "fork": 1}
    assert amounts(one, threads=4) == pytest.approx(expected)


def test_the_slow_sum_before_it() -> None:
    x = tensor(6, 16)
    skip = [x, x, tensor(16)]
    one = kernel("SkipSimplifiedLayerNormalization", skip, x, domain="com.microsoft")
    assert terms(one, machine()) == ("skip_norm", {"element_scaled": 96, "row": 6, "kernel": 1})


def test_softmax_of_another_axis_is_transposed_twice() -> None:
    x = tensor(2, 8, 5)
    last = kernel("Softmax", [x], x, axis=-1, since_version=13)
    middle = kernel("Softmax", [x], x, axis=1, since_version=13)
    assert amounts(last) == {"element": 80, "row": 16, "kernel": 1}
    assert amounts(middle) == {"element": 80, "row": 10, "transposed": 160, "kernel": 1}


def test_softmax_before_opset_13_flattens() -> None:
    x = tensor(2, 8, 5)
    assert amounts(kernel("Softmax", [x], x, since_version=11))["row"] == 2


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ((2, 3), (False, [15, 28])),
        ((0, 1), (True, [15, 28])),
        ((1,), (False, [3, 5, 28])),
        ((0, 1, 2, 3), (True, [420])),
        ((1, 3), (False, [3, 5, 4, 7])),
    ],
)
def test_axes_are_merged(axes: tuple[int, ...], expected: tuple[bool, list[int]]) -> None:
    assert merged((3, 5, 4, 7), axes) == expected


@pytest.mark.parametrize(
    ("name", "axes", "term"),
    [
        ("ReduceMean", (1,), "element_inner"),
        ("ReduceL2", (1,), "element_chain"),
        ("ReduceMax", (0,), "element_outer_compared"),
        ("ReduceL2", (0, 1), "element_whole"),
        ("ReduceLogSumExp", (1,), "element_exp"),
    ],
)
def test_kinds_of_reductions(name: str, axes: tuple[int, ...], term: str) -> None:
    out = tensor(*(1 if axis in axes else size for axis, size in enumerate((6, 10))))
    along = tensor(len(axes), dtype="int64", value=axes)
    assert amounts(kernel(name, [tensor(6, 10), along], out))[term] == 60


def test_sums_of_long_rows_are_not_forwarded() -> None:
    # Rows of 8,192 sums are 32 KiB: an eighth of them lies in the 4 KiB that are forwarded.
    one = kernel("ReduceSum", [tensor(4, 8192)], tensor(1, 8192), axes=(0,))
    assert amounts(one)["forwarded"] == 4 * 8192 / 8


def test_running_sums_step_along_their_axis() -> None:
    x = tensor(4, 6, 10)
    axis = tensor(dtype="int64", value=1)
    assert amounts(kernel("CumSum", [x, axis], x))["step"] == 24


def test_kept_elements_pass_a_heap() -> None:
    # 8 rows of 16, the 3 largest of each: 8 x 3 x log2(16).
    found = amounts(kernel("TopK", [tensor(8, 16)], tensor(8, 3), axis=-1))
    assert (found["element"], found["row"], found["kept"]) == (128, 8, 96)


@pytest.mark.parametrize("name", ["LayerNormalization", "Softmax", "ReduceMean"])
def test_more_rows_never_cost_less_and_two_threads_never_more(name: str) -> None:
    def of(rows: int) -> Kernel:
        x = tensor(rows, 768)
        out = tensor(rows, 1) if name == "ReduceMean" else x
        return kernel(name, [x], out, axis=-1, axes=(1,), since_version=13)

    small, large = amounts(of(300)), amounts(of(900))
    assert all(large[term] >= amount for term, amount in small.items())
    two = amounts(of(900), threads=2)
    assert all(two[term] <= amount for term, amount in large.items())
