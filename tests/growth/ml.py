"""ai.onnx.ml: n rows of 4 features, 16 bytes a row; what was learned stands in attributes."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

FLOATS: Final = "float[{n},4] x"
INTEGERS: Final = "int64[{n},4] x"
ONES: Final = ",".join(["1.0"] * 12)
STUMP: Final = (
    "nodes_treeids=[0,0,0], nodes_nodeids=[0,1,2], nodes_featureids=[0,0,0], "
    'nodes_modes=["BRANCH_LEQ","LEAF","LEAF"], nodes_values=[0.5,0.0,0.0], '
    "nodes_truenodeids=[1,0,0], nodes_falsenodeids=[2,0,0]"
)
COMBINED: Final = (
    "n_targets=1, tree_roots=[0], nodes_featureids=[0], nodes_modes=uint8[1] {{0}}, "
    "nodes_splits=float[1] {{0.5}}, nodes_truenodeids=[0], nodes_falsenodeids=[1], "
    "nodes_trueleafs=[1], nodes_falseleafs=[1], leaf_targetids=[0,0], "
    "leaf_weights=float[2] {{1.0,2.0}}"
)
TREES: Final = {"ai.onnx.ml": 3}

CASES: Final = [
    # 16 elements, then 32.
    Growth(
        call="ai.onnx.ml.Scaler<offset=[1.0], scale=[2.0]>(x)",  # difference, product
        inputs=FLOATS,
        figures={
            "vector_ops": (32, 64),
            "bytes_read": (64 + 8, 128 + 8),
            "bytes_written": (64, 128),
        },
    ),
    Growth(
        call="ai.onnx.ml.Binarizer<threshold=0.5>(x)",
        inputs=FLOATS,
        figures={"vector_ops": (16, 32), "bytes_read": (64, 128), "bytes_written": (64, 128)},
    ),
    Growth(
        call="ai.onnx.ml.Imputer<imputed_value_floats=[1.0]>(x)",  # comparison, selection
        inputs=FLOATS,
        figures={
            "vector_ops": (32, 64),
            "bytes_read": (64 + 4, 128 + 4),
            "bytes_written": (64, 128),
        },
    ),
    # A row: 4 squares, 3 sums, 4 divisions, 4 roots.
    Growth(
        call='ai.onnx.ml.Normalizer<norm="L2">(x)',
        inputs=FLOATS,
        figures={
            "vector_ops": (44, 88),
            "transcendentals": (16, 32),
            "bytes_read": (64, 128),
            "bytes_written": (64, 128),
        },
    ),
    # Three comparisons and floats for each element; three categories of 8 bytes.
    Growth(
        call="ai.onnx.ml.OneHotEncoder<cats_int64s=[1,2,3]>(x)",
        inputs=INTEGERS,
        figures={
            "vector_ops": (48, 96),
            "bytes_read": (128 + 24, 256 + 24),
            "bytes_written": (192, 384),
        },
    ),
    # Two entries of a key (8 bytes) and a float.
    Growth(
        call="ai.onnx.ml.LabelEncoder<keys_int64s=[1,2], values_floats=[1.0,2.0]>(x)",
        inputs=INTEGERS,
        figures={
            "vector_ops": (0, 0),
            "bytes_read": (128 + 24, 256 + 24),
            "bytes_written": (64, 128),
        },
    ),
    # An entry of a number (8 bytes) and a string object (32).
    Growth(
        call='ai.onnx.ml.CategoryMapper<cats_int64s=[1], cats_strings=["a"]>(x)',
        inputs=INTEGERS,
        figures={
            "vector_ops": (0, 0),
            "bytes_read": (128 + 40, 256 + 40),
            "bytes_written": (512, 1024),
        },
    ),
    # Three columns, and their indices.
    Growth(
        call="ai.onnx.ml.ArrayFeatureExtractor(x, i)",
        inputs=f"{FLOATS}, int64[3] i",
        figures={
            "vector_ops": (0, 0),
            "bytes_read": (48 + 24, 96 + 24),
            "bytes_written": (48, 96),
        },
    ),
    # 4 columns and 2 of 3, of integers: 6 conversions a row.
    Growth(
        call="ai.onnx.ml.FeatureVectorizer<inputdimensions=[4,2]>(x, z)",
        inputs=f"{INTEGERS}, int64[{{n}},3] z",
        figures={"vector_ops": (24, 48), "bytes_read": (192, 384), "bytes_written": (96, 192)},
    ),
    # Two targets of 4 features.
    Growth(
        call=f"ai.onnx.ml.LinearRegressor<targets=2, coefficients=[{ONES[:31]}]>(x)",
        inputs=FLOATS,
        figures={
            "macs": (32, 64),
            "vector_ops": (0, 0),
            "bytes_read": (64 + 32, 128 + 32),
            "bytes_written": (32, 64),
        },
    ),
    # Three scores with intercepts, 2 comparisons, softmax 4 * 3 - 2 and 3 exp; labels of 8 bytes.
    Growth(
        call=f"ai.onnx.ml.LinearClassifier<coefficients=[{ONES}], intercepts=[1.0,1.0,1.0], "
        'classlabels_ints=[0,1,2], post_transform="SOFTMAX">(x)',
        inputs=FLOATS,
        outputs="y, z",
        figures={
            "macs": (48, 96),
            "vector_ops": (60, 120),
            "transcendentals": (12, 24),
            "bytes_read": (64 + 60, 128 + 60),
            "bytes_written": (80, 160),
        },
    ),
    # Three vectors: 11 operations for the distance, a scale, an exp; 3 MACs, rho.
    Growth(
        call=f"ai.onnx.ml.SVMRegressor<coefficients=[1.0,1.0,1.0], support_vectors=[{ONES}], "
        'n_supports=3, rho=[1.0], kernel_params=[1.0,1.0,2.0], kernel_type="RBF">(x)',
        inputs=FLOATS,
        figures={
            "macs": (12, 24),
            "vector_ops": (148, 296),
            "transcendentals": (12, 24),
            "bytes_read": (64 + 64, 128 + 64),
            "bytes_written": (16, 32),
        },
    ),
    # Three vectors of 4 and three pairs of classes: 12 + 6 MACs, 3 times rho, comparison and vote, 2
    # comparisons. 21 numbers are stored; a label of 8 bytes and 3 scores.
    Growth(
        call=f"ai.onnx.ml.SVMClassifier<coefficients=[{ONES[:23]}], support_vectors=[{ONES}], "
        "vectors_per_class=[1,1,1], rho=[1.0,1.0,1.0], kernel_params=[1.0,1.0,2.0], "
        "classlabels_ints=[0,1,2]>(x)",
        inputs=FLOATS,
        outputs="y, z",
        figures={
            "macs": (72, 144),
            "vector_ops": (44, 88),
            "transcendentals": (0, 0),
            "bytes_read": (64 + 84, 128 + 84),
            "bytes_written": (80, 160),
        },
    ),
    # One comparison; a node of 16 bytes and two weights of 8.
    Growth(
        call=f"ai.onnx.ml.TreeEnsembleRegressor<{STUMP}, n_targets=1, target_treeids=[0,0], "
        "target_nodeids=[1,2], target_ids=[0,0], target_weights=[1.0,2.0]>(x)",
        inputs=FLOATS,
        domains=TREES,
        figures={
            "macs": (0, 0),
            "vector_ops": (4, 8),
            "bytes_read": (64 + 32, 128 + 32),
            "bytes_written": (16, 32),
        },
    ),
    # One comparison of a feature, one of two scores.
    Growth(
        call=f"ai.onnx.ml.TreeEnsembleClassifier<{STUMP}, class_treeids=[0,0], "
        "class_nodeids=[1,2], class_ids=[0,1], class_weights=[1.0,2.0], "
        "classlabels_int64s=[0,1]>(x)",
        inputs=FLOATS,
        outputs="y, z",
        domains=TREES,
        figures={
            "vector_ops": (8, 16),
            "transcendentals": (0, 0),
            "bytes_read": (64 + 32, 128 + 32),
            "bytes_written": (64, 128),
        },
    ),
    # As the regressor, with LOGISTIC (2) of the score.
    Growth(
        call=f"ai.onnx.ml.TreeEnsemble<{COMBINED}, post_transform=2>(x)",
        inputs=FLOATS,
        figures={
            "vector_ops": (4, 8),
            "transcendentals": (4, 8),
            "bytes_read": (64 + 32, 128 + 32),
            "bytes_written": (16, 32),
        },
    ),
    # 4 keys of 8 bytes are read, and written with every row.
    Growth(
        call="ai.onnx.ml.ZipMap<classlabels_int64s=[0,1,2,3]>(x)",
        inputs=FLOATS,
        figures={
            "vector_ops": (0, 0),
            "bytes_read": (64 + 32, 128 + 32),
            "bytes_written": (64 + 128, 128 + 256),
        },
    ),
    # At most n entries of a key (8 bytes) and a float, converted to integers.
    Growth(
        call='ai.onnx.ml.CastMap<map_form="SPARSE", max_map={n}, cast_to="TO_INT64">(x)',
        inputs="map(int64, float) x",
        figures={"vector_ops": (4, 8), "bytes_read": (48, 96), "bytes_written": (32, 64)},
    ),
    # Two words of 8 bytes, at most two entries of a key and a float.
    Growth(
        call="ai.onnx.ml.DictVectorizer<int64_vocabulary=[3,5]>(x)",
        inputs="map(int64, float) x",
        fixed="the vocabulary is an attribute",
        figures={"vector_ops": (0, 0), "bytes_read": (16 + 24, 16 + 24), "bytes_written": (8, 8)},
    ),
]
