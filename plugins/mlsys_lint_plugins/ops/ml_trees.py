"""ai.onnx.ml: ensembles of decision trees; a row walks down every tree, one comparison a level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.inference import Infer
from mlsys_lint_plugins.ops.ml import after, infer_targets, rows_and_features, spec

_NODE_BYTES: Final = 16
"""Of an inner node: feature, threshold, and two places to go on, 4 bytes each."""


def deepest(children: Mapping[int, Sequence[int]], root: int) -> int:
    """Comparisons on the longest way down from a root; a child that has no children is a leaf."""
    level, depth = [root], 0
    while any(place in children for place in level):
        depth += 1
        level = [below for place in level for below in children.get(place, ())]
        if depth > len(children):
            return len(children)  # a file whose nodes go in circles
    return depth


def classic_trees(node: NodeView) -> list[int]:
    """Depth of every tree, from the parallel lists of TreeEnsembleRegressor and -Classifier."""
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
    return [deepest(children.get(tree, {}), root) for tree, root in roots.items()]


def combined_trees(node: NodeView) -> list[int]:
    """Depth of every tree of TreeEnsemble, whose nodes stand in one list and whose leaves apart."""
    yes, no = node.integers("nodes_truenodeids"), node.integers("nodes_falsenodeids")
    ends = zip(node.integers("nodes_trueleafs"), node.integers("nodes_falseleafs"), strict=False)
    children = {
        place: [-1 if leaf else below for below, leaf in zip(targets, leaves, strict=True)]
        for place, (targets, leaves) in enumerate(
            zip(zip(yes, no, strict=False), ends, strict=False)
        )
    }
    return [deepest(children, root) for root in node.integers("tree_roots")]


def trees(node: NodeView) -> OpCost | Declined:
    """At most: for each row the longest way down each tree, and a sum per tree and post_transform.

    Ways depend on data. All inner nodes are read, 16 bytes each.
    """
    depths = combined_trees(node) if node.op_type == "TreeEnsemble" else classic_trees(node)
    if not depths:
        return Declined("the attributes list no trees")
    rows, _ = rows_and_features(node)
    scores = node.output(len(node.outputs) - 1)
    operations, transcendentals = after(node, rows, scores.dims[-1] if scores.dims else 1)
    stored = len(node.integers("nodes_truenodeids")) * _NODE_BYTES
    return cost(
        node,
        kernel_class="trees",
        vector_ops=rows * (sum(depths) + len(depths)) + operations,
        transcendentals=transcendentals,
        bytes_read=node.input(0).nbytes + stored,
        weight_bytes=stored,
        assumptions=("data-dependent, at most: every row takes the longest way down each tree",),
    )


_INFER: Final[Mapping[str, Infer | None]] = {
    "TreeEnsemble": None,
    "TreeEnsembleClassifier": None,
    "TreeEnsembleRegressor": infer_targets,
}

OPERATORS: Final[tuple[OperatorSpec, ...]] = tuple(
    spec(name, trees, infer) for name, infer in _INFER.items()
)
