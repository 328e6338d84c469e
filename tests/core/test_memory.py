"""Peak activations in reports, derived by hand; one row of float[256] is 1 KiB.

The planner itself is tested in tests/memory, beside ONNX Runtime.
"""

from __future__ import annotations

from mlsys_lint.testing import check_text

KIB = 1024


def _peak(text: str, device: str | None = None) -> tuple[int | None, int | None]:
    """Peak and the node at which it is reached, under onnxruntime-cpu by default."""
    totals = check_text(text, device=device).totals
    return totals.peak_activation_bytes, totals.peak_node


def _kib(text: str) -> tuple[float, int | None]:
    nbytes, node = _peak(text)
    assert nbytes is not None
    return nbytes / KIB, node


def _graph(body: str, *, before: str = "float[256] x", after: str = "float[256] y") -> str:
    return f"g ({before}) => ({after}) {{ {body} }}"


# Sin and Exp allocate; Relu and Sigmoid work in place. Graph inputs are not counted.


def test_one_node_holds_its_output() -> None:
    assert _kib(_graph("y = Sin(x)")) == (1, 0)


def test_a_chain_holds_the_input_and_output_of_one_node() -> None:
    # a; a b; b c; c y
    body = "a = Sin(x) b = Sin(a) c = Sin(b) y = Sin(c)"
    assert _kib(_graph(body)) == (2, 1)


def test_a_residual_keeps_its_shortcut_alive() -> None:
    # a; a b; a b c (peak); a c y
    body = "a = Sin(x) b = Sin(a) c = Sin(b) y = Add(a, c)"
    assert _kib(_graph(body)) == (3, 2)


def test_a_value_dies_at_its_last_reader_even_if_read_twice_there() -> None:
    # a; a b; b c: `a` is read twice by one node and dies once.
    body = "a = Sin(x) b = Mul(a, a) y = Sin(b)"
    assert _kib(_graph(body)) == (2, 1)


def test_a_kernel_in_place_takes_over_a_dying_input() -> None:
    assert _kib(_graph("a = Sin(x) b = Relu(a) c = Sigmoid(b) d = Tanh(c) y = Sin(d)")) == (2, 4)
    assert _kib(_graph("a = Sin(x) b = Relu(a) c = Relu(b) y = Sin(c)")) == (2, 3)


def test_a_kernel_in_place_does_not_take_an_input_that_is_read_later() -> None:
    # a; a b; a b y
    assert _kib(_graph("a = Sin(x) b = Relu(a) y = Add(a, b)")) == (3, 2)


def test_a_kernel_in_place_does_not_take_a_graph_input() -> None:
    assert _kib(_graph("a = Relu(x) y = Sin(a)")) == (2, 1)


def test_a_kernel_in_place_does_not_write_a_graph_output_over_its_input() -> None:
    # A graph's result has a buffer of its own: `a` is still there when y is written.
    assert _kib(_graph("a = Sin(x) y = Relu(a)")) == (2, 1)


def test_a_kernel_in_place_needs_a_buffer_of_its_own_size() -> None:
    # Cast to double takes 2 KiB where the float holds 1.
    text = _graph("a = Sin(x) b = Cast<to = 11>(a) y = Sin(b)", after="double[256] y")
    assert _kib(text) == (4, 2)


def test_without_a_runtime_nothing_works_in_place() -> None:
    text = _graph("a = Sin(x) b = Relu(a) c = Relu(b) y = Sin(c)")
    assert _peak(text, "tpu-v4") == (2 * KIB, 1)
    assert _peak(_graph("a = Sin(x) b = Relu(a)  c = Sin(x) y = Add(b, c)"), "tpu-v4")[0] == 3 * KIB


def test_a_view_lives_in_the_buffer_of_its_input() -> None:
    # a; (b is a); a y
    text = """g (float[256] x) => (float[16,16] y) <int64[2] s = {16, 16}> {
        a = Sin(x)
        b = Reshape(a, s)
        y = Sin(b)
    }"""
    assert _kib(text) == (2, 2)


def test_a_view_keeps_its_buffer_alive() -> None:
    # a(=b); a c; a c d (peak); a d y: `a` itself has no reader after the view.
    text = """g (float[256] x) => (float[16,16] y) <int64[2] s = {16, 16}> {
        a = Sin(x)
        b = Reshape(a, s)
        c = Sin(b)
        d = Sin(c)
        y = Add(b, d)
    }"""
    assert _kib(text) == (3, 3)


