"""ai.onnx.ml: scaling, encoding, linear models and support vectors, derived from the specification."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from onnx import helper

from mlsys_lint import Contraction, NodeCost, OpCost
from mlsys_lint.loading import prepare
from mlsys_lint.pipeline import analyse
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import estimate_text


def node_of(
    op_type: str, attributes: Mapping[str, object], *, outputs: int = 1, kind: int = 1
) -> NodeCost:
    """The verdict on an operator that reads x [5, 4]."""
    names = [f"y{at}" for at in range(outputs)]
    node = helper.make_node(op_type, ["x"], names, domain="ai.onnx.ml")
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    x = helper.make_tensor_value_info("x", kind, (5, 4))
    results = [helper.make_empty_tensor_value_info(name) for name in names]
    graph = helper.make_graph([node], "g", [x], results)
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("ai.onnx.ml", ml_opset(op_type))]
    model = helper.make_model(graph, opset_imports=opsets)
    host = PluginHost(third_party=False)
    (found,) = analyse(prepare(model, Path("ml.onnx")), host, Bindings()).costs
    return found


def ml_opset(op_type: str) -> int:
    return 3 if op_type in ("TreeEnsembleRegressor", "TreeEnsembleClassifier") else 5


def cost_of(
    op_type: str, attributes: Mapping[str, object], *, outputs: int = 1, kind: int = 1
) -> OpCost:
    found = node_of(op_type, attributes, outputs=outputs, kind=kind)
    assert found.cost is not None, found.reason
    return found.cost


@pytest.mark.parametrize(
    ("op_type", "attributes", "operations", "transcendentals"),
    [
        # 5 rows of 4: 20 elements.
        ("Scaler", {"offset": [1.0], "scale": [2.0]}, 40, 0),  # difference, product
        ("Binarizer", {"threshold": 0.5}, 20, 0),
        ("Imputer", {"imputed_value_floats": [0.0]}, 40, 0),  # comparison, selection
        ("Normalizer", {"norm": "MAX"}, 5 * (3 + 4), 0),  # comparisons, divisions
        ("Normalizer", {"norm": "L1"}, 5 * (4 + 3 + 4), 0),  # abs, sum, division
        ("Normalizer", {"norm": "L2"}, 5 * (4 + 3 + 4), 5),  # square, sum, division; root
    ],
)
def test_figures_per_element(
    op_type: str, attributes: dict[str, object], operations: int, transcendentals: int
) -> None:
    cost = cost_of(op_type, attributes)
    assert (cost.vector_ops, cost.transcendentals) == (operations, transcendentals)
    assert (cost.bytes_read, cost.bytes_written) == (80, 80)


def test_one_hot_compares_each_category() -> None:
    # 5 * 4 values with 3 categories.
    cost = cost_of("OneHotEncoder", {"cats_int64s": [1, 2, 3]}, kind=7)
    assert (cost.vector_ops, cost.bytes_written) == (60, 240)


def test_labels_are_looked_up() -> None:
    labels: Mapping[str, object] = {"keys_int64s": [1, 2], "values_floats": [0.5, 1.5]}
    cost = cost_of("LabelEncoder", labels, kind=7)
    assert (cost.flops, cost.bytes_read, cost.bytes_written) == (0, 160, 80)


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


def test_support_vectors_that_were_folded_are_linear() -> None:
    cost = cost_of("SVMRegressor", {"coefficients": [1.0] * 4, "n_supports": 0})
    assert cost.contractions == (Contraction(m=5, n=1, k=4, dtype="float"),)


# Root 0 -> (1, 2); 2 -> (3, 4): at most 2 comparisons. The second tree is a leaf.
FOREST: Mapping[str, object] = {
    "nodes_treeids": [0, 0, 0, 0, 0, 1],
    "nodes_nodeids": [0, 1, 2, 3, 4, 0],
    "nodes_featureids": [0, 0, 1, 0, 0, 0],
    "nodes_modes": ["BRANCH_LEQ", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF", "LEAF"],
    "nodes_values": [0.5, 0.0, 1.5, 0.0, 0.0, 0.0],
    "nodes_truenodeids": [1, 0, 3, 0, 0, 0],
    "nodes_falsenodeids": [2, 0, 4, 0, 0, 0],
}


def test_trees_take_the_longest_way() -> None:
    cost = cost_of(
        "TreeEnsembleRegressor",
        {
            "n_targets": 1,
            "target_treeids": [0, 0, 0, 1],
            "target_nodeids": [1, 3, 4, 0],
            "target_ids": [0] * 4,
            "target_weights": [1.0] * 4,
            **FOREST,
        },
    )
    # 5 rows: 2 + 0 comparisons, a sum for each tree.
    assert (cost.vector_ops, cost.transcendentals, cost.macs) == (5 * (2 + 2), 0, 0)
    assert (cost.bytes_read, cost.bytes_written) == (80 + 6 * 16, 20)
    assert cost.assumptions == (
        "data-dependent, at most: every row takes the longest way down each tree",
    )


def test_classes_from_trees() -> None:
    cost = cost_of(
        "TreeEnsembleClassifier",
        {
            "class_treeids": [0, 0, 0, 1],
            "class_nodeids": [1, 3, 4, 0],
            "class_ids": [0, 1, 2, 0],
            "class_weights": [1.0] * 4,
            "classlabels_int64s": [0, 1, 2],
            "post_transform": "LOGISTIC",
            **FOREST,
        },
        outputs=2,
    )
    # 3 scores a row.
    assert (cost.vector_ops, cost.transcendentals) == (20, 15)


def test_trees_in_one_list() -> None:
    # Inner nodes 0 -> (leaf, 1), 1 -> (leaf, leaf) and 2 -> (leaf, leaf): depths 2 and 1.
    found = node_of(
        "TreeEnsemble",
        {
            "n_targets": 1,
            "tree_roots": [0, 2],
            "nodes_featureids": [0, 1, 2],
            "nodes_modes": helper.make_tensor("modes", 2, [3], [0, 0, 0]),
            "nodes_splits": helper.make_tensor("splits", 1, [3], [0.5, 1.5, 2.5]),
            "nodes_truenodeids": [0, 1, 3],
            "nodes_falsenodeids": [1, 2, 4],
            "nodes_trueleafs": [1, 1, 1],
            "nodes_falseleafs": [0, 1, 1],
            "leaf_targetids": [0] * 5,
            "leaf_weights": helper.make_tensor("weights", 1, [5], [1.0] * 5),
        },
    )
    assert found.cost is not None, found.reason
    assert found.cost.vector_ops == 5 * (3 + 2)


def test_trees_in_a_circle_end() -> None:
    circle = {**FOREST, "nodes_falsenodeids": [2, 0, 0, 0, 0, 0]}
    cost = cost_of("TreeEnsembleRegressor", {"n_targets": 1, **circle})
    # Two inner nodes bound the depth of the first tree.
    assert cost.vector_ops == 5 * (2 + 2)


def test_no_trees_are_declined() -> None:
    found = node_of("TreeEnsembleRegressor", {"n_targets": 1})
    assert (found.cost, found.reason) == (None, "the attributes list no trees")


def test_maps_copy_the_scores() -> None:
    cost = cost_of("ZipMap", {"classlabels_int64s": [0, 1, 2, 3]})
    assert (cost.bytes_read, cost.bytes_written, cost.flops) == (80, 80, 0)


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
