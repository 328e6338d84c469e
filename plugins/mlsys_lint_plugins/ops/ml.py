"""ai.onnx.ml: scaling, encoding, linear models, support vectors and trees.

What these operators have learned stands in attributes: it is read as weights, but is no parameter
of the model (parameters are tensors).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.inference import Infer, integer, put, same_as, sizes, total

_DOMAIN: Final = "ai.onnx.ml"
_FLOAT_BYTES: Final = 4


def learned(node: NodeView, name: str) -> int:
    """Number of elements of an attribute that lists numbers."""
    value = node.attributes.get(name)
    return len(value) if isinstance(value, tuple) else 0


def rows_and_features(node: NodeView) -> tuple[int, int]:
    """N and F of an input [N, F]; a vector is one row."""
    dims = node.input(0).dims
    features = dims[-1] if dims else 1
    return (node.input(0).numel // features if features else 0), features


def per_element(operations: int) -> Callable[[NodeView], OpCost]:
    """So many operations per element of the result."""

    def estimate(node: NodeView) -> OpCost:
        elements = node.output().numel
        return cost(node, kernel_class="elementwise", vector_ops=operations * elements)

    return estimate


def looked_up(node: NodeView) -> OpCost:
    """An entry of a table for each element: nothing is computed, the table is not counted."""
    return cost(node, kernel_class="gather")


def extracted(node: NodeView) -> OpCost:
    """Columns by index: reads the indices and what it takes."""
    taken = node.output().nbytes + node.input(1).nbytes
    return cost(node, kernel_class="gather", bytes_read=taken, weight_bytes=0)


def normalizer(node: NodeView) -> OpCost:
    """A row of n: MAX n - 1 comparisons, L1 and L2 n more for abs or square; n divisions, L2 a root."""
    rows, features = rows_and_features(node)
    norm = node.text("norm", "MAX")
    each = max(0, features - 1) + features + (0 if norm == "MAX" else features)
    return cost(
        node,
        kernel_class="norm",
        vector_ops=rows * each,
        transcendentals=rows if norm == "L2" else 0,
    )


def after(node: NodeView, rows: int, scores: int) -> tuple[int, int]:
    """Operations and transcendentals of `post_transform` on rows of scores.

    LOGISTIC and PROBIT one function per score; SOFTMAX 4 n - 2 operations and n exp a row.
    """
    kind = node.text("post_transform", "NONE")
    if kind.startswith("SOFTMAX"):
        return rows * max(0, 4 * scores - 2), rows * scores
    return 0, 0 if kind == "NONE" else rows * scores


def linear(node: NodeView) -> OpCost:
    """X [N, F] times coefficients [F, scores], an intercept per score, the largest, post_transform."""
    rows, features = rows_and_features(node)
    weights = learned(node, "coefficients")
    scores = weights // features if features else 0
    biased = scores if learned(node, "intercepts") else 0
    chosen = max(0, scores - 1) if node.op_type == "LinearClassifier" else 0
    operations, transcendentals = after(node, rows, scores)
    stored = (weights + learned(node, "intercepts")) * _FLOAT_BYTES
    return cost(
        node,
        kernel_class="gemm",
        contractions=(Contraction(m=rows, n=scores, k=features, dtype="float"),),
        vector_ops=rows * (biased + chosen) + operations,
        transcendentals=transcendentals,
        bytes_read=node.input(0).nbytes + stored,
        weight_bytes=stored,
    )


_KERNELS: Final = {"LINEAR": (0, 0), "POLY": (2, 1), "SIGMOID": (2, 1), "RBF": (1, 1)}
"""Operations and transcendentals for each row and support vector, after the product: scale and shift
with a power or tanh, scale with an exp."""


def support_vectors(node: NodeView) -> OpCost:
    """Kernel of each row with each of V support vectors, then their weighted sums.

    The kernel takes F MACs (RBF: difference, square, sum instead, 3 F - 1 operations) and what
    _KERNELS lists; the sums take as many MACs as there are coefficients. Without support vectors the
    model is linear. Votes, probabilities and intercepts are not counted.
    """
    rows, features = rows_and_features(node)
    weights, vectors = learned(node, "coefficients"), learned(node, "support_vectors")
    count = vectors // features if features else 0
    kernel = node.text("kernel_type", "LINEAR")
    operations, transcendentals = _KERNELS.get(kernel, (0, 0))
    sums = (
        Contraction(m=rows, n=max(1, weights // count), k=count, dtype="float") if count else None
    )
    if sums is None:
        scores = weights // features if features else 0
        products = [Contraction(m=rows, n=scores, k=features, dtype="float")]
    elif kernel == "RBF":
        products, operations = [sums], operations + max(0, 3 * features - 1)
    else:
        products = [Contraction(m=rows, n=count, k=features, dtype="float"), sums]
    stored = (weights + vectors) * _FLOAT_BYTES
    return cost(
        node,
        kernel_class="gemm",
        contractions=products,
        vector_ops=rows * count * operations,
        transcendentals=rows * count * transcendentals,
        bytes_read=node.input(0).nbytes + stored,
        weight_bytes=stored,
    )


def zipped(node: NodeView) -> OpCost:
    """Scores become a list of maps: copied, nothing computed; the keys are not counted."""
    return cost(node, kernel_class="copy", bytes_written=node.input(0).nbytes)


def infer_float(context: InferenceContext) -> None:
    """Floats in the input's shape."""
    shape = sizes(context, 0)
    if shape is not None:
        put(context, 0, TensorProto.FLOAT, shape)


def infer_targets(context: InferenceContext) -> None:
    """[N, targets] floats."""
    shape = sizes(context, 0)
    if shape:
        rows = shape[0] if len(shape) > 1 else 1
        targets = integer(context, "n_targets", integer(context, "targets", 1))
        put(context, 0, TensorProto.FLOAT, (rows, targets))


def infer_vectors(context: InferenceContext) -> None:
    """[N, sum of the inputs' features] floats."""
    shapes = [sizes(context, at) for at in range(context.get_num_inputs())]
    known = [shape for shape in shapes if shape]
    if known and len(known) == len(shapes):
        widths = total(*(shape[-1] for shape in known))
        put(context, 0, TensorProto.FLOAT, (known[0][0] if len(known[0]) > 1 else 1, widths))


def spec(
    name: str,
    estimate: Callable[[NodeView], OpCost | Declined],
    infer: Infer | None = None,
    shape_inputs: tuple[int, ...] = (),
) -> OperatorSpec:
    """A spec of the domain ai.onnx.ml."""
    return OperatorSpec(
        domain=_DOMAIN,
        op_type=name,
        since_version=1,
        estimate=estimate,
        infer=infer,
        shape_inputs=shape_inputs,
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    spec("Scaler", per_element(2), infer_float),  # difference, product
    spec("Binarizer", per_element(1)),
    spec("Imputer", per_element(2), same_as(0)),  # comparison, selection
    spec("OneHotEncoder", per_element(1)),
    spec("Normalizer", normalizer, infer_float),
    spec("LabelEncoder", looked_up),
    spec("CategoryMapper", looked_up),
    spec("ArrayFeatureExtractor", extracted, None, (1,)),
    spec("FeatureVectorizer", per_element(0), infer_vectors),
    spec("LinearRegressor", linear, infer_targets),
    spec("LinearClassifier", linear),
    spec("SVMRegressor", support_vectors, infer_targets),
    spec("SVMClassifier", support_vectors),
    spec("ZipMap", zipped),
)
