"""What the forward pass keeps, tensor by tensor; PyTorch is the second witness for whole blocks."""

from __future__ import annotations

import pytest

from training.steps import train, train_sample

# Values of 2 x 3 floats are 24 bytes; x is kept for w's gradient.
HEAD = "g (float[2,3] x) => (float y) <float[3,3] w> "
X = 24
H = 24


@pytest.mark.parametrize(
    ("call", "nbytes"),
    [
        ("Add(h, h)", 0),
        ("Sub(h, x)", 0),
        ("Neg(h)", 0),
        ("Transpose(h)", 0),
        ("Reshape(h, shape)", 0),
        ("Concat<axis=0>(h, h)", 0),
        ("Cast<to=10>(h)", 0),
        ("ReduceSum(h)", 0),
        ("ReduceMean(h)", 0),
        ("Mul(h, two)", 0),  # the other factor is stored
        ("Mul(h, h)", H),  # one buffer, kept once
        ("Mul(h, x)", 0),  # x is kept already
        ("Div(h, x)", 0),
        ("Div(x, h)", H),  # the divisor, and x, which is kept already
        ("Relu(h)", H),  # its result
        ("Exp(h)", H),
        ("Tanh(h)", H),
        ("Sigmoid(h)", H),
        ("Softmax(h)", H),
        ("LogSoftmax(h)", H),
        ("Sqrt(h)", H),
        ("Reciprocal(h)", H),
        ("Gelu(h)", H),  # its argument
        ("LeakyRelu(h)", H),
        ("Erf(h)", H),
        ("Log(h)", H),
        ("Pow(h, two)", H),
        ("Clip(h, low)", H),
        ("Where(m, h, x)", 6),  # a byte for each element of the condition
        ("ReduceMax(h)", H),
        ("Dropout(h)", 6),  # a mask, in training
        ("LayerNormalization(h, s)", H + 2 * 2 * 4),  # argument; mean and deviation of 2 rows
        ("RMSNormalization(h, s)", H + 2 * 4),
        ("MatMul(h, w)", H),  # the left side; the right one is stored
        ("Gather(h, one)", 0),  # the index is stored
    ],
)
def test_by_operator(call: str, nbytes: int) -> None:
    text = (
        f"{HEAD.replace('<float[3,3] w>', '<float[3,3] w, float[3] s>')}"
        "{ shape = Constant<value_ints=[3,2]>() two = Constant<value_float=2.0>() "
        "low = Constant<value_float=0.0>() one = Constant<value_ints=[1]>() "
        f"m = Greater(x, low) h = MatMul(x, w) y = {call} }}"
    )
    assert train(text).activation_bytes == X + nbytes


def test_results_that_two_keep_are_one_buffer() -> None:
    # relu(h) is kept by Relu and by the product that reads it, also through a view.
    text = (
        "g (float[2,3] x) => (float[2,3] y) <float[3,3] v, float[3,3] w> "
        "{ h = MatMul(x, v) r = Relu(h) i = Identity(r) y = MatMul(i, w) }"
    )
    assert train(text).activation_bytes == X + H


def test_max_pool_keeps_where_it_found_its_maxima() -> None:
    # [1, 2, 4, 4] from 1 channel, pooled to [1, 2, 2, 2]: 8 indices of 8 bytes; the image of 64 bytes.
    text = (
        "g (float[1,1,4,4] x) => (float[1,2,2,2] y) <float[2,1,1,1] w> "
        "{ h = Conv(x, w) y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(h) }"
    )
    assert train(text).activation_bytes == 64 + 64
    assert train(text.replace("MaxPool", "AveragePool")).activation_bytes == 64


def test_batch_normalization_keeps_its_input_and_two_numbers_a_channel() -> None:
    # Conv's result of [1, 2, 4, 4] and 2 x 2 statistics. Running statistics are never trained.
    text = (
        "g (float[1,1,4,4] x) => (float[1,2,4,4] y) "
        "<float[2,1,1,1] w, float[2] s, float[2] b, float[2] mean, float[2] var> "
        "{ h = Conv(x, w) y = BatchNormalization(h, s, b, mean, var) }"
    )
    step = train(text)
    assert step.activation_bytes == 64 + 128 + 16
    assert (step.trainable_parameters, step.frozen_parameters) == (6, 4)
    assert not any("an export for inference" in one for one in step.assumptions)


