"""Sums, products, normalizations and the sizes that decide on them, in the blocked layout."""

from __future__ import annotations

import pytest

from fusion.blocked import blocks, dims, listed, shapes
from fusion.emulation import optimized

TWO = "<float[16,3,3,3] v, float[16,3,3,3] w>"
HEAD = f"g (float[1,3,6,6] x) => (float y) {TWO} {{ a = Conv(x, v) b = Conv(x, w)"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # the first operand's convolution takes the sum; the other one then runs before it
        ("y = Add(a, b)", ["Conv* 1", "Conv* 0 2", "out"]),
        ("y = Add(b, a)", ["Conv* 0", "Conv* 1 2", "out"]),
        ("y = Sum(b, a)", ["Conv* 0", "Conv* 1 2", "out"]),
        ("s = Add(a, b) y = Relu(s)", ["Conv* 1", "Conv* 0 2 3", "out"]),
        ("s = Add(a, b) y = Sigmoid(s)", ["Conv* 1", "Conv* 0 2 3", "out"]),
        # no activation but these follows a sum
        ("s = Add(a, b) y = Elu(s)", ["Conv* 1", "Conv* 0 2", "out", "Elu 3"]),
        # a convolution with an activation takes no sum
        ("r = Relu(a) y = Add(r, b)", ["Conv* 0 2", "Conv* 1 3", "out"]),
        ("r = Relu(b) y = Add(r, a)", ["Conv* 1 2", "Conv* 0 3", "out"]),
    ],
)
def test_a_sum_of_two(body: str, expected: list[str]) -> None:
    assert blocks(f"{HEAD} {body} }}") == expected


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("r = Relu(a) s = Relu(b) y = Add(r, s)", 1),  # both have activations
        ("y = Sum(a, b, a)", 1),  # of three
        ("y = Add(a, a)", 1),  # both uses are of one value
        ("s = Add(a, b) t = Add(s, a) y = Add(t, s)", 2),  # only s fits, into b
    ],
)
def test_sums_on_blocked_values(body: str, count: int) -> None:
    found = blocks(f"{HEAD} {body} }}", ordered=False)
    assert sum(one.startswith(("Add ", "Sum ")) for one in found) == count
    assert [one for one in found if one in ("in", "out")] == ["out"]


def test_a_second_sum_does_not_fit() -> None:
    text = """g (float[1,3,6,6] x) => (float y)
              <float[16,3,3,3] u, float[16,3,3,3] v, float[16,3,3,3] w>
              { a = Conv(x, u) b = Conv(x, v) c = Conv(x, w) s = Add(a, b) y = Add(s, c) }"""
    # a takes b; s is written by a, which has its sum, so c takes s
    assert blocks(text) == ["Conv* 1", "Conv* 0 3", "Conv* 2 4", "out"]
    program = optimized(text, block=16)
    second, first, third, _ = program.order()
    assert first.input(2) is None  # no bias
    assert first.input(3) is second.output
    assert third.input(3) is first.output


def test_other_numbers_of_channels() -> None:
    text = """g (float[1,3,6,6] x) => (float y) <float[16,3,3,3] v, float[1,3,3,3] w>
              { a = Conv(x, v) b = Conv(x, w) y = Add(a, b) }"""
    # 16 and 1, though both are padded to 16
    assert sorted(blocks(text)) == ["Add 2", "Conv* 0", "Conv* 1", "out", "out"]


def test_a_plain_operand() -> None:
    text = f"""g (float[1,3,6,6] x, float[1,16,4,4] p) => (float y) {TWO}
               {{ a = Conv(x, v) y = Add(a, p) }}"""
    # what the layout refuses another fusion takes, but only from a convolution that stayed plain
    assert blocks(text) == ["Conv* 0", "out", "Add 1"]


def _open(inputs: str, body: str) -> str:
    return f"g ({inputs}) => (float[] y) <float[16,3,3,3] v, float[16,3,1,1] w> {{ {body} }}"


