"""Amounts of convolutions in blocked layout, counted by hand on a machine of 16 lanes."""

from __future__ import annotations

import pytest

from mlsys_lint.records import Kernel, NodeView, OpCost, TensorInfo
from mlsys_lint_plugins.runtimes.onnxruntime.timing.convolution import blocks_of, filter_sets, terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine


def _machine(threads: int = 1) -> Machine:
    caches = {"l1": 32 << 10, "l2": 1 << 20, "l3": 32 << 20}
    return Machine(threads=threads, lanes=16, caches=caches)


def _conv(
    x: tuple[int, ...], weight: tuple[int, ...], *, pad: int = 0, groups: int = 1, act: str = ""
) -> Kernel:
    out = tuple(size + 2 * pad - kernel + 1 for size, kernel in zip(x[2:], weight[2:], strict=True))

    def tensor(*shape: int) -> TensorInfo:
        return TensorInfo(name="t", dtype="float", shape=shape)

    view = NodeView(
        index=0,
        op_type="Conv",
        domain="com.microsoft.nchwc",
        opset=1,
        inputs=(tensor(*x), tensor(*weight)),
        outputs=(tensor(x[0], weight[0], *out),),
        attributes={"pads": (pad,) * 4, "group": groups, **({"activation": act} if act else {})},
    )
    return Kernel(
        nodes=(0,),
        op="com.microsoft.nchwc::Conv",
        cost=OpCost(),
        kernel_class="conv",
        dtype="float",
        view=view,
    )


@pytest.mark.parametrize(
    ("count", "blocks"),
    [
        (12, [(6, 2)]),
        (11, [(6, 1), (3, 1), (2, 1)]),
        (4, [(3, 1), (1, 1)]),
        (1, [(1, 1)]),
        (0, []),
    ],
)
def test_a_row_is_cut_into_blocks(count: int, blocks: list[tuple[int, int]]) -> None:
    assert list(blocks_of(count)) == blocks
    assert sum(width * times for width, times in blocks) == count


def test_filters_are_taken_by_four_vectors() -> None:
    assert list(filter_sets(9)) == [(4, 2), (1, 1)]
    assert list(filter_sets(3)) == [(3, 1)]


def test_dense() -> None:
    """3x3, 64 to 64 channels, 14x14, padded by one.

    4 filter vectors are one set; 64 input channels are 4 passes of 16. A row has 12 whole windows
    (2 blocks of 6) and 2 that lose a column. Filter rows inside the image: (2 + 12 x 3 + 2) / 14.
    Steps of whole blocks: 14 rows x 2 blocks x 4 passes x 40/14 x 3 columns x 16 channels = 15,360,
    of 24 vector products each; of the edges 14 x 2 x 4 x 40/14 x 2 x 16 = 10,240, of 4 each:
    409,600 products of 16 lanes, twice that in FLOPs. It equals 2 x 40 x 40 x 64 x 64: the padding
    is skipped. Each edge step leaves 4 of 8 slots idle. Outputs: 14 x 14 x 4 vectors x 4 passes.
    """
    name, amounts = terms(_conv((1, 64, 14, 14), (64, 64, 3, 3), pad=1), _machine()) or ("", {})
    assert name == "conv"
    assert amounts["flop"] == pytest.approx(2 * 40 * 40 * 64 * 64)
    assert amounts["stall"] == pytest.approx(4 * 10_240)
    assert amounts["output"] == pytest.approx(14 * 14 * 4 * 4)
    assert amounts["call"] == 14 * 4
    assert amounts["kernel"] == 1


def test_pointwise() -> None:
    """128 to 96 channels over 25 positions: sets of 4 and of 2 vectors, blocks of 6 x 4 and of 1.

    FLOPs as they stand, 2 x 25 x 128 x 96. Idle: 128 steps x (8 - 4) and 128 x (8 - 2). One pass
    over 128 channels writes 25 x 6 vectors.
    """
    name, amounts = terms(_conv((1, 128, 5, 5), (96, 128, 1, 1)), _machine()) or ("", {})
    assert name == "conv_pointwise"
    assert amounts["flop"] == 2 * 25 * 128 * 96
    assert amounts["stall"] == 128 * 4 + 128 * 6
    assert amounts["output"] == 150
    assert amounts["call"] == 2


def test_depthwise() -> None:
    """3x3 on 32 channels, 8x8, padded by one: 2 vectors x 8 rows, 22/8 filter rows inside.

    6 whole windows are one block: 3 columns x (1 filter + 6 inputs); 2 edges of 2 columns.
    """
    kernel = _conv((1, 32, 8, 8), (32, 1, 3, 3), pad=1, groups=32)
    name, amounts = terms(kernel, _machine()) or ("", {})
    assert name == "conv_depthwise"
    assert amounts["tap"] == pytest.approx(16 * 22 / 8 * 3 * 7)
    assert amounts["edge_tap"] == pytest.approx(16 * 22 / 8 * 2 * 2)
    assert amounts["block"] == 16 * 3
    assert amounts["output"] == 16 * 8


def test_three_channels_are_a_stem() -> None:
    """All 3 channels in one pass: 4 positions x 27 taps x 16 filters."""
    name, amounts = terms(_conv((1, 3, 4, 4), (16, 3, 3, 3)), _machine()) or ("", {})
    assert name == "conv_stem"
    assert amounts["flop"] == 2 * 4 * 27 * 16


def test_channels_are_padded_to_a_vector() -> None:
    padded = terms(_conv((1, 64, 8, 8), (20, 64, 1, 1)), _machine()) or ("", {})
    whole = terms(_conv((1, 64, 8, 8), (32, 64, 1, 1)), _machine()) or ("", {})
    assert padded[1]["flop"] == whole[1]["flop"]


def test_an_activation_besides_relu_is_a_pass_of_its_own() -> None:
    relu = terms(_conv((1, 64, 8, 8), (32, 64, 1, 1), act="Relu"), _machine()) or ("", {})
    swish = terms(_conv((1, 64, 8, 8), (32, 64, 1, 1), act="HardSwish"), _machine()) or ("", {})
    assert not any(term.startswith("activation") for term in relu[1])
    assert swish[1]["activation_hardswish"] == 64 * 2


def test_two_threads_share_rows() -> None:
    """14 rows of one set: 7 each. 5 rows: 3 of 5."""
    one = terms(_conv((1, 64, 14, 14), (64, 64, 3, 3), pad=1), _machine()) or ("", {})
    two = terms(_conv((1, 64, 14, 14), (64, 64, 3, 3), pad=1), _machine(2)) or ("", {})
    assert two[1]["flop"] == pytest.approx(one[1]["flop"] / 2)
    assert two[1]["fork"] == 1
    odd_one = terms(_conv((1, 64, 5, 5), (64, 64, 1, 1)), _machine()) or ("", {})
    odd_two = terms(_conv((1, 64, 5, 5), (64, 64, 1, 1)), _machine(2)) or ("", {})
    assert odd_two[1]["flop"] == pytest.approx(odd_one[1]["flop"] * 3 / 5)


def test_other_kernels_are_not_its_own() -> None:
    kernel = _conv((1, 64, 8, 8), (32, 64, 1, 1))
    plain = Kernel(
        nodes=(0,),
        op="ai.onnx::Conv",
        cost=OpCost(),
        kernel_class="conv",
        dtype="float",
        view=kernel.view,
    )
    assert terms(plain, _machine()) is None
