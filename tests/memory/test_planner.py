"""The planner's rules by hand, each beside what ONNX Runtime holds at every kernel.

A float[8,256] has 8,192 bytes (U). Sin, Cos, Concat, Add allocate; Relu may work in place; Reshape
is a view. Comments list the buffers that are there at each kernel.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from memory.observed import graph, observed, peak, planned

U = 8192


def same(text: str, *, opset: int = 17, dims: Mapping[str, int] | None = None) -> list[int]:
    """Bytes held at each kernel; ONNX Runtime agrees, with the reuse of buffers and without it."""
    for reuse in (True, False):
        expected = observed(text, opset=opset, dims=dims, reuse=reuse)
        assert planned(text, opset=opset, dims=dims, reuse=reuse) == expected
    return [held for _, held in planned(text, opset=opset, dims=dims)]


pytestmark = pytest.mark.ort


def test_a_chain_holds_the_input_and_the_output_of_one_kernel() -> None:
    # a; a b; b c (c in a's buffer, which waited for it); c y (a result takes no dead buffer)
    assert same(graph("a = Sin(x) b = Sin(a) c = Sin(b) y = Sin(c)")) == [U, 2 * U, 2 * U, 2 * U]


def test_a_dead_buffer_waits_for_the_next_value_of_its_size() -> None:
    # d waits in a's buffer while b (2U) and c (4U) come and go: 1 + 2 + 4; then y (8 floats).
    text = """g (float[8,256] x) => (float[8] y) <int64[2] o = {0, 0}, int64[2] e = {8, 256}> {
        a = Sin(x) b = Concat<axis = 0>(a, a) c = Concat<axis = 0>(b, b) d = Slice(c, o, e)
        y = ReduceMax<axes = [1], keepdims = 0>(d)
    }"""
    assert same(text) == [U, 3 * U, 7 * U, 5 * U, U + 32]
    assert peak(text) == 57_344
    assert peak(text, reuse=False) == 49_152


def test_what_nobody_reads_takes_no_dead_buffer_but_leaves_its_own() -> None:
    # a; a p q; c in a's buffer; then the halves of c: d takes p's buffer. r, where it is read, takes
    # that of q, which nobody read; where it is not, r is new, and both stay to the end.
    text = """g (float[8,256] x) => (float[8,256] y) <int64[2] s = {4, 4}> {
        a = Sin(x) p, q = Split<axis = 0>(a, s) c = Concat<axis = 0>(p, p)
        d, r = Split<axis = 0>(c, s) e = Concat<axis = 0>(d, LAST) y = Sin(e)
    }"""
    assert same(text.replace("LAST", "r")) == [U, 2 * U, 2 * U, 2 * U, 2 * U, 2 * U]
    half = U // 2
    assert same(text.replace("LAST", "d")) == [
        *(U, 2 * U, 2 * U, 2 * U + half, 2 * U + half, 3 * U)
    ]


def test_sizes_are_compared_not_bytes() -> None:
    # [2048] does not fit into the freed [8,256], although the bytes are the same.
    text = "g (float[8,256] x) => (float[2048] y) <int64[1] s = {2048}> { BODY }"
    views = "a = Sin(x) b = Reshape(a, s) c = Cos(b) d = Sin(c) y = Sin(d)"
    plain = "a = Sin(x) b = Sin(a) c = Cos(b) d = Sin(c) z = Sin(d) y = Reshape(z, s)"
    assert same(text.replace("BODY", views)) == [U, U, 2 * U, 2 * U, 2 * U]
    assert max(same(text.replace("BODY", plain))) == 2 * U


def test_elements_of_one_width_fit() -> None:
    # The Cast to int32 works in place, and Abs takes a's buffer. Doubles fit into neither.
    body = "a = Sin(x) b = Sin(a) c = Cast<to = {}>(b) d = Abs(c) y = Cast<to = 1>(d)"
    assert same(graph(body.replace("{}", "6"))) == [U, 2 * U, 2 * U, 2 * U, 2 * U]
    assert same(graph(body.replace("{}", "11"))) == [U, 2 * U, 3 * U, 4 * U, 3 * U]


def test_kernels_in_place() -> None:
    # a; a b (b is read later, so c is written over b, not over a); a c z
    assert same(graph("a = Sin(x) b = Relu(a) c = Relu(b) y = Add(a, c)")) == [
        *(U, 2 * U, 2 * U, 3 * U)
    ]


def test_nothing_works_in_a_graph_input_or_on_a_graph_output() -> None:
    assert same(graph("a = Relu(x) y = Sin(a)")) == [U, 2 * U]
    assert same(graph("a = Sin(x) y = Relu(a)")) == [U, 2 * U]


def test_a_view_as_a_result_is_copied() -> None:
    text = "g (float[8,256] x) => (float[2048] y) <int64[1] s = {2048}> { a = Sin(x) y = Reshape(a, s) }"
    assert same(text) == [U, 2 * U]


def test_a_view_of_a_graph_input_takes_nothing() -> None:
    text = "g (float[8,256] x) => (float[2048] y) <int64[1] s = {2048}> { a = Reshape(x, s) y = Sin(a) }"
    assert same(text) == [0, U]


def test_a_view_shares_the_life_of_its_buffer() -> None:
    # Relu may not overwrite a, which the view b shows, while b is still read.
    text = """g (float[8,256] x) => (float[2048] y) <int64[1] s = {2048}> {
        a = Sin(x) b = Reshape(a, s) c = Relu(b) d = Sin(c) e = Add(b, d) y = Sin(e)
    }"""
    assert same(text) == [U, U, 2 * U, 3 * U, 3 * U, 2 * U]


def test_unread_views_and_kernels_in_place_share_too() -> None:
    # The unread Relu and the unread view run last, in the buffers of what they read.
    text = """g (float[8,256] x) => (float[8,256] y) <int64[1] s = {2048}> {
        a = Sin(x) b = Relu(a) c = Reshape(x, s) d = Sin(x) e = Reshape(d, s) y = Sin(x)
    }"""
    same(text)


def test_states_of_a_recurrence_that_nobody_reads_are_held_to_the_end() -> None:
    # Per LSTM: Y is 4 x 1 x 2 x 16 floats (512 bytes), Y_h and Y_c 128 bytes each.
    text = """g (float[4,2,8] x) => (float[4,1,2,16] y) <float[1,64,8] w, float[1,64,16] r,
        float[1,64,16] v, int64[1] one = {1}> {
        a, ah, ac = LSTM<hidden_size = 16>(x, w, r)
        b = Squeeze(a, one)
        c, ch, cc = LSTM<hidden_size = 16>(b, v, r)
        y = Sin(c)
    }"""
    # The second pair finds the first pair's buffers dead, and takes new ones.
    assert same(text) == [768, 768, 768 + 768, 768 + 768 - 512 + 512]


def test_a_result_is_held_to_the_end() -> None:
    text = graph("a = Sin(x) b = Sin(a) y = Sin(b)", after="float[8,256] a, float[8,256] y")
    assert same(text) == [U, 2 * U, 3 * U]


def test_scalars_take_no_dead_buffer() -> None:
    text = "g (float[8,256] x) => (float y) { a = ReduceSum<keepdims = 0>(x) b = Sin(a) c = Sin(b) y = Sin(c) }"
    assert same(text) == [4, 8, 8, 8]


def test_a_residual_is_written_over_where_it_dies() -> None:
    # FusedConv adds its fourth input, a Conv's result: in place, unless it is read again.
    text = """g (float[1,16,8,8] x) => (float[1,16,8,8] y) <float[16,16,1,1] w, float[16] b> {
        s = Sin(x) t = Cos(x)
        c = com.microsoft.FusedConv<activation = "Relu">(s, w, b, t)
        y = Sin(READ)
    }"""
    unit = 16 * 8 * 8 * 4
    assert same(text.replace("READ", "c")) == [unit, 2 * unit, 2 * unit, 2 * unit]
    again = text.replace("y = Sin(READ)", "d = Add(t, c) y = Sin(d)")
    assert max(same(again)) == 3 * unit


def test_sizes_with_a_name_equal_themselves() -> None:
    text = "g (float[N,256] x) => (float[N,256] y) { a = Sin(x) b = Relu(a) c = Sin(b) y = Sin(c) }"
    fixed = [U, U, 2 * U, 2 * U]
    assert same(text, dims={"N": 8}) == fixed
    assert same(text.replace("N", "8")) == fixed


def test_a_size_without_a_name_equals_nothing() -> None:
    text = graph(
        "a = Sin(x) b = Relu(a) c = Sin(b) y = Sin(c)",
        before="float[?,256] x",
        after="float[?,256] y",
    )
    assert planned(text, dims={"x:0": 2}) == observed(text)


def test_sizes_keep_their_names_through_the_runtimes_own_kernels() -> None:
    # 8 x 16 floats are 512 bytes. Relu works in place; e takes the buffer of a, which is [N,16] too.
    text = """g (float[N,16] x) => (float[N,16] y) <float[16,16] w, float[16] b> {
        a = com.microsoft.FusedGemm<activation = "Relu">(x, w, b)
        c = Sin(a) d = Relu(c) e = com.microsoft.Gelu(d) y = Sin(e)
    }"""
    assert same(text, dims={"N": 8}) == [512, 1024, 1024, 1024, 1024]
