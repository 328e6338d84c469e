from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlsys_lint.records import Contraction, Kernel
from mlsys_lint_plugins.runtimes.onnxruntime.timing.products import terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing.sgemm import (
    Product,
    column_blocks,
    panel_of,
    product_terms,
    row_blocks,
    share_of,
    threads_of,
)
from timed_kernels import kernel, machine, tensor


def gemm(m: int, n: int, k: int, *, bias: bool = True, **attributes: Any) -> Kernel:
    """A product by a constant matrix that is stored transposed."""
    weight = replace(tensor(n, k), constant=True)
    inputs = [tensor(m, k), weight, *([tensor(n)] if bias else [])]
    op, domain = ("FusedGemm", "com.microsoft") if attributes else ("Gemm", "")
    one = kernel(op, inputs, tensor(m, n), domain=domain, transB=1, **attributes)
    return _with_product(one, Contraction(m=m, n=n, k=k, dtype="float"))


def stack(batch: int, m: int, n: int, k: int, **attributes: Any) -> Kernel:
    """Products of computed tensors; B is stored transposed where `transB` says so."""
    right = (batch, n, k) if attributes.get("transB") else (batch, k, n)
    one = kernel(
        "FusedMatMul",
        [tensor(batch, m, k), tensor(*right)],
        tensor(batch, m, n),
        domain="com.microsoft",
        **attributes,
    )
    return _with_product(one, Contraction(batch=batch, m=m, n=n, k=k, dtype="float"))


def _with_product(one: Kernel, product: Contraction) -> Kernel:
    return replace(one, cost=replace(one.cost, contractions=(product,)))


def amounts(one: Kernel, threads: int = 1) -> dict[str, float]:
    found = terms(one, machine(threads))
    assert found is not None
    return dict(found[1])


@pytest.mark.parametrize(
    ("rows", "lanes", "expected"),
    [
        (1, 16, [(1, 1)]),
        (6, 16, [(6, 1)]),
        (11, 16, [(6, 1), (5, 1)]),
        (31, 16, [(12, 2), (6, 1), (1, 1)]),
        (31, 8, [(6, 5), (1, 1)]),
    ],
)
def test_rows_are_cut_into_register_blocks(
    rows: int, lanes: int, expected: list[tuple[int, int]]
) -> None:
    assert list(row_blocks(rows, lanes)) == expected


def test_columns_are_cut_into_pairs_of_vectors() -> None:
    # 128 columns: 4 pairs of 16 lanes; the other 49: a pair of 32, then 17, which take a pair too.
    assert column_blocks(177, 128, 16) == {2: 6, 1: 0}
    # 40 = a pair and 8, which take one vector.
    assert column_blocks(40, 128, 16) == {2: 1, 1: 1}


def test_panels_of_an_unpacked_matrix_keep_their_size() -> None:
    assert panel_of(Product(m=9, n=512, k=512, packed=True)) == (128, 256)
    assert panel_of(Product(m=9, n=512, k=512)) == (128, 128)
    # k = 20 fits into 32 rows: 128 columns x 4.
    assert panel_of(Product(m=9, n=512, k=20)) == (512, 32)
    # n = 30 fits into 32 columns: 128 rows x 4.
    assert panel_of(Product(m=9, n=30, k=512)) == (32, 512)


def test_product_by_a_packed_matrix() -> None:
    # 13 rows: blocks of 12 and 1. 40 columns: a pair of vectors, and one. k = 300: 2 passes.
    found = terms(gemm(13, 40, 300), machine())
    assert found is not None
    name, amount = found
    assert name == "gemm"
    assert amount["flop"] == 2 * 16 * 300 * (12 + 1) * (2 + 1)
    # Of 8 slots the row alone fills 2 and 1.
    assert amount["stall"] == 300 * (6 + 7)
    assert amount["block"] == 2 * 2 * 2
    assert amount["output"] == 2 * 13 * 3
    assert amount["bias"] == 13 * 40
    assert "pack" not in amount
    assert "pack_transposed" not in amount


def test_one_row_is_a_class_of_its_own() -> None:
    found = terms(gemm(1, 64, 128, bias=False), machine())
    # 64 columns: 2 pairs of vectors, in one pass.
    assert found == ("gemv", {"flop": 2 * 16 * 128 * 4, "block": 2, "kernel": 1})


