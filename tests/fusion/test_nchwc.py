"""Convolutions, pools, activations and Concat in the blocked layout."""

from __future__ import annotations

import pytest

from fusion.blocked import blocks, dims, listed, needs_16, shapes
from fusion.emulation import optimized, runtimes_graph

PLAIN = ["Conv 0"]
DIRECT = ["Conv* 0", "out"]
REORDERED = ["in", "Conv* 0", "out"]


def _conv(inputs: int, weight: str, group: int = 1) -> str:
    return f"""g (float[1,{inputs},6,6] x) => (float y) <float[{weight},3,3] w>
               {{ y = Conv<group = {group}>(x, w) }}"""


@pytest.mark.parametrize(
    ("text", "by_16", "by_8"),
    [
        # one group: fewer channels than a block are read as they are, others by fours
        (_conv(3, "16,3"), DIRECT, DIRECT),
        (_conv(7, "16,7"), DIRECT, DIRECT),
        (_conv(8, "16,8"), DIRECT, REORDERED),
        (_conv(15, "16,15"), DIRECT, PLAIN),
        (_conv(16, "16,16"), REORDERED, REORDERED),
        (_conv(17, "16,17"), PLAIN, PLAIN),
        (_conv(18, "16,18"), PLAIN, PLAIN),
        (_conv(20, "16,20"), REORDERED, REORDERED),
        # any number of output channels
        (_conv(3, "1,3"), DIRECT, DIRECT),
        (_conv(16, "21,16"), REORDERED, REORDERED),
        # each channel by itself: by fours; not with more outputs than inputs
        (_conv(4, "4,1", 4), REORDERED, REORDERED),
        (_conv(24, "24,1", 24), REORDERED, REORDERED),
        (_conv(17, "17,1", 17), PLAIN, PLAIN),
        (_conv(30, "30,1", 30), PLAIN, PLAIN),
        (_conv(16, "32,1", 16), PLAIN, PLAIN),
        # groups: whole blocks of inputs and of outputs
        (_conv(32, "32,16", 2), REORDERED, REORDERED),
        (_conv(16, "16,8", 2), PLAIN, REORDERED),
        (_conv(32, "16,16", 2), PLAIN, REORDERED),
        (_conv(24, "24,12", 2), PLAIN, PLAIN),
    ],
)
def test_which_channels(text: str, by_16: list[str], by_8: list[str]) -> None:
    assert blocks(text) == by_16
    assert listed(optimized(text, block=8)) == by_8
    assert listed(optimized(text, block=0)) == PLAIN


@pytest.mark.parametrize(
    "text",
    [
        "g (float[1,16,6] x) => (float y) <float[16,16,3] w> { y = Conv(x, w) }",
        "g (float[1,16,6,6,6] x) => (float y) <float[16,16,3,3,3] w> { y = Conv(x, w) }",
        "g (float[1,3,6,6] x, float[16,3,3,3] w) => (float y) { y = Conv(x, w) }",
        "g (float[1,3,6,6] x, float[16] b) => (float y) <float[16,3,3,3] w> { y = Conv(x, w, b) }",
    ],
)
def test_what_stays_plain(text: str) -> None:
    assert blocks(text) == PLAIN


def test_padded_sizes() -> None:
    text = """g (float[1,20,6,6] x) => (float y) <float[20,20,3,3] v, float[5,20,1,1] w, float[5] b>
              { c = Conv(x, v) y = Conv(c, w, b) }"""
    assert blocks(text) == ["in", "Conv* 0", "Conv* 1", "out"]
    program = optimized(text, block=16)
    # 20 channels fill two blocks, 5 one; 6 - 3 + 1 = 4
    assert shapes(program) == [(1, 32, 6, 6), (1, 32, 4, 4), (1, 16, 4, 4), (1, 5, 4, 4)]
    assert dims(program) == shapes(program)
    _, first, second, _ = program.order()
    read = [value.shape for op in (first, second) for value in op.inputs[1:] if value is not None]
    assert read == [(32, 32, 3, 3), (16, 32, 1, 1), (16,)]


def test_depthwise_weights_are_padded_in_groups() -> None:
    program = optimized(_conv(24, "24,1", 24), block=16)
    conv = program.order()[1]
    assert conv.integer("group", 1) == 32
    assert conv.inputs[1] is not None
    assert conv.inputs[1].shape == (32, 1, 3, 3)


def test_few_channels_are_read_plain_after_a_blocked_producer() -> None:
    # 16 channels are blocked, 8 are padded to 16 but count as 8: the third has to see them plain
    text = """g (float[1,16,6,6] x) => (float y)
              <float[8,16,1,1] u, float[16,8,1,1] v, float[4,16,1,1] w>
              { a = Conv(x, u) b = Conv(a, v) y = Conv(b, w) }"""
    assert blocks(text) == ["in", "Conv* 0", "out", "Conv* 1", "Conv* 2", "out"]