PADDED = "Conv<pads = [1,1,1,1]>"
SPLIT = ["Reshape", "Reshape", "Add 2", "Reshape", "out"]


def _plain(found: list[str]) -> list[str]:
    return [one for one in found if not one.startswith("Conv*")]


@pytest.mark.parametrize(
    ("inputs", "body", "expected"),
    [
        # sizes known at load
        ("float[N,3,6,6] x", f"a = {PADDED}(x, v) b = Conv(x, w) y = Add(a, b)", ["out"]),
        # sizes of a convolution of open sizes are nothing to compare with
        ("float[1,3,H,W] x", f"a = {PADDED}(x, v) b = Conv(x, w) y = Add(a, b)", SPLIT),
        ("float[1,3,H,6] x", f"a = {PADDED}(x, v) b = Conv(x, w) y = Add(a, b)", SPLIT),
        # only the batch is open, and not the same
        (
            "float[N,3,6,6] x, float[M,3,6,6] z",
            "a = Conv(x, w) b = Conv(z, w) y = Add(a, b)",
            SPLIT,
        ),
        (
            "float[N,3,6,6] x, float[N,3,6,6] z",
            "a = Conv(x, w) b = Conv(z, w) y = Add(a, b)",
            ["out"],
        ),
    ],
)
def test_what_is_known_at_load(inputs: str, body: str, expected: list[str]) -> None:
    assert _plain(blocks(_open(inputs, body))) == expected


SAME = """<float[16,3,3,3] v, float[16,16,3,3] w, float[16,16,1,1] k, float[16,16,1,1] l,
           float[16,16,2,2] q>"""


def _walked(body: str) -> str:
    return f"g (float[N,3,H,W] x) => (float[] y) {SAME} {{ a = Conv(x, v) {body} }}"


HALF = "Conv<strides = [2,2]>"
POOL = "MaxPool<kernel_shape = [1,1], strides = [2,2]>"
EQUAL = [
    # padding keeps the size: both go back to a
    f"b = {PADDED}(a, w) y = Add(a, b)",
    "b = Conv(a, k) y = Add(a, b)",
    'b = Conv<auto_pad = "SAME_UPPER">(a, w) y = Add(a, b)',
    'b = Conv<auto_pad = "VALID">(a, k) y = Add(a, b)',
    "b = Conv<pads = [0,0,1,1]>(a, q) y = Add(a, b)",
    "b = MaxPool<kernel_shape = [3,3], pads = [1,1,1,1]>(a) y = Add(a, b)",
    "b = MaxPool<kernel_shape = [1,1]>(a) t = Tanh(b) y = Add(a, t)",
    # a stride of 2 halves it
    f"b = {HALF}(a, k) c = {POOL}(a) y = Add(b, c)",
    f"b = Conv<strides = [2,1]>(a, k) c = Conv<strides = [1,2]>(b, k) d = {POOL}(a) y = Add(c, d)",
]
UNEQUAL = [
    f"b = {HALF}(a, k) c = Conv<strides = [2,1]>(a, k) y = Add(b, c)",
    # equal, but ONNX Runtime does not follow strides of 3, dilations, or sizes that change twice
    "b = Conv<strides = [3,3]>(a, k) c = Conv<strides = [3,3]>(a, l) y = Add(b, c)",
    "b = Conv<dilations = [2,2], pads = [2,2,2,2]>(a, w) y = Add(a, b)",
    "b = MaxPool<kernel_shape = [2,2]>(a) c = Conv<pads = [1,1,1,1]>(b, q) y = Add(a, c)",
]


@pytest.mark.parametrize("body", EQUAL)
def test_sizes_of_one_origin(body: str) -> None:
    found = blocks(_walked(body), ordered=False)
    assert "Reshape" not in found
    assert found.count("out") == 1


