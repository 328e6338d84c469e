"""GELU in its many spellings: what ONNX Runtime recognises, and what it does not."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members, operators

NUMBERS = "float r = {1.4142135}, float one = {1.0}, float half = {0.5}"
# 0 Div, 1 Erf, 2 Add
ERF = "d = Div(x, r) e = Erf(d) a = Add(e, one)"


def _exact(body: str, *, inputs: str = "float[N,8] x", outputs: str = "float[N,8] y") -> str:
    return f"g ({inputs}) => ({outputs}) <{NUMBERS}, float[8] b, float[8] c> {{ {body} }}"


@pytest.mark.parametrize("opset", [13, 17, 20])
@pytest.mark.parametrize(
    "product",
    [
        "h = Mul(x, half) y = Mul(h, a)",
        "h = Mul(half, x) y = Mul(a, h)",
        "h = Mul(x, a) y = Mul(h, half)",
        "h = Mul(a, x) y = Mul(half, h)",
    ],
)
def test_erf_becomes_gelu_of_the_opset_or_of_the_runtime(product: str, opset: int) -> None:
    program = assert_same(_exact(f"{ERF} {product}"), opset=opset)
    assert operators(program) == ["Gelu" if opset == 20 else "com.microsoft::Gelu"]
    assert members(program) == [("Gelu", [0, 1, 2, 3, 4])]


def test_a_rounded_root_is_one() -> None:
    text = _exact(f"{ERF} h = Mul(x, a) y = Mul(h, half)").replace("1.4142135", "1.41421")
    assert operators(assert_same(text)) == ["com.microsoft::Gelu"]


@pytest.mark.parametrize(
    "body",
    [
        # x * (0.5 * (1 + erf)): the constant joins neither x nor the product
        f"{ERF} h = Mul(a, half) y = Mul(x, h)",
        # an operand of the last product is a Mul (x itself), so the constant is looked for there
        f"x = Mul(u, b) {ERF} h = Mul(x, a) y = Mul(h, half)",
        f"{ERF} h = Mul(x, c) y = Mul(h, a)",
        f"{ERF} z = Neg(e) h = Mul(x, a) y = Mul(h, half)",
        f"{ERF} h = Mul(x, a) k = Mul(h, half) y = Add(k, h)",
    ],
)
def test_other_products_are_no_gelu(body: str) -> None:
    inputs = "float[N,8] u" if "Mul(u" in body else "float[N,8] x"
    outputs = "float[N,8] y" + (", float[N,8] z" if "z =" in body else "")
    assert "Erf" in operators(assert_same(_exact(body, inputs=inputs, outputs=outputs)))


def test_the_factors_of_a_product_are_found_first() -> None:
    program = assert_same(
        _exact(f"x = Mul(u, b) {ERF} h = Mul(x, half) y = Mul(h, a)", inputs="float[N,8] u")
    )
    # 0 is the product before
    assert members(program) == [("Mul", [0]), ("Gelu", [1, 2, 3, 4, 5])]


def test_multiplying_by_the_reciprocal_is_no_gelu() -> None:
    text = _exact(f"{ERF} h = Mul(x, a) y = Mul(h, half)")
    text = text.replace("Div(x, r)", "Mul(x, r)").replace("1.4142135", "0.70710678")
    assert "Erf" in operators(assert_same(text))


@pytest.mark.parametrize("output", ["d", "e", "a", "h"])
def test_results_within_stop_it(output: str) -> None:
    body = f"{ERF} h = Mul(x, a) y = Mul(h, half)"
    text = _exact(body, outputs=f"float[N,8] y, float[N,8] {output}")
    assert "Erf" in operators(assert_same(text))


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("add", ["x = Add(u, b)", "x = Add(b, u)"])
def test_a_vector_before_gelu_is_its_bias(add: str, opset: int) -> None:
    text = _exact(f"{add} {ERF} h = Mul(x, a) y = Mul(h, half)", inputs="float[N,8] u")
    assert members(assert_same(text, opset=opset)) == [("BiasGelu", [0, 1, 2, 3, 4, 5])]


@pytest.mark.parametrize(
    ("gelu", "fused"),
    [
        ("Gelu(a)", "BiasGelu"),
        ('Gelu<approximate="tanh">(a)', "FastGelu"),
        ("com.microsoft.Gelu(a)", "BiasGelu"),
        ("com.microsoft.FastGelu(a)", "FastGelu"),
        ("com.microsoft.FastGelu(a, b)", None),
        ("com.microsoft.QuickGelu(a)", None),
    ],
)
def test_which_gelu_takes_a_bias(gelu: str, fused: str | None) -> None:
    text = f"g (float[N,8] x, float[8] v) => (float[N,8] y) <float[8] b> {{ a = Add(x, v) y = {gelu} }}"
    program = assert_same(text, opset=20)
    assert len(program.ops) == (1 if fused else 2)
    assert fused is None or members(program) == [(fused, [0, 1])]


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ("float[N,8] x, float[N,8] v", "float[N,8] y"),
        ("float[N,8] x, float[1] v", "float[N,8] y"),
        ("float[N,K] x, float[M] v", "float[N,K] y"),
        ("float[N,8] x, float[8] v", "float[N,8] y, float[N,8] a"),
    ],
)
def test_biases_that_stay(inputs: str, outputs: str) -> None:
    text = f"g ({inputs}) => ({outputs}) {{ a = Add(x, v) y = Gelu(a) }}"
    assert operators(assert_same(text, opset=20)) == ["Add", "Gelu"]


def test_symbols_of_one_name_are_equal_sizes() -> None:
    text = "g (float[N,K] x, float[K] v) => (float[N,K] y) { a = Add(x, v) y = Gelu(a) }"
    assert operators(assert_same(text, opset=20)) == ["com.microsoft::BiasGelu"]


TANH = "float c = {0.044715}, float k = {0.7978845834732056}, float one = {1.0}, float half = {0.5}"
POWER = "p = Pow(x, three) t = Mul(p, c) s = Add(x, t) u = Mul(s, k)"
FACTORS = "p = Mul(x, c) t = Mul(p, x) s = Add(t, one) l = Mul(x, k) u = Mul(s, l)"
ENDING = "h = Tanh(u) a = Add(h, one) m = Mul(x, half) q = Mul(m, a) y = Neg(q)"


def _fast(body: str, *, inputs: str = "float[N,8] x", outputs: str = "float[N,8] y") -> str:
    weights = f"{TANH}, float three = {{3.0}}, float[8] b"
    return f"g ({inputs}) => ({outputs}) <{weights}> {{ {body} }}"


@pytest.mark.parametrize("opset", [13, 17, 20])
@pytest.mark.parametrize(("argument", "count"), [(POWER, 8), (FACTORS, 9)])
def test_tanh_becomes_fast_gelu(argument: str, count: int, opset: int) -> None:
    program = assert_same(_fast(f"{argument} {ENDING}"), opset=opset)
    assert members(program) == [("FastGelu", list(range(count))), ("Neg", [count])]


def test_fast_gelu_takes_its_bias_in_the_next_round() -> None:
    program = assert_same(_fast(f"x = Add(v, b) {POWER} {ENDING}", inputs="float[N,8] v"))
    assert members(program) == [("FastGelu", list(range(9))), ("Neg", [9])]


@pytest.mark.parametrize(
    "text",
    [
        _fast(f"{POWER} {ENDING}", outputs="float[N,8] y, float[N,8] q"),
        _fast(f"{POWER} {ENDING}", outputs="float[N,8] y, float[N,8] m"),
        _fast(f"{POWER} {ENDING}", outputs="float[N,8] y, float[N,8] s"),
        _fast(
            f"{POWER} {ENDING}".replace(
                "m = Mul(x, half) q = Mul(m, a)", "m = Mul(x, a) q = Mul(m, half)"
            )
        ),
        _fast(f"{POWER} {ENDING}").replace("three = {3.0}", "three = {2.0}"),
        _fast(f"{POWER} {ENDING}").replace("0.044715", "0.0447"),
        _fast(f"{FACTORS} {ENDING}").replace("t = Mul(p, x)", "t = Mul(p, b)"),
        _fast(f"{FACTORS} {ENDING}").replace("l = Mul(x, k)", "l = Mul(b, k)"),
        # x * x * x for the cube
        _fast(f"v = Mul(x, x) {POWER} {ENDING}").replace("Pow(x, three)", "Mul(v, x)"),
        _fast(f"x = Cast<to = 1>(i) {POWER} {ENDING}", inputs="int32[N,8] i"),
        _fast(f"{POWER} {ENDING}").replace("float", "double"),
    ],
)
def test_other_tangents_are_no_fast_gelu(text: str) -> None:
    assert "Tanh" in operators(assert_same(text))


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("s = Sigmoid(x) y = Mul(x, s)", [("QuickGelu", [0, 1])]),
        ("s = Sigmoid(x) y = Mul(s, x)", [("QuickGelu", [0, 1])]),
        ("l = Mul(x, k) s = Sigmoid(l) y = Mul(x, s)", [("QuickGelu", [0, 1, 2])]),
        ("l = Mul(v, x) s = Sigmoid(l) y = Mul(x, s)", [("QuickGelu", [0, 1, 2])]),
        # the factor is no part of it where it scales the product too
        ("l = Mul(x, k) s = Sigmoid(l) y = Mul(l, s)", [("Mul", [0]), ("QuickGelu", [1, 2])]),
        # one with two axes is no scalar
        (
            "l = Mul(x, w) s = Sigmoid(l) y = Mul(x, s)",
            [("Mul", [0]), ("Sigmoid", [1]), ("Mul", [2])],
        ),
        ("s = Sigmoid(x) y = Mul(b, s)", [("Sigmoid", [0]), ("Mul", [1])]),
    ],
)
def test_sigmoid_becomes_quick_gelu(
    body: str, expected: list[tuple[str, list[int]]], opset: int
) -> None:
    weights = "float k = {1.702}, float[1] v = {1.702}, float[1,1] w = {1.702}, float[8] b"
    text = f"g (float[N,8] x) => (float[N,8] y) <{weights}> {{ {body} }}"
    assert members(assert_same(text, opset=opset)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "g (float[N,8] x) => (float[N,8] y, float[N,8] s) { s = Sigmoid(x) y = Mul(x, s) }",
        "g (float[N,8] x) => (float[N,8] y) { s = Sigmoid(x) t = Mul(x, s) y = Add(t, s) }",
        "g (double[N,8] x) => (double[N,8] y) { s = Sigmoid(x) y = Mul(x, s) }",
        (
            "g (float[N,8] x) => (float[N,8] y, float[N,8] l) <float k = {1.702}>"
            " { l = Mul(x, k) s = Sigmoid(l) y = Mul(x, s) }"
        ),
    ],
)
def test_sigmoids_that_stay(text: str) -> None:
    assert "Sigmoid" in operators(assert_same(text))
