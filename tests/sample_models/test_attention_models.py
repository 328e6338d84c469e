"""Attention sample models: every tensor's shape, masks dense and useful, heads, normalization."""

from __future__ import annotations

from collections.abc import Mapping
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

Array = NDArray[Any]


def sized(capsys: pytest.CaptureFixture[str], name: str, /, **sizes: int) -> Any:
    options = [part for key, size in sizes.items() for part in ("--dim", f"{key}={size}")]
    return report(capsys, name, *options)


def masked_figures(b: int, s: int, *, mask: int, hidden: bool) -> Figures:
    """Attention of width 64 by primitives; `mask` operations make the mask, `hidden` applies it."""
    c = b * s * s  # scores
    # Q K^T and P V; scale, softmax (maximum, difference, sum, division: 4 less 2 a row), selection
    ops = c + 4 * c - 2 * b * s + (c if hidden else 0) + mask
    return 2 * c * 64, ops, c, 0, 0


@pytest.mark.parametrize(("b", "s"), [(1, 8), (2, 16), (2, 32)])
def test_figures_of_masked_attention(b: int, s: int, capsys: pytest.CaptureFixture[str]) -> None:
    places, pairs = s, s * s  # 0 .. S-1 takes an addition each, a comparison is one for each pair
    for name, mask, hidden in (
        ("attention_full", 0, False),
        ("attention_causal", places + pairs, True),
        ("attention_prefix", places + pairs + s + pairs, True),  # places < prefix, or
    ):
        document = sized(capsys, name, B=b, S=s)
        assert figures(document) == masked_figures(b, s, mask=mask, hidden=hidden), name
        assert document["totals"]["macs_masked"] == 0  # a mask in data saves nothing by itself


def test_every_tensor_of_attention(capsys: pytest.CaptureFixture[str]) -> None:
    assert shapes(sized(capsys, "attention_prefix", B=2, S=16)) == {
        "turned": [2, 64, 16],  # keys, transposed
        **{key: [2, 16, 16] for key in ("raw", "scaled", "scores", "weights")},
        "extent": [1],
        "length": [],
        "places": [16],
        "rows": [16, 1],
        "causal": [16, 16],
        "inside": [16],
        "seen": [16, 16],
        "y": [2, 16, 64],
    }


@pytest.mark.parametrize(("b", "s"), [(1, 1), (1, 8), (2, 16), (2, 32)])
def test_a_causal_mask_leaves_half(b: int, s: int, capsys: pytest.CaptureFixture[str]) -> None:
    totals = sized(capsys, "attention_operator", B=b, S=s)["totals"]
    assert totals["macs"] == 2 * b * s * s * 64  # as without mask
    # query i needs keys 0 .. i: S (S + 1) / 2 pairs
    assert totals["macs"] - totals["macs_masked"] == 2 * b * 64 * s * (s + 1) // 2
    assert totals["transcendentals"] == b * 4 * s * s


@pytest.mark.parametrize(("p", "r"), [(1, 1), (8, 8), (12, 4), (8, 16)])
def test_a_prefix_in_two_calls(p: int, r: int, capsys: pytest.CaptureFixture[str]) -> None:
    totals = sized(capsys, "attention_prefix_operator", B=2, P=p, R=r)["totals"]
    # P queries see P keys; R queries meet P + R keys, of which query i needs P + i + 1
    assert totals["macs"] == 2 * 2 * 64 * (p * p + r * (p + r))
    useful = 2 * 2 * 64 * useful_pairs(p, p + r)
    assert totals["macs"] - totals["macs_masked"] == useful
    one_pass = sized(capsys, "attention_prefix", B=2, S=p + r)["totals"]["macs"]
    assert one_pass - totals["macs"] == 2 * 2 * 64 * p * r  # the prefix never meets the rest


def useful_pairs(prefix: int, s: int) -> int:
    """Query i sees the prefix, and keys 0 .. i: the causal half, and the half of P x P above it."""
    return s * (s + 1) // 2 + prefix * (prefix - 1) // 2


@pytest.mark.parametrize("heads", [1, 4, 8])
@pytest.mark.parametrize(("b", "s"), [(2, 16), (1, 128), (1, 256)])
def test_heads_share_the_width(
    heads: int, b: int, s: int, capsys: pytest.CaptureFixture[str]
) -> None:
    document = sized(capsys, f"multi_head_{heads}", B=b, S=s)
    c = b * heads * s * s
    # 3 projections and the output, 64 * 64 each; scores and weighted sum c * 64 / heads each
    macs = 4 * b * s * 64 * 64 + 2 * b * s * s * 64
    ops = c + 4 * c - 2 * b * heads * s  # scale and softmax
    assert figures(document) == (macs, ops, c, 4 * 64 * 64, 4 * 4 * 64 * 64)
    nodes = by_output(document)
    assert [nodes[name]["macs"] for name in ("raw", "context")] == [b * s * s * 64] * 2
    assert nodes["scores"]["bytes_written"] == 4 * c
    # The scale goes into the product and Softmax works in place, so scores stand once: beside
    # queries and keys, then values and context. Where S is small, queries and keys (before and
    # after they are turned) are more. [B, S, 64] each. ONNX Runtime 1.32.0 measures the same.
    t = 4 * b * s * 64
    assert document["totals"]["peak_activation_bytes"] == max(4 * c + 2 * t, 3 * t)


