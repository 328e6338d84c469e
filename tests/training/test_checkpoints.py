"""Freezing, checkpoints and the batch on the residual and the encoder sample, derived by hand."""

from __future__ import annotations

import pytest

from mlsys_lint.errors import OptionError
from training.steps import train, train_sample

# residual_block, a sample: bytes of the image, of a 16 x 32 x 32 value, of the pooled 16.
IMAGE = 4 * 3 * 1024
VALUE = 4 * 16 * 1024
POOLED = 4 * 16

# transformer_encoder, a sequence of 16: bytes of a value of width 64, and of mean and deviation of
# each row. The scores 4 * 16 * 16 are as large as a value.
TOKENS = 4 * 16 * 64
ROWS = 4 * 2 * 16


@pytest.mark.parametrize("batch", [1, 2])
def test_only_the_last_layer_of_the_residual_block(batch: int) -> None:
    # Gemm keeps its pooled input for the gradient of fc; the products before are frozen, and nothing
    # but the bias's sums follows: 2 * 16 * 10 FLOPs and 10 (batch - 1).
    step = train_sample("residual_block", {"N": batch}, trainable=("fc", "bias"))
    assert step.activation_bytes == batch * POOLED
    assert step.backward_contraction_flops == batch * 2 * 160
    assert step.backward_flops == batch * 2 * 160 + 10 * (batch - 1)
    assert (step.trainable_parameters, step.frozen_parameters) == (170, 5210 - 170)


@pytest.mark.parametrize("batch", [1, 2])
def test_only_the_last_layer_of_the_encoder(batch: int) -> None:
    # The last normalization's scale and shift: its input and the statistics of its rows.
    step = train_sample("transformer_encoder", {"batch": batch, "seq": 16}, trainable=("g2", "o2"))
    assert step.activation_bytes == batch * (TOKENS + ROWS)
    assert step.backward_contraction_flops == 0


@pytest.mark.parametrize("batch", [1, 2])
def test_square_root_of_the_residual_blocks_stages(batch: int) -> None:
    # One value crosses after the stem and its Relu, after the sum, its Relu, the pooling and the last
    # layer; two inside the block. Ends: stem, Relu, sum, Relu, pooling: 6 stages, 3 in a segment: one
    # cut, at the sum.
    step = train_sample("residual_block", {"N": batch}, checkpointing="sqrt")
    assert step.segments == 2
    # The first segment reads the image and keeps two results of Relu; the last one, which is not
    # computed again, a result of Relu and the pooled values.
    first, last = 2 * VALUE, VALUE + POOLED
    assert step.activation_bytes == batch * (IMAGE + max(first, last))
    # Again: the stem of 27 * 16 * 1024 MACs, two convolutions of 144 * 16 * 1024, two Relus, a sum.
    again = 2 * (27 + 2 * 144) * 16 * 1024 + 3 * 16 * 1024
    assert step.recompute_flops == batch * again


@pytest.mark.parametrize("batch", [1, 2])
def test_square_root_of_the_encoders_stages(batch: int) -> None:
    # The input is needed up to the first sum, so that one value crosses after that sum, its
    # normalization and the second sum: 4 stages, 2 in a segment, cut at the normalization.
    dims = {"batch": batch, "seq": 16}
    step = train_sample("transformer_encoder", dims, checkpointing="sqrt")
    assert step.segments == 2
    # First: q, k, v, scores, the joined heads, the sum; the input is read from outside. Last: the
    # normalized values, Relu's of twice the width, the second sum.
    first, last = 6 * TOKENS + ROWS, 4 * TOKENS + ROWS
    assert step.activation_bytes == batch * (TOKENS + max(first, last))
    # Again: four projections of 16 * 64 * 64 MACs, scores and weighted sum of 16 * 16 * 64, four
    # biases, scale and sum of 1,024 operations each, a softmax of 64 rows of 16, and a normalization:
    # 7 an element and 4 a row.
    products = 2 * (4 * 16 * 64 * 64 + 2 * 16 * 16 * 64)
    operations = 6 * 1024 + (4 * 1024 - 2 * 64) + (7 * 1024 + 4 * 16)
    assert step.recompute_flops == batch * (products + operations)


def test_every_second_stage_of_a_stack() -> None:
    # stacked_transformer: four blocks of two stages, so that a segment is a block. Width 32, 3 tokens:
    # a block reads its input from outside and keeps two normalizations' results, q, k, v, the
    # attention's result and the first sum (7 * 32), Relu's 128, 4 * 9 probabilities, 4 statistics a row.
    step = train_sample("stacked_transformer", {"B": 1, "S": 3}, checkpointing="every-2")
    assert step.segments == 4
    stream = 4 * 3 * 32
    block = 4 * (3 * (7 * 32 + 128 + 4) + 36)
    # The fourth block's input is not read by a segment that is computed again; it keeps that itself.
    assert step.activation_bytes == 3 * stream + block + stream
    whole = train_sample("stacked_transformer", {"B": 1, "S": 3})
    assert whole.activation_bytes == 4 * (block + stream)
    assert step.recompute_flops == whole.forward_flops * 3 // 4
    assert step.backward_flops == whole.backward_flops


def test_checkpoints_of_adapters_compute_them_again() -> None:
    dims = {"B": 1, "S": 3}
    step = train_sample("stacked_transformer", dims, optimizer="lora", checkpointing="every-2")
    # But for the first normalization, which no adapter reaches: its result is kept instead (7
    # operations for each of 96 values, 4 for each of 3 rows).
    assert step.recompute_flops == step.forward_flops * 3 // 4 - 7 * 96 - 4 * 3


def test_micro_batches_compute_again_each_time() -> None:
    one, three = (
        train_sample("residual_block", {"N": 1}, checkpointing="sqrt", accumulation=times)
        for times in (1, 3)
    )
    assert three.recompute_flops == 3 * one.recompute_flops
    assert three.activation_bytes == one.activation_bytes


def test_one_segment_saves_nothing_and_costs_nothing() -> None:
    plain, whole = (
        train_sample("residual_block", {"N": 1}, checkpointing=policy)
        for policy in ("none", "every-9")
    )
    assert whole.activation_bytes == plain.activation_bytes
    assert (whole.recompute_flops, whole.segments) == (0, 1)


@pytest.mark.parametrize("policy", ["root", "every-", "every-0", "every-two", "sqrt-2"])
def test_unknown_policies(policy: str) -> None:
    text = "g (float[2,3] x) => (float[2,3] y) <float[3,3] w> { y = MatMul(x, w) }"
    with pytest.raises(OptionError, match="expected sqrt or every-N, such as every-2"):
        train(text, checkpointing=policy)
