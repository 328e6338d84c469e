"""Activations: counts derived by hand from the formulas of the specification."""

from __future__ import annotations

import pytest

from node_costs import cost_of, counts, moved

# 2 * 3 * 5 = 30 elements.
X = "float[2,3,5] x"


@pytest.mark.parametrize(
    ("call", "per_element"),
    [
        ("Relu(x)", (1, 0)),  # max(x, 0)
        ("LeakyRelu(x)", (3, 0)),  # x < 0, alpha x, select
        ("ThresholdedRelu(x)", (2, 0)),  # alpha < x, select
        ("Elu(x)", (4, 1)),  # x < 0, exp, - 1, alpha, select
        ("Selu(x)", (6, 1)),  # alpha e^x, - alpha, gamma, gamma x, x < 0, select
        ("Celu(x)", (6, 1)),  # x / alpha, Elu (4, 1), alpha
        ("Sigmoid(x)", (0, 1)),
        ("HardSigmoid(x)", (4, 0)),  # alpha x, + beta, min 1, max 0
        ("HardSwish(x)", (5, 0)),  # HardSigmoid, product
        ("Tanh(x)", (0, 1)),
        ("Softplus(x)", (1, 2)),  # exp, + 1, log
        ("Softsign(x)", (3, 0)),  # |x|, + 1, division
        ("Gelu(x)", (4, 1)),  # x / sqrt 2, erf, + 1, x times, 1 / 2
        # x^3 by pow, 0.044715, + x, sqrt(2 / pi), tanh, + 1, x times, 1 / 2
        ('Gelu<approximate="tanh">(x)', (6, 2)),
        ("Mish(x)", (2, 3)),  # softplus (exp, + 1, log), tanh, product
        # x < -lambda, x + bias, lambda < x, x - bias, two selections
        ("Shrink(x)", (6, 0)),
        ("Clip(x)", (0, 0)),
    ],
)
def test_operations_per_element(call: str, per_element: tuple[int, int]) -> None:
    cost = cost_of(call, X)
    assert (cost.vector_ops, cost.transcendentals) == (30 * per_element[0], 30 * per_element[1])
    assert (cost.macs, cost.bytes_read, cost.bytes_written, cost.weight_bytes) == (0, 120, 120, 0)


def test_gated_activations() -> None:
    # alpha x, sigmoid, product; SwiGLU one product more.
    assert counts("Swish(x)", X, opset=24) == (60, 30)
    assert counts("SwiGLU(x, v)", f"{X}, float[2,3,5] v", opset=28) == (90, 30)


def test_a_slope_per_channel_is_read_once() -> None:
    # s < 0, product, select; 30 elements and 3 slopes of 4 bytes.
    inputs = f"{X}, float[3,1] slope"
    assert counts("PRelu(x, slope)", inputs) == (90, 0)
    assert moved("PRelu(x, slope)", inputs) == (132, 120)


def test_clip_takes_one_operation_per_bound() -> None:
    inputs = f"{X}, float low, float high"
    assert counts("Clip(x, low, high)", inputs) == (60, 0)
    assert counts("Clip(x, low)", inputs) == (30, 0)
    assert counts("Clip(x, , high)", inputs) == (30, 0)
    # Before opset 11 the bounds are attributes with defaults.
    assert counts("Clip(x)", X, opset=6) == (60, 0)


@pytest.mark.parametrize(
    ("call", "opset", "rows"),
    [
        ("Softmax(x)", 13, 6),  # the last axis by default
        ("Softmax<axis=0>(x)", 13, 15),
        ("Softmax<axis=-2>(x)", 23, 10),
        ("Softmax(x)", 11, 2),  # from axis 1 on
        ("Softmax<axis=0>(x)", 11, 1),
        ("Softmax<axis=-1>(x)", 11, 6),
    ],
)
def test_softmax_by_rows(call: str, opset: int, rows: int) -> None:
    # A row of n: maximum n - 1, difference n, exp n, sum n - 1, division n.
    cost = cost_of(call, X, opset=opset)
    assert (cost.vector_ops, cost.transcendentals) == (4 * 30 - 2 * rows, 30)
    assert cost.kernel_class == "softmax"


def test_log_softmax_takes_a_logarithm_per_row() -> None:
    assert counts("LogSoftmax(x)", X) == (4 * 30 - 2 * 6, 30 + 6)


def test_hardmax_compares_twice() -> None:
    # 6 rows of 5: 4 comparisons for the largest, then 5 with its position.
    assert counts("Hardmax(x)", X) == (6 * (4 + 5), 0)


@pytest.mark.parametrize("call", ["Softmax(x)", "LogSoftmax(x)", "Hardmax(x)", "Relu(x)"])
def test_no_elements_cost_nothing(call: str) -> None:
    assert counts(call, "float[2,0] x") == (0, 0)


def test_a_scalar_is_a_row_of_one() -> None:
    assert counts("Softmax(x)", "float x") == (2, 1)


def test_classes_name_the_function() -> None:
    assert cost_of("Gelu(x)", X).kernel_class == "unary:gelu"
    assert cost_of("Sigmoid(x)", X).kernel_class == "unary:sigmoid"
    assert cost_of("Relu(x)", X).kernel_class == "elementwise"
