"""Recurrent sample models and Mamba: figures by hand, steps that wait, values against numpy."""

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

RECURRENT = ("rnn", "lstm", "gru")
Array = NDArray[Any]


def recurrent_figures(name: str, tb: int) -> Figures:
    """For tb = T * B steps of a sequence each: I = 32 inputs, H = 48, O = 10 classes."""
    each = 32 * 48 + 48 * 48  # U x and V h, for each gate
    return {
        # the sum of the two products; softmax of 10: 9 + 10 + 9 + 10. No biases. 48 tanh, 10 exp
        "rnn": (tb * (each + 480), tb * (48 + 38), tb * (48 + 10), each + 480, 4 * (each + 480)),
        # for each gate a sum and two biases; C = f * C + i * c, h = o * tanh(C); 5 activations
        "lstm": (
            tb * 4 * each,
            tb * 48 * (4 * 3 + 3 + 1),
            tb * 48 * 5,
            4 * (each + 2 * 48),
            16 * (each + 2 * 48),
        ),
        # r * h, and h = (1 - z) * new + z * h; 3 activations
        "gru": (
            tb * 3 * each,
            tb * 48 * (3 * 3 + 1 + 4),
            tb * 48 * 3,
            3 * (each + 2 * 48),
            12 * (each + 2 * 48),
        ),
    }[name]


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize(("t", "b"), [(1, 1), (16, 4), (32, 4), (16, 8)])
def test_figures_of_recurrent_models(
    name: str, t: int, b: int, capsys: pytest.CaptureFixture[str]
) -> None:
    document = report(capsys, name, "--dim", f"T={t}", "--dim", f"B={b}")
    assert figures(document) == recurrent_figures(name, t * b)


@pytest.mark.parametrize(("name", "gates"), [("rnn", 1), ("lstm", 4), ("gru", 3)])
def test_a_step_waits_for_the_one_before(
    name: str, gates: int, capsys: pytest.CaptureFixture[str]
) -> None:
    document = report(capsys, name, "--dim", "T=16", "--dim", "B=1")
    (cell,) = [one for one in document["nodes"] if one["op"] == f"ai.onnx::{name.upper()}"]
    # all inputs are one product; the states are 16 products of a vector, one after the other
    assert cell["contractions"] == [
        [1, 16, 48 * gates, 32, "float"],
        [16, 1, 48 * gates, 48, "float"],
    ]


def test_bytes_of_the_lstm(capsys: pytest.CaptureFixture[str]) -> None:
    # x [T, B, 32] and 15,744 weights; all states [T, B, 48], the last h and c [B, 48]
    (node,) = report(capsys, "lstm", "--dim", "T=16", "--dim", "B=4")["nodes"]
    assert node["bytes_read"] == 4 * (16 * 4 * 32 + 15_744)
    assert node["bytes_written"] == 4 * (16 * 4 * 48 + 2 * 4 * 48)


def mamba_figures(bs: int) -> Figures:
    """For bs = B * S tokens of 32 values: 64 channels, 16 states a channel, steps of rank 2."""
    # in 32 -> 128, convolution of 4 places, dt B C 64 -> 34, dt 2 -> 64, y = C h, out 64 -> 32
    macs = 32 * 128 + 64 * 4 + 64 * 34 + 2 * 64 + 64 * 16 + 64 * 32
    # h = exp(dt A) h + (dt x) B: products dt A, dt x (64), B, h, and the sum
    scan = 4 * 64 * 16 + 64
    # square, share of the mean, division, scale, and epsilon; biases of convolution and dt; SiLU's
    # product; softplus's 1 + ; D x and its sum; SiLU of z, gate; shortcut
    ops = 4 * 32 + 1 + 64 + 64 + 64 + 64 + scan + 2 * 64 + 2 * 64 + 32
    # root; two sigmoids; exp and log of softplus; exp(dt A)
    transcendentals = 1 + 2 * 64 + 2 * 64 + 64 * 16
    # norm, in, convolution and its bias, dt B C, dt and its bias, A, D, out
    parameters = 32 + 4_096 + 256 + 64 + 2_176 + 128 + 64 + 1_024 + 64 + 2_048
    return bs * macs, bs * ops, bs * transcendentals, parameters, 4 * parameters


@pytest.mark.parametrize(("b", "s"), [(1, 1), (2, 32), (2, 64), (4, 32)])
def test_mamba_is_linear_in_the_sequence(
    b: int, s: int, capsys: pytest.CaptureFixture[str]
) -> None:
    document = report(capsys, "mamba_block", "--dim", f"B={b}", "--dim", f"S={s}")
    assert figures(document) == mamba_figures(b * s)
    assert {one["repeat"] for one in document["nodes"] if one["scope"]} == {s}


