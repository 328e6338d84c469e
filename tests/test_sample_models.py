"""The sample models: hand-derived figures, and a build that gives the committed bytes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from mlsys_lint.cli import run

FOLDER = Path(__file__).parents[1] / "sample_models"


def report(capsys: pytest.CaptureFixture[str], name: str, *options: str) -> Any:
    device = () if "--device" in options else ("--device", "i7-12700k")
    assert run([str(FOLDER / f"{name}.onnx"), "--format", "json", *device, *options]) in (0, 1)
    return json.loads(capsys.readouterr().out)


def test_the_build_gives_the_committed_files() -> None:
    spec = importlib.util.spec_from_file_location("build", FOLDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, content in module.build_all():
        committed = (FOLDER / name).read_bytes()
        assert onnx.load_from_string(content) == onnx.load_from_string(committed), name
        assert len(committed) < 200_000


@pytest.mark.parametrize(
    ("name", "macs", "parameters"),
    [
        # C1 28*28*6*25 = 117,600; C3 10*10*16*25*6 = 240,000; F5 400*120; F6 120*84; F7 84*10
        # parameters 150+6 + 2,400+16 + 48,000+120 + 10,080+84 + 840+10
        ("lenet5", 117_600 + 240_000 + 48_000 + 10_080 + 840, 61_706),
        # stem 32*32*16*27 = 442,368; twice 32*32*16*16*9 = 2,359,296; classifier 160
        # parameters 432 + 2 * 2,304 + 160 + 10
        ("residual_block", 442_368 + 2 * 2_359_296 + 160, 5_210),
        # stem 32*32*20*27; depthwise 32*32*20*9; pointwise 32*32*20*40; depthwise 16*16*40*9;
        # pointwise 16*16*40*80; classifier 800. Parameters 540 + 180 + 800 + 360 + 3,200 + 810
        ("depthwise_separable", 552_960 + 184_320 + 819_200 + 92_160 + 819_200 + 800, 5_890),
        # 4096 * 4096 each
        ("gemv_4096", 16_777_216, 16_777_216),
    ],
)
def test_macs_and_parameters(
    name: str, macs: int, parameters: int, capsys: pytest.CaptureFixture[str]
) -> None:
    document = report(capsys, name)
    assert document["totals"]["macs"] == macs
    assert document["model"]["parameters"] == parameters
    assert document["totals"]["coverage"]["fraction_of_nodes"] == 1.0


def test_a_shortcut_keeps_its_tensor_alive(capsys: pytest.CaptureFixture[str]) -> None:
    # at the second convolution: x (for the shortcut), r and b, 16 * 32 * 32 floats each
    assert report(capsys, "residual_block")["totals"]["peak_activation_bytes"] == 3 * 65_536


def test_gemv(capsys: pytest.CaptureFixture[str]) -> None:
    document = report(capsys, "gemv_4096", "--device", "host", "--device", "nv-a100-sxm4-80")
    (product,) = [node for node in document["nodes"] if node["op"] == "ai.onnx::MatMul"]
    assert product["flops"] == 33_554_432
    assert product["weight_bytes"] == 67_108_864  # A; x and y are 16,384 each
    assert product["intensity"] == 33_554_432 / (67_108_864 + 2 * 16_384)
    for device in document["devices"]:
        (kernel,) = [one for one in device["kernels"] if one["nodes"] == [product["index"]]]
        assert kernel["bound"] == "memory"


def expected(b: int, s: int) -> dict[str, tuple[int, int, int, int, int]]:
    """(macs, flops, transcendentals, bytes read, bytes written) of every node of the encoder.

    t elements of a [B, S, 64] tensor, r rows, c elements of the scores [B, 4, S, S].
    """
    t, r, c = 64 * b * s, b * s, 4 * b * s * s
    bias = (0, t, 0, 4 * (t + 64), 4 * t)
    project = (64 * t, 128 * t, 0, 4 * (t + 64 * 64), 4 * t)  # t/64 rows x 64 x 64
    turn, view = (0, 0, 0, 4 * t, 4 * t), (0, 0, 0, 0, 0)
    norm = (0, 7 * t + 4 * r, r, 4 * (t + 128), 4 * t)  # 7 operations an element, 4 a row, a root
    return {
        **{f"m{n}": project for n in "qkvo"},
        **{f"p{n}": bias for n in "qkv"},
        **{f"h{n}": view for n in "qkv"},
        **dict.fromkeys(("q", "k", "v", "turned"), turn),
        "raw": (16 * c, 32 * c, 0, 8 * t, 4 * c),  # each score sums 16 products
        "scores": (0, c, 0, 4 * (c + 1), 4 * c),
        # maximum, subtraction, sum, division: 4 an element less 2 for each of the 4 r rows
        "weights": (0, 4 * c - 8 * r, c, 4 * c, 4 * c),
        "context": (16 * c, 32 * c, 0, 4 * (c + t), 4 * t),
        "merged": view,
        "attended": bias,
        "skip1": (0, t, 0, 8 * t, 4 * t),
        "n1": norm,
        "f1": (128 * t, 256 * t, 0, 4 * (t + 64 * 128), 8 * t),
        "f2": (0, 2 * t, 0, 4 * (2 * t + 128), 8 * t),
        "f3": (0, 2 * t, 0, 8 * t, 8 * t),
        "f4": (128 * t, 256 * t, 0, 4 * (2 * t + 128 * 64), 4 * t),
        "f5": bias,
        "skip2": (0, t, 0, 8 * t, 4 * t),
        "y": norm,
    }


@pytest.mark.parametrize(("b", "s"), [(2, 16), (4, 16), (2, 32)])
def test_every_figure_of_the_transformer_follows_its_formula(
    b: int, s: int, capsys: pytest.CaptureFixture[str]
) -> None:
    document = report(capsys, "transformer_encoder", "--dim", f"batch={b}", "--dim", f"seq={s}")
    keys = ("macs", "flops", "transcendentals", "bytes_read", "bytes_written")
    found = {
        node["outputs"][0]["name"]: tuple(node[key] for key in keys) for node in document["nodes"]
    }
    assert found == expected(b, s)
    totals = [sum(figure[at] for figure in found.values()) for at in range(len(keys))]
    assert [document["totals"][key] for key in keys] == totals
    # 4 projections, 2 score products, 2 feed-forward layers
    macs = b * s * 64 * 64 * 4 + 2 * b * s * s * 64 + 2 * b * s * 64 * 128
    assert document["totals"]["macs"] == macs
    # 4 (64*64 + 64) + 4 * 64 of the norms + 64*128 + 128 + 128*64 + 64
    assert document["model"]["parameters"] == 33_472
