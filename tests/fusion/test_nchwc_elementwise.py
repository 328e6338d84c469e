"""What follows convolutions of the blocked layout, open sizes, and both sizes of a block."""

from __future__ import annotations

import pytest

from fusion.blocked import blocks, listed
from fusion.emulation import optimized

STORED = """<float[16,3,3,3] v, float[16,3,3,3] w, float[16,16,1,1] q, float[16,32,1,1] wide,
             float[16,1,1] a, float[16] f, float[32] ff, float lo = {0.0}, float hi = {6.0},
             int64[8] pads = {0,0,1,1,0,0,1,1}, int64[2] flat = {1,-1}, int64[2] axes = {2,3},
             int64[1] start = {0}, int64[1] end = {2}>"""
IMAGE = "float[1,3,6,6] x"
SECOND = "d = Conv(x, w)"


def _after(body: str, inputs: str = IMAGE, outputs: str = "float[] y") -> str:
    return f"g ({inputs}) => ({outputs}) {STORED} {{ c = Conv(x, v) {body} }}"


def _name(call: str) -> str:
    return call.partition("(")[0].partition("<")[0]


@pytest.mark.parametrize("name", ["Clip(c, lo, hi)", "LeakyRelu(c)"])
def test_activations_that_are_taken_before_the_layout(name: str) -> None:
    assert blocks(_after(f"y = {name}")) == ["Conv* 0 1", "out"]
    # the first convolution stays blocked for the second
    text = _after(f"r = {name} y = Conv(r, q)")
    assert blocks(text) == ["Conv* 0 1", "Conv* 2", "out"]


def test_only_the_first_activation_is_taken() -> None:
    assert blocks(_after("r = Relu(c) y = Sigmoid(r)")) == ["Conv* 0 1", "Sigmoid 2", "out"]


@pytest.mark.parametrize(
    ("call", "opset"),
    [
        ("PRelu(c, a)", 17),
        ("Celu(c)", 17),
        ("Erf(c)", 17),
        ("Softmax(c)", 17),
        ("Pad(c, pads)", 17),
        ("Slice(c, start, end)", 17),
        ("Reshape(c, flat)", 17),
        ("Flatten(c)", 17),
        ("Max(c, c)", 17),
        ("InstanceNormalization(c, f, f)", 17),
        ("DepthToSpace<blocksize = 2>(c)", 17),
        ("LpPool<kernel_shape = [2,2]>(c)", 17),
        ("GlobalLpPool(c)", 17),
        # the same mean as GlobalAveragePool, which stays blocked
        ("ReduceMean(c, axes)", 18),
    ],
)
def test_what_needs_the_plain_layout(call: str, opset: int) -> None:
    expected = ["Conv* 0", "out", f"{_name(call)} 1"]
    assert blocks(_after(f"y = {call}"), opset=opset) == expected


@pytest.mark.parametrize(
    ("call", "opset"),
    [
        ("GlobalAveragePool(c)", 17),
        ("GlobalMaxPool(c)", 17),
        ("Sum(c)", 17),
        ("Mul(c, c)", 17),
        ("Concat<axis = 1>(c)", 17),
        ("Concat<axis = 1>(c, c)", 17),
        ('Gelu<approximate = "tanh">(c)', 20),
    ],
)
def test_what_works_on_the_blocked_value(call: str, opset: int) -> None:
    found = blocks(_after(f"y = {call}"), opset=opset)
    assert [one.replace("*", "") for one in found] == ["Conv 0", f"{_name(call)} 1", "out"]


@pytest.mark.parametrize("name", ["Sub", "Div", "Max"])
def test_other_operators_of_two_convolutions_need_both_plain(name: str) -> None:
    found = blocks(_after(f"{SECOND} y = {name}(c, d)"), ordered=False)
    assert sorted(found) == sorted(["Conv* 0", "Conv* 1", "out", "out", f"{name} 2"])


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("Tanh(s)", ["Conv* 0 2 3", "out"]),
        ("HardSigmoid(s)", ["Conv* 0 2 3", "out"]),
        # these two are taken from a convolution only
        ("LeakyRelu(s)", ["Conv* 0 2", "out", "LeakyRelu 3"]),
        ("Clip(s, lo, hi)", ["Conv* 0 2", "out", "Clip 3"]),
        # inlined to a pair whose product is a result: no HardSwish
        ("HardSwish(s)", ["Conv* 0 2", "HardSigmoid 3", "Mul 3", "out"]),
    ],
)
def test_activations_after_a_sum(call: str, expected: list[str]) -> None:
    text = _after(f"{SECOND} s = Add(c, d) y = {call}")
    assert blocks(text) == ["Conv* 1", *expected]