@pytest.mark.parametrize("body", UNEQUAL)
def test_sizes_of_several_origins(body: str) -> None:
    found = blocks(_walked(body), ordered=False)
    assert found.count("Reshape") == 3
    assert found.count("out") == 1


def test_sizes_between_reshapes() -> None:
    text = """g (float[N,3,6,6] x, float[M,3,6,6] z) => (float[] y) <float[20,3,1,1] w>
              { a = Conv(x, w) b = Conv(z, w) y = Add(a, b) }"""
    program = optimized(text, block=16, dims={"N": 1, "M": 1})
    # 20 channels are 2 blocks; which batch the sum has is not known
    expected = ["Conv*", "Conv*", "Reshape", "Reshape", "Add", "Reshape", "out"]
    assert sorted(one.split()[0] for one in listed(program)) == sorted(expected)
    assert set(shapes(program)) == {(1, 32, 6, 6), (1, 2, 6, 6, 16), (1, 20, 6, 6)}
    assert dims(program)[-3:] == [(None, 2, 6, 6, 16), (None, 32, 6, 6), (None, 20, 6, 6)]
    assert {("N", 32, 6, 6), ("M", 32, 6, 6), ("N", 2, 6, 6, 16)} <= set(dims(program))


def test_known_sizes_of_windows() -> None:
    text = """g (float[N,16,H,6] x) => (float[] y) <float[16,16,1,1] w>
              { c = Conv(x, w) r = Relu(c) p = MaxPool<kernel_shape = [2,2]>(r) m = Gelu(p)
                q = GlobalAveragePool(m) y = Mul(q, q) }"""
    program = optimized(text, opset=20, block=16, dims={"N": 2, "H": 5})
    assert listed(program) == [
        "in",
        "Conv* 0 1",
        "MaxPool* 2",
        "Gelu 3",
        "GlobalAveragePool* 4",
        "Mul 5",
        "out",
    ]
    # a reorder copies H, windows do not compute with it
    assert dims(program)[:6] == [
        ("N", 16, "H", 6),
        ("N", 16, None, 6),
        ("N", 16, None, 5),
        ("N", 16, None, 5),
        ("N", 16, 1, 1),
        ("N", 16, 1, 1),
    ]
    assert shapes(program)[:4] == [(2, 16, 5, 6), (2, 16, 5, 6), (2, 16, 4, 5), (2, 16, 4, 5)]


def test_products_of_blocked_values() -> None:
    # the walk comes to b first, which gets the lower index; of the producers of Mul, the one with
    # the higher index runs first
    assert blocks(f"{HEAD} y = Mul(a, b) }}") == ["Conv* 0", "Conv* 1", "Mul 2", "out"]


def test_squeeze_and_excite() -> None:
    text = """g (float[1,3,6,6] x) => (float y) <float[16,3,1,1] v, float[16,16,1,1] w>
              { a = Conv(x, v) p = GlobalAveragePool(a) c = Conv(p, w) s = Sigmoid(c)
                y = Mul(a, s) }"""
    # 6 x 6 against 1 x 1: the product sees both plain
    expected = ["Conv* 0", "Conv* 2 3", "GlobalAveragePool* 1", "Mul 4", "out", "out"]
    assert sorted(blocks(text, ordered=False)) == expected


SCALE = "g (float[1,3,6,6] x) => (float y) <float[20,3,3,3] w, float[{}] s>"


@pytest.mark.parametrize("sizes", ["20,1,1", "1,20,1,1"])
def test_a_constant_for_each_channel_is_a_convolution(sizes: str) -> None:
    # on the left: on the right ConvMulFusion takes it
    text = f"{SCALE.format(sizes)} {{ a = Conv(x, w) m = Mul(s, a) y = Relu(m) }}"
    assert blocks(text) == ["Conv* 0", "Conv* 1 2", "out"]
    program = optimized(text, block=16)
    second = program.order()[1]
    assert second.integer("group", 1) == 32
    assert second.inputs[1] is not None
    assert second.inputs[1].shape == (32, 1, 1, 1)


