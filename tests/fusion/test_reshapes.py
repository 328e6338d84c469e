"""Shape arithmetic before a Reshape, views in a row, and slices that rearrange."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members, operators

SIZES = "s = Shape(q) g = Gather(s, i) u = Unsqueeze(g, k) h = Gather(s, j) v = Unsqueeze(h, k)"
WEIGHTS = "<int64 i = {0}, int64 j = {1}, int64[2] t = {3, 4}, int64[1] k = {0}>"


def _computed(body: str, result: str = "float[N,M,3,4] y") -> str:
    return f"g (float[N,M,12] x) => ({result}) {WEIGHTS} {{ {body} }}"


@pytest.mark.parametrize("opset", [17, 20])
def test_sizes_in_their_own_places_are_stored(opset: int) -> None:
    # [N, M, 3, 4] is written [0, 0, 3, 4]: all of the arithmetic is gone.
    text = _computed(
        f"q = Sin(x) {SIZES} c = Concat<axis = 0>(u, v, t) r = Reshape(q, c) y = Sin(r)"
    )
    program = assert_same(text, opset=opset)
    assert members(program) == [("Sin", [0]), ("Reshape", [7]), ("Sin", [8])]
    assert {program.eliminated[index] for index in range(1, 7)} == {"shape"}


def test_sizes_of_another_tensor_with_the_same_names_do() -> None:
    text = _computed(
        f"q = Sin(x) {SIZES} c = Concat<axis = 0>(u, v, t) r = Reshape(q, c) y = Sin(r)"
    ).replace("Shape(q)", "Shape(x)")
    assert operators(assert_same(text)) == ["Sin", "Reshape", "Sin"]


UNKNOWN = "s = Shape(q) g = Gather(s, j) u = Unsqueeze(g, k) c = Concat<axis = 0>(k, u, t)"
CUT = "s = Shape(q) u = Slice(s, k, e) v = Slice(s, e, f) c = Concat<axis = 0>(u, v, t)"
JOINED = f"{SIZES} c = Concat<axis = 0>(u, v, t)"


@pytest.mark.parametrize(
    ("arithmetic", "result"),
    [
        (UNKNOWN, "float[N,Q,3,4] y"),  # one unknown size: M stands where N would
        (f"{JOINED} z = Neg(c)", "float[N,M,3,4] y, int64[4] z"),  # it is handed out too
        (CUT, "float[N,M,3,4] y"),  # sizes cut out by Slice are not recognized
    ],
)
def test_other_shapes(arithmetic: str, result: str) -> None:
    body = f"q = Sin(x) {arithmetic} r = Reshape(q, c) y = Sin(r)"
    text = _computed(body, result).replace(
        "k = {0}>", "k = {0}, int64[1] e = {1}, int64[1] f = {2}>"
    )
    assert_same(text)


@pytest.mark.parametrize(
    ("views", "shape"),
    [
        ("a = Reshape(q, s) b = Reshape(a, t)", "2,2,6"),
        ("a = Reshape(q, s) b = Unsqueeze(a, z)", "1,2,3,4"),
        ("a = Reshape(q, o) b = Squeeze(a, z)", "2,12"),
        ("a = Reshape(q, s) c = Reshape(a, t) b = Unsqueeze(c, z)", "1,2,2,6"),
    ],
)
def test_views_after_a_reshape_become_one(views: str, shape: str) -> None:
    weights = (
        "<int64[3] s = {2,3,4}, int64[3] t = {2,2,6}, int64[3] o = {1,2,12}, int64[1] z = {0}>"
    )
    text = f"g (float[2,12] x) => (float[{shape}] y) {weights} {{ q = Sin(x) {views} y = Sin(b) }}"
    assert operators(assert_same(text)) == ["Sin", "Reshape", "Sin"]


@pytest.mark.parametrize(
    ("views", "before", "shape"),
    [
        ("a = Reshape(q, s) b = Reshape(a, t)", "N,12", "N,2,6"),  # an open size
        ("a = Reshape(q, s) b = Flatten(a)", "2,12", "2,12"),
        ("a = Unsqueeze(q, z) b = Reshape(a, w)", "2,12", "2,12"),
        ("a = Reshape<allowzero = 1>(q, s) b = Reshape<allowzero = 1>(a, t)", "2,12", "2,2,6"),
    ],
)
def test_views_that_stay(views: str, before: str, shape: str) -> None:
    weights = (
        "<int64[3] s = {-1,3,4}, int64[3] t = {-1,2,6}, int64[1] z = {0}, int64[2] w = {2,12}>"
    )
    text = (
        f"g (float[{before}] x) => (float[{shape}] y) {weights} {{ q = Sin(x) {views} y = Sin(b) }}"
    )
    assert len(operators(assert_same(text))) == 4


def _focus(order: list[tuple[int, int]]) -> str:
    bounds = "int64[2] e = {100,100}, int64[2] a = {2,3}, int64[2] d = {2,2}"
    starts = ", ".join(f"int64[2] p{r}{c} = {{{r},{c}}}" for r, c in order)
    slices = " ".join(f"s{r}{c} = Slice(x, p{r}{c}, e, a, d)" for r, c in order)
    joined = ", ".join(f"s{r}{c}" for r, c in order)
    body = f"{slices} k = Concat<axis = 1>({joined}) y = Sin(k)"
    return f"g (float[1,3,8,8] x) => (float[1,12,4,4] y) <{starts}, {bounds}> {{ {body} }}"


def test_four_slices_are_a_rearrangement() -> None:
    program = assert_same(_focus([(0, 0), (0, 1), (1, 0), (1, 1)]))
    assert members(program) == [("SpaceToDepth", [0, 1, 2, 3, 4]), ("Sin", [5])]


def test_another_order_of_the_phases_needs_a_gather() -> None:
    program = assert_same(_focus([(0, 0), (1, 0), (0, 1), (1, 1)]))
    assert operators(program) == ["SpaceToDepth", "Gather", "Sin"]


def test_slices_that_others_read_stay() -> None:
    text = _focus([(0, 0), (0, 1), (1, 0), (1, 1)])
    text = text.replace("y = Sin(k)", "y = Sin(k) z = Sin(s00)")
    text = text.replace("(float[1,12,4,4] y)", "(float[1,12,4,4] y, float[1,3,4,4] z)")
    assert "SpaceToDepth" not in operators(assert_same(text))
