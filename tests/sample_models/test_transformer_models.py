"""Transformer blocks: every figure of the encoder, a visible prefix, a block in a loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from sample_models.reports import (
    FOLDER,
    Figures,
    by_output,
    draw,
    figures,
    outputs_of_a_run,
    report,
    shapes,
    shapes_of_a_run,
)


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
def test_every_figure_of_the_encoder_follows_its_formula(
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


MATRICES = 4 * 32 * 32 + 2 * 32 * 128
"""Projections and feed-forward layers of a block of width 32."""
BLOCK = MATRICES + 4 * 32
"""And scale and shift of two normalizations."""


def block_figures(tokens: int, b: int, s: int) -> Figures:
    """A pre-norm block of width 32, 4 heads of 8, over all S tokens of B sequences.

    Attention counts as its function body: the scale goes to queries and keys, a bias of zeros to
    every score, and rows that see nothing are looked for (a selection a score, a maximum a pair).
    """
    rows, scores = b * 4 * s, b * 4 * s * s
    attention = 2 * 32 * tokens + 4 * scores - 2 * rows + 2 * scores + s * s
    norm = 7 * 32 * tokens + 4 * tokens
    ops = 2 * norm + attention + 2 * 32 * tokens + 128 * tokens  # two sums, ReLU
    macs = MATRICES * tokens + 2 * 32 * b * s * s
    return macs, ops, 2 * tokens + scores, BLOCK, 4 * BLOCK


@pytest.mark.parametrize(("b", "s"), [(1, 8), (2, 16), (2, 32)])
def test_a_loop_shares_parameters_and_saves_no_work(
    b: int, s: int, capsys: pytest.CaptureFixture[str]
) -> None:
    one = block_figures(b * s, b, s)
    work = tuple(4 * figure for figure in one[:3])
    sizes = ("--dim", f"B={b}", "--dim", f"S={s}")
    looped = report(capsys, "looped_transformer", *sizes)
    stacked = report(capsys, "stacked_transformer", *sizes)
    assert figures(looped) == (*work, BLOCK, 4 * BLOCK)
    assert figures(stacked) == (*work, 4 * BLOCK, 16 * BLOCK)
    # the loop reads its weights in every turn
    assert looped["totals"]["weight_bytes"] == stacked["totals"]["weight_bytes"] == 16 * BLOCK
    assert {node["repeat"] for node in looped["nodes"] if node["scope"]} == {4}


@pytest.mark.parametrize(("p", "r"), [(1, 1), (8, 8), (12, 4), (8, 16)])
def test_a_prefix_decoder(p: int, r: int, capsys: pytest.CaptureFixture[str]) -> None:
    document = report(
        capsys, "prefix_decoder", "--dim", "B=2", "--dim", f"P={p}", "--dim", f"R={r}"
    )
    totals = document["totals"]
    # P queries meet P keys, R queries P + R; the rest's query i sees P + i + 1 of them
    dense = p * p + r * (p + r)
    assert totals["macs"] == 2 * (MATRICES * (p + r) + 2 * 32 * dense)
    useful = p * p + r * p + r * (r + 1) // 2
    assert totals["macs_masked"] == 2 * 2 * 32 * (dense - useful)
    assert document["model"]["parameters"] == BLOCK  # both parts use the same weights
    # keys and values of the prefix are the cache of the rest: 4 heads of 8
    assert by_output(document)["k_past"]["outputs"][0]["shape"] == [2, 4, p, 8]


RUNS: dict[str, tuple[dict[str, int], dict[str, Any]]] = {
    "transformer_encoder": ({"batch": 2, "seq": 6}, {"x": draw(2, 6, 64)}),
    "prefix_decoder": (
        {"B": 2, "P": 5, "R": 3},
        {"prefix": draw(2, 5, 32), "x": draw(2, 8, 32)[:, 5:]},
    ),
    "looped_transformer": ({"B": 2, "S": 6}, {"x": draw(2, 6, 32)}),
    "stacked_transformer": ({"B": 2, "S": 6}, {"x": draw(2, 6, 32)}),
}


@pytest.mark.ort
@pytest.mark.parametrize("name", RUNS)
def test_shapes_are_those_of_a_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    sizes, feeds = RUNS[name]
    options = [part for key, size in sizes.items() for part in ("--dim", f"{key}={size}")]
    document = report(capsys, name, *options)
    assert shapes(document) == shapes_of_a_run(document, name, feeds)


@pytest.mark.ort
def test_the_prefix_sees_itself_and_the_rest_sees_the_past() -> None:
    feeds = RUNS["prefix_decoder"][1]
    before = outputs_of_a_run("prefix_decoder", feeds)

    def same(changed: str, at: int) -> tuple[list[bool], list[bool]]:
        other = {**feeds, changed: feeds[changed].copy()}
        other[changed][:, at, 0] += 5  # one channel: normalization takes a common shift out
        after = outputs_of_a_run("prefix_decoder", other)
        close = [
            [np.allclose(one[:, t], two[:, t], atol=1e-6) for t in range(one.shape[1])]
            for one, two in ((before[key], after[key]) for key in ("y_prefix", "y"))
        ]
        return close[0], close[1]

    assert same("prefix", 4) == ([False] * 5, [False] * 3)  # the last of the prefix, seen by all
    assert same("x", 1) == ([True] * 5, [True, False, False])


def unrolled() -> onnx.ModelProto:
    """The looped model with its body's nodes four times in the place of the loop."""
    model = onnx.load(FOLDER / "looped_transformer.onnx")
    body = model.graph.node[0].attribute[0].g
    del model.graph.node[:]
    names = {"h": "x"}
    for turn in range(4):
        for node in body.node:
            if node.op_type == "Identity":
                continue  # whether the loop goes on
            names |= {name: f"{name}_{turn}" for name in node.output}
            copy = model.graph.node.add()
            copy.CopyFrom(node)
            copy.input[:] = [names.get(name, name) for name in node.input]
            copy.output[:] = [names[name] for name in node.output]
        names["h"] = names["next"]
    model.graph.output[0].name = names["next"]
    return model


@pytest.mark.ort
def test_the_loop_computes_what_four_blocks_compute() -> None:
    runtime = pytest.importorskip("onnxruntime")
    x = draw(2, 6, 32)
    session = runtime.InferenceSession(
        unrolled().SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (expected_y,) = session.run(None, {"x": x})
    found = outputs_of_a_run("looped_transformer", {"x": x})["y"]
    assert np.allclose(found, expected_y, atol=1e-5)
