from __future__ import annotations

import numpy as np
import pytest

from mlsys_lint.records import Kernel
from mlsys_lint_plugins.runtimes.onnxruntime.timing.elementwise import (
    LONG,
    SHORT,
    spans,
    terms,
)
from mlsys_lint_plugins.runtimes.onnxruntime.timing.models.elementwise import elementwise
from timed_kernels import kernel, machine, tensor


def amounts(one: Kernel, threads: int = 1) -> dict[str, float]:
    found = terms(one, machine(threads))
    assert found is not None
    return dict(found[1])


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((2, 3, 4), (2, 3, 4), 1),
        ((2, 3, 4), (), 1),
        ((2, 3, 4), (4,), 6),  # a row at a time
        ((2, 3, 4), (3, 1), 6),  # one number for each row of 4
        ((2, 3, 4), (3, 4), 2),
        ((1, 8, 5, 5), (1, 8, 1, 1), 8),
        ((1, 8, 1, 1), (1, 8, 5, 5), 8),
        ((2, 1, 4), (2, 1, 4), 1),  # an axis of 1 in both is passed over
        ((30, 1), (), 30),  # but not one that only one of them has
    ],
)
def test_spans(a: tuple[int, ...], b: tuple[int, ...], expected: int) -> None:
    assert spans(np.broadcast_shapes(a, b), a, b) == expected


def test_a_function_costs_by_element() -> None:
    one = kernel("Relu", [tensor(10, 20)], tensor(10, 20))
    assert terms(one, machine()) == ("unary", {"element_Relu": 200, "kernel": 1})


def test_a_long_function_hides_its_memory() -> None:
    # 4 MiB in and out; two threads have half each.
    one = kernel("Erf", [tensor(1024, 1024)], tensor(1024, 1024))
    assert terms(one, machine(2)) == (
        "unary_long",
        {"element_Erf": 1024 * 512, "kernel": 1, "fork": 1},
    )


def test_a_swish_needs_no_factor() -> None:
    swish = kernel("QuickGelu", [tensor(8)], tensor(8), domain="com.microsoft", alpha=1.0)
    gelu = kernel("QuickGelu", [tensor(8)], tensor(8), domain="com.microsoft")
    assert "scaled" not in amounts(swish)
    assert amounts(gelu)["scaled"] == 8


def test_broadcast_rows() -> None:
    one = kernel("Add", [tensor(6, 10), tensor(10)], tensor(6, 10))
    assert terms(one, machine()) == ("binary", {"span": 6, "element_add": 60, "kernel": 1})


def test_long_integers_are_two_words() -> None:
    pair = [tensor(50, dtype="int64"), tensor(50, dtype="int64")]
    assert amounts(kernel("Mul", pair, tensor(50, dtype="int64")))["element_add"] == 100


def test_a_sum_of_three_is_two_passes() -> None:
    found = amounts(kernel("Sum", [tensor(40)] * 3, tensor(40)))
    assert (found["element"], found["span"]) == (80, 2)


def test_where_chooses_fills_and_merges() -> None:
    # condition [4, 1] and [4, 5]: one condition for each row of 5, so 20 elements copied in 4 spans;
    # with the number: 4 conditions filled one by one, in a span of their own; merged: 4 rows.
    one = kernel("Where", [tensor(4, 1, dtype="bool"), tensor(4, 5), tensor()], tensor(4, 5))
    found = amounts(one)
    assert found["copied"] == 24 - found.get("masked", 0)
    assert found["merged"] == 20


def test_squares_are_products() -> None:
    square = kernel("Pow", [tensor(9), tensor(value=2.0)], tensor(9))
    root = kernel("Pow", [tensor(9), tensor(value=0.5)], tensor(9))
    assert amounts(square) == {"element_product": 9, "kernel": 1}
    assert amounts(root) == {"element_power": 9, "kernel": 1}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("bool", "int64", "byte_int64"),
        ("bfloat16", "float", "float16_float"),
        ("uint8", "uint8", "float_int32"),
        ("double", "int64", "float_int64"),
    ],
)
def test_rare_casts_stand_with_common_ones(before: str, after: str, expected: str) -> None:
    one = kernel("Cast", [tensor(9, dtype=before)], tensor(9, dtype=after))
    assert f"element_{expected}" in amounts(one)


def test_casts_go_by_pairs_of_types() -> None:
    one = kernel("Cast", [tensor(9)], tensor(9, dtype="float16"), to=10)
    assert amounts(one) == {"element_float_float16": 9, "kernel": 1}


@pytest.mark.parametrize("name", ["Relu", "Erf", "Add", "Where", "Sum", "Pow"])
def test_more_elements_never_cost_less_and_two_threads_never_more(name: str) -> None:
    def of(count: int) -> Kernel:
        x = tensor(4, count)
        flags = [tensor(4, count, dtype="bool")] if name == "Where" else []
        return kernel(name, [*flags, x] if name in ("Relu", "Erf") else [*flags, x, x], x)

    small, large = amounts(of(100_000)), amounts(of(200_000))
    assert all(large[term] >= amount for term, amount in small.items())
    two = amounts(of(200_000), threads=2)
    assert all(two[term] <= amount for term, amount in large.items())


def test_every_function_is_timed() -> None:
    timed = {node.op_type for net in elementwise() for node in net.model().graph.node}
    assert timed >= {*SHORT, *LONG}
