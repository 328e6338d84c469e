"""Normalizations: operations per element and per row, derived from the specification."""

from __future__ import annotations

import pytest

from node_costs import cost_of, counts, moved

# 2 * 3 * 4 = 24 elements; N = 2, C = 3.
X = "float[2,3,4] x"
STATISTICS = "float[3] s, float[3] b, float[3] m, float[3] v"


def test_batch_normalization_in_inference() -> None:
    # Difference, division, scale, shift; epsilon and a root for each of 3 channels.
    call, inputs = "BatchNormalization(x, s, b, m, v)", f"{X}, {STATISTICS}"
    assert counts(call, inputs) == (4 * 24 + 3, 3)
    assert moved(call, inputs) == (4 * (24 + 4 * 3), 96)
    assert cost_of(call, inputs).kernel_class == "norm"


def test_batch_normalization_in_training() -> None:
    # Mean, square of the deviation, its mean on top; 2 running averages of 3 operations a channel.
    call = "BatchNormalization<training_mode=1>(x, s, b, m, v)"
    inputs = f"{X}, {STATISTICS}"
    trained = cost_of(call, inputs, outputs="y, rm, rv")
    assert (trained.vector_ops, trained.transcendentals) == (7 * 24 + 7 * 3, 3)
    assert trained.bytes_written == 96 + 2 * 12
    # From opset 7 to 13 five outputs mean training; before that is_test = 0 does.
    old = cost_of("BatchNormalization(x, s, b, m, v)", inputs, opset=9, outputs="y, rm, rv, sm, sv")
    assert old.vector_ops == 7 * 24 + 7 * 3
    call = "BatchNormalization(x, s, b, m, v)"
    assert counts(call, inputs, opset=9) == (4 * 24 + 3, 3)
    assert counts(call, inputs, opset=6) == (7 * 24 + 7 * 3, 3)
    tested = "BatchNormalization<is_test=1>(x, s, b, m, v)"
    assert counts(tested, inputs, opset=6) == (4 * 24 + 3, 3)


def test_batch_normalization_by_position() -> None:
    # Before opset 9 spatial = 0 gives every one of 3 * 4 positions its own statistics.
    inputs = f"{X}, float[3,4] s, float[3,4] b, float[3,4] m, float[3,4] v"
    cost = cost_of("BatchNormalization<spatial=0>(x, s, b, m, v)", inputs, opset=7)
    assert (cost.vector_ops, cost.transcendentals) == (4 * 24 + 12, 12)
    assert cost.bytes_read == 4 * (24 + 4 * 12)
    call = "BatchNormalization<spatial=0>(x, s, b, m, v)"
    trained = cost_of(call, inputs, opset=7, outputs="y, rm, rv, sm, sv")
    assert trained.bytes_written == 96 + 4 * 48


def test_layer_normalization() -> None:
    # 6 rows of 4. Per element: sum and square and its sum (each with the division of a mean),
    # deviation, division, scale; bias. Per row: mean squared, variance, epsilon, reciprocal; root.
    inputs = f"{X}, float[4] s, float[4] b"
    assert counts("LayerNormalization(x, s)", inputs) == (6 * 24 + 4 * 6, 6)
    assert counts("LayerNormalization(x, s, b)", inputs) == (7 * 24 + 4 * 6, 6)
    assert moved("LayerNormalization(x, s, b)", inputs) == (4 * (24 + 8), 96)
    # From axis 1 on: 2 rows of 12.
    rows = f"{X}, float[3,4] s"
    assert counts("LayerNormalization<axis=1>(x, s)", rows) == (6 * 24 + 4 * 2, 2)


def test_low_precision_is_converted_and_back() -> None:
    inputs = "float16[2,3,4] x, float16[4] s"
    assert counts("LayerNormalization(x, s)", inputs) == (8 * 24 + 4 * 6, 6)
    assert counts("LayerNormalization<stash_type=10>(x, s)", inputs) == (6 * 24 + 4 * 6, 6)
    assert counts("RMSNormalization(x, s)", inputs) == (6 * 24 + 6, 6)


def test_rms_normalization() -> None:
    # Square, mean, division, scale; per row epsilon and a root.
    assert counts("RMSNormalization(x, s)", f"{X}, float[4] s") == (4 * 24 + 6, 6)


def test_instance_and_group_normalization() -> None:
    # Mean, deviation, square, mean, division, scale, shift; 6 instances with epsilon and root.
    assert counts("InstanceNormalization(x, s, b)", f"{X}, float[3] s, float[3] b") == (174, 6)
    # 2 images of 6 channels, 3 groups: 6 groups of 2 * 4 elements, 48 in all.
    # Per group mean squared, variance, epsilon.
    inputs = "float[2,6,4] x, float[6] s, float[6] b"
    call = "GroupNormalization<num_groups=3>(x, s, b)"
    assert counts(call, inputs) == (7 * 48 + 3 * 6, 6)
    low = inputs.replace("float", "float16")
    assert counts(call, low) == (9 * 48 + 3 * 6, 6)
    # Opset 18 has a scale per group and no type of its own for the statistics.
    old = "float[2,6,4] x, float[3] s, float[3] b"
    assert counts(call, old, opset=18) == (7 * 48 + 3 * 6, 6)


@pytest.mark.parametrize(("p", "roots"), [(1, 0), (2, 6)])
def test_lp_normalization(p: int, roots: int) -> None:
    # 6 rows of 4: 4 absolute values or squares, 3 sums, 4 divisions.
    assert counts(f"LpNormalization<p={p}>(x)", X) == (6 * 11, roots)


def test_mean_variance_normalization() -> None:
    # 3 channels of 2 * 4 * 5. Per element two means, deviation, division and a square (pow);
    # per channel the mean squared (pow), variance, root, epsilon.
    x = "float[2,3,4,5] x"
    assert counts("MeanVarianceNormalization(x)", x) == (4 * 120 + 2 * 3, 120 + 2 * 3)
    assert counts("MeanVarianceNormalization<axes=[-1]>(x)", x) == (480 + 2 * 24, 120 + 2 * 24)


def test_local_response() -> None:
    # Square, 4 sums of 5 channels, alpha / size, bias, division; pow.
    assert counts("LRN<size=5>(x)", "float[2,3,4,5] x") == (8 * 120, 120)


@pytest.mark.parametrize(
    "call", ["LpNormalization(x)", "RMSNormalization(x, s)", "LayerNormalization(x, s)"]
)
def test_no_elements_cost_nothing(call: str) -> None:
    assert counts(call, "float[0,4] x, float[4] s") == (0, 0)
