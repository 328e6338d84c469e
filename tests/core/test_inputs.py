from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mlsys_lint.errors import ModelError, OptionError
from mlsys_lint.inputs import caller_inputs, plan_inputs
from mlsys_lint.measure.arrays import filled

_NO_VALUES: Mapping[str, str] = MappingProxyType({})
_IMPORTS = '"" : 21, "com.microsoft" : 1, "own" : 1'


def _model(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f"<ir_version: 10, opset_import: [{_IMPORTS}]>\n{text}")


def _recipes(
    text: str,
    values: Mapping[str, str] = _NO_VALUES,
    shapes: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
) -> dict[str, str]:
    model = _model(text)
    static = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in caller_inputs(model)
    }
    return {plan.name: plan.recipe for plan in plan_inputs(model, {**static, **shapes}, values)}


def test_plan_has_type_shape_and_a_seed_of_its_own() -> None:
    model = _model("g (float[N,3] x, float16[N] y) => (float[N,3] z) { z = Relu(x) }")
    first, second = plan_inputs(model, {"x": (2, 3), "y": (2,)}, {})
    assert (first.name, first.dtype, first.shape, first.recipe) == (
        "x",
        "float32",
        (2, 3),
        "normal",
    )
    assert (second.dtype, second.shape) == ("float16", (2,))
    assert first.seed != second.seed


def test_indices_stay_below_the_smallest_table_they_reach() -> None:
    # ids pass Cast, Unsqueeze and Concat into a table of 50 rows, and directly into one of 30.
    text = """g (int64[2] ids, int64[1] axes) => (float[2,4] y, float[1,4,4] z)
        <float[30,4] small, float[50,4] large> {
        y = Gather(small, ids)
        narrow = Cast<to = 6>(ids)
        row = Unsqueeze(narrow, axes)
        both = Concat<axis = 1>(row, row)
        z = Gather(large, both)
    }"""
    model = _model(text)
    for name, rows in (("small", 30), ("large", 50)):
        model.graph.initializer.append(TensorProto(name=name, data_type=1, dims=[rows, 4]))
    plans = plan_inputs(model, {"ids": (2,), "axes": (1,)}, {})
    assert plans[0].recipe == "0..30"


@pytest.mark.parametrize(("axis", "rows"), [(0, 5), (1, 7), (-1, 9)])
def test_bound_is_the_size_of_the_gathered_axis(axis: int, rows: int) -> None:
    text = f"""g (float[5,7,9] table, int64[2] ids) => (float y) {{
        y = Gather<axis = {axis}>(table, ids)
    }}"""
    assert _recipes(text)["ids"] == f"0..{rows}"


def test_bound_survives_a_dequantized_and_transposed_table() -> None:
    # Stored as [8, 60]; transposed, a row is one of 60.
    text = """g (uint8[8,60] table, float s, uint8 z, int64[2] ids) => (float[2,8] y) {
        wide = DequantizeLinear(table, s, z)
        rows = Transpose<perm = [1, 0]>(wide)
        y = Gather(rows, ids)
    }"""
    assert _recipes(text)["ids"] == "0..60"


def test_embedding_operator_has_a_table_for_each_index_input() -> None:
    text = """g (int32[1,8] ids, int32[1,8] kinds, float[100,4] words, float[64,4] places,
               float[2,4] segments, float[4] gamma, float[4] beta, int32[1,8] mask)
        => (float[1,8,4] y) {
        y = com.microsoft.EmbedLayerNormalization(
            ids, kinds, words, places, segments, gamma, beta, mask)
    }"""
    recipes = _recipes(text)
    assert recipes["ids"] == "0..100"
    assert recipes["kinds"] == "0..2"
    assert recipes["mask"] == "1"


def test_scatter_rotary_and_nd_gather_are_index_operators() -> None:
    # GatherND's indices have several parts: the least of the axes after the batch, min(6, 4).
    text = """g (float[9,6,4] data, int64[9,2,2] places, float[5,3] base, int64[1,3] rows,
               float[1,3] new, float[1,2,8,16] q, int64[1,8] positions, float[40,8] cos)
        => (float y, float z, float w) {
        y = GatherND<batch_dims = 1>(data, places)
        z = ScatterElements<axis = 1>(base, rows, new)
        w = com.microsoft.RotaryEmbedding(q, positions, cos, cos)
    }"""
    recipes = _recipes(text)
    assert recipes["places"] == "0..4"
    assert recipes["rows"] == "0..3"
    assert recipes["positions"] == "0..40"


def test_values_are_followed_into_bodies() -> None:
    text = """g (bool c, int64[2] ids, float[20,4] table, int64[3,2] many) => (float[2,4] y, float z) {
        y = If (c) <
            then_branch = t () => (float[2,4] a) { a = Gather(table, ids) },
            else_branch = e () => (float[2,4] b) { k = Identity(ids)  b = Gather(table, k) }
        >
        z = Scan<num_scan_inputs = 1,
            body = s (int64[2] one) => (float[2,4] row) { row = Gather(table, one) }>(many)
    }"""
    recipes = _recipes(text)
    assert recipes["c"] == "1"
    assert recipes["ids"] == "0..20"
    assert recipes["many"] == "0..20"


