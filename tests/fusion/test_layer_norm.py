"""Layer normalization: the spellings that ONNX Runtime recognises, and what it adds to them."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members, operators

WEIGHTS = "float[8] g, float[8] b, float two = {2.0}, float eps = {0.00001}"
# 0 ReduceMean, 1 Sub, 2 Pow, 3 ReduceMean, 4 Add, 5 Sqrt, 6 Div, 7 Mul, 8 Add
MEAN = "m = ReduceMean<axes = [-1]>(x) d = Sub(x, m)"
ROOT = "p = Pow(d, two) v = ReduceMean<axes = [-1]>(p) e = Add(v, eps) s = Sqrt(e)"
TAIL = "q = Div(d, s) n = Mul(q, g) y = Add(n, b)"
NORM = f"{MEAN} {ROOT} {TAIL}"
DATA = "float[N,3,8] x"


def _graph(
    body: str, inputs: str = DATA, outputs: str = "float[N,3,8] y", weights: str = WEIGHTS
) -> str:
    return f"g ({inputs}) => ({outputs}) <{weights}> {{ {body} }}"


@pytest.mark.parametrize("opset", [11, 13, 17])
def test_nine_operators_are_one(opset: int) -> None:
    program = assert_same(_graph(NORM), opset=opset)
    assert operators(program) == ["LayerNormalization"]
    assert members(program) == [("LayerNormalization", list(range(9)))]
    assert next(iter(program.ops.values())).output.dims == ("N", 3, 8)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Sub(x, m)", "Sub(m, x)"),
        ("Add(v, eps)", "Add(eps, v)"),
        ("Mul(q, g)", "Mul(g, q)"),
        ("Add(n, b)", "Add(b, n)"),
        ("eps = {0.00001}", "eps = {1.0}"),
        ("float eps", "float[1,1] eps"),
        ("[-1]", "[2]"),
        ("v = ReduceMean<axes = [-1]>", "v = ReduceMean<axes = [2]>"),
        # ONNX Runtime does not look at these
        ("two = {2.0}", "two = {3.0}"),
        ("Div(d, s)", "Div(s, d)"),
    ],
)
def test_what_makes_no_difference(old: str, new: str) -> None:
    assert operators(assert_same(_graph(NORM).replace(old, new))) == ["LayerNormalization"]


def test_axes_as_an_input() -> None:
    body = NORM.replace("<axes = [-1]>(x)", "(x, a)").replace("<axes = [-1]>(p)", "(p, a)")
    for axis, fused in ((2, True), (1, False)):
        program = assert_same(_graph(body, weights=f"{WEIGHTS}, int64[1] a = {{{axis}}}"), opset=18)
        assert (operators(program) == ["LayerNormalization"]) is fused


@pytest.mark.parametrize(
    "text",
    [
        _graph(NORM.replace("[-1]", "[1]"), "float[N,8,8] x", "float[N,8,8] y"),
        _graph(NORM.replace("[-1]", "[1,2]")),
        _graph(NORM, weights=WEIGHTS.replace("float eps = {0.00001}", "float[1,1,8] eps")),
        _graph(NORM, f"{DATA}, float eps", weights=WEIGHTS.replace(", float eps = {0.00001}", "")),
        # as Pow alone; with float squares the rest is the simplified norm, see below
        _graph(NORM.replace("Pow(d, two)", "Mul(d, d)")),
        _graph(NORM).replace("float", "double"),
        _graph(NORM, outputs="float[N,3,8] y, float[N,3,1] s"),
        _graph(f"{NORM} z = Neg(p)", outputs="float[N,3,8] y, float[N,3,8] z"),
        _graph(NORM.replace("Add(v, eps)", "Abs(v)")),
        # the square of another difference
        _graph(
            f"z = Sub(x, b) {NORM} w = Neg(d)".replace("Pow(d,", "Pow(z,").replace("[-1]", "[2]"),
            outputs="float[N,3,8] y, float[N,3,8] w",
            weights=WEIGHTS.replace("two = {2.0}", "two = {3.0}"),
        ),
        # an exponent that others read too
        _graph(
            f"t = Cast<to = 1>(k) {NORM} w = Neg(t)".replace("Pow(d, two)", "Pow(d, t)"),
            f"{DATA}, int64 k",
            "float[N,3,8] y, float w",
            WEIGHTS.replace(", float two = {2.0}", ""),
        ),
    ],
)
def test_what_is_no_layer_norm(text: str) -> None:
    assert "Sqrt" in operators(assert_same(text))


@pytest.mark.parametrize(
    "text",
    [
        _graph(NORM, weights=WEIGHTS.replace("float[8] b", "float[1] b")),
        _graph(NORM, weights=WEIGHTS.replace("float[8] b", "float[1,8] b")),
        _graph(NORM, outputs="float[N,3,8] y, float[N,3,8] n"),
        _graph(NORM, outputs="float[N,3,8] y, float[N,3,1] m"),
        _graph(NORM, weights=WEIGHTS.replace("float two = {2.0}", "int64 two = {2}")),
    ],
)
def test_without_a_bias_the_rest_is_simplified(text: str) -> None:
    # the first ReduceMean and Sub stay, Pow .. Mul (2 to 7) are one, the last Add stays
    assert members(assert_same(text)) == [
        ("ReduceMean", [0]),
        ("Sub", [1]),
        ("SimplifiedLayerNormalization", [2, 3, 4, 5, 6, 7]),
        ("Add", [8]),
    ]


def test_scale_and_bias_may_be_inputs_of_one_symbolic_size() -> None:
    text = _graph(
        NORM,
        "float[N,3,K] x, float[K] g, float[K] b",
        "float[N,3,K] y",
        WEIGHTS.replace("float[8] g, float[8] b, ", ""),
    )
    assert operators(assert_same(text)) == ["LayerNormalization"]


def test_two_differences_are_as_good_as_one() -> None:
    # in the other order, or they would be merged before; ONNX Runtime does not mind the sign
    program = assert_same(
        _graph(f"{MEAN} d2 = Sub(m, x) {ROOT} {TAIL}".replace("Div(d,", "Div(d2,"))
    )
    assert members(program) == [("LayerNormalization", list(range(10)))]


@pytest.mark.parametrize("opset", [13, 17])
def test_casts_within_are_taken_in(opset: int) -> None:
    body = NORM.replace("Pow(d, two)", "Pow(d, t)")
    text = _graph(
        f"t = Cast<to = 1>(k) {body}",
        f"{DATA}, int64 k",
        weights=WEIGHTS.replace(", float two = {2.0}", ""),
    )
    program = assert_same(text, opset=opset)
    assert members(program) == [("LayerNormalization", list(range(10)))]


@pytest.mark.parametrize(
    "body",
    [
        f"x = Cast<to = 1>(u) {NORM}",
        f"m = ReduceMean<axes = [-1]>(u) c = Sub(u, m) d = Cast<to = 1>(c) {ROOT} {TAIL}",
    ],
)
def test_single_precision_within_half_precision_is_taken_in(body: str) -> None:
    body = body.replace("q = Div(d, s)", "f = Div(d, s) q = Cast<to = 10>(f)")
    weights = WEIGHTS.replace("float[8]", "float16[8]")
    text = _graph(body, "float16[N,3,8] u", "float16[N,3,8] y", weights)
    # 9 operators and the two Casts
    assert members(assert_same(text)) == [("LayerNormalization", list(range(11)))]


SQUARES = "p = Pow(x, two) v = ReduceMean<axes = [-1]>(p) e = Add(v, eps) s = Sqrt(e)"
SIMPLE = f"{SQUARES} q = Div(x, s) y = Mul(q, g)"
SCALE = "float[8] g, float two = {2.0}, float eps = {0.00001}"


@pytest.mark.parametrize("opset", [13, 17])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Mul(q, g)", "Mul(g, q)"),
        ("Add(v, eps)", "Add(eps, v)"),
        ("float two = {2.0}", "int64 two = {2}"),
        ("eps = {0.00001}", "eps = {1.0}"),
        ("float[8] g", "float[1] g"),
    ],
)
def test_root_mean_square(old: str, new: str, opset: int) -> None:
    program = assert_same(_graph(SIMPLE, weights=SCALE).replace(old, new), opset=opset)
    assert members(program) == [("SimplifiedLayerNormalization", list(range(6)))]
    assert next(iter(program.ops.values())).output.dims == ("N", 3, 8)


@pytest.mark.parametrize(
    "text",
    [
        _graph(SIMPLE, weights=SCALE.replace("{2.0}", "{3.0}")),
        _graph(SIMPLE, f"{DATA}, float two", weights=SCALE.replace("float two = {2.0}, ", "")),
        _graph(SIMPLE, f"{DATA}, float eps", weights=SCALE.replace(", float eps = {0.00001}", "")),
        _graph(SIMPLE, weights=SCALE.replace("float[8] g", "float[3,8] g")),
        _graph(SIMPLE.replace("[-1]", "[1]"), weights=SCALE.replace("[8] g", "[1] g")),
        _graph(SIMPLE.replace("Div(x, s)", "Div(s, x)"), weights=SCALE),
        _graph(f"{SIMPLE} z = Neg(q)", outputs="float[N,3,8] y, float[N,3,8] z", weights=SCALE),
        _graph(SIMPLE, weights=SCALE).replace("float", "double"),
        _graph(f"{SQUARES} r = Reciprocal(s) q = Mul(x, r) y = Mul(q, g)", weights=SCALE),
        _graph(SIMPLE.replace("Pow(x, two)", "Mul(x, x)"), weights=SCALE),
    ],
)
def test_other_roots(text: str) -> None:
    assert "Sqrt" in operators(assert_same(text))


RESIDUAL = "float[N,M,8] x, float[N,M,8] r"
VECTORS = "float[8] g, float[8] b, float[8] c, float[8,8] w"


def _skip(
    body: str, inputs: str = RESIDUAL, outputs: str = "float[N,M,8] y", weights: str = VECTORS
) -> str:
    return _graph(body, inputs, outputs, weights)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("s = Add(x, r) y = LayerNormalization(s, g, b)", [("SkipLayerNormalization", [0, 1])]),
        ("s = Add(x, r) y = LayerNormalization(s, g)", [("SkipLayerNormalization", [0, 1])]),
        ("s = Add(x, x) y = LayerNormalization(s, g, b)", [("SkipLayerNormalization", [0, 1])]),
        (
            "s = Add(x, r) y = LayerNormalization<axis = 2>(s, g, b)",
            [("SkipLayerNormalization", [0, 1])],
        ),
        (
            "t = Add(x, c) s = Add(t, r) y = LayerNormalization(s, g, b)",
            [("SkipLayerNormalization", [0, 1, 2])],
        ),
        (
            "t = Add(r, c) s = Add(x, t) y = LayerNormalization(s, g, b)",
            [("SkipLayerNormalization", [0, 1, 2])],
        ),
        # the constant on the left, of no product
        (
            "t = Add(c, x) s = Add(t, r) y = LayerNormalization(s, g, b)",
            [("Add", [0]), ("SkipLayerNormalization", [1, 2])],
        ),
        # no constant
        (
            "m = MatMul(x, w) t = Add(m, x) s = Add(t, r) y = LayerNormalization(s, g, b)",
            [("MatMul", [0]), ("Add", [1]), ("SkipLayerNormalization", [2, 3])],
        ),
        # of a product
        (
            "m = MatMul(x, w) t = Add(c, m) s = Add(t, r) y = LayerNormalization(s, g, b)",
            [("MatMul", [0]), ("SkipLayerNormalization", [1, 2, 3])],
        ),
        (
            "m = MatMul(x, w) t = Add(c, m) s = Add(r, t) y = LayerNormalization(s, g)",
            [("MatMul", [0]), ("SkipLayerNormalization", [1, 2, 3])],
        ),
    ],
)
def test_residuals_and_biases(body: str, expected: list[tuple[str, list[int]]]) -> None:
    program = assert_same(_skip(body))
    assert members(program) == expected
    assert list(program.ops.values())[-1].output.dims == ("N", "M", 8)


def test_only_one_bias_is_taken() -> None:
    body = """m = MatMul(x, w) t = Add(m, c) k = MatMul(r, w) u = Add(k, c)
              s = Add(t, u) y = LayerNormalization(s, g, b)"""
    # execution order: what stands before input 0 of the highest consumer comes last
    assert members(assert_same(_skip(body))) == [
        ("MatMul", [2]),
        ("Add", [3]),
        ("MatMul", [0]),
        ("SkipLayerNormalization", [1, 4, 5]),
    ]


@pytest.mark.parametrize(
    "text",
    [
        _skip("s = Add(x, r) y = LayerNormalization(s, g, b)", outputs="float y, float s"),
        _skip("s = Add(x, r) z = LayerNormalization(s, g, b) y = Add(z, s)"),
        _skip(
            "s = Add(x, r) y = LayerNormalization(s, g, b)", "float[N,8] x, float[N,8] r", "float y"
        ),
        _skip("s = Add(x, r) y = LayerNormalization(s, g, b)", "float[N,M,8] x, float[N,1,8] r"),
        _skip("s = Add(x, r) y = LayerNormalization(s, g, b)", "float[N,M,8] x, float[N,K,8] r"),
        _skip("s = Add(x, c) y = LayerNormalization(s, g, b)"),
        _skip(
            "s = Add(x, r) y = LayerNormalization<axis = 1>(s, g, b)",
            "float[N,3,8] x, float[N,3,8] r",
            "float y",
            "float[3,8] g, float[3,8] b",
        ),
        _skip("s = Add(x, r) y = LayerNormalization(s, g, b)").replace("float", "double"),
    ],
)
def test_residuals_that_stay(text: str) -> None:
    assert operators(assert_same(text))[:2] == ["Add", "LayerNormalization"]


def test_a_decomposed_norm_behind_a_residual() -> None:
    # 0 is the residual
    text = _graph(f"x = Add(u, r) {NORM}", "float[N,3,8] u, float[N,3,8] r")
    for opset in (13, 17):
        program = assert_same(text, opset=opset)
        assert members(program) == [("SkipLayerNormalization", list(range(10)))]
        assert operators(program) == ["com.microsoft::SkipLayerNormalization"]


@pytest.mark.parametrize(
    ("body", "opset"),
    [(SIMPLE, 17), ("y = RMSNormalization(x, g)", 23)],
)
def test_root_mean_squares_take_no_residual(body: str, opset: int) -> None:
    text = _graph(f"x = Add(u, r) {body}", "float[N,3,8] u, float[N,3,8] r", weights=SCALE)
    assert operators(assert_same(text, opset=opset))[0] == "Add"
