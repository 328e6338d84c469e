"""ai.onnx.ml: scaling, encoding, maps and linear models.

What these operators have learned stands in attributes: it is read as weights, but is no parameter
of the model (parameters are tensors).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, TensorInfo, cost
from mlsys_lint_plugins.ops.indexing import gather
from mlsys_lint_plugins.ops.inference import Infer, same_as
from mlsys_lint_plugins.ops.ml_types import (
    infer_cast_map,
    infer_extracted,
    infer_float,
    infer_recoded,
    infer_targets,
    infer_vectors,
    infer_vocabulary,
)
from mlsys_lint_plugins.ops.msft_spec import float_conversions

_DOMAIN: Final = "ai.onnx.ml"
_FLOAT_BYTES: Final = 4
_INTEGER_BYTES: Final = 8
_STRING_BYTES: Final = 32
"""Of the string object, as for tensors of strings."""
_TRANSFORMS: Final = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
"""Of `post_transform`; TreeEnsemble gives the position."""


def learned(node: NodeView, name: str) -> int:
    """Number of elements of an attribute that lists numbers or strings."""
    value = node.attributes.get(name)
    if isinstance(value, TensorInfo):
        return value.numel
    return len(value) if isinstance(value, tuple) else 0


def attribute_bytes(value: object) -> int:
    """Bytes of an attribute that lists floats (4), integers (8) or strings (32), or is a tensor."""
    if isinstance(value, TensorInfo):
        return value.nbytes
    if not isinstance(value, tuple) or not value:
        return 0
    widths = {float: _FLOAT_BYTES, int: _INTEGER_BYTES, str: _STRING_BYTES}
    return len(value) * widths[type(value[0])]


def stored_bytes(node: NodeView, *names: str) -> int:
    """Bytes of the attributes that list what was learned."""
    return sum(attribute_bytes(node.attributes.get(name)) for name in names)


def class_count(node: NodeView) -> int:
    """Number of class labels."""
    names = ("classlabels_ints", "classlabels_int64s", "classlabels_strings")
    return max(learned(node, name) for name in names)


def rows_and_features(node: NodeView) -> tuple[int, int]:
    """N and F of an input [N, F]; a vector is one row."""
    dims = node.input(0).dims
    features = dims[-1] if dims else 1
    return (node.input(0).numel // features if features else 0), features


def per_element(operations: int, *names: str) -> Callable[[NodeView], OpCost]:
    """So many operations per element of the result; the attributes of these names are read."""

    def estimate(node: NodeView) -> OpCost:
        conversions = float_conversions(node.input(0)) if node.op_type == "Scaler" else 0
        return with_stored(
            cost(
                node,
                kernel_class="elementwise",
                vector_ops=operations * node.output().numel + conversions,
            ),
            stored_bytes(node, *names),
        )

    return estimate


def with_stored(base: OpCost, stored: int) -> OpCost:
    """The cost with so many bytes of learned attributes read."""
    return replace(
        base, bytes_read=base.bytes_read + stored, weight_bytes=base.weight_bytes + stored
    )


def looked_up(node: NodeView) -> OpCost:
    """A look-up for each element computes nothing and reads an entry of the table, at most all."""
    kinds = ("strings", "int64s", "floats", "tensor")
    names = [f"{list_}_{kind}" for list_ in ("keys", "values", "classes", "cats") for kind in kinds]
    table, entries = stored_bytes(node, *names), max(learned(node, name) for name in names)
    taken = table * min(entries, node.input(0).numel) // max(1, entries)
    return with_stored(cost(node, kernel_class="gather"), taken)


def vectorized(node: NodeView) -> OpCost:
    """Columns side by side, as floats: a conversion per element that is none.

    Of each input as many columns are read as `inputdimensions` says; missing ones become 0.
    """
    widths = node.integers("inputdimensions")
    parts = []
    for at, tensor in enumerate(tensor for tensor in node.inputs if tensor is not None):
        rows = tensor.dims[0] if tensor.rank > 1 else 1
        columns = tensor.numel // rows if rows else 0
        kept = min(columns, widths[at]) if at < len(widths) else columns
        parts.append(replace(tensor, shape=(rows * kept,)))
    return cost(node, kernel_class="concat", vector_ops=float_conversions(*parts), read=parts)


def normalizer(node: NodeView) -> OpCost:
    """A row of n: MAX n - 1 comparisons and n divisions, L1 n more for abs, L2 n more for squares.

    L2 takes a root per element, not per row: the result is sqrt(x^2 / sum x^2), as the schema says
    and ONNX Runtime computes.
    """
    rows, features = rows_and_features(node)
    norm = node.text("norm", "MAX")
    each = max(0, features - 1) + features + (0 if norm == "MAX" else features)
    return cost(
        node,
        kernel_class="norm",
        vector_ops=rows * each + float_conversions(node.input(0)),
        transcendentals=rows * features if norm == "L2" else 0,
    )


def after(node: NodeView, rows: int, scores: int, classes: int = 0) -> tuple[int, int]:
    """Operations and transcendentals of `post_transform` on rows of scores.

    LOGISTIC and PROBIT take one function per score, SOFTMAX 4 n - 2 operations and n exp a row. One
    score for two classes becomes two by a difference, or by LOGISTIC of both signs; that is what
    ONNX Runtime does.
    """
    value = node.attributes.get("post_transform", "NONE")
    kind = dict(enumerate(_TRANSFORMS)).get(value) if isinstance(value, int) else value
    if scores == 1 and classes == 2 and kind != "PROBIT":
        return rows, 2 * rows if kind == "LOGISTIC" else 0
    if kind in ("SOFTMAX", "SOFTMAX_ZERO"):
        return rows * max(0, 4 * scores - 2), rows * scores
    return 0, 0 if kind == "NONE" else rows * scores


def chosen(scores: int) -> int:
    """Comparisons that find the label of a row: the largest score, or the sign of the only one."""
    return max(1, scores - 1)


def linear(node: NodeView) -> OpCost:
    """X [N, F] times coefficients [F, scores], an intercept per score, the label, post_transform."""
    rows, features = rows_and_features(node)
    weights = learned(node, "coefficients")
    scores = weights // features if features else 0
    operations, transcendentals = after(node, rows, scores, class_count(node))
    biased = scores if learned(node, "intercepts") else 0
    labels = chosen(scores) if node.op_type == "LinearClassifier" else 0
    operations += rows * (biased + labels) + float_conversions(node.input(0))
    return with_stored(
        cost(
            node,
            kernel_class="gemm",
            contractions=(Contraction(m=rows, n=scores, k=features, dtype="float"),),
            vector_ops=operations,
            transcendentals=transcendentals,
        ),
        stored_bytes(node, "coefficients", "intercepts"),
    )


def zipped(node: NodeView) -> OpCost:
    """Every row becomes a map from keys to scores: keys and scores are written, nothing computed."""
    x, keys = node.input(0), stored_bytes(node, "classlabels_int64s", "classlabels_strings")
    rows, _ = rows_and_features(node)
    base = cost(node, kernel_class="copy", bytes_written=x.nbytes + rows * keys)
    return with_stored(base, keys)


_ENTRIES: Final = "data-dependent, at most: the map has as many entries as the output has elements"


def cast_map(node: NodeView) -> OpCost | Declined:
    """A conversion for each entry of the map where the type changes; the rest of the output is filled.

    An entry has a key of 8 bytes. What parsing or printing a number takes is not known.
    """
    if node.text("map_form", "DENSE") == "DENSE":
        return Declined("the number of entries in the map is not known")
    size, source = node.integer("max_map", 1), node.input(0)
    result = replace(node.output(), shape=(1, size))
    changed = source.dtype != result.type_name
    values = size * (_STRING_BYTES if source.dtype == "string" else _FLOAT_BYTES)
    return cost(
        node,
        kernel_class="cast",
        vector_ops=size if changed else 0,
        bytes_read=size * _INTEGER_BYTES + values,
        bytes_written=result.nbytes,
        weight_bytes=0,
        assumptions=(_ENTRIES,),
    )


def vectorized_map(node: NodeView) -> OpCost:
    """Each entry of the map is put at its key's place in the vocabulary, the other places are 0.

    An entry has a key and a value; the vocabulary is read whole.
    """
    names = ("int64_vocabulary", "string_vocabulary")
    vocabulary, size = stored_bytes(node, *names), max(learned(node, name) for name in names)
    result = replace(node.output(), shape=(1, size))
    base = cost(
        node,
        kernel_class="gather",
        bytes_read=vocabulary + result.nbytes,
        bytes_written=result.nbytes,
        weight_bytes=0,
        assumptions=(_ENTRIES,),
    )
    return with_stored(base, vocabulary)


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
    spec("Scaler", per_element(2, "offset", "scale"), infer_float),  # difference, product
    spec("Binarizer", per_element(1)),
    # comparison, selection
    spec("Imputer", per_element(2, "imputed_value_floats", "imputed_value_int64s"), same_as(0)),
    spec("OneHotEncoder", per_element(1, "cats_int64s", "cats_strings")),
    spec("Normalizer", normalizer, infer_float),
    spec("LabelEncoder", looked_up, infer_recoded),
    spec("CategoryMapper", looked_up),
    spec("ArrayFeatureExtractor", gather, infer_extracted, (1,)),
    spec("FeatureVectorizer", vectorized, infer_vectors),
    spec("LinearRegressor", linear, infer_targets),
    spec("LinearClassifier", linear),
    spec("CastMap", cast_map, infer_cast_map),
    spec("DictVectorizer", vectorized_map, infer_vocabulary),
    spec("ZipMap", zipped),
)
