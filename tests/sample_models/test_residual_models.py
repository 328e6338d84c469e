"""Residual and detection sample models: figures by hand, the shortcut's memory, runs."""

from __future__ import annotations

import numpy as np
import pytest

from sample_models.reports import (
    Figures,
    by_output,
    draw,
    figures,
    outputs_of_a_run,
    report,
    shapes,
    shapes_of_a_run,
)

T = 64 * 56 * 56  # values of a tensor with 64 channels; with 256 there are 4 T

FIGURES: dict[str, Figures] = {
    # stem 32*32*16*27, twice 32*32*16*16*9, classifier 160. Of 16*32*32 values three ReLU, a sum
    # and a mean; 10 biases. Parameters 432 + 2 * 2,304 + 160 + 10
    "residual_block": (442_368 + 2 * 2_359_296 + 160, 5 * 16_384 + 10, 0, 5_210, 20_840),
    # twice 56*56*64*(9*64). Normalization: subtract, divide, scale, shift; epsilon and a root for
    # each of 64 channels. Three ReLU, a sum. Parameters: 2 * 36,864, and 4 for each channel, twice
    "resnet_basic_block": (
        2 * 115_605_504,
        2 * (4 * T + 64) + 3 * T + T,
        2 * 64,
        2 * 36_864 + 2 * 4 * 64,
        4 * 74_240,
    ),
    # 56*56 places: 64*64, 64*(9*64), 256*64 and the projection 256*64. Biases T, T, 4 T, 4 T; ReLU
    # T (input), T, T, 4 T (result); the sum 4 T. As many MACs as the basic block, by design
    "resnet_bottleneck": (
        3_136 * (4_096 + 36_864 + 16_384 + 16_384),
        10 * T + 7 * T + 4 * T,
        0,
        73_728 + 64 + 64 + 256 + 256,
        4 * 74_368,
    ),
    # 13*13, 26*26 and 52*52 cells, 255 values a cell from 1,024, 512 and 256 channels. 10,647 boxes:
    # 85 biases; cell and stride for x and y (4), anchor for width and height (2); 85 exp or sigmoid.
    # Parameters: weights and biases; cells' coordinates and three pairs of anchors a scale
    "yolo_head": (
        255 * (169 * 1_024 + 676 * 512 + 2_704 * 256),
        10_647 * (85 + 6),
        10_647 * 85,
        255 * 1_792 + 3 * 255 + 2 * (169 + 676 + 2_704) + 3 * 6,
        4 * 464_841,
    ),
}
INPUTS = {
    "residual_block": {"image": (3, 32, 32)},
    "resnet_basic_block": {"stem": (64, 56, 56)},
    "resnet_bottleneck": {"stem": (64, 56, 56)},
    "yolo_head": {"f0": (1024, 13, 13), "f1": (512, 26, 26), "f2": (256, 52, 52)},
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert figures(report(capsys, name)) == FIGURES[name]


@pytest.mark.parametrize(
    ("name", "peak", "at"),
    [
        # x waits for the sum while it becomes r, 16*32*32 floats each; the second convolution then
        # adds what it computes to x in place
        ("residual_block", 2 * 65_536, "a"),
        # x waits for the sum as it is, and blocked, while the first convolution reads it
        ("resnet_basic_block", 3 * 4 * T, "c1"),
        # the sum of 256 channels, written into one of its operands: blocked, and as it is handed out
        ("resnet_bottleneck", 2 * 4 * 4 * T, "c3"),
    ],
)
def test_a_shortcut_keeps_its_tensor_alive(
    name: str, peak: int, at: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document = report(capsys, name)
    assert document["totals"]["peak_activation_bytes"] == peak
    assert document["totals"]["peak_node"] == by_output(document)[at]["index"]


def test_boxes_stand_apart_and_joined_at_the_peak(capsys: pytest.CaptureFixture[str]) -> None:
    # all boxes of three scales, and their concatenation
    peak = report(capsys, "yolo_head")["totals"]["peak_activation_bytes"]
    assert peak == 2 * 4 * 10_647 * 85


def test_boxes_of_a_416_x_416_image(capsys: pytest.CaptureFixture[str]) -> None:
    # 3 * (13*13 + 26*26 + 52*52) boxes: x, y, width, height, confidence, 80 classes
    found = shapes(report(capsys, "yolo_head"))
    assert found["boxes"] == [1, 10_647, 85]
    assert found["last2"] == [1, 3, 52, 52, 85]


@pytest.mark.ort
@pytest.mark.parametrize("name", FIGURES)
def test_shapes_are_those_of_a_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = report(capsys, name, "--batch", "2")
    feeds = {value: draw(2, *extents) for value, extents in INPUTS[name].items()}
    assert shapes(document) == shapes_of_a_run(document, name, feeds)


@pytest.mark.ort
def test_a_box_of_zeros_stands_in_its_cell_with_its_anchor() -> None:
    feeds = {
        value: np.zeros((1, *extents), np.float32) for value, extents in INPUTS["yolo_head"].items()
    }
    found = outputs_of_a_run("yolo_head", feeds, "t0", "xy0", "wh0")
    t = found["t0"].reshape(3, 85, 13, 13)[1, :4, 7, 5]  # second anchor, row 7, column 5
    centre = (1 / (1 + np.exp(-t[:2])) + (5, 7)) * 32
    assert np.allclose(found["xy0"][0, 1, 7, 5], centre, rtol=1e-5)
    assert np.allclose(found["wh0"][0, 1, 7, 5], np.exp(t[2:]) * (156, 198), rtol=1e-5)
