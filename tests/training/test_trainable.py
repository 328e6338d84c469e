"""Which stored tensors are trained, where the file does not tell."""

from __future__ import annotations

import pytest

from mlsys_lint.errors import OptionError
from mlsys_lint.training import TrainingOptions
from training.steps import train, train_sample


def trained(weights: str, body: str, inputs: str = "float[2,3] x") -> tuple[int, int]:
    """Elements that are trained, and those that are not."""
    step = train(f"g ({inputs}) => (float y) <{weights}> {{ {body} }}")
    return step.trainable_parameters, step.frozen_parameters


def test_weights_biases_scales_and_tables() -> None:
    body = (
        "e = Gather(table, i) h = MatMul(e, w) c = Add(h, b) n = LayerNormalization(c, s, o) "
        "y = PRelu(n, slope)"
    )
    weights = "float[9,3] table, float[3,5] w, float[5] b, float[5] s, float[5] o, float[5] slope"
    assert trained(weights, body, "int64[2] i") == (27 + 15 + 4 * 5, 0)


def test_running_statistics_are_not() -> None:
    body = "h = Conv(x, w) y = BatchNormalization(h, s, b, mean, var)"
    weights = "float[2,1,1,1] w, float[2] s, float[2] b, float[2] mean, float[2] var"
    assert trained(weights, body, "float[1,1,4,4] x") == (6, 4)


def test_shapes_and_integers_are_not() -> None:
    body = "h = MatMul(x, w) r = Reshape(h, shape) y = Gather(r, rows)"
    assert trained("float[3,4] w, int64[2] shape, int64[2] rows", body)[0] == 12


def test_what_prepares_the_input_is_not() -> None:
    # (x - mean) / deviation before the first product, whose input then needs no gradient.
    body = "c = Sub(x, mean) n = Div(c, deviation) y = MatMul(n, w)"
    text = (
        "g (float[2,3] x) => (float[2,4] y) <float[3] mean, float[3] deviation, float[3,4] w> "
        f"{{ {body} }}"
    )
    step = train(text)
    assert (step.trainable_parameters, step.frozen_parameters) == (12, 6)
    assert step.backward_contraction_flops == 2 * 24


@pytest.mark.parametrize(
    ("weights", "call", "elements"),
    [
        ("float[4] b", "Add(h, b)", 4),  # a bias
        ("float[2,4] p", "Add(h, p)", 8),  # positions
        ("float[1] b", "Add(h, b)", 1),  # the bias of one output
        ("float[1] b", "Add(r, b)", 0),  # a constant shift
        ("float[4] g", "Mul(h, g)", 4),  # a scale for each channel
        ("float[2,4] t", "Mul(h, t)", 0),  # a table of angles
        ("float[1] c", "Mul(h, c)", 0),
        ("float[4] m", "Max(h, m)", 0),  # limits
        ("float[4] e", "Pow(h, e)", 0),
        ("float[2,4] m", "Where(flag, h, m)", 0),  # what a mask puts in
        ("float[3,4] c", "Concat<axis=0>(h, c)", 12),  # a class token
        ("float[1,4] c", "Expand(c, shape)", 0),  # nobody reads it as a weight
    ],
)
def test_constants_of_element_wise_operators(weights: str, call: str, elements: int) -> None:
    # 12 weights in front.
    body = (
        "shape = Constant<value_ints=[2,4]>() h = MatMul(x, w) r = Relu(h) "
        f"flag = Cast<to=9>(x2) y = {call}"
    )
    found = trained(f"float[3,4] w, {weights}", body, "float[2,3] x, float[2,4] x2")
    assert found[0] == elements + (0 if "Expand" in call else 12)


def test_a_weight_is_found_behind_what_rearranges_it() -> None:
    # Stored [4, 3] and turned; a token that is repeated for each sample.
    turned = "t = Transpose(w) y = MatMul(x, t)"
    assert trained("float[4,3] w", turned) == (12, 0)
    repeated = (
        "n = Shape(x) b = Gather(n, zero) s = Concat<axis=0>(b, rest) e = Expand(c, s) "
        "h = MatMul(x, w) y = Concat<axis=1>(h, e)"
    )
    weights = "float[1,3] c, float[3,3] w, int64[1] zero, int64[1] rest"
    assert trained(weights, repeated)[0] == 3 + 9


def test_first_states_are_not() -> None:
    body = "y = RNN<hidden_size=4>(x, w, r, , , h)"
    weights = "float[1,4,3] w, float[1,4,4] r, float[1,2,4] h"
    assert trained(weights, body, "float[7,2,3] x") == (12 + 16, 8)


def test_quantized_weights_are_not() -> None:
    body = "d = DequantizeLinear(w, s) y = MatMul(x, d)"
    assert trained("int8[3,4] w, float[4] s", body) == (0, 12 + 4)


def test_weights_from_constant_nodes_and_fills() -> None:
    # stacked_transformer's weights come from ConstantOfShape: four blocks of six matrices and four
    # vectors.
    step = train_sample("stacked_transformer", {"B": 1, "S": 3})
    assert step.trainable_parameters == 4 * (4 * 1024 + 2 * 4096 + 4 * 32)
    constant = "g (float[2,2] x) => (float[2,2] y) { w = Constant<value = float[2,2] {1,2,3,4}>() y = MatMul(x, w) }"
    assert train(constant).trainable_parameters == 4


LAYERS = (
    "g (float[2,3] x) => (float[2,3] y) <float[3,3] first_w, float[3] first_b, float[3,3] last_w> "
    "{ h = Gemm(x, first_w, first_b) y = MatMul(h, last_w) }"
)


def test_patterns_override_what_is_inferred() -> None:
    assert train(LAYERS).trainable_parameters == 21
    assert train(LAYERS, frozen=("first_*",)).trainable_parameters == 9
    assert train(LAYERS, trainable=("*_w",)).trainable_parameters == 18
    assert train(LAYERS, trainable=("*_w",), frozen=("last*",)).trainable_parameters == 9
    # Named, a table of angles is trained.
    table = (
        "g (float[2,3] x) => (float[2,4] y) <float[3,4] w, float[2,4] t> "
        "{ h = MatMul(x, w) y = Mul(h, t) }"
    )
    assert train(table, trainable=("w", "t")).trainable_parameters == 20
    assert not any("inferred" in one for one in train(table, trainable=("t",)).assumptions)


def test_adapters_follow_the_patterns() -> None:
    step = train(LAYERS, optimizer="lora", rank=1, trainable=("last_w",))
    assert step.trainable_parameters == 6
    with pytest.raises(OptionError, match="--frozen head: no tensor that can be trained"):
        train(LAYERS, optimizer="lora", frozen=("head",))


def test_a_pattern_that_fits_nothing_names_what_there_is() -> None:
    with pytest.raises(OptionError, match=r"--trainable head\*: .* first_w, first_b, last_w"):
        train(LAYERS, trainable=("head*",))
    # Of several models it may belong to another.
    assert train(LAYERS, frozen=("head*",), strict=False).trainable_parameters == 21


def test_options_have_defaults() -> None:
    options = TrainingOptions()
    assert (options.optimizer, options.precision, options.accumulation) == ("adam", "as-is", 1)
