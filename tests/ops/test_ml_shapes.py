"""Types and shapes of ai.onnx.ml's operators, as ONNX Runtime produces them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper

from mlsys_lint.testing import model_from_text
from runtime_outputs import assert_as_observed, inferred, node_model, observed

pytestmark = pytest.mark.ort

FLOATS: Final = np.ones((5, 4), np.float32)
VECTOR: Final = np.ones((4,), np.float32)
INTEGERS: Final = np.ones((5, 4), np.int64)
TEXTS: Final = np.array(["a", "b"], dtype=object)
TENSORS: Final[dict[str, object]] = {
    "keys_tensor": helper.make_tensor("keys", 7, [1], [1]),
    "values_tensor": helper.make_tensor("values", 11, [1], [1.0]),
}
ENCODED: Final[list[tuple[str, dict[str, object], npt.NDArray[Any], int]]] = [
    ("Binarizer", {}, FLOATS, 1),
    ("Scaler", {"offset": [1.0], "scale": [2.0]}, FLOATS, 1),
    ("Scaler", {"offset": [1.0], "scale": [2.0]}, np.ones((2, 3, 4), np.int64), 1),
    ("Imputer", {"imputed_value_floats": [1.0], "replaced_value_float": 0.0}, FLOATS, 1),
    ("Imputer", {"imputed_value_int64s": [1], "replaced_value_int64": 0}, INTEGERS, 1),
    ("Normalizer", {"norm": "L2"}, INTEGERS, 1),
    ("Normalizer", {"norm": "MAX"}, VECTOR, 1),
    ("OneHotEncoder", {"cats_int64s": [1, 2, 3]}, INTEGERS, 1),
    ("OneHotEncoder", {"cats_strings": ["a", "b"]}, TEXTS, 1),
    ("LabelEncoder", {"classes_strings": ["a", "b"]}, INTEGERS, 1),
    ("LabelEncoder", {"classes_strings": ["a", "b"]}, TEXTS, 1),
    ("LabelEncoder", {"keys_int64s": [1], "values_strings": ["a"]}, INTEGERS, 2),
    ("LabelEncoder", {"keys_strings": ["a"], "values_floats": [1.0]}, TEXTS, 3),
    ("LabelEncoder", TENSORS, INTEGERS, 4),
    ("CategoryMapper", {"cats_int64s": [1], "cats_strings": ["a"]}, INTEGERS, 1),
    ("CategoryMapper", {"cats_int64s": [1], "cats_strings": ["a"]}, TEXTS, 1),
    ("FeatureVectorizer", {"inputdimensions": [4]}, VECTOR.astype(np.int64), 1),
    ("FeatureVectorizer", {"inputdimensions": [3]}, FLOATS, 1),
    ("FeatureVectorizer", {"inputdimensions": [20]}, np.ones((2, 5, 4), np.float32), 1),
]


@pytest.mark.parametrize(("op_type", "attributes", "array", "version"), ENCODED)
def test_elements_are_scaled_and_encoded(
    op_type: str, attributes: dict[str, object], array: npt.NDArray[Any], version: int
) -> None:
    feeds = {"x": array}
    assert_as_observed(node_model(op_type, attributes, feeds, version=version), feeds)


def test_features_side_by_side() -> None:
    feeds = {"x": FLOATS, "z": np.ones((5, 2), np.float32)}
    # The second input is padded to 6 columns.
    assert_as_observed(node_model("FeatureVectorizer", {"inputdimensions": [3, 6]}, feeds), feeds)


@pytest.mark.parametrize(
    ("data", "indices"),
    [((5, 4), (3,)), ((5, 4), (1, 3)), ((4,), (3,)), ((2, 5, 4), (2,)), ((1, 4), (1,))],
)
def test_columns(data: tuple[int, ...], indices: tuple[int, ...]) -> None:
    feeds: dict[str, npt.NDArray[Any]] = {
        "x": np.ones(data, np.float32),
        "i": np.zeros(indices, np.int64),
    }
    assert_as_observed(node_model("ArrayFeatureExtractor", {}, feeds), feeds)


LABELS: Final[list[dict[str, object]]] = [
    {"classlabels_ints": [0, 1, 2]},
    {"classlabels_strings": ["a", "b", "c"]},
]


@pytest.mark.parametrize(
    "attributes",
    [
        *({"coefficients": [1.0] * 12, "intercepts": [1.0] * 3, **labels} for labels in LABELS),
        {"coefficients": [1.0] * 4, "intercepts": [1.0], "classlabels_ints": [0, 1]},
        {"coefficients": [1.0] * 4, "intercepts": [1.0]},
    ],
)
def test_linear_classes(attributes: dict[str, object]) -> None:
    for array in (FLOATS, INTEGERS):
        feeds = {"x": array}
        assert_as_observed(node_model("LinearClassifier", attributes, feeds, outputs=2), feeds)


@pytest.mark.parametrize(
    ("op_type", "attributes"),
    [
        ("LinearRegressor", {"coefficients": [1.0] * 8, "targets": 2}),
        ("LinearRegressor", {"coefficients": [1.0] * 4, "intercepts": [1.0]}),
        ("SVMRegressor", {"coefficients": [1.0] * 4, "n_supports": 0, "rho": [1.0]}),
        (
            "SVMRegressor",
            {
                "coefficients": [1.0] * 3,
                "support_vectors": [1.0] * 12,
                "n_supports": 3,
                "rho": [1.0],
            },
        ),
    ],
)
def test_targets(op_type: str, attributes: dict[str, object]) -> None:
    params: dict[str, object] = {}
    if op_type == "SVMRegressor":
        params = {"kernel_params": [1.0, 1.0, 2.0]}
    for array in (FLOATS, VECTOR):
        feeds = {"x": array}
        assert_as_observed(node_model(op_type, {**attributes, **params}, feeds), feeds)


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("probabilities", [False, True])
def test_vector_classes(classes: int, *, probabilities: bool) -> None:
    pairs = classes * (classes - 1) // 2
    attributes: dict[str, object] = {
        "coefficients": [1.0] * ((classes - 1) * classes),
        "support_vectors": [1.0] * (4 * classes),
        "vectors_per_class": [1] * classes,
        "rho": [1.0] * pairs,
        "kernel_params": [1.0, 1.0, 2.0],
        "classlabels_ints": [*range(classes)],
    }
    if probabilities:
        attributes |= {"prob_a": [1.0] * pairs, "prob_b": [1.0] * pairs}
    feeds = {"x": FLOATS}
    assert_as_observed(node_model("SVMClassifier", attributes, feeds, outputs=2), feeds)


@pytest.mark.parametrize("labels", LABELS)
def test_linear_vector_classes(labels: dict[str, object]) -> None:
    attributes = {"coefficients": [1.0] * 12, "rho": [1.0], "kernel_params": [1.0, 1.0, 2.0]}
    feeds = {"x": VECTOR}
    model = node_model("SVMClassifier", {**attributes, **labels}, feeds, outputs=2)
    assert_as_observed(model, feeds)


# A root, and two leaves.
STUMP: Final[Mapping[str, object]] = {
    "nodes_treeids": [0, 0, 0],
    "nodes_nodeids": [0, 1, 2],
    "nodes_featureids": [0, 0, 0],
    "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
    "nodes_values": [0.5, 0.0, 0.0],
    "nodes_truenodeids": [1, 0, 0],
    "nodes_falsenodeids": [2, 0, 0],
}


@pytest.mark.parametrize("version", [1, 3])
def test_trees(version: int) -> None:
    feeds = {"x": FLOATS}
    targets: dict[str, object] = {
        "n_targets": 2,
        "target_treeids": [0, 0],
        "target_nodeids": [1, 2],
        "target_ids": [0, 1],
        "target_weights": [1.0, 2.0],
    }
    model = node_model("TreeEnsembleRegressor", {**STUMP, **targets}, feeds, version=version)
    assert_as_observed(model, feeds)
    classes: dict[str, object] = {
        "class_treeids": [0, 0],
        "class_nodeids": [1, 2],
        "class_weights": [1.0, 2.0],
    }
    kinds: list[dict[str, object]] = [
        {"class_ids": [0, 1], "classlabels_strings": ["a", "b", "c"]},
        {"class_ids": [0, 0], "classlabels_int64s": [0, 1]},  # one score for two classes
    ]
    for kind in kinds:
        attributes = {**STUMP, **classes, **kind}
        model = node_model("TreeEnsembleClassifier", attributes, feeds, outputs=2, version=version)
        assert_as_observed(model, feeds)


def test_trees_in_one_list() -> None:
    feeds = {"x": FLOATS}
    attributes: dict[str, object] = {
        "n_targets": 2,
        "tree_roots": [0],
        "nodes_featureids": [0],
        "nodes_modes": helper.make_tensor("modes", 2, [1], [0]),
        "nodes_splits": helper.make_tensor("splits", 1, [1], [0.5]),
        "nodes_truenodeids": [0],
        "nodes_falsenodeids": [1],
        "nodes_trueleafs": [1],
        "nodes_falseleafs": [1],
        "leaf_targetids": [0, 1],
        "leaf_weights": helper.make_tensor("weights", 1, [2], [1.0, 2.0]),
    }
    assert_as_observed(node_model("TreeEnsemble", attributes, feeds, version=5), feeds)


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        ({"classlabels_int64s": [0, 1, 2, 3]}, "seq(map(int64,tensor(float)))"),
        ({"classlabels_strings": ["a", "b", "c", "d"]}, "seq(map(string,tensor(float)))"),
    ],
)
def test_scores_become_a_sequence_of_maps(keys: dict[str, object], kind: str) -> None:
    feeds = {"x": FLOATS}
    model = node_model("ZipMap", keys, feeds)
    kinds, (maps,) = observed(model, feeds)
    (found,) = inferred(model)
    assert (kinds, len(maps), len(maps[0])) == ([kind], 5, 4)
    # Maps have neither an element type nor a shape.
    assert (found.kind, found.dtype, found.shape) == ("sequence", None, None)


@pytest.mark.parametrize(
    ("call", "entries", "most"),
    [
        ('CastMap<map_form="SPARSE", max_map=7, cast_to="TO_INT64">(x)', {1: 2.5, 4: 3.0}, 7),
        ('CastMap<map_form="SPARSE", max_map=3>(x)', {0: 1.0, 1: 2.0, 2: 3.0}, 3),
        ('CastMap<map_form="DENSE", cast_to="TO_STRING">(x)', {1: 2.5, 4: 3.0}, None),
        ("DictVectorizer<int64_vocabulary=[3, 5, 8]>(x)", {5: 1.0}, 3),
    ],
)
def test_maps_become_tensors(call: str, entries: dict[int, float], most: int | None) -> None:
    text = f"g (map(int64, float) x) => (float[?,?] y) {{ y = ai.onnx.ml.{call} }}"
    model = model_from_text(text)
    model.opset_import[0].version = 20
    model.graph.output[0].ClearField("type")
    if "TO_INT64" in call or "TO_STRING" in call:
        kind = onnx.TensorProto.INT64 if "TO_INT64" in call else onnx.TensorProto.STRING
        model.graph.output[0].type.tensor_type.elem_type = kind
    else:
        model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    _, (values,) = observed(model, {"x": entries})
    (found,) = inferred(model)
    assert found.shape == (1, most)
    assert values.shape == (1, most or len(entries))
