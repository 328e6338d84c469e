"""Convolutional sample models: every figure derived by hand, every model run in ONNX Runtime."""

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
    weight,
)

FIGURES: dict[str, Figures] = {
    # C1 28*28*6*25, C3 10*10*16*25*6, F5 400*120, F6 120*84, F7 84*10. A bias and a ReLU for each of
    # 4,704 + 1,600 values, means of 4 into 1,176 + 400; 120, 84 and 10 biases, 120 and 84 ReLU.
    # Parameters 150+6 + 2,400+16 + 48,000+120 + 10,080+84 + 840+10
    "lenet5": (
        117_600 + 240_000 + 48_000 + 10_080 + 840,
        2 * 6_304 + 4 * 1_576 + 214 + 204,
        0,
        61_706,
        4 * 61_706,
    ),
    # 3 x 3 x 4 = 36 products for each of 8 channels (grouped: 18) at 30*30, 32*32, 16*16, 28*28 and
    # 32*32 outputs; transposed: each of 16*16*8 inputs meets 4 filters of 9. Weights 288, once 144
    "convolution_kinds": (
        288 * (900 + 1_024 + 256 + 784) + 144 * 1_024 + 256 * 8 * 4 * 9,
        0,
        0,
        5 * 288 + 144,
        4 * 1_584,
    ),
    # 8*32*32*16*(27*3) and 8*16*16*32*(27*16), classifier 320. Bias and ReLU for 131,072 and 65,536
    # values; maxima of 4 (3 comparisons) into 32,768, of 8 (7) into 8,192; a mean of 8,192, 10 biases
    "video_3d": (
        10_616_832 + 28_311_552 + 320,
        2 * (131_072 + 65_536) + 3 * 32_768 + 7 * 8_192 + 8_192 + 10,
        0,
        1_296 + 16 + 13_824 + 32 + 320 + 10,
        4 * 15_498,
    ),
    # 32*32*16*27, 32*32*16*144, 16*16*32*144, 16*16*32*288, 2,048*10. Bias and ReLU for twice 16,384
    # and twice 8,192 values; maxima of 4 into 4,096 and 2,048; 10 biases
    "vgg_block": (
        442_368 + 2_359_296 + 1_179_648 + 2_359_296 + 20_480,
        2 * (2 * 16_384 + 2 * 8_192) + 3 * (4_096 + 2_048) + 10,
        0,
        (432 + 16) + (2_304 + 16) + (4_608 + 32) + (9_216 + 32) + (20_480 + 10),
        4 * 37_146,
    ),
    # table 1 of the paper, column D: 138 M parameters. Convolutions: one of 224*224*64*27, then in
    # each stage one that widens, 924,844,032 (half as much as those that do not), the first none and
    # the last none; 1 + 1 + 2 + 2 keep their width, 3 in the last stage at a quarter of the places.
    # Bias and ReLU: 2 * 3,211,264 + 2 * 1,605,632 + 3 * 802,816 + 3 * 401,408 + 3 * 100,352 values;
    # maxima of 4 into 802,816 + 401,408 + 200,704 + 100,352 + 25,088; 4,096 + 4,096 + 1,000 and ReLU
    "vgg16": (
        86_704_128
        + 1_849_688_064 * 6
        + 924_844_032 * 3
        + 462_422_016 * 3
        + (25_088 * 4_096 + 4_096 * 4_096 + 4_096 * 1_000),
        2 * 13_547_520 + 3 * 1_530_368 + 9_192 + 8_192,
        0,
        138_357_544,
        553_430_176,
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert figures(report(capsys, name)) == FIGURES[name]


@pytest.mark.parametrize("name", FIGURES)
def test_work_follows_the_batch_and_weights_do_not(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    macs, ops, transcendentals, parameters, nbytes = FIGURES[name]
    expected = (3 * macs, 3 * ops, 3 * transcendentals, parameters, nbytes)
    assert figures(report(capsys, name, "--batch", "3")) == expected


def test_extents_of_the_kinds_of_convolution(capsys: pytest.CaptureFixture[str]) -> None:
    # Hout = floor((Hin + pads - dilation (K - 1) - 1) / stride) + 1, Hin 32, K 3
    expected = {
        "valid": 32 - 3 + 1,
        "padded": 32 + 2 - 3 + 1,
        "strided": (32 + 2 - 3) // 2 + 1,
        "dilated": 32 - 2 * (3 - 1) - 1 + 1,
        "grouped": 32 + 2 - 3 + 1,
        # stride (Hin - 1) + output padding + dilation (K - 1) + 1 - pads, Hin 16
        "transposed": 2 * (16 - 1) + 1 + (3 - 1) + 1 - 2,
    }
    found = shapes(report(capsys, "convolution_kinds"))
    assert {name: shape[2:] for name, shape in found.items()} == {
        name: [size, size] for name, size in expected.items()
    }


def test_activation_memory_is_the_product_of_the_extents(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # B * D * H * W * N values of 4 bytes; the maximum reads all, and writes a quarter
    nodes = by_output(report(capsys, "video_3d", "--batch", "2"))
    assert nodes["s1"]["bytes_read"] == 4 * (2 * 8 * 32 * 32 * 16)
    assert nodes["s1"]["bytes_written"] == 4 * (2 * 8 * 16 * 16 * 16)


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("video_3d", 524_288 + 131_072),  # first maximum: 16*8*32*32 floats in, 16*8*16*16 out
        ("vgg_block", 2 * 65_536),  # second convolution: 16*32*32 floats in and out
        ("vgg16", 2 * 12_845_056),  # likewise: 64*224*224 floats
        # first convolution: 6*28*28 floats, padded to a block of 8 channels and as they are
        ("lenet5", 8 * 28 * 28 * 4 + 6 * 28 * 28 * 4),
    ],
)
def test_peak_of_activations(name: str, peak: int, capsys: pytest.CaptureFixture[str]) -> None:
    # ReLU works in place; the graph's input is not an activation
    assert report(capsys, name)["totals"]["peak_activation_bytes"] == peak


INPUTS = {
    "lenet5": ("image", (1, 32, 32)),
    "convolution_kinds": ("x", (4, 32, 32)),
    "video_3d": ("video", (3, 8, 32, 32)),
    "vgg_block": ("image", (3, 32, 32)),
    "vgg16": ("image", (3, 224, 224)),
}


@pytest.mark.ort
@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=pytest.mark.slow) if one == "vgg16" else one for one in FIGURES],
)
def test_shapes_are_those_of_a_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = report(capsys, name, "--batch", "1")
    value, extents = INPUTS[name]
    assert shapes(document) == shapes_of_a_run(document, name, {value: draw(1, *extents)})


@pytest.mark.ort
def test_a_dilated_convolution_takes_every_second_value() -> None:
    x = draw(1, 4, 32, 32)
    w = weight("convolution_kinds", "w4")
    found = outputs_of_a_run("convolution_kinds", {"x": x})["dilated"]
    for o, i, j in ((0, 0, 0), (7, 27, 27), (3, 5, 11)):
        by_hand = sum(
            float(w[o, c, a, b]) * float(x[0, c, i + 2 * a, j + 2 * b])
            for c in range(4)
            for a in range(3)
            for b in range(3)
        )
        assert np.isclose(found[0, o, i, j], by_hand, atol=1e-5)
