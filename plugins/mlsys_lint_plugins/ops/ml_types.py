"""ai.onnx.ml: types and shapes that onnx leaves open, as ONNX Runtime produces them."""

from __future__ import annotations

from math import prod

from onnx import AttributeProto, TensorProto, TypeProto
from onnx.shape_inference import InferenceContext

from mlsys_lint_plugins.ops.inference import element_type, integer, put, sizes, total


def _attribute(context: InferenceContext, name: str) -> AttributeProto | None:
    found: AttributeProto | None = context.get_attribute(name)  # the stub never says None
    return found


def _length(context: InferenceContext, name: str) -> int:
    attribute = _attribute(context, name)
    if attribute is None:
        return 0
    return max(len(attribute.ints), len(attribute.floats), len(attribute.strings))


def _rows(shape: tuple[int | None, ...]) -> int | None:
    """N of [N, F]; a vector is one row."""
    return shape[0] if len(shape) > 1 else 1


def infer_float(context: InferenceContext) -> None:
    """Floats in the input's shape."""
    shape = sizes(context, 0)
    if shape is not None:
        put(context, 0, TensorProto.FLOAT, shape)


def infer_recoded(context: InferenceContext) -> None:
    """LabelEncoder-1: texts for numbers and numbers for texts, in the input's shape."""
    shape = sizes(context, 0)
    if shape is not None and _attribute(context, "classes_strings") is not None:
        texts = element_type(context, 0) == TensorProto.STRING
        put(context, 0, TensorProto.INT64 if texts else TensorProto.STRING, shape)


def infer_targets(context: InferenceContext) -> None:
    """[N, targets] floats."""
    shape = sizes(context, 0)
    if shape:
        targets = integer(context, "n_targets", integer(context, "targets", 1))
        put(context, 0, TensorProto.FLOAT, (_rows(shape), targets))


def infer_classes(context: InferenceContext) -> None:
    """TreeEnsembleClassifier: labels [N] and scores [N, classes]."""
    shape = sizes(context, 0)
    if shape:
        _put_labels(context, shape, max(1, _labels(context)))


def infer_vector_classes(context: InferenceContext) -> None:
    """SVMClassifier: labels [N] and scores [N, classes] as ONNX Runtime writes them.

    With support vectors and without probabilities the scores are those of the pairs of classes, but
    2 where there are not more classes.
    """
    shape = sizes(context, 0)
    if shape:
        labels = _labels(context)
        in_pairs = _length(context, "vectors_per_class") and not _length(context, "prob_a")
        scores = max(2, labels * (labels - 1) // 2) if in_pairs else labels
        _put_labels(context, shape, scores)


def _labels(context: InferenceContext) -> int:
    names = ("classlabels_ints", "classlabels_int64s", "classlabels_strings")
    return max(_length(context, name) for name in names)


def _put_labels(context: InferenceContext, shape: tuple[int | None, ...], scores: int) -> None:
    texts = _length(context, "classlabels_strings")
    put(context, 0, TensorProto.STRING if texts else TensorProto.INT64, (_rows(shape),))
    put(context, 1, TensorProto.FLOAT, (_rows(shape), scores))


def infer_extracted(context: InferenceContext) -> None:
    """[1, indices] of a vector's type; onnx infers the other ranks."""
    shape, indices = sizes(context, 0), sizes(context, 1)
    if shape is not None and len(shape) == 1 and indices is not None:
        count = None if None in indices else prod(size or 0 for size in indices)
        put(context, 0, element_type(context, 0), (1, count))


def infer_vectors(context: InferenceContext) -> None:
    """[N, features] floats: `inputdimensions` in sum, or without them all features of the inputs."""
    shapes = [sizes(context, at) for at in range(context.get_num_inputs())]
    known = [shape for shape in shapes if shape]
    if not known or len(known) < len(shapes):
        return
    given = _attribute(context, "inputdimensions")
    columns = [_columns(shape) for shape in known] if given is None else list(given.ints)
    put(context, 0, TensorProto.FLOAT, (_rows(known[0]), total(*columns)))


def _columns(shape: tuple[int | None, ...]) -> int | None:
    """All axes but the first, which counts the rows of a matrix."""
    inner = [size for size in (shape[1:] if len(shape) > 1 else shape) if size is not None]
    return prod(inner) if len(inner) == max(1, len(shape) - 1) else None


_CAST: dict[bytes, TensorProto.DataType] = {
    b"TO_FLOAT": TensorProto.FLOAT,
    b"TO_INT64": TensorProto.INT64,
    b"TO_STRING": TensorProto.STRING,
}


def infer_cast_map(context: InferenceContext) -> None:
    """[1, max_map] in sparse form; in dense form as many as the map has entries."""
    target, form = _attribute(context, "cast_to"), _attribute(context, "map_form")
    kind = TensorProto.FLOAT if target is None else _CAST.get(target.s, TensorProto.FLOAT)
    sparse = form is not None and form.s == b"SPARSE"
    put(context, 0, kind, (1, integer(context, "max_map", 1) if sparse else None))


def infer_vocabulary(context: InferenceContext) -> None:
    """[1, words of the vocabulary] of the map's values."""
    kind: TypeProto | None = context.get_input_type(0)
    if kind is not None and kind.HasField("map_type"):
        names = ("int64_vocabulary", "string_vocabulary")
        words = max(_length(context, name) for name in names)
        put(context, 0, kind.map_type.value_type.tensor_type.elem_type, (1, words))
