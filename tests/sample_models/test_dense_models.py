"""Dense sample models: every figure derived by hand, every model run in ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

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

B = 8  # samples in a batch

FIGURES: dict[str, Figures] = {
    # z = x w + b: 4 MACs and a bias a sample; a sigmoid; difference, square, mean (n of n values)
    "perceptron": (B * 4, B * (1 + 1 + 1 + 1), B, 4 + 1, 20),
    # 784 * 10 MACs, 10 biases. Loss of a sample: maximum 9, difference 10, exp 10 (transcendental),
    # sum 9, log 1 (transcendental), difference 10, the label's value negated 1; mean over samples 1
    "linear_classifier": (B * 7_840, B * (10 + 38 + 1 + 1), B * 11, 7_850, 31_400),
    # the same, and p = e / sum 10, product with the one-hot label 10, its sum 9
    "shifted_softmax_loss": (B * 7_840, B * (10 + 38 + 1 + 1 + 29), B * 11, 7_850, 31_400),
    # 784 * 256 + 256 * 128 + 128 * 10 MACs; biases 256 + 128 + 10, ReLU 256 + 128
    "mlp": (B * 234_752, B * (394 + 384), 0, 234_752 + 394, 4 * 235_146),
    # 64 * 128 + 128 * 64 + 64 * 10 weights; biases 128 + 64 + 10, ReLU 128 + 64
    "mlp_float": (B * 17_024, B * (202 + 192), 0, 17_024 + 202, 68_904),
    "mlp_float16": (B * 17_024, B * (202 + 192), 0, 17_024 + 202, 34_452),
    # a scale for each output: 202; rebuilding takes a product for each weight, whatever the batch
    "mlp_int8": (B * 17_024, B * 394 + 17_024, 0, 17_024 + 202 + 202, 17_024 + 4 * 404),
    # a scale for each 32 inputs of an output: 2 * 128 + 4 * 64 + 2 * 10 = 532
    "mlp_int4": (B * 17_024, B * 394 + 17_024, 0, 17_024 + 532 + 202, 8_512 + 4 * 734),
    # the same bytes; a zero point (8) and a scale for each weight
    "mlp_int4_packed": (B * 17_024, B * 394 + 2 * 17_024, 0, 17_024 + 532 + 202, 8_512 + 4 * 734),
    # 4096 * 4096, no batch
    "gemv_4096": (16_777_216, 0, 0, 16_777_216, 67_108_864),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert figures(report(capsys, name, *batch_of(name))) == FIGURES[name]


def batch_of(name: str) -> tuple[str, ...]:
    return () if name == "gemv_4096" else ("--batch", str(B))


def test_a_layer_takes_two_flops_for_each_weight_and_sample(
    capsys: pytest.CaptureFixture[str],
) -> None:
    nodes = by_output(report(capsys, "mlp", "--batch", str(B)))
    for name, inputs, outputs in (("z1", 784, 256), ("z2", 256, 128), ("scores", 128, 10)):
        # B Nin Nout products, B (Nin - 1) Nout sums, B Nout biases: 2 B Nin Nout; a MAC convention
        # counts the first of the Nin sums (to zero) as well
        products, sums, biases = B * inputs * outputs, B * (inputs - 1) * outputs, B * outputs
        assert nodes[name]["macs"] == products
        assert nodes[name]["flops"] == products + sums + biases + B * outputs
        # activations in and out, weights and biases, 4 bytes each
        assert nodes[name]["bytes_read"] == 4 * (B * inputs + inputs * outputs + outputs)
        assert nodes[name]["bytes_written"] == 4 * B * outputs


def test_weights_are_shared_by_a_batch(capsys: pytest.CaptureFixture[str]) -> None:
    one, many = (by_output(report(capsys, "mlp", "--batch", n))["z1"] for n in ("1", "64"))
    assert many["weight_bytes"] == one["weight_bytes"] == 4 * (784 * 256 + 256)
    # 2 * 200,704 + 256 FLOPs; 200,704 + 256 weights and biases, 784 in, 256 out, 4 bytes each
    assert one["intensity"] == 401_664 / (4 * (200_960 + 784 + 256))
    assert many["intensity"] == 64 * 401_664 / (4 * (200_960 + 64 * (784 + 256)))


def test_parameter_memory_follows_the_stored_type(capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        name: report(capsys, name)["model"]["parameter_dtypes"]
        for name in ("mlp_float", "mlp_float16", "mlp_int8", "mlp_int4", "mlp_int4_packed")
    }
    assert found == {
        "mlp_float": {"float": 17_226},
        "mlp_float16": {"float16": 17_226},
        "mlp_int8": {"int8": 17_024, "float": 202 + 202},
        "mlp_int4": {"int4": 17_024, "float": 532 + 202},
        "mlp_int4_packed": {"uint8": 17_024, "float": 532 + 202},
    }


def test_gemv(capsys: pytest.CaptureFixture[str]) -> None:
    document = report(capsys, "gemv_4096", "--device", "host", "--device", "nv-a100-sxm4-80")
    (product,) = [node for node in document["nodes"] if node["op"] == "ai.onnx::MatMul"]
    assert product["flops"] == 33_554_432
    assert product["weight_bytes"] == 67_108_864  # A; x and y are 16,384 each
    assert product["intensity"] == 33_554_432 / (67_108_864 + 2 * 16_384)
    for device in document["devices"]:
        (kernel,) = [one for one in device["kernels"] if one["nodes"] == [product["index"]]]
        assert kernel["bound"] == "memory"


LABELS = np.arange(B) % 10
FEEDS: dict[str, dict[str, NDArray[Any]]] = {
    "perceptron": {"x": draw(B, 4), "target": np.ones((B, 1), np.float32)},
    "linear_classifier": {"image": draw(B, 784), "label": LABELS},
    "shifted_softmax_loss": {"image": draw(B, 784), "label": np.eye(10, dtype=np.float32)[LABELS]},
    "mlp": {"image": draw(B, 784)},
    "mlp_float": {"x": draw(B, 64)},
    "mlp_float16": {"x": draw(B, 64).astype(np.float16)},
    "mlp_int8": {"x": draw(B, 64)},
    "mlp_int4": {"x": draw(B, 64)},
    "mlp_int4_packed": {"x": draw(B, 64)},
    "gemv_4096": {"x": draw(4096)},
}


@pytest.mark.ort
@pytest.mark.parametrize("name", FIGURES)
def test_shapes_are_those_of_a_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = report(capsys, name, *batch_of(name))
    assert shapes(document) == shapes_of_a_run(document, name, FEEDS[name])


@pytest.mark.ort
def test_the_perceptron_computes_its_formula() -> None:
    z = FEEDS["perceptron"]["x"] @ weight("perceptron", "w") + weight("perceptron", "b")
    p = 1 / (1 + np.exp(-z))
    found = outputs_of_a_run("perceptron", FEEDS["perceptron"])
    assert np.allclose(found["p"], p, atol=1e-6)
    assert np.allclose(found["loss"], ((p - 1) ** 2).mean(), atol=1e-6)


@pytest.mark.ort
@pytest.mark.parametrize(
    "scale", [1.0, 1e4]
)  # exp of the larger scores overflows, shifted it does not
def test_the_two_losses_agree(scale: float) -> None:
    image = {"image": FEEDS["linear_classifier"]["image"] * np.float32(scale)}
    losses = [
        outputs_of_a_run(name, {**FEEDS[name], **image})["loss"]
        for name in ("linear_classifier", "shifted_softmax_loss")
    ]
    assert np.isfinite(losses[0])
    assert np.allclose(losses[0], losses[1], rtol=1e-5)


@pytest.mark.ort
@pytest.mark.parametrize(
    ("name", "steps"), [("mlp_float16", 1024), ("mlp_int8", 127), ("mlp_int4", 7)]
)
def test_fewer_bits_keep_the_result(name: str, steps: int) -> None:
    # a weight is off by at most half a step of 1 / steps of its block's largest weight;
    # the errors of many weights add up and partly cancel: 2 steps are a generous limit
    right = outputs_of_a_run("mlp_float", FEEDS["mlp_float"])["y"]
    found = outputs_of_a_run(name, FEEDS[name])["y"].astype(np.float32)
    assert 0 < np.abs(found - right).max() < 2 / steps * np.abs(right).max()


@pytest.mark.ort
def test_packed_weights_are_the_integers_times_their_scales() -> None:
    name, x = "mlp_int4_packed", FEEDS["mlp_int4_packed"]["x"]
    for layer in (1, 2, 3):
        scale = weight("mlp_int4", f"w{layer}_scale").repeat(32, axis=0)
        x = x @ (weight("mlp_int4", f"w{layer}_q").astype(np.float32) * scale)
        x = x + weight(name, f"b{layer}")
        x = np.maximum(x, 0) if layer < 3 else x
    assert np.allclose(outputs_of_a_run(name, FEEDS[name])["y"], x, atol=1e-5)