def test_every_tensor_of_multi_head_attention(capsys: pytest.CaptureFixture[str]) -> None:
    found = shapes(sized(capsys, "multi_head_4", B=2, S=16))
    assert {key: found[key] for key in found if not key.startswith("w") or key == "weights"} == {
        **{key: [2, 16, 64] for key in ("pq", "pk", "pv")},
        **{key: [2, 16, 4, 16] for key in ("hq", "hk", "hv")},
        **{key: [2, 4, 16, 16] for key in ("q", "v")},
        "k": [2, 4, 16, 16],  # transposed: [B, H, dh, S], dh = S = 16 here
        **{key: [2, 4, 16, 16] for key in ("raw", "scores", "weights")},
        "context": [2, 4, 16, 16],
        "together": [2, 16, 4, 16],
        "merged": [2, 16, 64],
        "y": [2, 16, 64],
    }


@pytest.mark.parametrize("device", ["i7-12700k", "jetson-orin-nano-8", "nv-a100-sxm4-80"])
def test_layer_normalization_is_bound_by_memory(
    device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document = report(capsys, "layer_norm", "--dim", "B=64", "--dim", "S=4096", "--device", device)
    t, rows = 64 * 4_096 * 64, 64 * 4_096
    # mean, square, mean of squares, deviation, division, scale, shift; 4 and a root for each row
    assert figures(document) == (0, 7 * t + 4 * rows, rows, 128, 512)
    (node,) = document["nodes"]
    assert node["bytes_read"] + node["bytes_written"] == 8 * t + 512
    assert node["intensity"] == (7 * t + 4 * rows) / (8 * t + 512)  # 0.88, whatever the size
    (kernel,) = document["devices"][0]["kernels"]
    assert kernel["bound"] == "memory"


QKV = {name: draw(3, 2, 6, 64)[at] for at, name in enumerate("qkv")}
PREFIX = {
    f"{name}{part}": draw(6, 2, 4, 5, 16)[at, :, :, :size]
    for at, (name, part, size) in enumerate(
        (name, part, size) for part, size in (("_prefix", 5), ("", 3)) for name in "qkv"
    )
}
FEEDS: Mapping[str, tuple[Mapping[str, int], Mapping[str, Array]]] = {
    "attention_full": ({"B": 2, "S": 6}, QKV),
    "attention_causal": ({"B": 2, "S": 6}, QKV),
    "attention_prefix": ({"B": 2, "S": 6}, {**QKV, "prefix": np.array(3)}),
    "attention_operator": ({"B": 2, "S": 6}, QKV),
    "attention_prefix_operator": ({"B": 2, "P": 5, "R": 3}, PREFIX),
    **{f"multi_head_{h}": ({"B": 2, "S": 6}, {"x": QKV["q"]}) for h in (1, 4, 8)},
    "layer_norm": ({"B": 2, "S": 6}, {"x": QKV["q"]}),
}


@pytest.mark.ort
@pytest.mark.parametrize("name", FEEDS)
def test_shapes_are_those_of_a_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    sizes, feeds = FEEDS[name]
    document = sized(capsys, name, **sizes)
    assert shapes(document) == shapes_of_a_run(document, name, feeds)


def attention(q: Array, k: Array, v: Array, seen: Array) -> Array:
    """softmax(Q K^T / sqrt(d)) V over the keys that are seen."""
    scores = np.where(seen, q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]), -np.inf)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True) @ v)


def split(x: Array) -> Array:
    """[B, S, 64] to [B, 4, S, 16]."""
    return np.swapaxes(x.reshape(*x.shape[:2], 4, 16), 1, 2)


@pytest.mark.ort
def test_masks_hide_what_they_should() -> None:
    q, k, v = QKV.values()
    causal = np.tri(6, dtype=bool)
    prefix = causal | (np.arange(6) < 3)
    for name, seen in (
        ("attention_full", np.full((6, 6), fill_value=True)),
        ("attention_causal", causal),
        ("attention_prefix", prefix),
    ):
        found = outputs_of_a_run(name, FEEDS[name][1])["y"]
        assert np.allclose(found, attention(q, k, v, seen), atol=1e-5), name
    heads = np.swapaxes(attention(split(q), split(k), split(v), causal), 1, 2).reshape(2, 6, 64)
    assert np.allclose(outputs_of_a_run("attention_operator", QKV)["y"], heads, atol=1e-5)


@pytest.mark.ort
def test_useful_pairs_are_those_that_the_mask_shows() -> None:
    for prefix in range(1, 7):
        feeds = {**QKV, "prefix": np.array(prefix)}
        seen = outputs_of_a_run("attention_prefix", feeds, "seen")["seen"]
        assert seen.sum() == useful_pairs(prefix, 6)


@pytest.mark.ort
def test_a_prefix_in_two_calls_is_one_mask() -> None:
    q, k, v = (np.concatenate([PREFIX[f"{name}_prefix"], PREFIX[name]], axis=2) for name in "qkv")
    whole = attention(q, k, v, np.tri(8, dtype=bool) | (np.arange(8) < 5))
    found = outputs_of_a_run("attention_prefix_operator", PREFIX)
    assert np.allclose(found["y_prefix"], whole[:, :, :5], atol=1e-5)
    assert np.allclose(found["y"], whole[:, :, 5:], atol=1e-5)


@pytest.mark.ort
def test_layer_normalization_computes_its_formula() -> None:
    x = QKV["q"]
    centred = x - x.mean(-1, keepdims=True)
    normal = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    expected = normal * weight("layer_norm", "g") + weight("layer_norm", "b")
    assert np.allclose(outputs_of_a_run("layer_norm", {"x": x})["y"], expected, atol=1e-5)