def test_hard_swish_after_a_sum() -> None:
    hard = "h = HardSigmoid<alpha = 0.16666667, beta = 0.5>(s) m = Mul(s, h)"
    text = _after(f"{SECOND} s = Add(c, d) {hard} y = Neg(m)")
    assert blocks(text) == ["Conv* 1", "Conv* 0 2 3 4", "out", "Neg 5"]


@pytest.mark.parametrize("operands", ["r, d", "d, r"])
@pytest.mark.parametrize("first", ["Relu(c)", "Clip(c, lo, hi)"])
def test_a_residual_block(operands: str, first: str) -> None:
    # the first convolution has an activation and two readers: only the second can take the sum
    text = _after(f"r = {first} d = Conv(r, q) s = Add({operands}) y = Relu(s)")
    assert blocks(text) == ["Conv* 0 1", "Conv* 2 3 4", "out"]
    assert listed(optimized(text, block=8)) == ["Conv* 0 1", "Conv* 2 3 4", "out"]
    # a plain convolution without a bias takes no sum
    plain = ["FusedConv 0 1", "Conv 2", "Add 3", "Relu 4"]
    assert listed(optimized(text, block=0)) == plain


def test_results_of_the_graph_take_no_more() -> None:
    # c is a result: the other convolution takes the sum
    text = _after(f"{SECOND} y = Add(c, d)", outputs="float[] y, float[1,16,4,4] c")
    found = blocks(text, ordered=False)
    assert sorted(found) == ["Conv* 0", "Conv* 1 2", "out", "out"]
    # the sum is a result: its activation stays
    text = _after(f"{SECOND} s = Add(c, d) y = Relu(s)", outputs="float[] y, float[1,16,4,4] s")
    found = blocks(text, ordered=False)
    assert sorted(found) == ["Conv* 0 2", "Conv* 1", "Relu 3", "out", "out"]


def test_concats_of_several() -> None:
    text = _after(f"{SECOND} r = Relu(c) z = Conv(r, q) y = Concat<axis = 1>(c, d, z)")
    # c has two readers, so that Relu stays
    expected = ["Conv* 0", "Conv* 1", "Relu 2", "Conv* 3", "Concat 4", "out"]
    assert sorted(blocks(text, ordered=False)) == sorted(expected)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("y = Conv(n, wide)", ["Conv* 3", "out"]),
        ("y = Relu(n)", ["Relu 3", "out"]),
        # a convolution of each of the 32 channels, which takes the activation
        ("b = BatchNormalization(n, ff, ff, ff, ff) y = Relu(b)", ["Conv* 3 4", "out"]),
    ],
)
def test_what_follows_a_concat(call: str, expected: list[str]) -> None:
    found = blocks(_after(f"{SECOND} n = Concat<axis = 1>(c, d) {call}"), ordered=False)
    assert sorted(found[:2]) == ["Conv* 0", "Conv* 1"]
    assert found[2:] == ["Concat 2", *expected]


GATE = "p = GlobalAveragePool(c) e = Conv(p, q) s = Sigmoid(e)"


@pytest.mark.parametrize("product", ["Mul(c, s)", "Mul(s, c)"])
@pytest.mark.parametrize("inputs", [IMAGE, "float[N,3,H,W] x"])
def test_squeeze_and_excite(product: str, inputs: str) -> None:
    found = blocks(_after(f"{GATE} y = {product}", inputs), ordered=False)
    expected = ["Conv* 0", "GlobalAveragePool* 1", "Conv* 2 3", "out", "out", "Mul 4"]
    assert sorted(found) == sorted(expected)


