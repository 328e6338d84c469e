"""Whole language models at published sizes: parameters, MACs, prefill against decode, diffusion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sample_models.reports import (
    Figures,
    by_output,
    figures,
    report,
)

LAYER = 4 * 768 * 768 + 2 * 768 * 3_072
"""Matrices of a layer of BERT-base and GPT-2: four of the attention, two of the feed-forward part."""
VOCABULARY = 50_257
WHOLE_LAYER = LAYER + 4 * 768 + 3_072 + 768 + 4 * 768
"""And biases of these matrices, scale and shift of two normalizations."""
# tokens, places, segments and their norm; layers; pooler: 109,482,240
BERT = (30_522 + 512 + 2 + 2) * 768 + 12 * WHOLE_LAYER + 768 * 769
# tokens (also the last matrix), places; layers; last norm: 124,439,808
GPT2 = (VOCABULARY + 1_024 + 2) * 768 + 12 * WHOLE_LAYER
# T5-small: matrices of an attention, of a feed-forward part; norms of 512. Tokens (also the last
# matrix); encoder and decoder layers; 32 buckets for 8 heads, and a last norm, of both: 60,506,624
SQUARE, WIDE = 4 * 512 * 512, 2 * 512 * 2_048
T5 = 32_128 * 512 + 6 * (SQUARE + WIDE + 2 * 512 + 2 * SQUARE + WIDE + 3 * 512) + 2 * (256 + 512)


def sized(capsys: pytest.CaptureFixture[str], name: str, *more: str, **sizes: int) -> Any:
    options = [part for key, size in sizes.items() for part in ("--dim", f"{key}={size}")]
    return report(capsys, name, *options, *more)


def attention_ops(b: int, s: int, t: int, heads: int, *, bias: int, ops: int = 0) -> int:
    """Vector operations of Attention as its function body counts: heads of 64, S queries, T keys.

    The scale goes to queries and keys; a sum for the bias and a selection for rows that see
    nothing on every score; softmax; a maximum over the elements of the bias, which takes `ops`.
    """
    rows, scores = b * heads * s, b * heads * s * t
    return b * heads * (s + t) * 64 + 2 * scores + 4 * scores - 2 * rows + bias + ops


def layer_ops(b: int, s: int, t: int, *, gelu: int, causal: bool) -> int:
    """Vector operations of a layer of width 768, 12 heads, hidden width 3072."""
    # two normalizations; biases of q, k, v, of the output, up, down; two shortcuts; GELU
    each = 2 * (7 * 768 + 4) + 3 * 768 + 768 + 3_072 + 768 + 2 * 768 + gelu * 3_072
    # causal: query i's limit, a comparison and a selection for each pair, the sum with no mask
    mask = s + 2 * s * t + s * t if causal else 0
    return b * s * each + attention_ops(b, s, t, 12, bias=s * t, ops=mask)


def bert_figures(b: int, s: int) -> Figures:
    tokens = b * s
    macs = 12 * (tokens * LAYER + 2 * b * s * s * 768) + b * 768 * 768
    # embeddings: two sums and a normalization; GELU by erf: x / sqrt 2, 1 +, x, / 2; pooler's bias
    ops = tokens * (2 * 768 + 7 * 768 + 4) + b * 768
    ops += 12 * layer_ops(b, s, s, gelu=4, causal=False)
    roots, tanh, exp, erf = 25 * tokens, 768 * b, 12 * 12 * b * s * s, 12 * 3_072 * tokens
    return macs, ops, roots + tanh + exp + erf, BERT, 4 * BERT


def gpt2_figures(b: int, s: int, p: int) -> Figures:
    tokens, t = b * s, p + s
    # logits of the last token only
    macs = 12 * (tokens * LAYER + 2 * b * s * t * 768) + b * 768 * VOCABULARY
    # token + place; P + S; last norm. GELU by tanh: x + 0.044715 x^3, scale, 1 +, x, / 2 (6)
    ops = tokens * 768 + 1 + b * (7 * 768 + 4) + 12 * layer_ops(b, s, t, gelu=6, causal=True)
    # roots, exp, and the pow and tanh of GELU
    special = 24 * tokens + b + 12 * (12 * b * s * t + 2 * 3_072 * tokens)
    return macs, ops, special, GPT2, 4 * GPT2


def diffusion_figures(b: int, s: int) -> Figures:
    tokens = b * s
    macs = 12 * (tokens * LAYER + 2 * b * s * s * 768) + tokens * 768 * VOCABULARY
    ops = tokens * (768 + 7 * 768 + 4) + 12 * layer_ops(b, s, s, gelu=6, causal=False)
    # softmax, greatest probability, its place; masked?, keep, enough?, and, choose; per sequence
    # the surest token (S - 1) and the limit
    ops += tokens * ((4 * VOCABULARY - 2) + 2 * (VOCABULARY - 1) + 5) + b * (s - 1) + b
    special = 25 * tokens + 12 * (12 * b * s * s + 2 * 3_072 * tokens) + tokens * VOCABULARY
    return macs, ops, special, GPT2, 4 * GPT2


def t5_figures(b: int, s: int, t: int) -> Figures:
    macs = 6 * (b * s * (SQUARE + WIDE) + 2 * 512 * b * s * s)  # encoder
    macs += 6 * (b * t * (SQUARE + WIDE) + 2 * 512 * b * t * t)  # decoder, itself
    macs += 6 * ((b * t + b * s) * SQUARE // 2 + 2 * 512 * b * t * s)  # and the encoder
    macs += b * t * 512 * 32_128
    norm = 4 * 512 + 1  # square, its mean, division, scale; epsilon, and a root
    # places, distances, two bounds, bucket: of S and of T tokens
    ops = s + 4 * s * s + t + 4 * t * t
    # a layer: norm and shortcut of each part (encoder 2, decoder 3), ReLU; the last norms; x / sqrt d
    ops += b * s * (6 * (2 * norm + 2 * 512 + 2_048) + norm)
    ops += b * t * (6 * (3 * norm + 3 * 512 + 2_048) + norm + 512)
    # bias for each head, summed in the decoder with the causal mask (a limit, two for each pair)
    ops += 6 * attention_ops(b, s, s, 8, bias=8 * s * s)
    ops += 6 * attention_ops(b, t, t, 8, bias=8 * t * t, ops=t + 2 * t * t + 8 * t * t)
    ops += 6 * attention_ops(b, t, s, 8, bias=t * s)
    special = b * s * 13 + b * t * 19 + 6 * 8 * b * (s * s + t * t + t * s)
    return macs, ops, special, T5, 4 * T5


@pytest.mark.parametrize(("b", "s"), [(1, 128), (2, 16), (2, 32)])
def test_figures_of_the_encoder_only_model(
    b: int, s: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert figures(sized(capsys, "bert_base", B=b, S=s)) == bert_figures(b, s)


@pytest.mark.parametrize(("b", "s", "p"), [(1, 512, 0), (1, 1, 511), (2, 1, 1_000), (2, 8, 16)])
def test_figures_of_the_decoder_only_model(
    b: int, s: int, p: int, capsys: pytest.CaptureFixture[str]
) -> None:
    document = sized(capsys, "gpt2", B=b, S=s, P=p)
    assert figures(document) == gpt2_figures(b, s, p)
    # of the new tokens, query i does not see those after it
    assert document["totals"]["macs_masked"] == 12 * 2 * 768 * b * s * (s - 1) // 2


@pytest.mark.parametrize(("b", "s"), [(1, 1), (1, 64), (2, 16)])
def test_figures_of_the_diffusion_model(b: int, s: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert figures(sized(capsys, "diffusion_step", B=b, S=s)) == diffusion_figures(b, s)


@pytest.mark.parametrize(("b", "s", "t"), [(1, 32, 16), (2, 16, 32), (2, 8, 8)])
def test_figures_of_the_encoder_decoder_model(
    b: int, s: int, t: int, capsys: pytest.CaptureFixture[str]
) -> None:
    document = sized(capsys, "t5_small", B=b, S=s, T=t)
    assert figures(document) == t5_figures(b, s, t)
    nodes = by_output(document)
    # cross-attention: T queries from the decoder, S keys and values from the encoder
    assert nodes["q_c1"]["contractions"] == [[1, b * t, 512, 512, "float"]]
    assert nodes["k_c1"]["contractions"] == [[1, b * s, 512, 512, "float"]]
    assert nodes["context_c1"]["contractions"] == [
        [b * 8, t, s, 64, "float"],
        [b * 8, t, 64, s, "float"],
    ]
    # the decoder's own attention is causal
    assert document["totals"]["macs_masked"] == 6 * 2 * 512 * b * t * (t - 1) // 2


def matrix_kernels(document: Any) -> list[Any]:
    """Kernels of the first device that multiply by a weight."""
    products = {
        one["index"]
        for one in document["nodes"]
        if one["op"] in ("ai.onnx::MatMul", "ai.onnx::Gemm")
    }
    return [one for one in document["devices"][0]["kernels"] if set(one["nodes"]) <= products]


def test_prefill_is_bound_by_compute_and_decode_by_memory(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for device, compute in (("i7-12700k", "vector"), ("nv-a100-sxm4-80", "matrix")):
        prefill = sized(capsys, "gpt2", "--device", device, B=1, S=512, P=0)
        decode = sized(capsys, "gpt2", "--device", device, B=1, S=1, P=511)
        # four matrices a layer; the last product takes one token in both
        assert {one["bound"] for one in matrix_kernels(prefill)[:48]} == {compute}
        step = {one["bound"] for one in matrix_kernels(decode)}
        assert step == {"memory"} if device == "i7-12700k" else step <= {"memory", "overhead"}
        # 768 * 3072 for 512 tokens: 2 * 512 * 768 * 3072 FLOPs for 768 * 3072 + 512 * 3840 values
        assert by_output(prefill)["up1_m"]["intensity"] == pytest.approx(139.6, abs=0.1)
        assert by_output(decode)["up1_m"]["intensity"] == pytest.approx(0.5, abs=0.01)


def test_a_decode_step_reads_all_weights_and_the_cache(capsys: pytest.CaptureFixture[str]) -> None:
    document = sized(capsys, "gpt2", B=1, S=1, P=511)
    # all but the places, of which one row; of the tokens one row more, for the embedding; and the
    # stored index of the last token, 8 bytes
    weights = GPT2 - 1_024 * 768 + 2 * 768
    assert document["totals"]["weight_bytes"] == 4 * weights + 8
    # 12 layers, keys and values, 768 floats a token
    cache = [one for one in document["model"]["outputs"] if "present" in one["name"]]
    assert sum(4 * np.prod(one["shape"]) for one in cache) == 73_728 * 512
    # the new cache, the last token after its norm, and its logits
    peak = 73_728 * 512 + 4 * 768 + 4 * VOCABULARY
    assert document["totals"]["peak_activation_bytes"] == peak


def test_one_denoising_step_takes_the_macs_of_all_decode_steps(
    capsys: pytest.CaptureFixture[str],
) -> None:
    n = 256
    first, last = (sized(capsys, "gpt2", B=1, S=1, P=p)["totals"]["macs"] for p in (0, n - 1))
    decode = n * (first + last) // 2  # linear in the cache
    step = sized(capsys, "diffusion_step", B=1, S=n)["totals"]["macs"]
    # both take N (12 LAYER + 768 V); decode half of the pairs and the diagonal, the step all
    assert decode == n * (12 * LAYER + 768 * VOCABULARY) + 12 * 2 * 768 * n * (n + 1) // 2
    assert step - decode == 12 * 2 * 768 * n * (n - 1) // 2
    assert 1 < step / decode < 1.02


def test_a_few_denoising_steps_beat_decoding_token_by_token(
    capsys: pytest.CaptureFixture[str],
) -> None:
    n = 256

    def seconds(name: str, **sizes: int) -> float:
        (device,) = sized(capsys, name, "--device", "nv-a100-sxm4-80", B=1, **sizes)["devices"]
        return float(device["latency_s"]["expected"])

    decode = n * seconds("gpt2", S=1, P=n // 2)
    step = seconds("diffusion_step", S=n)
    assert 8 * step < decode < n * step  # weights are read 8 times instead of 256; one token a step
