"""ai.onnx.ml: ensembles of trees, derived from the specification."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import helper

from ml_nodes import cost_of, node_of

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
    # 5 rows: 2 + 0 comparisons, a sum of two weights.
    assert (cost.vector_ops, cost.transcendentals, cost.macs) == (5 * (2 + 1), 0, 0)
    # 2 inner nodes of 16 bytes, 4 weights of 8.
    assert (cost.bytes_read, cost.bytes_written) == (80 + 2 * 16 + 4 * 8, 20)
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
    # 2 comparisons and a sum as above, 2 comparisons of 3 scores; 3 functions a row.
    assert (cost.vector_ops, cost.transcendentals) == (5 * (3 + 2), 15)


def test_a_leaf_with_many_weights() -> None:
    # Leaf 1 of the first tree weighs both targets: 2 + 1 weights are met, 2 sums, 3 with base values.
    weighed: Mapping[str, object] = {
        "n_targets": 2,
        "target_treeids": [0, 0, 0, 0, 1],
        "target_nodeids": [1, 1, 3, 4, 0],
        "target_ids": [0, 1, 0, 0, 0],
        "target_weights": [1.0] * 5,
        **FOREST,
    }
    assert cost_of("TreeEnsembleRegressor", weighed).vector_ops == 5 * (2 + 2)
    based = cost_of("TreeEnsembleRegressor", {**weighed, "base_values": [1.0, 2.0]})
    assert based.vector_ops == 5 * (2 + 3)
    # An average divides both targets.
    averaged = cost_of("TreeEnsembleRegressor", {**weighed, "aggregate_function": "AVERAGE"})
    assert averaged.vector_ops == 5 * (2 + 2 + 2)


def test_two_classes_from_one_score() -> None:
    cost = cost_of(
        "TreeEnsembleClassifier",
        {
            "class_treeids": [0, 0, 0, 1],
            "class_nodeids": [1, 3, 4, 0],
            "class_ids": [0, 0, 0, 0],
            "class_weights": [1.0] * 4,
            "classlabels_int64s": [0, 1],
            "post_transform": "LOGISTIC",
            **FOREST,
        },
        outputs=2,
    )
    # 2 comparisons, a sum, the sign of the score; it is negated, and both get a logistic.
    assert (cost.vector_ops, cost.transcendentals) == (5 * (3 + 1 + 1), 10)


# Inner nodes 0 -> (leaf, 1), 1 -> (leaf, leaf) and 2 -> (leaf, leaf): depths 2 and 1.
COMBINED: Mapping[str, object] = {
    "n_targets": 2,
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
}


def test_trees_in_one_list() -> None:
    cost = cost_of("TreeEnsemble", COMBINED)
    # 3 comparisons, a sum of two weights; 3 nodes of 16 bytes and 5 weights of 8.
    assert (cost.vector_ops, cost.transcendentals) == (5 * (3 + 1), 0)
    assert (cost.bytes_read, cost.bytes_written) == (80 + 48 + 40, 5 * 2 * 4)
    # post_transform and aggregate_function are numbers here: 2 is LOGISTIC, 0 is AVERAGE.
    changed = cost_of("TreeEnsemble", {**COMBINED, "post_transform": 2, "aggregate_function": 0})
    assert (changed.vector_ops, changed.transcendentals) == (5 * (3 + 1 + 2), 10)
    # 1 is SOFTMAX: 4 * 2 - 2 operations and 2 exp a row.
    softened = cost_of("TreeEnsemble", {**COMBINED, "post_transform": 1})
    assert (softened.vector_ops, softened.transcendentals) == (5 * (4 + 6), 10)


def test_membership_compares_each_member() -> None:
    members = helper.make_tensor("members", 1, [4], [1.0, 2.0, 3.0, float("nan")])
    cost = cost_of("TreeEnsemble", {**COMBINED, "membership_values": members})
    assert cost.vector_ops == 5 * (3 + 4 + 1)


def test_trees_in_a_circle_end() -> None:
    circle = {**FOREST, "nodes_falsenodeids": [2, 0, 0, 0, 0, 0]}
    cost = cost_of("TreeEnsembleRegressor", {"n_targets": 1, **circle})
    # Two inner nodes bound the depth of the first tree; no leaf has a weight.
    assert cost.vector_ops == 5 * 2
    # Every node leads to all others on both sides.
    count = 200
    ring = {
        **COMBINED,
        "tree_roots": [0],
        "nodes_featureids": [0] * count,
        "nodes_modes": helper.make_tensor("modes", 2, [count], [0] * count),
        "nodes_splits": helper.make_tensor("splits", 1, [count], [0.5] * count),
        "nodes_truenodeids": [*range(1, count), 0],
        "nodes_falsenodeids": [*range(2, count), 0, 1],
        "nodes_trueleafs": [0] * count,
        "nodes_falseleafs": [0] * count,
    }
    assert cost_of("TreeEnsemble", ring).vector_ops == 5 * count


def test_no_trees_are_declined() -> None:
    found = node_of("TreeEnsembleRegressor", {"n_targets": 1})
    assert (found.cost, found.reason) == (None, "the attributes list no trees")