def test_products_of_sizes_that_are_not_provably_equal() -> None:
    text = """g (float[N,3,6,6] x, float[M,3,6,6] z) => (float[] y) <float[16,3,1,1] w>
              { a = Conv(x, w) b = Conv(z, w) y = Mul(a, b) }"""
    # unlike a sum, a product is not split
    expected = ["Conv* 0", "Conv* 1", "Mul 2", "out", "out"]
    assert sorted(blocks(text, ordered=False)) == expected


def test_factors_that_are_no_constant() -> None:
    text = _after("y = Mul(c, k)", f"{IMAGE}, float[16,1,1] k")
    assert blocks(text) == ["Conv* 0", "out", "Mul 1"]


def test_a_constant_on_the_right_of_what_is_read_twice() -> None:
    text = _after("m = Mul(c, a) y = Add(m, c)")
    # c is read twice, so that ConvMulFusion leaves it; the product becomes a convolution of each
    # channel, which takes the sum
    assert blocks(text) == ["Conv* 0", "Conv* 1 2", "out"]


def test_normalizations() -> None:
    pool = "n = MaxPool<kernel_shape = [1,1]>(c)"
    text = _after(f"{pool} d = BatchNormalization(n, f, f, f, f) y = Add(c, d)")
    assert blocks(text) == ["Conv* 0", "MaxPool* 1", "Conv* 2 3", "out"]
    text = _after(f"{pool} y = BatchNormalization(n, k, f, f, f)", f"{IMAGE}, float[16] k")
    assert blocks(text) == ["Conv* 0", "MaxPool* 1", "out", "BatchNormalization 2"]


def _open(sizes: str, weight: str, group: int) -> str:
    return f"""g (float[{sizes}] x) => (float[A,B,C,D] y) <float[{weight},3,3] w>
               {{ y = Conv<group = {group}>(x, w) }}"""


DIRECT = ["Conv* 0", "out"]
REORDERED = ["in", *DIRECT]


@pytest.mark.parametrize(
    ("text", "by_16", "by_8"),
    [
        (_open("N,3,H,W", "16,3", 1), DIRECT, DIRECT),
        (_open("N,8,H,W", "16,8", 1), DIRECT, REORDERED),
        (_open("N,16,H,W", "16,16", 1), REORDERED, REORDERED),
        (_open("N,20,H,W", "16,20", 1), REORDERED, REORDERED),
        (_open("N,16,H,W", "16,1", 16), REORDERED, REORDERED),
        (_open("N,20,H,W", "20,1", 20), REORDERED, REORDERED),
        (_open("N,32,H,W", "32,16", 2), REORDERED, REORDERED),
        (_open("N,16,H,W", "16,8", 2), ["Conv 0"], REORDERED),
        (_open("N,15,H,W", "15,1", 15), ["Conv 0"], ["Conv 0"]),
        (_open("N,17,H,W", "17,1", 17), ["Conv 0"], ["Conv 0"]),
    ],
)
def test_open_sizes(text: str, by_16: list[str], by_8: list[str]) -> None:
    assert blocks(text, ordered=False) == by_16
    assert listed(optimized(text, block=8)) == by_8


@pytest.mark.parametrize(("channels", "expected"), [(3, DIRECT), (16, REORDERED)])
def test_the_weight_tells_the_channels(channels: int, expected: list[str]) -> None:
    text = _open("N,C,H,W", f"16,{channels}", 1)
    assert blocks(text, ordered=False) == expected


@pytest.mark.parametrize("kind", ["double", "float16"])
def test_pools_of_other_types_stay_plain(kind: str) -> None:
    text = f"""g ({kind}[1,16,6,6] x) => ({kind}[A,B,C,D] y)
               {{ y = MaxPool<kernel_shape = [2,2]>(x) }}"""
    assert "MaxPool 0" in blocks(text)


def test_transposed_convolutions_stay_plain() -> None:
    text = """g (float[1,16,6,6] x) => (float[A,B,C,D] y) <float[16,16,3,3] w>
              { y = ConvTranspose(x, w) }"""
    assert blocks(text) == ["ConvTranspose 0"]
