"""Amounts of pools, counted by hand on a machine of 16 lanes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mlsys_lint.records import Kernel, NodeView, OpCost, TensorInfo
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine
from mlsys_lint_plugins.runtimes.onnxruntime.timing.pooling import terms

Sizes = tuple[int, ...]
BLOCKED = "com.microsoft.nchwc"


def _pool(
    op_type: str,
    x: Sizes,
    y: Sizes,
    *,
    threads: int = 1,
    domain: str = "",
    opset: int = 22,
    results: int = 1,
    **attributes: Sizes,
) -> tuple[str, Mapping[str, float]]:
    view = NodeView(
        index=0,
        op_type=op_type,
        domain=domain,
        opset=opset,
        inputs=(TensorInfo(name="x", dtype="float", shape=x),),
        outputs=(TensorInfo(name="y", dtype="float", shape=y),) * results,
        attributes=attributes,
    )
    kernel = Kernel(
        nodes=(0,),
        op=f"{domain or 'ai.onnx'}::{op_type}",
        cost=OpCost(),
        kernel_class="pool",
        dtype="float",
        view=view,
    )
    caches = {"l1": 32 << 10, "l2": 1 << 20, "l3": 32 << 20}
    found = terms(kernel, Machine(threads=threads, lanes=16, caches=caches))
    assert found is not None
    return found


def test_blocked() -> None:
    """2 blocks of channels x 8 rows; a row has 6 whole windows and 2 that lose a column.

    Rows of the window inside the image: (2 + 6 x 3 + 2) / 8 = 2.75, of 3 positions or 2.
    """
    name, amounts = _pool(
        "MaxPool",
        (1, 32, 8, 8),
        (1, 32, 8, 8),
        domain=BLOCKED,
        kernel_shape=(3, 3),
        pads=(1, 1, 1, 1),
    )
    assert name == "pool_blocked"
    assert amounts["tap"] == pytest.approx(16 * 2.75 * 3 * 6)
    assert amounts["edge_tap"] == pytest.approx(16 * 2.75 * 2 * 2)
    assert amounts["output"] == 128
    assert amounts["call"] == 16


def test_a_global_pool_is_one_chain_of_sums() -> None:
    name, amounts = _pool("GlobalAveragePool", (1, 32, 4, 4), (1, 32, 1, 1), domain=BLOCKED)
    assert name == "pool_blocked"
    assert amounts["sum_chain"] == 2 * 16


def test_rows_are_reduced_upright_then_along() -> None:
    """3 channels x 4 rows: 2 rows of 2 vectors upright, 2 positions for 2 pairs of outputs."""
    name, amounts = _pool(
        "MaxPool", (1, 3, 8, 8), (1, 3, 4, 4), kernel_shape=(2, 2), strides=(2, 2)
    )
    assert name == "pool_plain"
    assert amounts["upright"] == 12 * 2 * 2
    assert amounts["along"] == 12 * 2 * 2
    assert amounts["row"] == 12


@pytest.mark.parametrize(("opset", "name"), [(18, "pool_plain"), (19, "pool_positions")])
def test_average_pools_lost_their_vectors(opset: int, name: str) -> None:
    found, amounts = _pool(
        "AveragePool", (1, 3, 4, 4), (1, 3, 2, 2), opset=opset, kernel_shape=(2, 2), strides=(2, 2)
    )
    assert found == name
    assert amounts.get("average_tap_2d", 48) == 48  # 12 outputs of 4 positions


def test_indices_take_positions_one_by_one() -> None:
    name, amounts = _pool(
        "MaxPool", (1, 3, 4, 4), (1, 3, 2, 2), results=2, kernel_shape=(2, 2), strides=(2, 2)
    )
    assert name == "pool_positions"
    assert amounts["index_tap_2d"] == 48


def test_a_sequence_takes_positions_one_by_one() -> None:
    name, amounts = _pool("MaxPool", (1, 3, 8), (1, 3, 4), kernel_shape=(2,), strides=(2,))
    assert name == "pool_plain"
    assert amounts["tap"] == 3 * 4 * 2


@pytest.mark.parametrize("domain", ["", BLOCKED])
def test_two_threads_never_do_more_each(domain: str) -> None:
    sizes = (1, 48, 9, 9), (1, 48, 7, 7)
    alone, both = (
        _pool("MaxPool", *sizes, threads=threads, domain=domain, kernel_shape=(3, 3))[1]
        for threads in (1, 2)
    )
    assert both["fork"] == 1
    assert all(both[name] <= amount for name, amount in alone.items())


@pytest.mark.parametrize("domain", ["", BLOCKED])
def test_larger_is_never_less(domain: str) -> None:
    small, large = (
        _pool("MaxPool", (1, 32, side, side), (1, 32, side - 2, side - 2), domain=domain,
              kernel_shape=(3, 3))[1]
        for side in (10, 16)
    )  # fmt: skip
    assert all(large[name] >= amount for name, amount in small.items())
