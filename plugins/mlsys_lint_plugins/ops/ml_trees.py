"""ai.onnx.ml: ensembles of decision trees; a row walks down every tree, one comparison a level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.inference import Infer
from mlsys_lint_plugins.ops.ml import (
    after,
    chosen,
    class_count,
    learned,
    rows_and_features,
    spec,
    with_stored,
)
from mlsys_lint_plugins.ops.ml_types import infer_classes, infer_targets

_NODE_BYTES: Final = 16
"""Of an inner node: feature, threshold, and two places to go on, 4 bytes each."""
_WEIGHT_BYTES: Final = 8
"""Of a leaf's weight: the score that it belongs to, and its value."""
_MOST: Final = "data-dependent, at most: every row takes the longest way down each tree"


class Tree(NamedTuple):
    """What a row meets at most: comparisons, and weights of the leaf where it ends."""

    depth: int
    weights: int


class Forest(NamedTuple):
    """All trees, and how many inner nodes and weights of leaves they have together."""

    trees: Sequence[Tree]
    inner: int
    weights: int


def deepest(children: Mapping[int, Sequence[int]], root: int) -> int:
    """Comparisons on the longest way down from a root; a child that has no children is a leaf.

    A tree meets each inner node once. Where nodes go in circles, all of them bound the depth.
    """
    inner, depth, met = [place for place in (root,) if place in children], 0, 0
    while inner:
        depth += 1
        met += len(inner)
        if met > len(children):
            return len(children)
        inner = [below for place in inner for below in children[place] if below in children]
    return depth


def classic_forest(node: NodeView) -> Forest:
    """From the parallel lists of TreeEnsembleRegressor and -Classifier; a leaf has several weights."""
    trees, places = node.integers("nodes_treeids"), node.integers("nodes_nodeids")
    yes, no = node.integers("nodes_truenodeids"), node.integers("nodes_falsenodeids")
    modes = node.attributes.get("nodes_modes")
    kinds = modes if isinstance(modes, tuple) else ()
    children: dict[int, dict[int, tuple[int, int]]] = {}
    roots: dict[int, int] = {}
    for tree, place, one, other, kind in zip(trees, places, yes, no, kinds, strict=False):
        roots.setdefault(tree, place)
        if kind != "LEAF":
            children.setdefault(tree, {})[place] = (one, other)
    weights = _leaf_weights(node)
    found = [
        Tree(deepest(children.get(tree, {}), root), weights.get(tree, 0))
        for tree, root in roots.items()
    ]
    side = _side(node)
    return Forest(found, sum(map(len, children.values())), learned(node, f"{side}_nodeids"))


def _side(node: NodeView) -> str:
    return "class" if node.op_type == "TreeEnsembleClassifier" else "target"


def _leaf_weights(node: NodeView) -> Mapping[int, int]:
    """Tree -> the most weights that a leaf of it has."""
    trees = node.integers(f"{_side(node)}_treeids")
    leaves = Counter(zip(trees, node.integers(f"{_side(node)}_nodeids"), strict=False))
    most: dict[int, int] = {}
    for (tree, _), count in leaves.items():
        most[tree] = max(count, most.get(tree, 0))
    return most


def combined_forest(node: NodeView) -> Forest:
    """From TreeEnsemble's one list of inner nodes; a leaf stands apart and has one weight."""
    yes, no = node.integers("nodes_truenodeids"), node.integers("nodes_falsenodeids")
    ends = zip(node.integers("nodes_trueleafs"), node.integers("nodes_falseleafs"), strict=False)
    children = {
        place: [-1 if leaf else below for below, leaf in zip(targets, leaves, strict=True)]
        for place, (targets, leaves) in enumerate(
            zip(zip(yes, no, strict=False), ends, strict=False)
        )
    }
    found = [Tree(deepest(children, root), 1) for root in node.integers("tree_roots")]
    return Forest(found, len(children), learned(node, "leaf_targetids"))


def trees(node: NodeView) -> OpCost | Declined:
    """At most: for each row the longest way down each tree, the leaves' weights, post_transform.

    W weights of the leaves that a row meets are W - 1 sums (minima, maxima), W with base values;
    AVERAGE divides each score. A classifier compares its scores. A test of membership takes a comparison per
    member. Ways depend on data: each inner node and weight is read at most once, and no more than
    the rows can meet.
    """
    combined = node.op_type == "TreeEnsemble"
    forest = combined_forest(node) if combined else classic_forest(node)
    if not forest.trees:
        return Declined("the attributes list no trees")
    rows, _ = rows_and_features(node)
    depth = sum(tree.depth for tree in forest.trees)
    met = sum(tree.weights for tree in forest.trees)
    operations, transcendentals = _scored(node, rows)
    each = depth + learned(node, "membership_values") + max(0, met - (not _has_base(node)))
    inner, weights = min(forest.inner, rows * depth), min(forest.weights, rows * met)
    base = cost(
        node,
        kernel_class="trees",
        vector_ops=rows * each + operations,
        transcendentals=transcendentals,
        assumptions=(_MOST,),
    )
    return with_stored(base, inner * _NODE_BYTES + weights * _WEIGHT_BYTES)


def _has_base(node: NodeView) -> bool:
    return any(learned(node, name) for name in ("base_values", "base_values_as_tensor"))


def _scored(node: NodeView, rows: int) -> tuple[int, int]:
    """What follows the sums: averages, the label, post_transform.

    A classifier whose weights are all of one class has one score for two classes.
    """
    if node.op_type == "TreeEnsembleClassifier":
        classes = class_count(node)
        scores = 1 if len(set(node.integers("class_ids"))) == 1 else classes
        operations, transcendentals = after(node, rows, scores, classes)
        return operations + rows * chosen(scores), transcendentals
    scores = node.integer("n_targets", 1)
    averaged = node.attributes.get("aggregate_function", "SUM") in ("AVERAGE", 0)
    operations, transcendentals = after(node, rows, scores)
    return operations + (rows * scores if averaged else 0), transcendentals


_INFER: Final[Mapping[str, Infer | None]] = {
    "TreeEnsemble": None,
    "TreeEnsembleClassifier": infer_classes,
    "TreeEnsembleRegressor": infer_targets,
}

OPERATORS: Final[tuple[OperatorSpec, ...]] = tuple(
    spec(name, trees, infer) for name, infer in _INFER.items()
)
