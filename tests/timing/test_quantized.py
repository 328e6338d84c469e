"""Amounts of kernels of integers, counted by hand on a machine of 16 lanes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mlsys_lint.records import Kernel, NodeView, OpCost, TensorInfo
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine
from mlsys_lint_plugins.runtimes.onnxruntime.timing.quantized import terms

Sizes = tuple[int, ...]


def _tensor(dtype: str, *shape: int, constant: bool = False) -> TensorInfo:
    return TensorInfo(name="t", dtype=dtype, shape=shape, constant=constant)


SCALE = _tensor("float")
ZERO = _tensor("uint8")


def _amounts(
    op_type: str,
    inputs: tuple[TensorInfo, ...],
    output: TensorInfo,
    threads: int = 1,
    **attributes: int | Sizes,
) -> tuple[str, Mapping[str, float]]:
    view = NodeView(
        index=0, op_type=op_type, opset=1, inputs=inputs, outputs=(output,), attributes=attributes
    )
    kernel = Kernel(
        nodes=(0,), op=op_type, cost=OpCost(), kernel_class="x", dtype="uint8", view=view
    )
    caches = {"l1": 32 << 10, "l2": 1 << 20, "l3": 32 << 20}
    found = terms(kernel, Machine(threads=threads, lanes=16, caches=caches))
    assert found is not None
    return found


def _conv(
    channels: int,
    weight: Sizes,
    *,
    threads: int = 1,
    groups: int = 1,
    types: tuple[str, str] = ("uint8", "int8"),
) -> tuple[str, Mapping[str, float]]:
    """A convolution of 10 x 10 positions, padded by one, channels last."""
    x = _tensor(types[0], 1, 10, 10, channels)
    inputs = (x, SCALE, ZERO, _tensor(types[1], *weight, constant=True), SCALE, ZERO, SCALE, ZERO)
    y = _tensor(types[0], 1, 10, 10, weight[0])
    return _amounts("QLinearConv", inputs, y, threads, pads=(1,) * 4, group=groups, channels_last=1)


def test_whole_blocks_of_channels() -> None:
    """32 filters are 2 vectors, 16 channels x 9 taps are 36 steps of 4 bytes.

    100 positions are 17 blocks of 6, the last one of which is filled up: 17 x 6 x 2 x 36 products.
    """
    name, amounts = _conv(16, (32, 16, 3, 3))
    assert name == "integer_conv"
    assert amounts["dot4"] == 17 * 6 * 2 * 36
    assert amounts["requantized"] == 200
    assert amounts["pointer"] == 900
    assert "fork" not in amounts


def test_tasks_are_shared() -> None:
    """65,536 multiply-adds are 15 positions of 4,608, so 18; 6 tasks, of which each thread has 3.

    54 positions are 9 blocks.
    """
    _, amounts = _conv(16, (32, 16, 3, 3), threads=2)
    assert amounts["dot4"] == 9 * 6 * 2 * 36
    assert amounts["fork"] == 1


def test_filters_of_one_channel() -> None:
    """16 channels are one vector: 100 positions x 9 taps."""
    name, amounts = _conv(16, (16, 1, 3, 3), groups=16)
    assert name == "integer_depthwise"
    assert amounts["tap"] == 900
    assert amounts["requantized"] == 100


def test_filters_of_one_channel_that_fill_no_vector() -> None:
    """20 channels are 2 halves of 8 and 4 single ones."""
    name, amounts = _conv(20, (20, 1, 3, 3), groups=20)
    assert name == "integer_depthwise"
    assert amounts["plain_tap"] == 100 * 2 * 9
    assert amounts["single_tap"] == 100 * 4 * 9


@pytest.mark.parametrize(
    ("types", "term", "steps"),
    [
        (("uint8", "int8"), "dot4", 7),  # 27 bytes: 7 steps of 4
        (("uint8", "uint8"), "dot2", 14),
        (("int8", "int8"), "dot1", 27),
    ],
)
def test_three_channels_become_patches(types: tuple[str, str], term: str, steps: int) -> None:
    """32 filters are 2 panels of 16; patches of 27 bytes are copied in runs of 3."""
    name, amounts = _conv(3, (32, 3, 3, 3), types=types)
    assert name == "integer_product"
    assert amounts[term] == 100 * 2 * steps
    assert amounts["patch"] == 2700
    assert amounts["patch_run"] == 900


def _product(rows: int, threads: int = 1) -> Mapping[str, float]:
    b = _tensor("int8", 64, 40, constant=True)
    inputs = (_tensor("uint8", 1, rows, 64), SCALE, ZERO, b, SCALE, ZERO, SCALE, ZERO)
    name, amounts = _amounts("QLinearMatMul", inputs, _tensor("uint8", 1, rows, 40), threads)
    assert name == "integer_product"
    return amounts


def test_product() -> None:
    """40 columns are 3 panels, 64 bytes 16 steps: 48 for each of 10 rows."""
    amounts = _product(10)
    assert amounts["dot4"] == 480
    assert amounts["stall"] == 0  # 4 rows are left of blocks of 6: 12 sums under way
    assert amounts["scaled"] == 400
    assert amounts["sum"] == 400


def test_one_row_waits_for_its_sums() -> None:
    """3 sums under way of the 8 that it takes, 16 times."""
    assert _product(1)["stall"] == 16 * 5


def test_two_threads_never_do_more_each() -> None:
    alone, both = _product(200), _product(200, 2)
    assert both["dot4"] == 4800
    assert all(both[name] <= amount for name, amount in alone.items())


@pytest.mark.parametrize(("rows", "accuracy", "term"), [(1, 0, "row"), (3, 4, "dot")])
def test_weights_of_four_bits(rows: int, accuracy: int, term: str) -> None:
    inputs = (_tensor("float", rows, 64), _tensor("uint8", 32, 2, 16), _tensor("float", 64))
    name, amounts = _amounts(
        "MatMulNBits", inputs, _tensor("float", rows, 32), accuracy_level=accuracy
    )
    assert name == "matmul_nbits"
    assert amounts[term] == rows * 64 * 32


@pytest.mark.parametrize(
    ("scale", "axis", "runs"),
    [((), 1, 1), ((6,), 1, 24), ((5,), 2, 120), ((5,), -1, 120), ((4,), 0, 4)],
)
def test_runs_of_one_scale(scale: Sizes, axis: int, runs: int) -> None:
    inputs = (_tensor("float", 4, 6, 5), _tensor("float", *scale), ZERO)
    name, amounts = _amounts("QuantizeLinear", inputs, _tensor("uint8", 4, 6, 5), axis=axis)
    assert name == "convert"
    assert amounts["quantized"] == 120
    assert amounts["quantized_run"] == runs


@pytest.mark.parametrize(
    ("other", "spans"),
    [((1, 3, 4, 4), 1), ((1, 3, 1, 1), 3), ((4,), 12), ((1, 1, 4, 4), 3), ((1, 1, 1, 1), 1)],
)
def test_spans(other: Sizes, spans: int) -> None:
    inputs = (_tensor("uint8", 1, 3, 4, 4), SCALE, ZERO, _tensor("uint8", *other))
    _, amounts = _amounts("QLinearAdd", inputs, _tensor("uint8", 1, 3, 4, 4))
    assert amounts["added"] == 48
    assert amounts["span"] == spans


def test_more_elements_are_never_less() -> None:
    small, large = (
        _amounts("QLinearSigmoid", (_tensor("uint8", count),), _tensor("uint8", count), 2)[1]
        for count in (1000, 300_000)
    )
    assert large["looked_up"] == 150_000
    assert all(large[name] >= amount for name, amount in small.items())
