"""LLaMA-7B at 256 tokens in bf16, beside figure 1 of the GaLore paper (arXiv:2403.03507): 14 GB of
weights, 42 GB of gradients and Adam's states, 2 GB of activations."""

from __future__ import annotations

from functools import cache

import onnx
import pytest

from training.llama import HEADS, INNER, LAYERS, TOKENS, WIDTH, WORDS, llama
from training.steps import train

# Embedding and head, four square matrices, three of the perceptron and two scales a layer, one more.
PARAMETERS = 2 * WORDS * WIDTH + LAYERS * (4 * WIDTH**2 + 3 * WIDTH * INNER + 2 * WIDTH) + WIDTH
TABLES = 2 * TOKENS * WIDTH // HEADS // 2
"""Cosines and sines of the rotary embedding: stored, never trained."""

# Bytes of one tensor of each kind in bf16.
STREAM = TOKENS * WIDTH * 2
WIDE = TOKENS * INNER * 2
SCORES = HEADS * TOKENS**2 * 2
ROOTS = TOKENS * 4
"""A number for each row of a normalization, in 32 bits."""

INDICES = TOKENS * 8
"""Which rows of the embedding get the gradient."""


@cache
def model(*, exported: bool) -> onnx.ModelProto:
    return llama(exported=exported)


def test_weights_gradients_and_states_of_adam() -> None:
    step = train(model(exported=False), optimizer="adam")
    assert PARAMETERS == 6_738_415_616
    assert (step.trainable_parameters, step.frozen_parameters) == (PARAMETERS, TABLES)
    assert step.weight_bytes == 2 * (PARAMETERS + TABLES)
    assert step.gradient_bytes == 2 * PARAMETERS
    assert step.optimizer_state_bytes == 2 * 2 * PARAMETERS
    assert step.weight_bytes == pytest.approx(14e9, rel=0.05)
    assert step.gradient_bytes + step.optimizer_state_bytes == pytest.approx(42e9, rel=0.05)
    assert not step.is_lower_bound


def test_activations_with_one_operator_for_each_step() -> None:
    # A layer keeps, in units of STREAM: the input of each normalization (2) and its result (2, read
    # by three and by two products), rotated queries and keys and the values (3), the heads' joined
    # result (1). The scores keep their softmax. The perceptron keeps the gate's argument, what Swish
    # makes of it, the other half, and their product (4 WIDE). Nothing is kept by sums, views, the
    # scale, the mask and the rotation, whose tables are stored.
    layer = 8 * STREAM + 2 * ROOTS + SCORES + 4 * WIDE
    # The last normalization's input and result.
    expected = INDICES + LAYERS * layer + 2 * STREAM + ROOTS
    assert expected == 1_396_771_840
    assert train(model(exported=False)).activation_bytes == expected


def test_activations_with_the_float_copies_of_an_export() -> None:
    # A normalization keeps its float copy (2 STREAM) for the square and the product, the root and its
    # reciprocal for each row, and the bf16 copy that the weight scales; its result is kept by products.
    norm = 2 * STREAM + 2 * ROOTS + STREAM + STREAM
    # Queries, keys, values and the joined heads; softmax in float and its bf16 copy; the gate, its
    # sigmoid, their product, the other half and the product of the halves.
    layer = 2 * norm + 4 * STREAM + 3 * SCORES + 5 * WIDE
    expected = INDICES + LAYERS * layer + norm
    assert expected == 2_118_258_688
    assert train(model(exported=True)).activation_bytes == expected


def test_the_figures_lie_around_that_of_the_paper() -> None:
    # The paper's 2 GB is given with one digit.
    fewest, most = (train(model(exported=one)).activation_bytes for one in (False, True))
    assert fewest is not None
    assert most is not None
    assert fewest < 2e9 < most
    assert round(most / 1e9) == 2


def test_work_is_twice_the_forward_pass() -> None:
    # Every product has two operands that a weight reaches or is: the first layer reads embeddings.
    step = train(model(exported=False))
    products = LAYERS * (TOKENS * (4 * WIDTH**2 + 3 * WIDTH * INNER) + 2 * TOKENS**2 * WIDTH)
    forward = 2 * (products + TOKENS * WIDTH * WORDS)
    assert step.forward_contraction_flops == forward
    assert step.backward_contraction_flops == 2 * forward