def test_loop_state_is_followed_and_its_trip_count_is_no_index() -> None:
    text = """g (int64 trips, bool go, int64[2] ids, float[12,4] table) => (int64[2] last, float rows) {
        last, rows = Loop(trips, go, ids) <
            body = b (int64 i, bool c, int64[2] state) => (bool d, int64[2] next, float[2,4] row) {
                d = Identity(c)
                next = Identity(state)
                row = Gather(table, next)
            }>
    }"""
    recipes = _recipes(text)
    assert recipes["ids"] == "0..12"
    assert recipes["trips"] == "1"


def test_values_are_followed_into_functions() -> None:
    text = """g (float[11,4] table, int64[2] ids) => (float[2,4] y) {
            y = own.Look(table, ids)
        }
        <domain: "own", opset_import: ["" : 21]>
        Look (t, i) => (r) { k = Squeeze(i)  r = Gather(t, k) }"""
    assert _recipes(text)["ids"] == "0..11"


def test_index_of_an_unknown_table_is_0() -> None:
    text = """g (float[N,4] x, int64[2] ids) => (float[2,4] y) {
        hidden = NonZero(x)
        y = Gather(hidden, ids)
    }"""
    assert _recipes(text, shapes={"x": (3, 4)})["ids"] == "0"


def test_names_and_types_decide_the_rest() -> None:
    text = """g (bool[2] flags, int64[1,9] attention_mask, float[1,9] float_mask, int64 sr,
               string[2] words, int64[1] lengths, float[1,seq_len,4] x, int64[2] other)
        => (float y) { y = Relu(x) }"""
    assert _recipes(text, shapes={"x": (1, 9, 4)}) == {
        "flags": "1",
        "attention_mask": "1",
        "float_mask": "1",
        "sr": "16000",
        "words": "empty",
        "lengths": "9",  # the whole of seq_len
        "x": "normal",
        "other": "1",
    }


def test_length_without_a_named_sequence_is_axis_1() -> None:
    text = "g (float[2,17,4] x, int64[2] x_lens) => (float[2,17,4] y) { y = Relu(x) }"
    assert _recipes(text)["x_lens"] == "17"


def test_user_recipes_win() -> None:
    text = "g (float[4,2] table, int64[2] ids) => (float[2,2] y) { y = Gather(table, ids) }"
    assert _recipes(text, {"ids": "1..3", "table": "0.5"}) == {"ids": "1..3", "table": "0.5"}


@pytest.mark.parametrize("recipe", ["many", "3..1", "..", "1..x"])
def test_bad_recipe_is_refused(recipe: str) -> None:
    with pytest.raises(OptionError, match=r"input 'x': .* is no recipe for float32"):
        _recipes("g (float[2] x) => (float[2] y) { y = Relu(x) }", {"x": recipe})


def test_recipe_for_no_input_lists_the_inputs() -> None:
    with pytest.raises(OptionError, match="'z' is no input of the model; its inputs: x"):
        _recipes("g (float[2] x) => (float[2] y) { y = Relu(x) }", {"z": "1"})


def test_initializer_that_is_also_an_input_is_not_fed() -> None:
    model = _model("g (float[2] x, float[2] w) => (float[2] y) { y = Add(x, w) }")
    model.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0]))
    assert [plan.name for plan in plan_inputs(model, {"x": (2,)}, {})] == ["x"]


def test_sequence_input_is_refused_by_name() -> None:
    model = _model("g (seq(float) s) => (float y) { y = ConcatFromSequence<axis = 0>(s) }")
    with pytest.raises(ModelError, match="input 's' is a sequence"):
        plan_inputs(model, {}, {})


def test_input_without_shape_names_the_remedy() -> None:
    model = _model("g (float x) => (float y) { y = Relu(x) }")
    with pytest.raises(ModelError, match="--input x="):
        plan_inputs(model, {}, {})


@pytest.mark.parametrize(
    ("dtype", "recipe", "expected"),
    [
        ("int64", "16000", [16000, 16000]),
        ("bool", "1", [True, True]),
        ("float16", "0.5", [0.5, 0.5]),
        ("object", "empty", ["", ""]),
    ],
)
def test_arrays_follow_recipes(dtype: str, recipe: str, expected: list[object]) -> None:
    array = filled({"name": "x", "dtype": dtype, "shape": [2], "recipe": recipe, "seed": 0})
    assert array.dtype == np.dtype(dtype)
    assert array.tolist() == expected


def test_drawn_arrays_are_inside_their_range_and_repeatable() -> None:
    plan = {"name": "x", "dtype": "int32", "shape": [1000], "recipe": "3..7", "seed": 5}
    array = filled(plan)
    assert set(array.tolist()) == {3, 4, 5, 6}
    assert (filled(plan) == array).all()
    assert (filled({**plan, "seed": 6}) != array).any()


def test_normal_floats_exist_in_types_that_numpy_lacks() -> None:
    array = filled({"name": "x", "dtype": "bfloat16", "shape": [], "recipe": "normal", "seed": 0})
    assert array.shape == ()
    assert array.dtype.name == "bfloat16"
