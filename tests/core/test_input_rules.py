"""Each rule by which inputs are filled, on a small model that ONNX Runtime then takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from mlsys_lint.inputs import plan_inputs
from mlsys_lint.measure.arrays import filled
from runtime_outputs import observed

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _model(
    text: str, weights: Mapping[str, npt.NDArray[Any]] = _NOTHING, opset: int = 23
) -> onnx.ModelProto:
    imports = f'"" : {opset}, "com.microsoft" : 1, "ai.onnx.ml" : 3'
    model = onnx.parser.parse_model(f"<ir_version: 10, opset_import: [{imports}]>\n{text}")
    for name, array in weights.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return model


def _planned(model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    return {plan.name: plan.recipe for plan in plan_inputs(model, shapes)}


def _run(
    text: str,
    weights: Mapping[str, npt.NDArray[Any]] = _NOTHING,
    shapes: Mapping[str, tuple[int, ...]] = _NOTHING,
    opset: int = 23,
) -> tuple[dict[str, str], list[Any]]:
    """Recipes of the inputs, and what ONNX Runtime makes of them.

    Args:
        text: The graph; sizes of inputs are written out.
        weights: Initializers.
        shapes: Shapes of values between, as the analysis would know them.
    """
    model = _model(text, weights, opset)
    static = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in model.graph.input
    }
    plans = plan_inputs(model, {**static, **shapes})
    _, outputs = observed(model, {plan.name: filled(asdict(plan)) for plan in plans})
    return {plan.name: plan.recipe for plan in plans}, outputs


# Indices


def test_constants_on_the_way_narrow_an_index() -> None:
    # Columns of three fields share a table of 10 rows at offsets 0, 3 and 7: 2 + 7 is its last row.
    text = """g (int64[4,3] ids) => (float[4,3,2] y) {
        row = Add(ids, offsets)
        y = Gather(table, row)
    }"""
    weights = {"offsets": np.array([0, 3, 7]), "table": np.zeros((10, 2), np.float32)}
    recipes, _ = _run(text, weights)
    assert recipes["ids"] == "0..3"


def test_difference_to_a_constant_raises_the_least_index() -> None:
    # Tokens count from 5: 5 - 5 is row 0, 8 - 5 the last of 4 rows.
    text = """g (int64[9] ids) => (float[9,2] y) {
        row = Sub(ids, first)
        y = Gather(table, row)
    }"""
    weights = {"first": np.array(5), "table": np.zeros((4, 2), np.float32)}
    recipes, _ = _run(text, weights)
    assert recipes["ids"] == "5..9"


def test_loop_that_counts_up_ends_the_search() -> None:
    text = """g (int64 trips, bool go, int64[1] start) => (int64[1] last, float rows) {
        last, rows = Loop(trips, go, start) <
            body = b (int64 i, bool c, int64[1] at) => (bool d, int64[1] next, float[1,2] row) {
                d = Identity(c)
                row = Gather(table, at)
                next = Add(at, one)
            }>
    }"""
    weights = {"one": np.array([1]), "table": np.zeros((8, 2), np.float32)}
    recipes, _ = _run(text, weights)
    # The trip count is 1; within four turns `at` is at most start + 3: 4 + 3 is the last row.
    assert recipes["trips"] == "1"
    assert recipes["start"] == "0..5"


def test_index_into_a_computed_table_has_the_bound_of_the_analysis() -> None:
    text = """g (float[6,3] x, int64[9] ids) => (float[9,4] y) {
        table = MatMul(x, w)
        y = Gather(table, ids)
    }"""
    recipes, _ = _run(text, {"w": np.ones((3, 4), np.float32)}, {"table": (6, 4)})
    assert recipes["ids"] == "0..6"


def test_index_does_not_exceed_its_own_type() -> None:
    text = """g (uint8[9] codes) => (float[9,2] y) {
        ids = Cast<to = 7>(codes)
        y = Gather(table, ids)
    }"""
    recipes, _ = _run(text, {"table": np.zeros((1000, 2), np.float32)})
    assert recipes["codes"] == "0..256"


def test_float_that_is_cast_to_an_index_stays_below_the_end() -> None:
    # Half precision rounds 999.9 to 1000, which is no row.
    text = """g (float16[4000] ids) => (float[4000,1] y) {
        rows = Cast<to = 7>(ids)
        y = Gather(table, rows)
    }"""
    recipes, _ = _run(text, {"table": np.zeros((1000, 1), np.float32)})
    assert recipes["ids"] == "0..1000"


def test_images_classes_and_depths_are_tables_too() -> None:
    text = """g (float[2,3,8,8] x, float[5,4] rois, int64[5] which, float[6,10] scores,
               int64[6] labels, int64[7] hot)
        => (float y, float loss, float wide) {
        y = RoiAlign(x, rois, which)
        loss = SoftmaxCrossEntropyLoss(scores, labels)
        wide = OneHot(hot, depth, values)
    }"""
    weights = {"depth": np.array(11), "values": np.array([0, 1], np.float32)}
    recipes, _ = _run(text, weights, opset=21)
    assert (recipes["which"], recipes["labels"], recipes["hot"]) == ("0..2", "0..10", "0..11")


def test_update_of_a_cache_and_first_rotary_position_leave_room_for_what_follows() -> None:
    # 5 rows written into a cache of 12 begin at 7 at the latest; a rotation of 6 positions in a
    # table of 16 at 10.
    text = """g (float[2,3,12,4] cache, float[2,3,5,4] new, int64[2] where_,
               float[1,2,6,8] q, int64[1] first)
        => (float y, float z) {
        y = TensorScatter<axis = 2>(cache, new, where_)
        z = com.microsoft.RotaryEmbedding(q, first, cos, cos)
    }"""
    model = _model(text, {"cos": np.zeros((16, 4), np.float32)}, opset=24)
    shapes = {"cache": (2, 3, 12, 4), "new": (2, 3, 5, 4), "where_": (2,)}
    recipes = _planned(model, {**shapes, "q": (1, 2, 6, 8), "first": (1,)})
    assert (recipes["where_"], recipes["first"]) == ("0..8", "0..11")


# Arguments


def test_shape_arguments_keep_the_data() -> None:
    text = """g (float[2,1,6] x, int64[3] same, int64[2] flat, int64[1] squeezed, int64[1] grown,
               int64[3] repeats, int64[3] wide, int64[6] pads, int64[3] sizes)
        => (float a, float b, float c, float d, float e, float f, float h, float i) {
        a = Reshape(x, same)
        b = Reshape(x, flat)
        c = Squeeze(x, squeezed)
        d = Unsqueeze(x, grown)
        e = Tile(x, repeats)
        f = Expand(x, wide)
        h = Pad(x, pads)
        i = Resize(x, , , sizes)
    }"""
    recipes, outputs = _run(text)
    assert recipes["same"] == "2,1,6"
    assert recipes["flat"] == "-1,1"
    assert recipes["squeezed"] == "1"
    assert recipes["sizes"] == "2,1,6"
    shapes = [one.shape for one in outputs]
    assert shapes == [(2, 1, 6), (12, 1), (2, 6), (1, 2, 1, 6), *[(2, 1, 6)] * 4]


def test_extents_are_the_largest_that_fit() -> None:
    text = """g (float[2,7] x, int64[2] starts, int64[2] ends, int64[2] axes, int64[2] steps,
               int64[1] k, int64[2] parts, int64[1] over, int64 along)
        => (float a, float b, int64 at, float c, float d, float e, float f) {
        a = Slice(x, starts, ends, axes, steps)
        b, at = TopK(x, k)
        c, d = Split<axis = 1>(x, parts)
        e = ReduceSum(x, over)
        f = CumSum(x, along)
    }"""
    recipes, outputs = _run(text)
    assert recipes["axes"] == "0,1"
    assert recipes["k"] == "7"
    assert recipes["parts"] == "4,3"  # 7 = 4 + 3
    # ReduceSum over axis 0 leaves [1, 7].
    assert [one.shape for one in outputs] == [
        *((2, 7), (2, 7), (2, 7)),
        *((2, 4), (2, 3), (1, 7), (2, 7)),
    ]


def test_boxes_are_all_allowed_and_thresholds_in_their_domain() -> None:
    text = """g (float[1,9,4] boxes, float[1,2,9] scores, int64[1] most, float[1] iou, float[1] least)
        => (int64 y) { y = NonMaxSuppression(boxes, scores, most, iou, least) }"""
    recipes, _ = _run(text)
    assert (recipes["most"], recipes["iou"], recipes["least"]) == ("9", "0.5", "0")


def test_regions_cover_the_whole_map() -> None:
    # The map is 10 high and 8 wide, a quarter of the image: 8 / 0.25 = 32, 10 / 0.25 = 40.
    text = """g (float[2,3,10,8] x, float[5,4] rois, int64[5] which, float[4,5] pooled)
        => (float y, float z) {
        y = RoiAlign<spatial_scale = 0.25>(x, rois, which)
        z = MaxRoiPool<pooled_shape = [2, 2]>(x, pooled)
    }"""
    recipes, _ = _run(text, opset=21)
    assert (recipes["rois"], recipes["pooled"]) == ("0,0,32,40", "0,0,0,8,10")


def test_sequences_grids_and_running_products_are_valid() -> None:
    text = """g (float[3,6] x, int64[2] parts, float[2,2,3] theta, int64[4] size)
        => (float first, float grid) {
        several = SplitToSequence(x, parts)
        first = SequenceAt(several, zero)
        grid = AffineGrid(theta, size)
    }"""
    recipes, (first, grid) = _run(text, {"zero": np.array(0)})
    assert (recipes["parts"], recipes["size"]) == ("2,1", "2,1,1,1")
    assert (first.shape, grid.shape) == ((2, 6), (2, 1, 1, 2))


def test_logarithms_and_roots_are_numbers() -> None:
    text = """g (float[1000] x, float16[1000] y) => (float a, float16 b) {
        a = Log(x)
        b = Sqrt(y)
    }"""
    _, outputs = _run(text)
    assert all(np.isfinite(one).all() for one in outputs)


def test_ranges_count_up_by_one() -> None:
    text = """g (int64 start, int64 limit, int64 delta, float first, float end, float step)
        => (int64 y, float z) {
        y = Range(start, limit, delta)
        z = Range(first, end, step)
    }"""
    _, outputs = _run(text)
    assert [one.tolist() for one in outputs] == [[0], [0.0]]


def test_integers_are_not_divided_by_zero() -> None:
    text = """g (int32[300] x, int8[300] y, int8[300] m) => (int32 a, int8 b) {
        by = Cast<to = 6>(y)
        a = Div(x, by)
        b = Mod(y, m)
    }"""
    recipes, _ = _run(text)
    assert (recipes["y"], recipes["m"]) == ("1", "1")


def test_scales_zero_points_and_variances_are_valid() -> None:
    text = """g (float[2,3,4] x, float s, uint8 z, float[3] scale, float[3] b, float[3] mean,
               float[3] var) => (float y) {
        q = QuantizeLinear(x, s, z)
        d = DequantizeLinear(q, s, z)
        y = BatchNormalization(d, scale, b, mean, var)
    }"""
    recipes, (y,) = _run(text)
    assert (recipes["s"], recipes["z"], recipes["var"]) == ("0.02", "0", "1")
    assert np.isfinite(y).all()


def test_dropout_infers_and_a_grid_stays_inside_the_image() -> None:
    text = """g (float[1,1,8,8] x, float ratio, bool training, float[1,5,5,2] grid)
        => (float y, float z) {
        y = Dropout(x, ratio, training)
        z = GridSample(x, grid)
    }"""
    recipes, (y, _) = _run(text)
    assert recipes["training"] == "0"
    assert recipes["grid"] == "-1..1"
    assert (y != 0).mean() > 0.9  # training would drop half


# Lengths


def test_recurrent_and_reversed_sequences_are_whole() -> None:
    # X is [steps, batch, features]: 5 steps of 2 sequences; ReverseSequence counts along axis 1.
    text = """g (float[5,2,3] x, int32[2] steps, float[4,6] z, int64[4] tails)
        => (float y, float last, float w) {
        y, last = GRU<hidden_size = 4>(x, weights, recurrence, , steps)
        w = ReverseSequence<batch_axis = 0, time_axis = 1>(z, tails)
    }"""
    weights = {
        "weights": np.ones((1, 12, 3), np.float32),
        "recurrence": np.ones((1, 12, 4), np.float32),
    }
    recipes, _ = _run(text, weights)
    assert (recipes["steps"], recipes["tails"]) == ("5", "6")


def test_grouped_attention_counts_past_and_new_positions() -> None:
    # 7 past positions and a new one: a total of 8, the last key at 7.
    text = """g (float[2,1,32] q, float[2,1,16] k, float[2,1,16] v, float[2,1,7,16] pk,
               float[2,1,7,16] pv, int32[2] seqlens_k, int32 total)
        => (float y, float nk, float nv) {
        y, nk, nv = com.microsoft.GroupQueryAttention<num_heads = 2, kv_num_heads = 1>(
            q, k, v, pk, pv, seqlens_k, total)
    }"""
    recipes, (_, keys, _) = _run(text)
    assert (recipes["seqlens_k"], recipes["total"]) == ("7", "8")
    assert keys.shape == (2, 1, 8, 16)


@pytest.mark.parametrize(("mask", "recipe"), [("2", "5"), ("2,5", "1")])
def test_padding_of_attention_is_a_length_or_a_mask_of_ones(mask: str, recipe: str) -> None:
    text = f"""g (float[2,5,8] q, int32[{mask}] padding) => (float y) {{
        y = com.microsoft.MultiHeadAttention<num_heads = 2>(q, q, q, , padding)
    }}"""
    recipes, (y,) = _run(text)
    assert recipes["padding"] == recipe
    assert np.isfinite(y).all()


def test_nonpadded_keys_are_all_of_the_keys() -> None:
    text = """g (float[2,4,6,8] q, float[2,4,9,8] k, float[2,4,9,8] v, int64[2] kv)
        => (float y) { y = Attention(q, k, v, , , , kv) }"""
    model = _model(text, opset=24)
    shapes = {"q": (2, 4, 6, 8), "k": (2, 4, 9, 8), "v": (2, 4, 9, 8), "kv": (2,)}
    assert _planned(model, shapes)["kv"] == "9"


# Masks


@pytest.mark.parametrize(
    ("body", "recipe"),
    [
        ("s = Add(x, mask)", "0"),
        ("s = Mul(x, mask)", "1"),
        ("off = Sub(one, mask)  far = Mul(off, low)  s = Add(x, far)", "1"),
        ("far = Mul(mask, low)  s = Add(x, far)", "0"),
    ],
)
def test_float_mask_hides_nothing(body: str, recipe: str) -> None:
    text = f"g (float[2,4] x, float[2,4] mask) => (float y) {{ {body}  y = Softmax(s) }}"
    weights = {"one": np.float32(1), "low": np.float32(-10000)}
    recipes, (y,) = _run(text, {name: np.array(one) for name, one in weights.items()})
    assert recipes["mask"] == recipe
    assert (y > 1e-6).all()  # nothing is masked


@pytest.mark.parametrize(
    ("body", "recipe"),
    [
        ("s = Where(m, x, low)", "1"),
        ("s = Where(m, low, x)", "0"),  # true marks what to leave out
        ("n = Not(m)  s = Where(n, low, x)", "1"),
        ("f = Where(m, low, zero)  s = Add(x, f)", "0"),
        ("w = Cast<to = 1>(m)  f = Mul(w, low)  s = Add(x, f)", "0"),
    ],
)
def test_logical_mask_hides_nothing(body: str, recipe: str) -> None:
    text = f"g (float[2,4] x, bool[2,4] m) => (float y) {{ {body}  y = Softmax(s) }}"
    weights = {"zero": np.array(0, np.float32), "low": np.array(-np.inf, np.float32)}
    if "Mul" in body:  # 0 times infinity is no number
        weights["low"] = np.array(-1e4, np.float32)
    recipes, (y,) = _run(text, weights)
    assert recipes["m"] == recipe
    assert (y > 1e-6).all()


def test_number_that_is_taken_as_a_truth_value_is_true() -> None:
    text = """g (int64[300] keep, float[300] x) => (float y) {
        b = Cast<to = 9>(keep)
        y = Where(b, x, low)
    }"""
    recipes, _ = _run(text, {"low": np.array(-1, np.float32)})
    assert recipes["keep"] == "1"


# Values and names


def test_compared_integer_takes_the_constant_and_so_the_first_branch() -> None:
    text = """g (int64 task, int64 sampling) => (float y, bool is_high) {
        c = Equal(task, third)
        y = If (c) <
            then_branch = t () => (float a) { a = Identity(yes) },
            else_branch = e () => (float b) { b = Identity(no) }
        >
        is_high = Equal(sampling, rate)
    }"""
    weights = {
        "third": np.array(3),
        "rate": np.array(16000),
        "yes": np.array(1, np.float32),
        "no": np.array(0, np.float32),
    }
    recipes, (y, is_high) = _run(text, weights)
    assert recipes == {"task": "3", "sampling": "16000"}
    assert y == 1
    assert is_high


def test_integers_that_are_compared_with_a_range_lie_in_it() -> None:
    text = """g (int32[1,9,1] bytes) => (float y) {
        wide = Expand(bytes, shape)
        hot = Equal(wide, codes)
        y = Cast<to = 1>(hot)
    }"""
    weights = {"shape": np.array([1, 9, 257]), "codes": np.arange(257, dtype=np.int32)}
    recipes, (y,) = _run(text, weights)
    assert recipes["bytes"] == "0..257"
    assert (y.sum(axis=-1) == 1).all()


@pytest.mark.parametrize(
    ("dtype", "cast", "recipe"),
    [
        ("uint8", True, "0..256"),
        ("int8", False, "-128..128"),
        ("int32", True, "0..256"),
        ("int32", False, "1"),
    ],
)
def test_integers_that_feed_data(dtype: str, cast: bool, recipe: str) -> None:  # noqa: FBT001
    into = "y = Cast<to = 1>(image)" if cast else "y = Identity(image)"
    text = f"g ({dtype}[1,8,8,3] image) => ({'float' if cast else dtype} y) {{ {into} }}"
    recipes, _ = _run(text)
    assert recipes["image"] == recipe


def test_quantized_and_embedded_numbers() -> None:
    text = """g (int16[2,3] x, int8[4,4] a, int8[4,4] b) => (float y, int32 z) {
        y = DequantizeLinear(x, s)
        z = MatMulInteger(a, b)
    }"""
    recipes, _ = _run(text, {"s": np.array(0.1, np.float32)})
    assert recipes == {"x": "0..256", "a": "-128..128", "b": "-128..128"}


def test_sizes_of_images_scale_factors_and_positions_by_name() -> None:
    text = """g (float[1,3,48,64] image, float[1,2] im_shape, int64[1,2] orig_target_sizes,
               float[1,2] scale_factor, int64[1,9] position_ids)
        => (float y) { y = Relu(image) }"""
    recipes, _ = _run(text)
    assert recipes == {
        "image": "normal",
        "im_shape": "64",
        "orig_target_sizes": "64",
        "scale_factor": "1",
        "position_ids": "0..9",
    }


def test_lengths_count_the_open_axis_of_the_input_that_they_are_named_after() -> None:
    text = """g (float[N,80,T] audio, int64[N] length, int64[N,W] text, int64[N] text_lengths)
        => (float y) { y = Relu(audio) }"""
    model = _model(text)
    shapes = {"audio": (2, 80, 50), "length": (2,), "text": (2, 7), "text_lengths": (2,)}
    recipes = _planned(model, shapes)
    # `length` is named after nothing: the largest open axis, 50; 80 bands are no length.
    assert (recipes["length"], recipes["text_lengths"]) == ("50", "7")


def test_strings_and_codes_are_categories_where_others_are_refused() -> None:
    text = """g (string[1,2] colour, int64[1,2] code, string[3] free) => (float y, float z, string w) {
        y = ai.onnx.ml.OneHotEncoder<cats_strings = ["red", "blue"], zeros = 0>(colour)
        z = ai.onnx.ml.OneHotEncoder<cats_int64s = [40, 50], zeros = 0>(code)
        w = Identity(free)
    }"""
    recipes, _ = _run(text)
    assert recipes == {"colour": "text:red", "code": "40", "free": "empty"}


def test_scale_type_has_no_normal_numbers() -> None:
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node("Cast", ["s"], ["y"], to=1)],
            "g",
            [onnx.helper.make_tensor_value_info("s", onnx.TensorProto.FLOAT8E8M0, [2])],
            [onnx.helper.make_tensor_value_info("y", 1, [2])],
        )
    )
    assert _planned(model, {"s": (2,)})["s"] == "1"