@pytest.mark.parametrize("sizes", ["1", "4", "20,4,1", "1,1,1,1"])
def test_other_constants_are_plain(sizes: str) -> None:
    text = f"{SCALE.format(sizes)} {{ a = Conv(x, w) y = Mul(s, a) }}"
    assert blocks(text) == ["Conv* 0", "out", "Mul 1"]


def test_an_added_constant_is_plain() -> None:
    text = f"{SCALE.format('20,1,1')} {{ a = Conv(x, w) y = Add(s, a) }}"
    assert blocks(text) == ["Conv* 0", "out", "Add 1"]


VARIANCE = ", ".join(["1.0"] * 16)
NORM = f"<float[16,3,3,3] w, float[16] s, float[16] t, float[16] m, float[16] v = {{{VARIANCE}}}>"


def test_a_normalization_is_a_convolution() -> None:
    text = f"""g (float[1,3,6,6] x) => (float y) {NORM}
               {{ a = Conv(x, w) p = MaxPool<kernel_shape = [2,2]>(a)
                  n = BatchNormalization(p, s, t, m, v) y = Relu(n) }}"""
    assert blocks(text) == ["Conv* 0", "MaxPool* 1", "Conv* 2 3", "out"]
    conv = optimized(text, block=16).order()[2]
    read = [value.shape for value in conv.inputs[1:] if value is not None]
    assert read == [(16, 1, 1, 1), (16,)]
    assert conv.integer("group", 1) == 16


def test_a_normalization_that_keeps_a_convolution_apart() -> None:
    # the convolution is read twice, so that ConvBNFusion leaves it
    text = f"""g (float[1,3,6,6] x) => (float y) {NORM}
               {{ a = Conv(x, w) n = BatchNormalization(a, s, t, m, v) y = Add(n, a) }}"""
    # the normalization's convolution takes the sum
    assert blocks(text) == ["Conv* 0", "Conv* 1 2", "out"]


def test_a_normalization_of_plain_values_stays() -> None:
    text = f"""g (float[1,16,6,6] x) => (float y) {NORM}
               {{ a = Exp(x) y = BatchNormalization(a, s, t, m, v) }}"""
    assert blocks(text) == ["Exp 0", "BatchNormalization 1"]


def test_a_declared_rank_that_cannot_be() -> None:
    # `float y` declares a number; with an open size, nothing corrects it
    text = "g (float[1,3,H,6] x) => (float y) <float[16,3,3,3] w> { y = Conv(x, w) }"
    assert listed(optimized(text, block=16)) == ["Conv 0"]
    text = "g (float[1,3,6] x) => (float[1,16,4,4] y) <float[16,3,3,3] w> { y = Conv(x, w) }"
    assert listed(optimized(text, block=16)) == ["Conv 0"]


FUSED = 'com.microsoft.FusedConv<activation = "Relu">'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # a residual has to be blocked, and a missing bias is no constant one
        (f"c = Conv(x, v) y = {FUSED}(x, w, b, c)", ["Conv* 0", "Conv* 1", "out"]),
        (f"y = {FUSED}(x, w, b, p)", ["FusedConv 0"]),
        (f"c = Conv(x, v) y = {FUSED}(x, w, , c)", ["Conv* 0", "out", "FusedConv 1"]),
        # its activation keeps the sum out
        (f"c = {FUSED}(x, w) d = Conv(x, v) y = Add(c, d)", ["Conv* 0", "Conv* 1 2", "out"]),
    ],
)
def test_fused_convolutions_of_the_file(body: str, expected: list[str]) -> None:
    text = f"""g (float[1,3,6,6] x, float[1,16,4,4] p) => (float y)
               <float[16,3,3,3] v, float[16,3,3,3] w, float[16] b> {{ {body} }}"""
    assert blocks(text) == expected
