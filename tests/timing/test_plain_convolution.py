"""Amounts of convolutions in plain layout, counted by hand."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mlsys_lint.records import Kernel, NodeView, OpCost, TensorInfo
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine
from mlsys_lint_plugins.runtimes.onnxruntime.timing.plain_convolution import Product, terms

Sizes = tuple[int, ...]


def _machine(threads: int = 1) -> Machine:
    return Machine(threads=threads, lanes=16, caches={"l1": 32 << 10, "l2": 1 << 20, "l3": 1 << 25})


def _amounts(
    op_type: str, sizes: tuple[Sizes, Sizes, Sizes], threads: int = 1, **attributes: int | Sizes
) -> Mapping[str, float]:
    x, weight, y = (TensorInfo(name="t", dtype="float", shape=shape) for shape in sizes)
    view = NodeView(
        index=0, op_type=op_type, opset=22, inputs=(x, weight), outputs=(y,), attributes=attributes
    )
    kernel = Kernel(
        nodes=(0,),
        op=f"ai.onnx::{op_type}",
        cost=OpCost(),
        kernel_class="conv",
        dtype="float",
        view=view,
    )
    found = terms(kernel, _machine(threads))
    assert found is not None
    assert found[0] == "conv_plain"
    return found[1]


DENSE = ((1, 8, 10, 10), (20, 8, 3, 3), (1, 20, 10, 10))


def test_dense() -> None:
    """20 rows, 10 x 10 columns, a depth of 8 x 9.

    7 panels of 16 columns: 2 x 20 x 112 x 72 FLOPs; 2 blocks of 12 rows load them 72 times each.
    Patches are copied in runs of 10.
    """
    amounts = _amounts("Conv", DENSE, pads=(1, 1, 1, 1))
    assert amounts["flop"] == 2 * 20 * 112 * 72
    assert amounts["load"] == 2 * 7 * 72
    assert amounts["pack"] == 112 * 72
    assert amounts["output"] == 20 * 100
    assert amounts["copy"] == 7200
    assert amounts["run"] == 720
    assert "gather" not in amounts


def test_a_stride_gathers() -> None:
    amounts = _amounts(
        "Conv", ((1, 8, 10, 10), (20, 8, 3, 3), (1, 20, 5, 5)), pads=(1,) * 4, strides=(2, 2)
    )
    assert amounts["gather"] == 25 * 72
    assert "copy" not in amounts


def test_one_position_is_a_product_of_the_input_itself() -> None:
    amounts = _amounts("Conv", ((1, 8, 10, 10), (20, 8, 1, 1), (1, 20, 10, 10)))
    assert amounts["flop"] == 2 * 20 * 112 * 8
    assert not {"copy", "gather", "run"} & amounts.keys()


def test_filters_of_one_channel() -> None:
    """6 products of one row by 100 columns, 9 deep: no packing."""
    amounts = _amounts(
        "Conv", ((1, 6, 10, 10), (6, 1, 3, 3), (1, 6, 10, 10)), pads=(1,) * 4, group=6
    )
    assert amounts["mac"] == 6 * 100 * 9
    assert amounts["group"] == 6
    assert "pack" not in amounts


@pytest.mark.parametrize(
    ("columns", "depth", "slices"),
    [
        (1000, 128, 1),
        (1000, 129, 2),
        (16, 576, 1),  # narrow columns leave room for 1,024 rows
        (100, 576, 5),
    ],
)
def test_slices_of_the_depth(columns: int, depth: int, slices: int) -> None:
    assert Product(times=1, rows=8, columns=columns, depth=depth).slices == slices


def test_threads_share_columns() -> None:
    """144,000 multiply-adds are worth 3 threads; of 2 each takes at most 64 columns, 4 panels."""
    amounts = _amounts("Conv", DENSE, 2, pads=(1, 1, 1, 1))
    assert amounts["flop"] == 2 * 20 * 64 * 72
    assert amounts["fork"] == 1


def test_threads_share_images_whole() -> None:
    """Of 3 images one thread takes 2."""
    sizes = ((3, 8, 10, 10), (20, 8, 3, 3), (3, 20, 10, 10))
    amounts = _amounts("Conv", sizes, 2, pads=(1, 1, 1, 1))
    assert amounts["flop"] == 2 * 2 * 20 * 112 * 72


def test_transposed() -> None:
    """12 rows (3 channels, 2 x 2) by 25 columns, 4 deep; 300 sums are scattered in runs of 5."""
    amounts = _amounts("ConvTranspose", ((1, 4, 5, 5), (4, 3, 2, 2), (1, 3, 10, 10)))
    assert amounts["flop"] == 2 * 12 * 32 * 4
    assert amounts["scatter"] == 300
    assert amounts["scatter_run"] == 60
    assert amounts["sum"] == 300


def test_deformed() -> None:
    """2 channels x 9 positions of the filter x 36 outputs are interpolated."""
    amounts = _amounts("DeformConv", ((1, 2, 6, 6), (4, 2, 3, 3), (1, 4, 6, 6)))
    assert amounts["sample"] == 648
    assert amounts["flop"] == 2 * 4 * 48 * 18


@pytest.mark.parametrize("threads", [1, 2])
def test_larger_is_never_less(threads: int) -> None:
    small = _amounts("Conv", DENSE, threads, pads=(1,) * 4)
    wide = ((1, 8, 10, 10), (40, 8, 3, 3), (1, 40, 10, 10))
    large = _amounts("Conv", wide, threads, pads=(1,) * 4)
    assert all(large[name] >= amount for name, amount in small.items())


def test_two_threads_never_do_more_each() -> None:
    alone, both = (_amounts("Conv", DENSE, threads, pads=(1,) * 4) for threads in (1, 2))
    assert all(both[name] <= amount for name, amount in alone.items())


def test_other_operators_are_not_its_own() -> None:
    kernel = Kernel(nodes=(), op="ai.onnx::Relu", cost=OpCost(), kernel_class="x", dtype="float")
    assert terms(kernel, _machine()) is None
