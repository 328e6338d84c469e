"""Convolutions and matrix products of integers, and of weights in few bits."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, members, operators

DATA = "float s = {0.5}, uint8 z = {128}, float t = {0.25}, uint8 u = {3}"
CONV = (
    "int8[16,8,3,3] w, float ws = {0.1}, int8 wz = {0}, "
    "int32[16] b, float bs = {0.05}, int32 bz = {0}, float[16,8,3,3] wf, float[16] bf"
)
GEMM = (
    "int8[8,16] w, float ws = {0.1}, int8 wz = {0}, "
    "int32[16] b, float bs = {0.05}, int32 bz = {0}, float[8,16] wf, float[16] bf"
)
READ = "a = DequantizeLinear(x, s, z) d = DequantizeLinear(w, ws, wz)"
BIAS = "e = DequantizeLinear(b, bs, bz)"
END = "y = QuantizeLinear(c, t, u)"


def conv(body: str, *, outputs: str = "uint8[1,16,4,4] y", constants: str = CONV) -> str:
    return f"g (uint8[1,8,6,6] x) => ({outputs}) <{DATA}, {constants}> {{ {body} }}"


def matrix(body: str, *, outputs: str = "uint8[4,16] y", constants: str = GEMM) -> str:
    return f"g (uint8[4,8] x) => ({outputs}) <{DATA}, {constants}> {{ {body} }}"


def kernel(found: list[tuple[str, list[int]]]) -> tuple[str, list[int]]:
    """The only operator that is no Transpose."""
    (one,) = [pair for pair in found if pair[0] != "Transpose"]
    return one


def test_convolution() -> None:
    program = assert_same(conv(f"{READ} c = Conv(a, d) {END}"))
    assert kernel(members(program)) == ("QLinearConv", [0, 1, 2, 3])
    (op,) = [op for op in program.ops.values() if op.op_type == "QLinearConv"]
    assert op.folded == {1}  # the weights' DequantizeLinear


def test_convolution_with_bias() -> None:
    program = assert_same(conv(f"{READ} {BIAS} c = Conv(a, d, e) {END}"))
    assert kernel(members(program)) == ("QLinearConv", [0, 1, 2, 3, 4])


@pytest.mark.parametrize(
    ("change", "fused"),
    [
        ("bs = {0.0504}", True),  # 0.5 * 0.1, within 1 %
        ("bs = {0.0506}", False),
        ("bs = {0.1}", False),
        ("bz = {1}", False),
    ],
)
def test_the_bias_has_the_scale_of_the_products(change: str, *, fused: bool) -> None:
    name = change.partition(" ")[0]
    constants = CONV.replace(f"{name} = {{0.05}}" if name == "bs" else "bz = {0}", change)
    program = assert_same(conv(f"{READ} {BIAS} c = Conv(a, d, e) {END}", constants=constants))
    assert ("com.microsoft::QLinearConv" in operators(program)) is fused


def test_convolution_with_a_redundant_relu() -> None:
    text = conv(f"{READ} r = Conv(a, d) c = Relu(r) {END}").replace("u = {3}", "u = {0}")
    assert kernel(members(assert_same(text))) == ("QLinearConv", [0, 1, 2, 3, 4])


def test_an_activation_that_counts_keeps_it_in_float() -> None:
    program = assert_same(conv(f"{READ} r = Conv(a, d) c = Relu(r) {END}"))
    assert "com.microsoft::QLinearConv" not in operators(program)


def test_the_result_has_to_be_quantized() -> None:
    body = f"{READ} y = Conv(a, d)"
    program = assert_same(conv(body, outputs="float[1,16,4,4] y"))
    assert operators(program)[-1] == "Conv"


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        # the bias is int32, scaled by both scales
        (f"{READ} c = Conv(a, d, bf)", [0, 1, 2, 3]),
        ("a = DequantizeLinear(x, s, z) c = Conv(a, wf, bf)", [0, 1, 2]),
        ("a = DequantizeLinear(x, s, z) c = Conv(a, wf)", [0, 1, 2]),
    ],
)
def test_float_weights_and_biases_are_quantized_at_load(node: str, expected: list[int]) -> None:
    program = assert_same(conv(f"{node} {END}"))
    assert kernel(members(program)) == ("QLinearConv", expected)


def test_not_where_the_result_stays_in_float() -> None:
    body = f"{READ} y = Conv(a, d, bf)"
    program = assert_same(conv(body, outputs="float[1,16,4,4] y"))
    assert operators(program).count("DequantizeLinear") == 2


@pytest.mark.parametrize(("axis", "fused"), [(0, True), (1, False)])
def test_scales_of_channels_suit_a_bias(axis: int, *, fused: bool) -> None:
    constants = CONV.replace("float ws = {0.1}, int8 wz = {0}", "float[16] ws, int8[16] wz")
    constants = constants.replace("[16,8,3,3]", "[16,16,3,3]")
    read = READ.replace("(w,", f"<axis = {axis}>(w,")
    text = conv(f"{read} c = Conv(a, d, bf) {END}", constants=constants)
    text = text.replace("uint8[1,8,6,6]", "uint8[1,16,6,6]")
    assert ("com.microsoft::QLinearConv" in operators(assert_same(text))) is fused


def test_signed_data_becomes_unsigned() -> None:
    body = (
        "q = QuantizeLinear(x, s, z) a = DequantizeLinear(q, s, z) d = DequantizeLinear(w, ws, wz) "
        "c = Conv(a, d) v = QuantizeLinear(c, t, u) y = DequantizeLinear(v, t, u)"
    )
    text = conv(body, outputs="float[1,16,4,4] y").replace("(uint8[", "(float[")
    text = text.replace("uint8 z = {128}", "int8 z = {0}").replace("uint8 u", "int8 u")
    program = assert_same(text)
    assert kernel(members(program)[1:-1]) == ("QLinearConv", [1, 2, 3, 4])


def test_signed_data_with_two_readers_stays_and_so_does_its_convolution() -> None:
    body = (
        "q = QuantizeLinear(x, s, z) a = DequantizeLinear(q, s, z) d = DequantizeLinear(w, ws, wz) "
        "c = Conv(a, d) v = QuantizeLinear(c, t, u) y = DequantizeLinear(v, t, u) k = Neg(a)"
    )
    text = conv(body, outputs="float[1,16,4,4] y, float[1,8,6,6] k").replace("(uint8[", "(float[")
    text = text.replace("uint8 z = {128}", "int8 z = {0}").replace("uint8 u", "int8 u")
    program = assert_same(text)
    assert "com.microsoft::QLinearConv" not in operators(program)
    assert operators(program).count("DequantizeLinear") == 4  # 1 (twice), 2, 5


def test_matrix_product() -> None:
    program = assert_same(matrix(f"{READ} c = MatMul(a, d) {END}"))
    assert members(program) == [("QLinearMatMul", [0, 1, 2, 3])]


def test_matrix_product_with_a_float_result() -> None:
    program = assert_same(matrix(f"{READ} y = MatMul(a, d)", outputs="float[4,16] y"))
    assert operators(program) == ["com.microsoft::MatMulIntegerToFloat"]
    (op,) = program.ops.values()
    assert (sorted(op.members), sorted(op.folded)) == ([0, 1, 2], [1])
    assert op.output.dtype == "float"


@pytest.mark.parametrize(
    ("node", "outputs", "expected"),
    [
        (f"{BIAS} c = Gemm(a, d, e) {END}", "uint8[4,16] y", [0, 1, 2, 3, 4]),
        (f"c = Gemm(a, d) {END}", "uint8[4,16] y", [0, 1, 2, 3]),
        (f"{BIAS} y = Gemm(a, d, e)", "float[4,16] y", [0, 1, 2, 3]),
        (f"c = Gemm(a, d, bf) {END}", "uint8[4,16] y", [0, 1, 2, 3]),
    ],
)
def test_gemm(node: str, outputs: str, expected: list[int]) -> None:
    program = assert_same(matrix(f"{READ} {node}", outputs=outputs))
    assert members(program) == [("QGemm", expected)]


def test_gemm_with_a_scaled_bias_stays_in_float() -> None:
    program = assert_same(matrix(f"{READ} {BIAS} c = Gemm<beta = 2.0>(a, d, e) {END}"))
    assert "Gemm" in operators(program)


# -- weights of few bits behind a float product -------------------------------------------------

BLOCKS = "<axis = 0, block_size = 16>"


def weighted(
    product: str = "y = MatMul(x, d)",
    *,
    weight: str = "int4[32,8] w, float[2,8] ws",
    read: str = f"DequantizeLinear{BLOCKS}(w, ws)",
    x: str = "float[4,32] x",
) -> str:
    rows = x.replace("32", "8").replace("x", "y")
    return f"g ({x}) => ({rows}) <{weight}, float[8] b> {{ d = {read} {product} }}"


@pytest.mark.parametrize("dtype", ["int4", "uint4", "int8", "uint8"])
def test_weights_in_blocks(dtype: str) -> None:
    program = assert_same(weighted(weight=f"{dtype}[32,8] w, float[2,8] ws"), opset=21)
    assert operators(program) == ["com.microsoft::MatMulNBits"]
    (op,) = program.ops.values()
    assert (sorted(op.members), sorted(op.folded)) == ([0, 1], [0])
    # 8 columns, 2 blocks of 16 values of 4 or 8 bits
    value = op.inputs[1]
    assert value is not None
    assert value.shape == (8, 2, 8 if "4" in dtype else 16)


@pytest.mark.parametrize(
    ("weight", "read", "fused"),
    [
        ("int8[32,8] w, float ws = {0.1}, int8 wz = {0}", "(w, ws, wz)", True),
        ("int8[32,8] w, float[8] ws, int8[8] wz", "<axis = 1>(w, ws, wz)", True),
        ("int8[32,8] w, float[32] ws, int8[32] wz", "<axis = 0>(w, ws, wz)", False),
        ("int4[32,8] w, float[4,8] ws", "<axis = 0, block_size = 8>(w, ws)", False),
        ("int4[32,8] w, float[32,1] ws", "<axis = 1, block_size = 16>(w, ws)", False),
    ],
)
def test_scales_of_few_bits(weight: str, read: str, *, fused: bool) -> None:
    text = weighted(weight=weight, read=f"DequantizeLinear{read}")
    expected = [("MatMulNBits", [0, 1])] if fused else [("DequantizeLinear", [0]), ("MatMul", [1])]
    assert members(assert_same(text, opset=21)) == expected


@pytest.mark.parametrize(
    ("product", "x"),
    [
        ("y = Gemm(x, d, b)", "float[4,32] x"),
        ("c = MatMul(x, d) y = Add(c, b)", "float[4,32] x"),  # a Gemm in level 1
        ("c = MatMul(x, d) y = Add(b, c)", "float[M,N,32] x"),  # an Add in level 2
    ],
)
def test_a_bias_goes_into_the_product(product: str, x: str) -> None:
    program = assert_same(weighted(product, x=x), opset=21)
    assert operators(program) == ["com.microsoft::MatMulNBits"]
    (op,) = program.ops.values()
    assert op.members == set(range(product.count("=") + 1))


@pytest.mark.parametrize(
    "product", ["y = Gemm<alpha = 2.0>(x, d)", "c = MatMul(x, d) v = Neg(d) y = Add(c, b)"]
)
def test_products_that_take_no_few_bits(product: str) -> None:
    text = weighted(product)
    if "v =" in product:
        text = text.replace("float[4,8] y)", "float[4,8] y, float[32,8] v)")
    assert "com.microsoft::MatMulNBits" not in operators(assert_same(text, opset=21))


@pytest.mark.parametrize("shared", ["w", "ws"])
def test_shared_weights_or_scales_stay(shared: str) -> None:
    other = {"w": "(w, v)", "ws": "(v, ws)"}[shared]
    kind = {"w": "float[2,8] v", "ws": "int4[32,8] v"}[shared]
    body = (
        f"d = DequantizeLinear{BLOCKS}(w, ws) e = DequantizeLinear{BLOCKS}{other} "
        "y = MatMul(x, d) k = MatMul(x, e)"
    )
    text = (
        "g (float[4,32] x) => (float[4,8] y, float[4,8] k) "
        f"<int4[32,8] w, float[2,8] ws, {kind}> {{ {body} }}"
    )
    assert operators(assert_same(text, opset=21)).count("DequantizeLinear") == 2


def test_a_transpose_of_the_weights_happens_at_load() -> None:
    text = weighted(
        "e = Transpose(d) y = MatMul(x, e)",
        weight="int8[8,32] w, float ws = {0.1}, int8 wz = {0}",
        read="DequantizeLinear(w, ws, wz)",
    )
    assert operators(assert_same(text)) == ["com.microsoft::MatMulNBits"]
