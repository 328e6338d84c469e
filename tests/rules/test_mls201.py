from __future__ import annotations

import pytest

from mlsys_lint.records import Contraction, KernelReport
from mlsys_lint_plugins.rules.gemv_shaped_matmul import check
from report_values import device, kernel, node, report


def _product(
    m: int,
    n: int = 4096,
    k: int = 4096,
    *,
    constant: bool = True,
    time_s: float | None = 1e-3,
    ridge: float | None = 10.0,
    kernel_class: str = "gemm",
) -> KernelReport:
    weight = 4 * k * n
    return kernel(
        0,
        kernel_class=kernel_class,
        contractions=[Contraction(m=m, n=n, k=k, dtype="float")],
        bytes_read=weight + 4 * m * k,
        bytes_written=4 * m * n,
        weight_bytes=weight if constant else 0,
        time_s=time_s,
        ridge=ridge,
    )


def test_the_lectures_vector_product() -> None:
    # 2 * 4096^2 = 33.6 MFLOP; 4 * (4096^2 + 2 * 4096) = 67.14 MB; intensity 0.49976 FLOP/byte.
    (hit,) = check(report([node(0, "MatMul")], device(_product(1))))
    assert hit.message == (
        "product 1 x 4096 by 4096 x 4096, 100 % of the time: 67.1 MB moved for 33.6 M FLOPs, "
        "0.500 F/B where the ridge is 10.0"
    )
    assert (hit.node, hit.device, hit.saving_s) == (0, "toy", None)
    assert "a batch of 8 reads the weights once" in hit.help


def test_operands_that_change_share_nothing_in_a_batch() -> None:
    (hit,) = check(report([node(0, "MatMul")], device(_product(1, constant=False))))
    assert "a batch shares nothing" in hit.help


def test_several_products_are_one_hit_at_the_slowest() -> None:
    slow = kernel(
        1,
        kernel_class="gemv",
        contractions=[Contraction(m=2, n=8, k=8, dtype="float")],
        bytes_read=1000,
        time_s=5e-3,
    )
    (hit,) = check(report([node(0, "MatMul"), node(1, "Gemm")], device(_product(1), slow)))
    assert hit.node == 1
    assert hit.message.startswith("2 products like 2 x 8 by 8 x 8, 100 % of the time: the largest")


@pytest.mark.parametrize(
    "quiet",
    [
        _product(5),  # more rows than four
        _product(4, ridge=7.9),  # 4 rows: just under 2 FLOP/byte, not far below 7.9
        _product(1, ridge=None),  # no peak: no ridge to be below
        _product(1, kernel_class="conv"),
    ],
)
def test_must_not_fire(quiet: KernelReport) -> None:
    assert list(check(report([node(0, "MatMul")], device(quiet)))) == []


def test_four_rows_far_below_the_ridge_fire() -> None:
    assert len(list(check(report([node(0, "MatMul")], device(_product(4, ridge=8.1)))))) == 1


def test_less_than_a_hundredth_of_the_time_is_quiet() -> None:
    rest = kernel(1, time_s=0.1)  # 1 ms of 101 ms is 0.99 %
    nodes = [node(0, "MatMul"), node(1)]
    assert list(check(report(nodes, device(_product(1), rest)))) == []


def test_without_times_it_still_fires() -> None:
    (hit,) = check(report([node(0, "MatMul")], device(_product(1, time_s=None))))
    assert "of the time" not in hit.message