def test_a_kernel_in_place_sees_the_readers_of_all_views() -> None:
    # Relu may not overwrite `a`: its view `b` is read later.
    text = """g (float[256] x) => (float[16,16] y) <int64[2] s = {16, 16}> {
        a = Sin(x)
        b = Reshape(a, s)
        c = Relu(b)
        y = Add(b, c)
    }"""
    assert _kib(text) == (3, 3)


def test_a_view_of_a_graph_input_takes_nothing() -> None:
    text = """g (float[256] x) => (float[16,16] y) <int64[2] s = {16, 16}> {
        a = Reshape(x, s)
        y = Sin(a)
    }"""
    assert _kib(text) == (1, 1)


def test_a_graph_output_is_held_to_the_end() -> None:
    # a; a b; a b c: `a` is a result, nobody frees it.
    text = _graph("a = Sin(x) b = Sin(a) y = Sin(b)", after="float[256] a, float[256] y")
    assert _kib(text) == (3, 2)


def test_a_later_value_takes_the_buffer_of_one_that_nobody_reads() -> None:
    # Split writes 512 + 512 bytes; c takes the second half's buffer, y has its own.
    text = "g (float[256] x) => (float[128] y) { a, b = Split<num_outputs = 2>(x) c = Sin(a) y = Sin(c) }"
    assert _peak(text) == (KIB, 0)


def test_a_node_without_readers_runs_and_is_held_to_the_end() -> None:
    # Of two sinks the last one in the file runs first: a; a y; a y b.
    assert _kib(_graph("a = Sin(x) b = Exp(a) y = Sin(a)")) == (3, 1)


def test_constants_are_not_counted() -> None:
    text = """g (float[1,256] x) => (float[1,256] y) <float[256,256] w> {
        c = Transpose(w)
        a = MatMul(x, c)
        y = Sin(a)
    }"""
    assert _kib(text) == (2, 2)


def test_graph_inputs_are_not_counted() -> None:
    text = "g (float[1,65536] x, float[65536,256] w) => (float[1,256] y) { y = MatMul(x, w) }"
    assert _kib(text) == (1, 0)


def test_sub_byte_values_are_packed() -> None:
    text = """g (float[256] x) => (float[256] y) <float s = {1}> {
        q = QuantizeLinear<output_dtype = 22>(x, s)
        y = DequantizeLinear(q, s)
    }"""
    assert _peak(text) == (128 + KIB, 1)  # 256 int4 in 128 bytes, then 256 floats


# -- bodies ----------------------------------------------------------------------------------------


def test_the_peak_of_an_if_is_that_of_its_larger_branch() -> None:
    # a and the If's y (1 KiB each), then in the branch: p; p q; q r.
    text = """g (bool c, float[256] x) => (float[256] y) {
        a = Sin(x)
        t = If (c) <
            then_branch = big () => (float[256] r) { p = Sin(a) q = Sin(p) r = Sin(q) },
            else_branch = small () => (float[256] s) { s = Sin(a) }
        >
        y = Add(a, t)
    }"""
    assert _kib(text) == (4, 4)  # at q, the second node of the branch


def test_a_loop_body_stands_on_what_its_owner_holds() -> None:
    # a, counter and condition (9 bytes), the q of the trip before; p q.
    text = """g (float[256] x) => (float[256] y) <int64 n = {5}, bool t = {1}> {
        a = Sin(x)
        y = Loop (n, t, a) <body = step (int64 i, bool go, float[256] h)
            => (bool on, float[256] q) {
            on = Identity(go)
            p = Sin(h)
            q = Sin(p)
        }>
    }"""
    assert _peak(text) == (4 * KIB + 9, 4)


def test_trips_reuse_the_memory_of_a_body() -> None:
    text = """g (float[256] x) => (float[256] y) <int64 n = {{{0}}}, bool t = {{1}}> {{
        y = Loop (n, t, x) <body = step (int64 i, bool go, float[256] h)
            => (bool on, float[256] q) {{
            on = Identity(go)
            q = Sin(h)
        }}>
    }}"""
    assert _peak(text.format(2)) == _peak(text.format(1000))


def test_an_unknown_size_leaves_the_peak_open() -> None:
    text = "g (int64[2] s) => (float[A,B] y) { a = ConstantOfShape(s) y = Sin(a) }"
    assert _peak(text) == (None, None)