def test_nothing_is_kept_for_gradients_that_nobody_wants() -> None:
    # v frozen: x is not needed, r is (for w's gradient). w frozen: h' is (Relu), x is for v.
    text = (
        "g (float[2,3] x) => (float[2,4] y) <float[3,3] v, float[3,4] w> "
        "{ h = MatMul(x, v) r = Gelu(h) y = MatMul(r, w) }"
    )
    assert train(text).activation_bytes == X + H + 24  # x, h, r
    assert train(text, frozen=("v",)).activation_bytes == 24  # r
    assert train(text, frozen=("w",)).activation_bytes == X + H  # x, h


def test_attention_keeps_its_operands_and_probabilities() -> None:
    # x [1, 5, 8], q, k, v of 160 bytes each, 2 x 5 x 5 probabilities.
    text = (
        "g (float[1,5,8] x) => (float[1,5,8] y) <float[8,8] a, float[8,8] b, float[8,8] c> "
        "{ q = MatMul(x, a) k = MatMul(x, b) v = MatMul(x, c) "
        "y = Attention<q_num_heads=2, kv_num_heads=2>(q, k, v) }"
    )
    assert train(text).activation_bytes == 4 * 160 + 4 * 50


@pytest.mark.parametrize(
    ("cell", "gates", "inner"),
    [
        ("RNN", 1, 0),  # the states are tanh's results
        ("GRU", 3, 4),  # z, r, the candidate, what r gates
        ("LSTM", 4, 6),  # i, o, f, c, the cell and its tanh
    ],
)
def test_recurrent_cells(cell: str, gates: int, inner: int) -> None:
    # 7 steps of 2 sequences, 3 inputs and 4 states: x 42 values, states 56 in all steps, as many for
    # each value inside.
    text = (
        f"g (float[7,2,3] x) => (float[7,1,2,4] y) <float[1,{4 * gates},3] w, float[1,{4 * gates},4] r> "
        f"{{ y = {cell}<hidden_size=4>(x, w, r) }}"
    )
    assert train(text).activation_bytes == 4 * (42 + 56 * (1 + inner))
    last = text.replace("float[7,1,2,4] y", "float[1,2,4] z").replace("y = ", ", z = ")
    assert train(last).activation_bytes == 4 * (42 + 56 * (1 + inner))


def test_residual_block() -> None:
    # residual_block, a sample: the image 3 x 32 x 32, three results of Relu 16 x 32 x 32, the pooled
    # 16. PyTorch 2.14.1 keeps as much (torch.autograd.graph.saved_tensors_hooks, storages without
    # parameters): 1,671,680 bytes for 8.
    each = 4 * (3 * 1024 + 3 * 16 * 1024 + 16)
    for batch in (1, 2, 8):
        assert train_sample("residual_block", {"N": batch}).activation_bytes == batch * each
    assert 8 * each == 1_671_680


def test_encoder() -> None:
    # transformer_encoder, b sequences of s tokens of width 64, 4 heads: x, q, k, v, the joined heads,
    # both sums, the first normalization's result, Relu's result of width 128 (10 * 64 in all), softmax's
    # 4 s s, and mean and deviation of each row of two normalizations. PyTorch 2.14.1: 90,624 bytes
    # for 2 sequences of 16.
    for batch, tokens in ((1, 16), (2, 16), (1, 5)):
        expected = 4 * batch * (tokens * (10 * 64 + 4) + 4 * tokens**2)
        step = train_sample("transformer_encoder", {"batch": batch, "seq": tokens})
        assert step.activation_bytes == expected
    assert train_sample("transformer_encoder", {"batch": 2, "seq": 16}).activation_bytes == 90_624


def test_a_loop_keeps_what_each_turn_needs() -> None:
    # looped_transformer, 1 sequence of 3 tokens of width 32, each of 4 turns: h, both normalizations'
    # results, q, k, v, the attention's result, the sum (8 * 32), Relu's 128, probabilities 4 * 3 * 3,
    # and four statistics a row.
    step = train_sample("looped_transformer", {"B": 1, "S": 3})
    assert step.activation_bytes == 4 * 4 * (3 * (8 * 32 + 128 + 4) + 36)


def test_a_size_that_is_missing_makes_the_activations_unknown() -> None:
    text = (
        "g (float[2,3] x, int64[2] s) => (float[?,?] y) <float[3,3] w> "
        "{ h = MatMul(x, w) m = Reshape(h, s) y = Relu(m) }"
    )
    step = train(text)
    assert step.is_lower_bound
    assert (step.activation_bytes, step.total_bytes) == (None, None)
    # With checkpoints, too.
    assert train(text, checkpointing="every-1").activation_bytes is None
