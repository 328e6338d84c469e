"""Recipes of users: what is accepted, what they fill, and how they reach a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from mlsys_lint.cli import run
from mlsys_lint.errors import OptionError
from mlsys_lint.inputs import plan_inputs
from mlsys_lint.inputs.recipes import checked
from mlsys_lint.measure.arrays import Array, filled
from mlsys_lint.testing import model_from_text


def _filled(dtype: str, shape: tuple[int, ...], recipe: str) -> Array:
    return filled({"name": "x", "dtype": dtype, "shape": shape, "recipe": recipe, "seed": 0})


@pytest.mark.parametrize(
    ("dtype", "shape", "recipe"),
    [
        ("float32", (2,), "normal"),
        ("float32", (2,), "-1e3"),
        ("float32", (2,), "-inf"),
        ("float16", (2,), "-0.5..0.5"),
        ("bfloat16", (3,), "1,2,3"),
        ("float64", (4, 3), "1,2,3"),
        ("int8", (2,), "-128..128"),
        ("uint64", (), "18446744073709551615"),
        ("bool", (2,), "0..2"),
        ("complex64", (2,), "1"),
    ],
)
def test_recipe_that_the_type_holds(dtype: str, shape: tuple[int, ...], recipe: str) -> None:
    assert checked("x", recipe, dtype, shape) == recipe


@pytest.mark.parametrize(
    ("dtype", "recipe"),
    [
        ("float32", "many"),
        ("float32", "2..1"),
        ("float32", "0..inf"),
        ("float32", "nan..1"),
        ("float32", "1,2,3"),  # for 4 x 2 elements
        ("float16", "70000"),  # the largest is 65504
        ("int64", "0.5"),
        ("int64", "normal"),
        ("int8", "128"),
        ("uint8", "-1..3"),
        ("uint8", "0..257"),
        ("bool", "2"),
        ("bool", "normal"),
    ],
)
def test_recipe_that_it_does_not(dtype: str, recipe: str) -> None:
    with pytest.raises(OptionError, match=rf"input 'x': '.*' is no recipe for {dtype}; write a"):
        checked("x", recipe, dtype, (4, 2))


def test_error_tells_the_limits_of_the_type_and_the_count_of_numbers() -> None:
    with pytest.raises(OptionError, match=r"from -128 to 127.*, 8 or 2 numbers with commas"):
        checked("x", "1000", "int8", (4, 2))


def test_string_is_the_text() -> None:
    recipe = checked("x", "3..5", "object", (2,))
    assert recipe == "text:3..5"
    assert _filled("object", (2,), recipe).tolist() == ["3..5", "3..5"]


def test_numbers_fill_every_element_or_the_last_axis() -> None:
    assert _filled("int64", (3,), "1,-1,64").tolist() == [1, -1, 64]
    assert _filled("float32", (2, 2), "1,2,3,4").tolist() == [[1, 2], [3, 4]]
    assert _filled("float32", (2, 3), "0,0.5,9").tolist() == [[0, 0.5, 9]] * 2
    assert _filled("float32", (0,), "1").shape == (0,)


def test_float_range_is_drawn_evenly_and_half_open() -> None:
    array = _filled("float32", (10_000,), "-2..6")
    assert (array >= -2).all()
    assert (array < 6).all()
    # Mean 2, deviation 8 / sqrt(12) = 2.31; of 10,000 draws the mean deviates by 0.023.
    assert abs(array.mean() - 2) < 0.15
    # Half precision has no number between 999.5 and 1000: rounding up would reach the end.
    assert (_filled("float16", (10_000,), "0..1000") < 1000).all()


def test_largest_integers_are_drawn() -> None:
    array = _filled("uint64", (100,), f"{2**63}..{2**64}")
    assert array.dtype == np.uint64
    assert int(array.min()) >= 2**63
    codes = _filled("int4", (500,), "-8..8")
    assert set(codes.astype(int).tolist()) == set(range(-8, 8))


@pytest.mark.parametrize(
    ("dtype", "least"),  # the smallest normal number is 2^(1 - bias)
    [("float16", 2**-14), ("bfloat16", 2**-126), ("float8_e4m3fn", 2**-6), ("float32", 2**-126)],
)
@pytest.mark.parametrize("recipe", ["normal", "-0.5..0.5"])
def test_no_draw_is_subnormal(dtype: str, least: float, recipe: str) -> None:
    # Of 200,000 draws from N(0, 1), 10 in float16 and 2,500 in float8_e4m3fn would be.
    array = _filled(dtype, (200_000,), recipe).astype(np.float64)
    assert ((array == 0) | (np.abs(array) >= least)).all()
    assert (array != 0).mean() > 0.9


def test_seeds_count_from_the_given_one() -> None:
    model = model_from_text("g (float[2] x, float[2] y) => (float[2] z) { z = Add(x, y) }")
    plans = plan_inputs(model, {"x": (2,), "y": (2,)}, seed=7)
    assert [plan.seed for plan in plans] == [7, 8]


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """A model with an embedding of 9 rows, and one without."""
    model = model_from_text(
        "g (int64[3] ids, float[9,2] table) => (float[3,2] y) { y = Gather(table, ids) }"
    )
    onnx.save(model, tmp_path / "tokens.onnx")
    onnx.save(
        model_from_text("g (float[3] x) => (float[3] y) { y = Relu(x) }"), tmp_path / "relu.onnx"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fill", "ids"], "--fill ids: say INPUT=RECIPE"),
        (["--fill", "ids="], "--fill ids=: say INPUT=RECIPE"),
        (["--fill", "ids=1", "--fill", "ids=2"], "--fill ids=2: ids is given twice"),
        (["--fill", "tokens=1"], "'tokens' is no input of the model; its inputs: ids, table"),
        (["--fill", "ids=0.5"], "input 'ids': '0.5' is no recipe for int64"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_fault_of_an_option_is_one_line(
    tokens: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["validate", str(tokens / "tokens.onnx"), *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.ort
def test_recipes_and_seeds_are_recorded(tokens: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    options = ["--fill", "ids=2..5", "--seed", "40", "--runs", "1", "--format", "json"]
    run(["validate", str(tokens / "tokens.onnx"), *options])
    inputs = json.loads(capsys.readouterr().out)["inputs"]
    assert [(one["name"], one["recipe"], one["seed"]) for one in inputs] == [
        ("ids", "2..5", 40),
        ("table", "normal", 41),
    ]


@pytest.mark.ort
def test_of_several_models_a_fill_is_for_those_that_have_the_input(
    tokens: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    run(["validate", str(tokens), "--fill", "ids=8", "--runs", "1", "--format", "json"])
    reports = json.loads(capsys.readouterr().out)["reports"]
    assert [[one["recipe"] for one in report["inputs"]] for report in reports] == [
        ["normal"],
        ["8", "normal"],
    ]


@pytest.mark.ort
def test_table_that_is_computed_has_the_size_that_the_analysis_finds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    text = """g (float[6,3] x, float[3,4] w, int64[9] ids) => (float[9,4] y) {
        table = MatMul(x, w)
        y = Gather(table, ids)
    }"""
    onnx.save(model_from_text(text), tmp_path / "m.onnx")
    run(["validate", str(tmp_path / "m.onnx"), "--runs", "1", "--format", "json"])
    inputs = json.loads(capsys.readouterr().out)["inputs"]
    assert inputs[2]["recipe"] == "0..6"


@pytest.mark.ort
@pytest.mark.parametrize("loop", ["0", "turn"])
def test_trip_count_of_the_prediction_is_that_of_the_run(
    tmp_path: Path, loop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    text = """g (int64 trips, float[2] x) => (float[2] last) {
        [turn] last = Loop(trips, , x) <
            body = b (int64 i, bool c, float[2] at) => (bool d, float[2] next) {
                d = Identity(c)
                next = Add(at, at)
            }>
    }"""
    onnx.save(model_from_text(text), tmp_path / "m.onnx")
    options = ["--trip-count", f"{loop}=5", "--runs", "1", "--format", "json"]
    run(["validate", str(tmp_path / "m.onnx"), *options])
    assert json.loads(capsys.readouterr().out)["inputs"][0]["recipe"] == "5"