def test_a_reordered_input_is_shared() -> None:
    text = """g (float[1,16,6,6] x) => (float y, float z) <float[16,16,1,1] v, float[16,16,1,1] w>
              { t = Exp(x) a = Conv(t, v) b = Conv(t, w) y = Concat<axis = 1>(a, b) z = Neg(t) }"""
    expected = ["Exp 0", "in", "Conv* 1", "Conv* 2", "Concat 3", "out", "Neg 4"]
    assert sorted(blocks(text)) == sorted(expected)


def test_a_result_of_the_graph_is_also_read_blocked() -> None:
    text = """g (float[1,3,6,6] x) => (float c, float y) <float[16,3,3,3] v, float[16,16,3,3] w>
              { c = Conv(x, v) r = Relu(c) y = Conv(r, w) }"""
    # the result is a second use of c: the Relu stays, on the blocked value
    expected = ["Conv* 0", "Relu 1", "Conv* 2", "out", "out"]
    assert sorted(blocks(text, ordered=False)) == sorted(expected)


WINDOWS = ["MaxPool<kernel_shape = [2,2]>", "AveragePool<kernel_shape = [2,2]>"]
GLOBAL = ["GlobalAveragePool", "GlobalMaxPool"]


@pytest.mark.parametrize("pool", [*WINDOWS, *GLOBAL])
def test_pools_of_a_graphs_input_take_whole_blocks(pool: str) -> None:
    name = pool.partition("<")[0]
    for channels in (8, 24):
        text = f"g (float[1,{channels},6,6] x) => (float y) {{ y = {pool}(x) }}"
        assert blocks(text) == [f"{name} 0"]
        assert listed(optimized(text, block=8)) == ["in", f"{name}* 0", "out"]
    for channels in (16, 32):
        text = f"g (float[1,{channels},6,6] x) => (float y) {{ y = {pool}(x) }}"
        assert blocks(text) == ["in", f"{name}* 0", "out"]


@pytest.mark.parametrize("pool", WINDOWS)
def test_pools_of_plain_values_are_converted(pool: str) -> None:
    text = f"g (float[1,16,6,6] x) => (float y) {{ t = Exp(x) y = {pool}(t) }}"
    assert blocks(text) == ["Exp 0", "in", f"{pool.partition('<')[0]}* 1", "out"]


@pytest.mark.parametrize("pool", GLOBAL)
def test_global_pools_of_plain_values_are_not(pool: str) -> None:
    text = f"g (float[1,16,6,6] x) => (float y) {{ t = Exp(x) y = {pool}(t) }}"
    assert blocks(text) == ["Exp 0", f"{pool} 1"]


@pytest.mark.parametrize(
    ("body", "opset"),
    [
        ("y = MaxPool<kernel_shape = [3,3], dilations = [2,2], ceil_mode = 1>(x)", 17),
        ("y = MaxPool<kernel_shape = [3,3], strides = [2,2]>(x)", 22),
        ("y = AveragePool<kernel_shape = [3,3], count_include_pad = 1, pads = [1,1,1,1]>(x)", 22),
        ('y = AveragePool<kernel_shape = [2,2], auto_pad = "SAME_UPPER">(x)', 19),
    ],
)
def test_pool_attributes(body: str, opset: int) -> None:
    text = f"g (float[1,16,6,6] x) => (float y) {{ {body} }}"
    assert [one.rstrip("0 ") for one in blocks(text, opset=opset)][::2] == ["in", "out"]


def test_pools_that_stay_plain() -> None:
    indices = "MaxPool<kernel_shape = [2,2]>"
    for text in (
        f"g (float[1,16,6,6] x) => (float y, int64 i) {{ y, i = {indices}(x) }}",
        "g (float[1,16,6] x) => (float y) { y = MaxPool<kernel_shape = [2]>(x) }",
        "g (float[1,C,6,6] x) => (float y) { y = MaxPool<kernel_shape = [2,2]>(x) }",
    ):
        assert len(blocks(text)) == 1


CONV = "c = Conv(x, w)"
HEAD = "g (float[1,3,6,6] x) => (float y) <float[16,3,3,3] w>"


@pytest.mark.parametrize("name", ["Relu", "Sigmoid", "Tanh", "HardSigmoid", "LeakyRelu"])
def test_activations_of_a_convolution(name: str) -> None:
    assert blocks(f"{HEAD} {{ {CONV} y = {name}(c) }}") == ["Conv* 0 1", "out"]


@pytest.mark.parametrize("name", ["Elu", "Softplus", "Sqrt", "Selu"])
def test_activations_that_need_the_plain_layout(name: str) -> None:
    assert blocks(f"{HEAD} {{ {CONV} y = {name}(c) }}") == ["Conv* 0", "out", f"{name} 1"]