def test_rows_that_share_the_sets_of_a_cache() -> None:
    # 1,024 floats are 4,096 bytes: all 12 rows fall into the same set, which holds 8.
    assert amounts(gemm(12, 32, 1024))["conflict"] == 12 * 1024
    # At 512 floats two sets take 6 each.
    assert "conflict" not in amounts(gemm(12, 32, 512))


def test_tensors_that_later_panels_read_again() -> None:
    # A of 4 MiB, 4 panels of columns: found in the third level 3 times. C of 2 MiB is beyond
    # the second wholly, where the bias has been written before; k = 256 is one pass.
    found = amounts(gemm(4096, 512, 256))
    c = 4 * 4096 * 512
    a = 4 * 4096 * 256
    assert found["again_l3"] == 3 * a + c
    assert amounts(gemm(4096, 512, 256, bias=False))["again_l3"] == 3 * a


def test_activations_pass_over_the_result() -> None:
    assert amounts(gemm(4, 32, 16, activation="Relu"))["relu"] == 4 * 32
    assert amounts(gemm(4, 32, 16, activation="Tanh"))["transcendental"] == 4 * 32


def test_stacks_are_packed_on_the_way() -> None:
    found = terms(stack(3, 20, 40, 64, transB=1), machine())
    assert found is not None
    name, amount = found
    assert name == "batched_matmul"
    assert amount["product"] == 3
    # 40 columns are packed as 48.
    assert amount["pack_transposed"] == 3 * 48 * 64
    assert amounts(stack(3, 20, 40, 64))["pack"] == 3 * 48 * 64


def test_a_row_by_an_unpacked_matrix_takes_a_shortcut_unless_it_is_scaled() -> None:
    assert amounts(stack(2, 1, 40, 64)) == {
        "axpy": 2 * 40 * 64,
        "axpys": 2 * 16,
        "product": 2,
        "kernel": 1,
    }
    assert amounts(stack(2, 1, 40, 64, transB=1))["dot"] == 2 * 40 * 64
    assert "dot" not in amounts(stack(2, 1, 40, 64, transB=1, alpha=0.5))
    # A scale that the runtime has fused shows as a node more than the product and its transpose.
    fused = replace(stack(2, 1, 40, 64, transB=1), nodes=(0, 1, 2))
    assert amounts(fused)["pack_transposed"] == 2 * 48 * 64


def test_threads_divide_the_longer_side() -> None:
    # 100 x 1,000 x 64 = 6.4 M multiply-adds want 98 threads. 63 groups of 16 columns: 32 of them.
    wide = Product(m=100, n=1000, k=64, packed=True)
    assert share_of(wide, machine(2)).n == 512
    assert share_of(Product(m=1000, n=100, k=64), machine(2)).m == 500
    # 65,536 of them are wanted for a second thread.
    assert threads_of(Product(m=16, n=64, k=63), machine(2)) == 1
    assert threads_of(Product(m=16, n=64, k=64), machine(2)) == 2
    # Products of a batch go to threads whole: 2 of 3.
    assert share_of(Product(batch=3, m=10, n=10, k=10), machine(2)).batch == 2


@pytest.mark.parametrize(
    "product",
    [
        Product(m=64, n=64, k=64, packed=True),
        Product(m=1, n=640, k=640, packed=True),
        Product(batch=12, m=49, n=49, k=32, trans_b=True),
        Product(batch=5, m=1, n=100, k=64),
        Product(m=300, n=300, k=2000, trans_a=True),
    ],
    ids=str,
)
def test_more_work_never_costs_less_and_two_threads_never_more(product: Product) -> None:
    small, one, two = (
        product_terms(size, machine(threads))
        for size, threads in (
            (replace(product, k=product.k // 2), 1),
            (product, 1),
            (product, 2),
        )
    )
    assert all(amount <= one[name] for name, amount in small.items())
    # The last block of half the rows may be narrower, and stall.
    same = two.keys() - {"fork", "stall"}
    assert all(two[name] <= one[name] for name in same)


def test_other_kernels_are_none_of_its_business() -> None:
    assert terms(kernel("Relu", [tensor(2)], tensor(2)), machine()) is None
