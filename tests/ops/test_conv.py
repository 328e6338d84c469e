"""Convolutions: implicit GEMMs and counts derived by hand."""

from __future__ import annotations

import pytest

from mlsys_lint import Contraction, NodeStatus, OpCost
from mlsys_lint.testing import estimate_text


def cost_of(text: str, opset: int = 23) -> OpCost:
    """The cost of the only node."""
    (found,) = estimate_text(text, opset=opset)
    assert found.status is NodeStatus.EXACT, found.reason
    assert found.cost is not None
    return found.cost


def conv(
    x: str, w: str, attributes: str = "group=1", inputs: str = "", operands: str = "x, w"
) -> OpCost:
    marks = ",".join("?" * (x.count(",") + 1))
    head = f"g (float[{x}] x, float[{w}] w{inputs}) => (float[{marks}] y)"
    return cost_of(f"{head} {{ y = Conv<{attributes}>({operands}) }}")


def test_the_batch_counts() -> None:
    # 3 -> 16 channels, 3x3, 32x32 positions: 16 * 1024 * 27 = 442,368 MACs an image.
    one = conv("1,3,32,32", "16,3,3,3", "pads=[1,1,1,1]")
    many = conv("32,3,32,32", "16,3,3,3", "pads=[1,1,1,1]")
    assert one.contractions == (Contraction(m=1024, n=16, k=27, dtype="float"),)
    assert (one.macs, one.flops) == (442_368, 884_736)
    assert many.contractions == (Contraction(batch=32, m=1024, n=16, k=27, dtype="float"),)
    assert many.flops == 28_311_552
    # Weights are read once, however many images there are.
    assert many.bytes_read == 4 * (32 * 3 * 1024 + 16 * 27)


@pytest.mark.parametrize(
    ("x", "w", "macs"),
    [
        ("2,3,10", "5,3,4", 2 * 5 * 7 * 12),
        ("2,3,10,9", "5,3,4,3", 2 * 5 * 7 * 7 * 36),
        ("2,3,10,9,8", "5,3,4,3,2", 2 * 5 * 7 * 7 * 7 * 72),
    ],
)
def test_every_rank(x: str, w: str, macs: int) -> None:
    assert conv(x, w).macs == macs


def test_strides_dilations_and_padding_set_the_positions() -> None:
    # (11 + 2 - 2*2 - 1) // 2 + 1 = 5 and (9 + 2 - 2*2 - 1) // 2 + 1 = 4 positions.
    cost = conv("1,3,11,9", "4,3,3,3", "strides=[2,2], dilations=[2,2], pads=[1,1,1,1]")
    assert cost.contractions[0].m == 20
    # SAME: ceil(11 / 2) * ceil(9 / 2), whatever the kernel; VALID: (11 - 4) // 2 + 1 = 4, 3.
    for mode, positions in (("SAME_UPPER", 30), ("SAME_LOWER", 30), ("VALID", 12)):
        cost = conv("1,3,11,9", "4,3,4,4", f'strides=[2,2], auto_pad="{mode}"')
        assert cost.contractions[0].m == positions


@pytest.mark.parametrize(
    ("w", "group", "shape", "kernel_class"),
    [
        ("8,4,3,3", 1, (2, 16, 8, 36), "conv"),
        ("8,4,1,1", 1, (2, 36, 8, 4), "conv_pointwise"),
        ("8,2,3,3", 2, (4, 16, 4, 18), "conv_grouped"),
        ("8,1,3,3", 4, (8, 16, 2, 9), "conv_depthwise"),
    ],
)
def test_groups_and_kernel_classes(
    w: str, group: int, shape: tuple[int, ...], kernel_class: str
) -> None:
    cost = conv("2,4,6,6", w, f"group={group}")
    (found,) = cost.contractions
    assert (found.batch, found.m, found.n, found.k) == shape
    assert cost.kernel_class == kernel_class


