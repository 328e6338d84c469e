"""ai.onnx.ml: scaling, encoding, linear models and support vectors, derived from the specification."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ml_nodes import cost_of
from mlsys_lint import Contraction, OpCost
from mlsys_lint.testing import estimate_text


@pytest.mark.parametrize(
    ("op_type", "attributes", "operations", "transcendentals", "learned"),
    [
        # 5 rows of 4: 20 elements of 4 bytes; learned floats take 4 bytes too.
        ("Scaler", {"offset": [1.0], "scale": [2.0]}, 40, 0, 8),  # difference, product
        ("Binarizer", {"threshold": 0.5}, 20, 0, 0),
        ("Imputer", {"imputed_value_floats": [0.0]}, 40, 0, 4),  # comparison, selection
        ("Normalizer", {"norm": "MAX"}, 5 * (3 + 4), 0, 0),  # comparisons, divisions
        ("Normalizer", {"norm": "L1"}, 5 * (4 + 3 + 4), 0, 0),  # abs, sum, division
        ("Normalizer", {"norm": "L2"}, 5 * (4 + 3 + 4), 20, 0),  # square, sum, division; root
    ],
)
def test_figures_per_element(
    op_type: str, attributes: dict[str, object], operations: int, transcendentals: int, learned: int
) -> None:
    cost = cost_of(op_type, attributes)
    assert (cost.vector_ops, cost.transcendentals) == (operations, transcendentals)
    assert (cost.bytes_read, cost.weight_bytes, cost.bytes_written) == (80 + learned, learned, 80)


@pytest.mark.parametrize(
    ("op_type", "attributes", "operations"),
    [
        # Integers become floats first: 20 conversions.
        ("Scaler", {"offset": [1.0], "scale": [2.0]}, 40 + 20),
        ("Normalizer", {"norm": "MAX"}, 35 + 20),
        ("LinearRegressor", {"coefficients": [0.5] * 4}, 20),
        ("SVMRegressor", {"coefficients": [1.0] * 4, "n_supports": 0}, 20),
        ("FeatureVectorizer", {"inputdimensions": [4]}, 20),
        # Of 4 columns 3 are taken.
        ("FeatureVectorizer", {"inputdimensions": [3]}, 15),
        # Integers stay integers.
        ("Imputer", {"imputed_value_int64s": [0]}, 40),
        ("Binarizer", {"threshold": 0.5}, 20),
    ],
)
def test_integers_are_converted(
    op_type: str, attributes: dict[str, object], operations: int
) -> None:
    assert cost_of(op_type, attributes, kind=7).vector_ops == operations


def test_one_hot_compares_each_category() -> None:
    # 5 * 4 values with 3 categories.
    cost = cost_of("OneHotEncoder", {"cats_int64s": [1, 2, 3]}, kind=7)
    assert (cost.vector_ops, cost.bytes_written) == (60, 240)


def test_labels_are_looked_up() -> None:
    labels: Mapping[str, object] = {"keys_int64s": [1, 2], "values_floats": [0.5, 1.5]}
    cost = cost_of("LabelEncoder", labels, kind=7)
    # 20 elements meet at most both entries of the table, a key of 8 bytes and a value of 4 each.
    assert (cost.flops, cost.bytes_read, cost.bytes_written) == (0, 160 + 24, 80)
    many: Mapping[str, object] = {"keys_int64s": [*range(50)], "values_floats": [0.5] * 50}
    assert cost_of("LabelEncoder", many, kind=7).weight_bytes == 20 * 12


def test_linear_regression() -> None:
    # [5, 4] by [4, 2]; an intercept for each of 10 results.
    cost = cost_of(
        "LinearRegressor", {"targets": 2, "coefficients": [0.5] * 8, "intercepts": [1.0, 2.0]}
    )
    assert cost.contractions == (Contraction(m=5, n=2, k=4, dtype="float"),)
    assert (cost.macs, cost.vector_ops) == (40, 10)
    assert (cost.weight_bytes, cost.bytes_read) == (4 * 10, 80 + 40)
    assert cost.bytes_written == 40


def test_linear_classification() -> None:
    # 3 scores a row, intercepts, 2 comparisons for the largest; softmax 4 * 3 - 2, and 3 exp.
    cost = cost_of(
        "LinearClassifier",
        {
            "coefficients": [0.5] * 12,
            "intercepts": [0.5] * 3,
            "classlabels_ints": [0, 1, 2],
            "post_transform": "SOFTMAX",
        },
        outputs=2,
    )
    assert (cost.macs, cost.vector_ops, cost.transcendentals) == (60, 5 * (3 + 2 + 10), 15)
    # int64 labels and 3 float scores.
    assert cost.bytes_written == 5 * (8 + 12)
    logistic = cost_of(
        "LinearClassifier",
        {"coefficients": [0.5] * 12, "classlabels_ints": [0, 1, 2], "post_transform": "LOGISTIC"},
        outputs=2,
    )
    assert (logistic.vector_ops, logistic.transcendentals) == (10, 15)


@pytest.mark.parametrize(
    ("kernel", "macs", "operations", "transcendentals"),
    [
        # 5 rows by 3 support vectors of 4, then 3 weights: 60 + 15 MACs.
        ("LINEAR", 75, 0, 0),
        ("POLY", 75, 30, 15),  # scale, shift; power
        ("SIGMOID", 75, 30, 15),  # scale, shift; tanh
        ("RBF", 15, 15 * (11 + 1), 15),  # 4 differences, 4 squares, 3 sums, scale; exp
    ],
)
def test_support_vectors(kernel: str, macs: int, operations: int, transcendentals: int) -> None:
    cost = cost_of(
        "SVMRegressor",
        {
            "kernel_type": kernel,
            "coefficients": [1.0] * 3,
            "support_vectors": [0.5] * 12,
            "n_supports": 3,
        },
    )
    assert (cost.macs, cost.vector_ops, cost.transcendentals) == (
        macs,
        operations,
        transcendentals,
    )
    assert (cost.weight_bytes, cost.bytes_written) == (60, 20)


def machine(classes: int, **attributes: object) -> OpCost:
    """5 rows of 4, 3 support vectors, a score for each pair of classes."""
    pairs = classes * (classes - 1) // 2
    given = {
        "coefficients": [1.0] * (3 * (classes - 1)),
        "support_vectors": [0.5] * 12,
        "vectors_per_class": [1] * classes,
        "classlabels_ints": [*range(classes)],
        "rho": [0.5] * pairs,
    }
    return cost_of("SVMClassifier", {**given, **attributes}, outputs=2)


def test_vectors_vote_for_classes() -> None:
    # 3 kernels of 4 MACs; 2 * 3 MACs for 3 pairs, each with rho, a comparison and a vote (9);
    # 2 comparisons of the votes.
    cost = machine(3)
    assert (cost.macs, cost.vector_ops, cost.transcendentals) == (5 * (12 + 6), 5 * (9 + 2), 0)
    # 6 coefficients, 12 numbers of the vectors, 3 rho; int64 labels and 3 scores.
    assert (cost.weight_bytes, cost.bytes_written) == (4 * 21, 5 * (8 + 12))
    # One pair: 3 operations, a comparison of the votes, and the other class's score.
    two = machine(2)
    assert (two.macs, two.vector_ops) == (5 * (12 + 3), 5 * (3 + 1 + 1))
    assert two.bytes_written == 5 * (8 + 8)


def test_probabilities_of_classes() -> None:
    # Per pair 6 operations for its logistic and 6 for the matrix: 36. A round takes 18 for Q p,
    # 6 for its product with p, 10 for the error, and for each of 3 classes 11 + 4 * 3.
    cost = machine(3, prob_a=[1.0] * 3, prob_b=[0.0] * 3)
    assert cost.vector_ops == 5 * (9 + 2 + 36 + 100 * (18 + 6 + 10 + 69))
    assert cost.transcendentals == 5 * 3
    assert cost.assumptions == ("data-dependent, at most: 100 rounds of pairwise coupling",)


def test_linear_machines() -> None:
    # No vectors: 2 scores of 4 coefficients, rho each, and a comparison.
    given = {"coefficients": [1.0] * 8, "classlabels_ints": [0, 1], "rho": [0.5]}
    cost = cost_of("SVMClassifier", given, outputs=2)
    assert (cost.macs, cost.vector_ops) == (40, 5 * (2 + 1))
    # Rho, a comparison and a selection.
    alone = cost_of(
        "SVMRegressor", {"coefficients": [1.0] * 4, "n_supports": 0, "rho": [0.5], "one_class": 1}
    )
    assert (alone.macs, alone.vector_ops) == (20, 5 * 3)


def test_two_classes_from_one_linear_score() -> None:
    # A score with its intercept, its sign, and the other class's score; LOGISTIC of both.
    given = {"coefficients": [0.5] * 4, "intercepts": [0.5], "classlabels_ints": [0, 1]}
    cost = cost_of("LinearClassifier", given, outputs=2)
    assert (cost.macs, cost.vector_ops, cost.transcendentals) == (20, 5 * 3, 0)
    assert cost.bytes_written == 5 * (8 + 8)
    logistic = cost_of("LinearClassifier", {**given, "post_transform": "LOGISTIC"}, outputs=2)
    assert (logistic.vector_ops, logistic.transcendentals) == (5 * 3, 10)


def test_support_vectors_that_were_folded_are_linear() -> None:
    cost = cost_of("SVMRegressor", {"coefficients": [1.0] * 4, "n_supports": 0})
    assert cost.contractions == (Contraction(m=5, n=1, k=4, dtype="float"),)


def test_maps_copy_the_scores() -> None:
    cost = cost_of("ZipMap", {"classlabels_int64s": [0, 1, 2, 3]})
    # 4 keys of 8 bytes are read, and written with each of 5 rows.
    assert (cost.bytes_read, cost.bytes_written, cost.flops) == (80 + 32, 80 + 5 * 32, 0)


def test_columns_are_gathered_and_joined() -> None:
    head = "g (float[5,4] x, float[5,2] z, int64[1,3] i) => (float[?] y)"
    (taken,) = estimate_text(f"{head} {{ y = ai.onnx.ml.ArrayFeatureExtractor(x, i) }}")
    assert taken.cost is not None
    # 3 indices; 5 rows of 3 columns.
    assert (taken.cost.bytes_read, taken.cost.bytes_written) == (24 + 60, 60)
    call = "ai.onnx.ml.FeatureVectorizer<inputdimensions=[4,2]>(x, z)"
    (joined,) = estimate_text(f"{head} {{ y = {call} }}")
    assert joined.cost is not None
    assert (joined.cost.bytes_read, joined.cost.bytes_written) == (80 + 40, 5 * 6 * 4)


def test_maps_become_tensors() -> None:
    head = "g (map(int64, float) x) => (float[?] y)"
    sparse = 'ai.onnx.ml.CastMap<map_form="SPARSE", max_map=7, cast_to="TO_INT64">(x)'
    (cast,) = estimate_text(f"{head} {{ y = {sparse} }}")
    assert cast.cost is not None, cast.reason
    # At most 7 entries of a key (8 bytes) and a float, converted to 7 integers.
    assert (cast.cost.vector_ops, cast.cost.bytes_read, cast.cost.bytes_written) == (7, 84, 56)
    assert cast.node.output().dims == (1, 7)
    (dense,) = estimate_text(f"{head} {{ y = ai.onnx.ml.CastMap(x) }}")
    assert (dense.cost, dense.reason) == (None, "the number of entries in the map is not known")
    words = "ai.onnx.ml.DictVectorizer<int64_vocabulary=[3, 5, 8]>(x)"
    (found,) = estimate_text(f"{head} {{ y = {words} }}")
    assert found.cost is not None, found.reason
    # A vocabulary of 3 keys, and at most 3 entries of a key and a float.
    assert (found.cost.bytes_read, found.cost.bytes_written, found.cost.flops) == (24 + 36, 12, 0)
    assert found.node.output().dims == (1, 3)
