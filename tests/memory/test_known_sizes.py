"""What the runtime knows of sizes when it loads a model, and what the planner makes of it.

A float[8,256] has 8,192 bytes (U). Where N is fed as 8 but open in the file, 2 N has no name.
"""

from __future__ import annotations

import pytest

from memory.observed import observed, planned, program

U = 8192
DOUBLED = """g (float[N,256] x) => (float[K,256] y) DECLARED {
    a = Concat<axis = 0>(x, x) b = Sin(a) c = Relu(b) d = Sin(c) y = Sin(d)
}"""

pytestmark = pytest.mark.ort


def same(text: str) -> list[int]:
    found = planned(text, dims={"N": 8})
    assert found == observed(text, dims={"N": 8})
    return [held for _, held in found]


def dims(text: str) -> dict[str, object]:
    made = program(text, dims={"N": 8})
    return {value.name: value.dims for op in made.order() for value in op.outputs if value}


def test_a_size_that_is_computed_equals_nothing() -> None:
    # a; a b; b c: Relu allocates, and nothing is taken again.
    text = DOUBLED.replace("DECLARED", "")
    assert dims(text)["b"] == (None, 256)
    assert same(text) == [2 * U, 4 * U, 4 * U, 4 * U, 4 * U]


def test_a_name_that_the_file_declares_goes_on_from_there() -> None:
    # a; a b; Relu in place while a waits; d takes a; d y
    text = DOUBLED.replace("DECLARED", "<float[M,256] a>")
    assert dims(text)["c"] == ("M", 256)
    assert same(text) == [2 * U, 4 * U, 4 * U, 4 * U, 4 * U]


def test_names_are_compared_as_text() -> None:
    # The declared names differ: Relu can't work in place.
    text = DOUBLED.replace("DECLARED", "<float[M,256] b, float[L,256] c>")
    same(text)


def test_bound_sizes_are_not_known() -> None:
    # N is 8 in the run; [N,256] and [8,256] are different sizes all the same.
    text = """g (float[N,256] x, float[8,256] z) => (float[8,256] y) {
        a = Sin(x) b = Sin(z) c = Sin(b) d = Sin(a) e = Add(c, d) y = Sin(e)
    }"""
    assert dims(text)["a"] == ("N", 256)
    assert dims(text)["b"] == (8, 256)
    same(text)


def test_a_size_that_depends_on_data_is_not_known() -> None:
    text = "g (float[8] x) => (int64[1,K] y) { a = NonZero(x) b = Neg(a) c = Neg(b) y = Neg(c) }"
    found = {
        value.name: value.dims for op in program(text).order() for value in op.outputs if value
    }
    assert found["a"] == (1, None)
    assert [held for _, held in planned(text)] == [64, 128, 128, 128]


def test_sizes_of_bodies_are_known_as_theirs() -> None:
    text = """g (bool c, float[N,256] x) => (float[N,256] y) {
        y = If (c) <
            then_branch = yes () => (float[N,256] r) { p = Sin(x) q = Relu(p) r = Sin(q) },
            else_branch = no () => (float[N,256] s) { s = Sin(x) }
        >
    }"""
    # p; Relu in place; q r, which is the If's
    assert planned(text, dims={"N": 8}) == [*(("Sin", U), ("Relu", U), ("Sin", 2 * U), ("If", U))]