def test_a_bias_counts_once_per_result() -> None:
    cost = conv("1,3,6,6", "4,3,3,3", inputs=", float[4] b", operands="x, w, b")
    assert cost.vector_ops == 4 * 16


def transposed(x: str, w: str, attributes: str) -> OpCost:
    text = f"g (float[{x}] x, float[{w}] w, float[4] b) => (float[?,?,?,?] y) {{ y = ConvTranspose<{attributes}>(x, w) }}"
    return cost_of(text)


@pytest.mark.parametrize(
    ("x", "w", "group", "macs"),
    [
        # Each of 64 * 25 inputs meets 4 filters at 4 kernel positions; not 4 times less, and the
        # reverse of it not 64 times more.
        ("1,64,5,5", "64,4,2,2", 1, 64 * 25 * 4 * 4),
        ("1,4,5,5", "4,64,2,2", 1, 4 * 25 * 64 * 4),
        ("3,6,5,5", "6,2,3,3", 2, 3 * 6 * 25 * 2 * 9),
    ],
)
def test_conv_transpose(x: str, w: str, group: int, macs: int) -> None:
    cost = transposed(x, w, f"strides=[2,2], group={group}")
    assert cost.macs == macs
    assert cost.kernel_class == "conv_transpose"


def test_conv_transpose_crops_after_the_work() -> None:
    whole = transposed("1,2,5,5", "2,4,3,3", "strides=[2,2]")
    cropped = transposed("1,2,5,5", "2,4,3,3", "strides=[2,2], pads=[1,1,1,1]")
    assert whole.macs == cropped.macs == 2 * 25 * 4 * 9
    assert (whole.bytes_written, cropped.bytes_written) == (4 * 4 * 11 * 11, 4 * 4 * 9 * 9)
    assert whole.contractions == (Contraction(m=25, n=36, k=2, dtype="float"),)


def test_deform_conv_samples_every_input_channel() -> None:
    # 4x4 pixels, 9 kernel positions, 3 channels: 16 * 9 * 3 = 432 values of 7 operations (8 with a
    # mask) at 16 * 9 = 144 places of 12; then Conv's 5 * 16 * 27 MACs and a bias per result.
    inputs = "float[1,3,6,6] x, float[5,3,3,3] w, float[1,18,4,4] o, float[5] b, float[1,9,4,4] m"
    head = f"g ({inputs}) => (float[?,?,?,?] y)"
    plain = cost_of(f"{head} {{ y = DeformConv(x, w, o) }}")
    masked = cost_of(f"{head} {{ y = DeformConv(x, w, o, b, m) }}")
    assert plain.macs == masked.macs == 5 * 16 * 27
    assert plain.vector_ops == 432 * 7 + 144 * 12
    assert masked.vector_ops == 432 * 8 + 144 * 12 + 5 * 16


def test_integer_convolutions() -> None:
    # 2 * 2 positions of 3 filters over 2 channels 3x3; 2*16 inputs and 3*18 weights are shifted.
    scales = ", ".join(f"float {side}s, uint8 {side}z" for side in "xwy")
    head = f"g (uint8[1,2,4,4] x, uint8[3,2,3,3] w, int32[3] b, {scales})"
    plain = cost_of(f"{head} => (int32[?,?,?,?] y) {{ y = ConvInteger(x, w) }}")
    shifted = cost_of(f"{head} => (int32[?,?,?,?] y) {{ y = ConvInteger(x, w, xz, wz) }}")
    full = cost_of(
        f"{head} => (uint8[?,?,?,?] y) {{ y = QLinearConv(x, xs, xz, w, ws, wz, ys, yz, b) }}"
    )
    assert plain.macs == shifted.macs == full.macs == 4 * 3 * 18
    assert plain.contractions[0].dtype == "uint8"
    assert (plain.vector_ops, shifted.vector_ops) == (0, 32 + 54)
    # Each of 12 results: bias, and scale, round, shift, min, max.
    assert full.vector_ops == 32 + 54 + 12 * (1 + 5)