def test_adam_in_8_bits() -> None:
    # Every tensor has 4,096 weights or more and is a multiple of 2,048: two bytes a weight and two
    # scales of 4 bytes a block.
    step = train(model(exported=False), optimizer="adam-8bit")
    assert step.optimizer_state_bytes == 2 * PARAMETERS + 2 * 4 * PARAMETERS // 2048
    assert step.gradient_bytes == 2 * PARAMETERS


def test_galore_of_rank_1024() -> None:
    # m r + 2 r n in bf16 for an m x n matrix, m <= n; Adam for the embedding, which no product
    # multiplies, and the scales.
    rank = 1024
    square = rank * WIDTH + 2 * rank * WIDTH
    inner = rank * WIDTH + 2 * rank * INNER
    head = rank * WIDTH + 2 * rank * WORDS
    adam = 2 * (WORDS * WIDTH + LAYERS * 2 * WIDTH + WIDTH)
    states = LAYERS * (4 * square + 3 * inner) + head + adam
    step = train(model(exported=False), optimizer="galore", rank=rank)
    assert step.optimizer_state_bytes == 2 * states
    assert step.rank == rank
    # The projections of all these matrices: two products of rank * m * n.
    matrices = PARAMETERS - WORDS * WIDTH - LAYERS * 2 * WIDTH - WIDTH
    others = PARAMETERS - matrices
    projected = rank * (LAYERS * (4 * WIDTH + 3 * INNER) + WORDS)
    assert step.update_flops == 4 * rank * matrices + 3 * matrices + 11 * projected + 13 * others


def test_lora_of_rank_8() -> None:
    # Adapters [k, 8] and [8, n] at seven matrices of a layer and the head.
    adapters = 8 * (LAYERS * (4 * 2 * WIDTH + 3 * (WIDTH + INNER)) + WIDTH + WORDS)
    step = train(model(exported=False), optimizer="lora", rank=8)
    assert (step.trainable_parameters, step.frozen_parameters) == (adapters, PARAMETERS + TABLES)
    assert step.weight_bytes == 2 * (PARAMETERS + TABLES + adapters)
    assert step.gradient_bytes == 2 * adapters
    assert step.optimizer_state_bytes == 4 * adapters
    # As full training, and X A of 8 numbers a token at 7 products a layer and the head; without the
    # embedding's indices and the first normalization's input, which nothing trained reaches.
    full = 1_396_771_840
    inner = (7 * LAYERS + 1) * TOKENS * 8 * 2
    assert step.activation_bytes == full + inner - INDICES - STREAM - ROOTS
    # Of the frozen matrices only the gradient of the input; none at the first q, k and v, whose input
    # nothing trained reaches. An adapter takes m r (k + n) MACs each way and side.
    forward = 2 * TOKENS * (LAYERS * (4 * WIDTH**2 + 3 * WIDTH * INNER) + WIDTH * WORDS)
    attention = 2 * LAYERS * 2 * TOKENS**2 * WIDTH
    pairs = 2 * TOKENS * adapters
    assert step.forward_contraction_flops == forward + attention + pairs
    unreached = 2 * TOKENS * 3 * WIDTH**2
    of_inputs = 2 * TOKENS * 3 * 8 * WIDTH
    assert step.backward_contraction_flops == (
        forward - unreached + 2 * attention + 2 * pairs - of_inputs
    )


def test_checkpoints_at_the_square_root_of_the_stages() -> None:
    # A stage ends at the embedding, at the 64 sums of the residual stream but the last one's
    # successors, and at the last normalization: 1 + 64 + 1 ends make 67 stages, 9 in a segment, cut
    # after stages 9, 18 .. 63: embedding and 8 sums (4 layers), then 9 sums each (4.5 layers): cuts at
    # x4, y8, x13, y17, x22, y26, x31 and 8 segments.
    step = train(model(exported=False), checkpointing="sqrt")
    assert step.segments == 8
    # Read from outside by the first seven: the mask and the streams into segments 2 to 7. The eighth
    # keeps no stream that it reads: its normalization does keep its input, counted inside.
    outside = TOKENS**2 * 2 + 6 * STREAM
    # What a half layer keeps besides the stream it reads: attention a norm's result, q, k, v, the
    # joined heads and the scores; the perceptron a norm's result and 4 WIDE.
    attention = 5 * STREAM + ROOTS + SCORES
    perceptron = STREAM + ROOTS + 4 * WIDE
    # The largest segments hold 5 perceptrons and 4 attentions and start with a perceptron, whose
    # input is outside: 8 streams inside.
    largest = 5 * perceptron + 4 * attention + 8 * STREAM
    assert step.activation_bytes == outside + largest
