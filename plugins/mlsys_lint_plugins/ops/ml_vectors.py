"""ai.onnx.ml: support vector machines."""

from __future__ import annotations

from typing import Final

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.ml import (
    after,
    chosen,
    class_count,
    learned,
    rows_and_features,
    spec,
    stored_bytes,
    with_stored,
)
from mlsys_lint_plugins.ops.ml_types import infer_targets, infer_vector_classes
from mlsys_lint_plugins.ops.msft_spec import float_conversions

_KERNELS: Final = {"LINEAR": (0, 0), "POLY": (2, 1), "SIGMOID": (2, 1), "RBF": (1, 1)}
"""Operations and transcendentals for each row and support vector, after the product: scale and shift
with a power or tanh, scale with an exp."""
_LEARNED: Final = ("coefficients", "support_vectors", "rho", "prob_a", "prob_b")
_ROUNDS: Final = 100
"""Of the iteration that makes probabilities of classes from those of pairs."""
_COUPLING: Final = "data-dependent, at most: 100 rounds of pairwise coupling"
_SIDES: Final = 2
"""Of a one-class model: a comparison and a selection of 1 or -1."""


def regression(node: NodeView) -> OpCost:
    """Kernels with V support vectors, their weighted sum (V MACs) and rho; see `_model`.

    A one-class model takes a comparison and a selection more.
    """
    rows, _ = rows_and_features(node)
    one_class = _SIDES if node.integer("one_class", 0) else 0
    operations, transcendentals = after(node, rows, 1)
    return _model(node, 1, rows * (_shifts(node, 1) + one_class) + operations, transcendentals)


def classification(node: NodeView) -> OpCost | Declined:
    """Kernels with V support vectors, then a score for each pair of the C classes; see `_model`.

    The scores take (C - 1) V MACs and, each, rho, a comparison and a vote; the label C - 1 more
    comparisons. With probabilities see `_probabilities`. Without support vectors there is a score
    for each class and no vote.
    """
    rows, _ = rows_and_features(node)
    classes = class_count(node)
    if not classes:
        return Declined("the attributes list no classes")
    pairs = classes * (classes - 1) // 2
    if not learned(node, "support_vectors"):
        operations, transcendentals = after(node, rows, classes)
        each = _shifts(node, classes) + chosen(classes)
        return _model(node, classes, rows * each + operations, transcendentals)
    each = _shifts(node, pairs) + 2 * pairs + classes - 1
    functions = 0
    if learned(node, "prob_a"):
        each += _probabilities(classes)
        functions = pairs
        operations, transcendentals = after(node, rows, classes)
    else:
        operations, transcendentals = after(node, rows, pairs, classes)
    return _model(node, pairs, rows * each + operations, rows * functions + transcendentals)


def _shifts(node: NodeView, scores: int) -> int:
    """Rho is added to every score."""
    return scores if learned(node, "rho") else 0


def _probabilities(classes: int) -> int:
    """Operations of a row: a logistic per pair, then pairwise coupling (Wu, Lin and Weng, 2004).

    A pair's score is scaled, shifted and complemented, cut off on both sides and complemented again
    (6). Coupling builds a matrix Q [C, C]: a square and a sum for each ordered pair, a negation and a
    product for each pair (6 per pair), and then iterates: Q p (2 C^2), its product with p (2 C), the largest
    error (3 C + 1), and for each class 11 operations and 4 for each of all classes.
    """
    pairs = classes * (classes - 1) // 2
    each_round = 2 * classes**2 + 5 * classes + 1 + classes * (11 + 4 * classes)
    return 12 * pairs + _ROUNDS * each_round


def _model(node: NodeView, scores: int, operations: int, transcendentals: int) -> OpCost:
    """Products of the rows with what was learned, and what is done besides.

    The kernel of a row and a support vector takes F MACs (RBF: difference, square, sum instead,
    3 F - 1 operations) and what _KERNELS lists; the weighted sums as many MACs as there are
    coefficients. Without support vectors the model is linear.
    """
    rows, features = rows_and_features(node)
    weights, vectors = learned(node, "coefficients"), learned(node, "support_vectors")
    count = vectors // features if features else 0
    kernel = node.text("kernel_type", "LINEAR")
    each, functions = _KERNELS.get(kernel, (0, 0))
    products = [Contraction(m=rows, n=scores, k=features, dtype="float")]
    if count:
        products = [Contraction(m=rows, n=max(1, weights // count), k=count, dtype="float")]
        if kernel == "RBF":
            each += max(0, 3 * features - 1)
        else:
            products.insert(0, Contraction(m=rows, n=count, k=features, dtype="float"))
    notes = (_COUPLING,) if count and learned(node, "prob_a") else ()
    base = cost(
        node,
        kernel_class="gemm",
        contractions=products,
        vector_ops=rows * count * each + operations + float_conversions(node.input(0)),
        transcendentals=rows * count * functions + transcendentals,
        assumptions=notes,
    )
    return with_stored(base, stored_bytes(node, *_LEARNED))


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    spec("SVMRegressor", regression, infer_targets),
    spec("SVMClassifier", classification, infer_vector_classes),
)