@pytest.mark.parametrize(
    ("name", "opset"), [("Relu", 17), ("Tanh", 13), ("HardSigmoid", 22), ("Gelu", 20)]
)
def test_activations_on_blocked_values(name: str, opset: int) -> None:
    text = f"{HEAD} {{ {CONV} p = MaxPool<kernel_shape = [2,2]>(c) y = {name}(p) }}"
    assert blocks(text, opset=opset) == ["Conv* 0", "MaxPool* 1", f"{name} 2", "out"]


def test_gated_activations_stay_on_the_blocked_value() -> None:
    text = f"{HEAD} {{ {CONV} s = Sigmoid(c) y = Mul(c, s) }}"
    assert blocks(text) == ["Conv* 0", "QuickGelu 1 2", "out"]


HARD = "HardSigmoid<alpha = 0.16666667, beta = 0.5>"


@pytest.mark.parametrize("product", ["Mul(c, s)", "Mul(s, c)"])
def test_hard_swish(product: str) -> None:
    text = f"{HEAD} {{ {CONV} s = {HARD}(c) m = {product} y = Neg(m) }}"
    assert blocks(text) == ["Conv* 0 1 2", "out", "Neg 3"]


def test_hard_swish_as_one_operator() -> None:
    # inlined before: both parts have the member 1
    text = f"{HEAD} {{ {CONV} m = HardSwish(c) y = Neg(m) }}"
    assert blocks(text) == ["Conv* 0 1", "out", "Neg 2"]


@pytest.mark.parametrize(
    "body",
    [
        f"s = {HARD}(c) y = Mul(c, s)",  # the product is a result
        "s = HardSigmoid(c) m = Mul(c, s) y = Neg(m)",  # a slope of 0.2
        f"s = {HARD}(c) m = Mul(c, s) y = Add(m, c)",  # a third reader
        f"s = {HARD}(c) n = Neg(s) m = Mul(c, s) y = Add(m, n)",  # another one of the gate
    ],
)
def test_what_is_no_hard_swish(body: str) -> None:
    found = blocks(f"{HEAD} {{ {CONV} {body} }}", ordered=False)
    assert found[:2] == ["Conv* 0", "HardSigmoid 1"]
    assert any(one.startswith("Mul") for one in found)


TWO = "<float[16,3,3,3] v, float[{},3,3,3] w>"


@pytest.mark.parametrize(
    ("channels", "axis", "by_16", "by_8"),
    [
        (16, 1, ["Conv* 0", "Conv* 1", "Concat 2", "out"], 4),
        (32, 1, ["Conv* 0", "Conv* 1", "Concat 2", "out"], 4),
        (24, 1, ["Conv* 0", "Conv* 1", "Concat 2", "out", "out"], 4),
        (20, 1, ["Conv* 0", "Conv* 1", "Concat 2", "out", "out"], 5),
        (16, 2, ["Conv* 0", "Conv* 1", "Concat 2", "out", "out"], 5),
        (16, -3, ["Conv* 0", "Conv* 1", "Concat 2", "out", "out"], 5),
    ],
)
def test_concat(channels: int, axis: int, by_16: list[str], by_8: int) -> None:
    text = f"""g (float[1,3,6,6] x) => (float y) {TWO.format(channels)}
               {{ a = Conv(x, v) b = Conv(x, w) y = Concat<axis = {axis}>(a, b) }}"""
    assert sorted(blocks(text)) == sorted(by_16)
    assert len(listed(optimized(text, block=8))) == by_8


def test_concat_with_a_plain_value() -> None:
    text = f"""g (float[1,3,6,6] x, float[1,16,4,4] p) => (float y) {TWO.format(16)}
               {{ a = Conv(x, v) y = Concat<axis = 1>(a, p) }}"""
    assert blocks(text) == ["Conv* 0", "out", "Concat 1"]


def test_convolutions_of_a_body() -> None:
    text = """g (bool k, float[1,3,6,6] x) => (float y) <float[16,3,3,3] v> {
        y = If (k) <
            then_branch = t () => (float a) <float[1,3,1,1] w = {2.0, 1.0, 1.5}> {
                b = Conv(x, w) a = Neg(b)
            },
            else_branch = e () => (float c) { c = Conv(x, v) }
        >
    }"""
    (choice,) = optimized(text, block=16).order()
    # weights from around the body can't be reordered in it
    assert [one.split()[0] for one in listed(choice.bodies["then_branch"])] == [
        "Conv*",
        "out",
        "Neg",
    ]
    assert [one.split()[0] for one in listed(choice.bodies["else_branch"])] == ["Conv"]
    needs_16()
    saved = runtimes_graph(text).graph.node[0].attribute
    found = {body.name: [node.op_type for node in body.g.node] for body in saved}
    assert found["then_branch"] == ["Conv", "ReorderOutput", "Neg"]
    assert found["else_branch"] == ["Conv"]
