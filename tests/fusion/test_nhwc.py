"""Quantized convolutions run with channels last, and what is between them."""

from __future__ import annotations

from fusion.emulation import assert_same, members, operators

DATA = "float s = {0.5}, uint8 z = {128}, float t = {0.25}, uint8 u = {3}"
SCALES = "float ws = {0.1}, int8 wz = {0}"


def conv(target: str, source: str, weight: str) -> str:
    return f"{target} = QLinearConv<pads = [1, 1, 1, 1]>({source}, s, z, {weight}, ws, wz, s, z)"


def graph(body: str, *, x: str = "uint8[1,8,6,6] x", y: str = "uint8[A,B,C,D] y") -> str:
    weights = "int8[8,8,3,3] w, int8[8,8,3,3] v"
    return f"g ({x}) => ({y}) <{DATA}, {SCALES}, {weights}> {{ {body} }}"


def test_transposes_around_one_convolution() -> None:
    program = assert_same(graph(conv("y", "x", "w")))
    assert members(program) == [("Transpose", []), ("QLinearConv", [0]), ("Transpose", [])]
    (op,) = [op for op in program.ops.values() if op.op_type == "QLinearConv"]
    assert op.integer("channels_last", 0) == 1
    # 1 x 8 x 6 x 6, channels last
    assert [value and value.shape for value in (op.inputs[0], op.output)] == [(1, 6, 6, 8)] * 2


def test_none_between_two() -> None:
    program = assert_same(graph(f"{conv('a', 'x', 'w')} {conv('y', 'a', 'v')}"))
    assert members(program) == [
        *(("Transpose", []), ("QLinearConv", [0]), ("QLinearConv", [1]), ("Transpose", [])),
    ]


def test_none_around_what_takes_any_layout() -> None:
    body = (
        f"{conv('a', 'x', 'w')} b = com.microsoft.QLinearSigmoid(a, s, z, t, u) "
        f"{conv('c', 'b', 'v')} y = com.microsoft.QLinearAdd(c, s, z, b, t, u, s, z)"
    )
    found = operators(assert_same(graph(body)))
    assert found.count("Transpose") == 2  # before the first and behind the last


def test_pooling_between_them_takes_channels_last() -> None:
    body = f"{conv('a', 'x', 'w')} b = MaxPool<kernel_shape = [2, 2]>(a) {conv('y', 'b', 'v')}"
    program = assert_same(graph(body))
    assert members(program) == [
        *(("Transpose", []), ("QLinearConv", [0]), ("NhwcMaxPool", [1])),
        *(("QLinearConv", [2]), ("Transpose", [])),
    ]


def test_a_transpose_of_the_file_is_met() -> None:
    body = f"a = Transpose<perm = [0, 3, 1, 2]>(x) {conv('y', 'a', 'w')}"
    program = assert_same(graph(body, x="uint8[1,6,6,8] x"))
    assert members(program) == [("QLinearConv", [1]), ("Transpose", [])]
    assert program.eliminated == {0: "cancelled"}


def test_a_convolution_that_has_channels_last_stays() -> None:
    body = "y = com.microsoft.QLinearConv<channels_last = 1>(x, s, z, w, ws, wz, s, z)"
    program = assert_same(graph(body, x="uint8[1,6,6,8] x"), ordered=False)
    assert members(program) == [("QLinearConv", [0])]


def test_float_convolutions_keep_their_layout() -> None:
    text = "g (float[1,3,6,6] x) => (float[1,3,6,6] y) <float[3,1,3,3] w> { y = Conv<%s>(x, w) }"
    program = assert_same(text % "pads = [1, 1, 1, 1], group = 3")
    assert operators(program) == ["Conv"]


def test_one_axis_and_three() -> None:
    for sizes, window in (("8,6", "3"), ("8,6,6,6", "3,3,3")):
        text = graph(conv("y", "x", "w"), x=f"uint8[1,{sizes}] x", y=f"uint8[1,{sizes}] y")
        text = text.replace("8,8,3,3", f"8,8,{window}")
        pads = ", ".join(["1"] * 2 * window.count("3"))
        program = assert_same(text.replace("1, 1, 1, 1", pads))
        assert operators(program).count("Transpose") == 2


def test_sizes_of_the_run() -> None:
    program = assert_same(graph(conv("y", "x", "w"), x="uint8[N,8,H,W] x"), ordered=False)
    assert operators(program).count("Transpose") == 2
