"""Lists of tensors: what is copied into them and out of them, beside ONNX Runtime."""

from __future__ import annotations

import pytest

from memory.observed import graph, observed, planned
from mlsys_lint.testing import check_text

U = 8192  # a float[8,256]
NUMBERS = "<int64 zero = {0}, int64 two = {2}>"

pytestmark = pytest.mark.ort


def same(body: str, *, after: str = "float[8,256] y") -> list[int]:
    text = graph(body, after=after).replace("{ a", f"{NUMBERS} {{ a", 1)
    found = planned(text)
    assert found == observed(text)
    return [held for _, held in found]


def test_a_list_copies_its_tensors() -> None:
    # b; a b; a b and two copies; the copies and one of them taken out; that and y
    body = "a = Sin(x) b = Cos(x) s = SequenceConstruct(a, b) c = SequenceAt(s, zero) y = Sin(c)"
    assert same(body) == [U, 2 * U, 4 * U, 3 * U, 2 * U]


def test_a_split_list_holds_what_it_splits() -> None:
    # a; a and its parts; the parts and one of 2 rows; that and y
    body = "a = Sin(x) s = SplitToSequence<axis = 0>(a, two) c = SequenceAt(s, zero) y = Sin(c)"
    assert same(body, after="float[2,256] y") == [U, 2 * U, U + U // 4, U // 2]


def test_a_longer_list_shares_the_tensors_of_the_shorter() -> None:
    # b; b and an empty list; b a; b a s; b s t (t: the copy in s, and one of b); t c; c y
    body = """a = Sin(x) e = SequenceEmpty() s = SequenceInsert(e, a) b = Cos(x)
        t = SequenceInsert(s, b) c = SequenceAt(t, zero) y = Sin(c)"""
    assert same(body) == [U, U, 2 * U, 3 * U, 3 * U, 3 * U, 2 * U]


def test_joining_a_list_copies_once_more() -> None:
    # a; a and two copies; those and c; c y
    body = "a = Sin(x) s = SequenceConstruct(a, a) c = ConcatFromSequence<axis = 0>(s) y = Sin(c)"
    assert same(body, after="float[16,256] y") == [U, 3 * U, 4 * U, 4 * U]


def test_an_optional_is_a_view() -> None:
    text = graph("a = Sin(x) o = Optional(a) c = OptionalGetElement(o) d = Sin(c) y = Cos(d)")
    assert planned(text, opset=18) == observed(text, opset=18)


def test_maps_are_held_outside() -> None:
    # 3 labels of 8 bytes, 3 x 3 scores; the list of maps is no tensor.
    text = """g (float[3,2] x) => (seq(map(int64, float[])) y) {
        l, p = ai.onnx.ml.LinearClassifier<coefficients = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
            classlabels_ints = [0, 1, 2], intercepts = [0.0, 0.0, 0.0]>(x)
        y = ai.onnx.ml.ZipMap<classlabels_int64s = [0, 1, 2]>(p)
    }"""
    assert planned(text) == [("LinearClassifier", 24 + 36), ("ZipMap", 24 + 36)]


def test_a_list_that_a_loop_builds_leaves_the_peak_open() -> None:
    text = """g (float[4] x) => (float[8] y) <int64 n = {2}, bool t = {1}> {
        e = SequenceEmpty()
        s = Loop (n, t, e) <body = step (int64 i, bool go, seq(float[]) l) => (bool on, seq(float[]) m) {
            on = Identity(go)
            m = SequenceInsert(l, x)
        }>
        y = ConcatFromSequence<axis = 0>(s)
    }"""
    assert check_text(text, opset=17).totals.peak_activation_bytes is None
