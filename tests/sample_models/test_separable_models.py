"""Depthwise separable sample models: fewer FLOPs than dense ones, by a formula, and less intensity."""

from __future__ import annotations

from typing import Any

import pytest

from sample_models.reports import (
    Figures,
    by_output,
    draw,
    figures,
    report,
    shapes,
    shapes_of_a_run,
)

E = 384 * 14 * 14  # values of the widened tensor

# MobileNet, table 1 of the paper: places, channels in and out of the 13 blocks. A block takes 9
# products a place and channel, and as many as there are outputs: places * in * (9 + out).
BLOCKS = (
    *((12_544, 32, 64), (3_136, 64, 128), (3_136, 128, 128), (784, 128, 256), (784, 256, 256)),
    *((196, 256, 512), *((196, 512, 512),) * 5, (49, 512, 1_024), (49, 1_024, 1_024)),
)
STEM, CLASSIFIER = 12_544 * 32 * 27, 1_024 * 1_000
AROUND = 12_544 * 32 + 49 * 1_024 + 1_000  # ReLU of the stem, mean, biases of the classifier
NARROW = sum(places * outputs for places, _, outputs in BLOCKS)  # ReLU after a block
WIDE = sum(places * inputs for places, inputs, _ in BLOCKS)  # ReLU after a depthwise convolution

FIGURES: dict[str, Figures] = {
    # stem 32*32*20*27; depthwise 32*32*20*9; pointwise 32*32*20*40; depthwise 16*16*40*9;
    # pointwise 16*16*40*80; classifier 800. ReLU for 20,480 twice, 40,960, 10,240 and 20,480 values,
    # a mean of 20,480, 10 biases. Parameters 540 + 180 + 800 + 360 + 3,200 + 810
    "depthwise_separable": (
        552_960 + 184_320 + 819_200 + 92_160 + 819_200 + 800,
        4 * 20_480 + 40_960 + 10_240 + 10,
        0,
        5_890,
        23_560,
    ),
    # 14*14 places: 64*384, 9*384, 384*64; min and max for two tensors of E values, the sum
    "inverted_residual": (
        196 * (24_576 + 3_456 + 24_576),
        2 * 2 * E + 64 * 196,
        0,
        52_608,
        4 * 52_608,
    ),
    # 64*384 and 9*384*64
    "inverted_residual_dense": (
        196 * (24_576 + 221_184),
        2 * E + 64 * 196,
        0,
        245_760,
        4 * 245_760,
    ),
    # 568.7 M; the paper's table 4 gives 569 M and 4.2 M parameters
    "mobilenet": (
        STEM + sum(places * i * (9 + o) for places, i, o in BLOCKS) + CLASSIFIER,
        AROUND + WIDE + NARROW,
        0,
        864 + sum(i * (9 + o) for _, i, o in BLOCKS) + 1_025_000,
        4 * 4_210_088,
    ),
    # 4,867 M; the paper's table 4 gives 4,866 M (without the classifier) and 29.3 M parameters
    "mobilenet_dense": (
        STEM + sum(places * i * 9 * o for places, i, o in BLOCKS) + CLASSIFIER,
        AROUND + NARROW,
        0,
        864 + sum(i * 9 * o for _, i, o in BLOCKS) + 1_025_000,
        4 * 29_282_120,
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert figures(report(capsys, name)) == FIGURES[name]


def test_the_published_figures(capsys: pytest.CaptureFixture[str]) -> None:
    small, large = (figures(report(capsys, name)) for name in ("mobilenet", "mobilenet_dense"))
    assert (small[0], small[3]) == (568_740_352, 4_210_088)
    assert (large[0], large[3]) == (4_867_293_184, 29_282_120)


def intensity(document: Any, *names: str) -> float:
    """FLOPs of some nodes together, over the bytes that each moves by itself."""
    nodes = [by_output(document)[name] for name in names]
    moved = sum(node["bytes_read"] + node["bytes_written"] for node in nodes)
    return float(sum(node["flops"] for node in nodes) / moved)


def test_a_separable_convolution_saves_work_and_loses_intensity(
    capsys: pytest.CaptureFixture[str],
) -> None:
    split, dense = report(capsys, "inverted_residual"), report(capsys, "inverted_residual_dense")
    work = sum(by_output(split)[name]["macs"] for name in ("d", "p"))
    # dense 9 Cin Cout over 9 Cin + Cin Cout: 9 * 64 / (9 + 64) = 7.9
    assert by_output(dense)["p"]["macs"] / work == pytest.approx(9 * 64 / (9 + 64))
    # depthwise: 2 * 9 FLOPs a value of 8 bytes (read and written), and 3,456 weights
    assert intensity(split, "d") == 18 * E / (8 * E + 4 * 3_456)
    # dense: 2 * 9 * 64 FLOPs a value of 4 bytes, 64*196 results and 221,184 weights
    assert intensity(dense, "p") == 1_152 * E / (4 * (E + 12_544 + 221_184))
    assert intensity(split, "d") < 2.25  # 18 / 8, whatever the size
    assert intensity(dense, "p") > 30 * intensity(split, "d")


@pytest.mark.parametrize("device", ["jetson-orin-nano-8", "jetson-agx-orin-64"])
def test_fewer_flops_are_not_as_much_less_time_on_an_edge_gpu(
    device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    small, large = (
        report(capsys, name, "--device", device) for name in ("mobilenet", "mobilenet_dense")
    )
    assert large["totals"]["macs"] / small["totals"]["macs"] == pytest.approx(8.56, abs=0.01)
    times = [one["devices"][0]["latency_s"]["expected"] for one in (small, large)]
    assert 1.5 < times[1] / times[0] < 3.5
    assert "MLS205" in {one["code"] for one in small["findings"]}
    assert "MLS205" not in {one["code"] for one in large["findings"]}


INPUTS = {
    "depthwise_separable": ("image", (3, 64, 64)),
    "inverted_residual": ("x", (64, 14, 14)),
    "inverted_residual_dense": ("x", (64, 14, 14)),
    "mobilenet": ("image", (3, 224, 224)),
    "mobilenet_dense": ("image", (3, 224, 224)),
}


@pytest.mark.ort
@pytest.mark.parametrize("name", FIGURES)
def test_shapes_are_those_of_a_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = report(capsys, name, "--batch", "1")
    value, extents = INPUTS[name]
    assert shapes(document) == shapes_of_a_run(document, name, {value: draw(1, *extents)})
