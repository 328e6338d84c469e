"""Matrix products and the neighbours that they take in."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members, operators


def _matmul(left: str, right: str, bias: str, result: str, body: str = "") -> str:
    body = body or "m = MatMul(x, w) a = Add(m, b)"
    return f"g ({left} x) => ({result} y) <{right} w, {bias} b> {{ {body} y = Sin(a) }}"


@pytest.mark.parametrize("bias", ["float[5]", "float[1,5]", "float[3,1]", "float[3,5]"])
def test_a_product_of_matrices_and_its_bias_are_a_gemm(bias: str) -> None:
    program = assert_same(_matmul("float[3,4]", "float[4,5]", bias, "float[3,5]"))
    assert members(program) == [("Gemm", [0, 1]), ("Sin", [2])]


def test_the_bias_may_come_first() -> None:
    body = "m = MatMul(x, w) a = Add(b, m)"
    text = _matmul("float[3,4]", "float[4,5]", "float[5]", "float[3,5]", body)
    assert members(assert_same(text)) == [("Gemm", [0, 1]), ("Sin", [2])]


def test_an_open_number_of_rows_is_no_obstacle_to_a_matrix() -> None:
    program = assert_same(_matmul("float[N,4]", "float[4,5]", "float[5]", "float[N,5]"))
    assert operators(program) == ["Gemm", "Sin"]


def test_other_ranks_are_reshaped_and_back() -> None:
    # Two views stand around the Gemm; no node of the file stands for them.
    program = assert_same(_matmul("float[2,3,4]", "float[4,5]", "float[5]", "float[2,3,5]"))
    assert members(program) == [
        ("Reshape", []),
        ("Gemm", [0, 1]),
        ("Reshape", []),
        ("Sin", [2]),
    ]


@pytest.mark.parametrize(
    ("left", "right", "bias", "result", "body"),
    [
        ("float[N,3,4]", "float[4,5]", "float[5]", "float[N,3,5]", ""),  # an open size
        ("float[2,3,4]", "float[2,4,5]", "float[5]", "float[2,3,5]", ""),  # no matrix on the right
        ("float[3,4]", "float[4,5]", "float[1]", "float[3,5]", ""),  # a bias Gemm can't take
        ("float[2,3,4]", "float[4,5]", "float[1,5]", "float[2,3,5]", ""),
        ("double[3,4]", "double[4,5]", "double[5]", "double[3,5]", ""),
        ("float[3,4]", "float[4,5]", "float[5]", "float[3,5]", "m = MatMul(x, w) a = Sub(m, b)"),
        (
            "float[3,4]", "float[4,5]", "float[5]", "float[3,5]",
            "m = MatMul(x, w) c = Add(m, b) a = Mul(c, m)",
        ),
    ],
)  # fmt: skip
def test_products_that_stay(left: str, right: str, bias: str, result: str, body: str) -> None:
    assert "Gemm" not in operators(assert_same(_matmul(left, right, bias, result, body)))


ATTENTION = """g (float[1,8,16] x, float[1,8,16] z) => (float[1,8,16] y)
    <float[16] s, float[16] o, float[16,16] q, float[16,16] k, float[16,16] v, float[16,16] p,
     float[16] c> {
    n = LayerNormalization(x, s, o)
    m0 = MatMul(n, q) a0 = Add(m0, c) m1 = MatMul(n, k) a1 = Add(m1, c) m2 = MatMul(n, v)
    a2 = Add(m2, c) d0 = Mul(a0, a1) d1 = Mul(d0, a2) m3 = MatMul(d1, p) a3 = Add(m3, c)
    r = Add(n, a3) y = Sin(r) }"""


def test_products_around_an_attention_wait_for_level_2() -> None:
    # Four products all the same become Gemms, where AttentionFusion did not take them.
    assert operators(assert_same(ATTENTION)).count("Gemm") == 4


@pytest.mark.parametrize(
    "activation",
    ["Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "Elu", "Selu", "Softplus", "Softsign",
     "ThresholdedRelu"],
)  # fmt: skip
def test_gemm_takes_an_activation_in(activation: str) -> None:
    body = f"m = Gemm(x, w, b) a = {activation}(m)"
    text = _matmul("float[3,4]", "float[4,5]", "float[5]", "float[3,5]", body)
    assert members(assert_same(text)) == [("FusedGemm", [0, 1]), ("Sin", [2])]


@pytest.mark.parametrize(
    "body",
    [
        "m = Gemm(x, w, b) a = Clip(m)",
        "m = Gemm(x, w, b) a = HardSwish(m)",
        "m = Gemm(x, w, b) r = Relu(m) a = Mul(r, m)",
    ],
)
def test_what_gemm_does_not_take_in(body: str) -> None:
    text = _matmul("float[3,4]", "float[4,5]", "float[5]", "float[3,5]", body)
    assert "com.microsoft::FusedGemm" not in operators(assert_same(text))


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("t = Transpose<perm = [1, 0]>(x) a = Gemm(t, w, b)", ["Gemm"]),
        ("t = Transpose<perm = [1, 0]>(x) a = Gemm<transA = 1>(x, w, b)", None),
        ("g = Gemm(x, w) a = Sum(g, b)", ["Gemm"]),
        ("g = Gemm(x, w) a = Sum(b, g)", ["Gemm"]),
        ("g = Gemm(x, w) a = Add(g, b)", ["Gemm", "Add"]),
        ("g = Gemm(x, w, b) a = Sum(g, b)", ["Gemm", "Sum"]),
        ("g = Gemm(x, w) a = Transpose<perm = [1, 0]>(g)", ["Gemm"]),
        ("g = Gemm(x, w, b) a = Transpose<perm = [1, 0]>(g)", ["Gemm", "Transpose"]),
    ],
)
def test_transposes_and_sums_around_a_gemm(body: str, kept: list[str] | None) -> None:
    text = _matmul("float[4,4]", "float[4,4]", "float[4]", "float[4,4]", body)
    found = operators(assert_same(text))
    assert kept is None or found == [*kept, "Sin"]


def test_a_normalization_goes_into_a_product() -> None:
    text = """g (float[3,4] x) => (float[3,5] y)
        <float[4,5] w, float[5] s, float[5] b, float[5] m, float[5] v> {
        p = MatMul(x, w) a = BatchNormalization(p, s, b, m, v) y = Sin(a) }"""
    program = assert_same(text)
    assert members(program) == [("Gemm", [0, 1]), ("Sin", [2])]
    assert next(op for op in program.order() if op.op_type == "Gemm").folded == {1}