def test_the_state_of_mamba_does_not_grow(capsys: pytest.CaptureFixture[str]) -> None:
    for s in (32, 64):
        found = shapes(report(capsys, "mamba_block", "--dim", "B=2", "--dim", f"S={s}"))
        assert found["last"] == [2, 64, 16]
        assert found["ys"] == [2, s, 64]


@pytest.mark.ort
@pytest.mark.parametrize("name", RECURRENT)
def test_shapes_of_recurrent_models_are_those_of_a_run(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document = report(capsys, name, "--dim", "T=5", "--dim", "B=3")
    assert shapes(document) == shapes_of_a_run(document, name, {"x": draw(5, 3, 32)})


@pytest.mark.ort
def test_shapes_of_mamba_are_those_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    document = report(capsys, "mamba_block", "--dim", "B=3", "--dim", "S=5")
    assert shapes(document) == shapes_of_a_run(document, "mamba_block", {"x": draw(3, 5, 32)})


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


@pytest.mark.ort
def test_the_rnn_computes_its_formula() -> None:
    x = draw(5, 3, 32)
    u, v, w = (weight("rnn", name) for name in "uvw")
    h = np.zeros((3, 48), np.float32)
    expected = []
    for step in x:
        h = np.tanh(step @ u[0].T + h @ v[0].T)
        expected.append(softmax(h @ w))
    assert np.allclose(outputs_of_a_run("rnn", {"x": x})["o"], expected, atol=1e-5)


@pytest.mark.ort
def test_the_lstm_computes_its_formula() -> None:
    x = draw(5, 3, 32)
    u, v, b = (weight("lstm", name)[0] for name in "uvb")
    h, c = np.zeros((2, 3, 48), np.float32)
    for step in x:
        i, o, f, g = np.split(step @ u.T + h @ v.T + b[:192] + b[192:], 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    found = outputs_of_a_run("lstm", {"x": x})
    assert np.allclose(found["h"][0], h, atol=1e-5)
    assert np.allclose(found["c"][0], c, atol=1e-5)


@pytest.mark.ort
def test_the_gru_computes_its_formula() -> None:
    x = draw(5, 3, 32)
    u, v, b = (weight("gru", name)[0] for name in "uvb")
    (uz, ur, un), (vz, vr, vn) = np.split(u, 3), np.split(v, 3)
    bz, br, bn, cz, cr, cn = np.split(b, 6)
    h = np.zeros((3, 48), np.float32)
    for step in x:
        z = sigmoid(step @ uz.T + h @ vz.T + bz + cz)
        r = sigmoid(step @ ur.T + h @ vr.T + br + cr)
        h = (1 - z) * np.tanh(step @ un.T + (r * h) @ vn.T + bn + cn) + z * h
    assert np.allclose(outputs_of_a_run("gru", {"x": x})["h"][0], h, atol=1e-5)


@pytest.mark.ort
def test_mamba_computes_its_recurrence() -> None:
    x = draw(2, 6, 32)
    names = ("w_in", "w_conv", "b_conv", "w_x", "w_dt", "b_dt", "decay", "d", "w_out")
    w = {name: weight("mamba_block", name) for name in names}
    normal = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
    u, z = np.split(normal @ w["w_in"], 2, axis=-1)
    padded = np.pad(u, ((0, 0), (3, 0), (0, 0)))  # token t sees t-3 .. t
    mixed = sum(padded[:, at : at + 6] * w["w_conv"][:, 0, at] for at in range(4)) + w["b_conv"]
    a = mixed * sigmoid(mixed)
    rank, b, c = np.split(a @ w["w_x"], [2, 18], axis=-1)
    dt = np.log1p(np.exp(rank @ w["w_dt"] + w["b_dt"]))
    h, ys = np.zeros((2, 64, 16)), []
    for t in range(6):
        new = (dt[:, t] * a[:, t])[:, :, None] * b[:, t, None]
        h = np.exp(dt[:, t, :, None] * w["decay"]) * h + new
        ys.append((h * c[:, t, None]).sum(-1))
    gated = (np.stack(ys, 1) + a * w["d"]) * z * sigmoid(z)
    found = outputs_of_a_run("mamba_block", {"x": x})["y"]
    assert np.allclose(found, x + gated @ w["w_out"], atol=1e-5)


def test_a_scan_is_named_by_its_container(capsys: pytest.CaptureFixture[str]) -> None:
    document = report(capsys, "mamba_block", "--dim", "B=2", "--dim", "S=8")
    scan = by_output(document)["last"]
    assert (scan["status"], scan["macs"]) == ("expanded", 0)
    read = [one for one in document["nodes"] if one["outputs"][0]["name"] == "read"]
    # [64, 16] states of a sequence times C [16, 1], in each of 8 steps
    assert [(one["macs"], one["repeat"]) for one in read] == [(2 * 64 * 16, 8)]
