"""Peak activations and memory items, derived by hand; one row of float[256] is 1 KiB."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlsys_lint.loading import prepare
from mlsys_lint.memory import Peak, memory_of
from mlsys_lint.parameters import Parameter
from mlsys_lint.pipeline import CheckOptions, analyse, report
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import Contraction, DeviceReport, Kernel, OpCost, Runtime, TensorInfo
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import check_text, model_from_text

KIB = 1024
HOST = PluginHost(third_party=False)


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


def test_an_output_that_nobody_reads_is_freed_at_once() -> None:
    # Split writes 512 + 512 bytes; the second half dies there.
    text = "g (float[256] x) => (float[128] y) { a, b = Split<num_outputs = 2>(x) c = Sin(a) y = Sin(c) }"
    assert _peak(text) == (KIB, 0)


def test_a_node_without_readers_never_runs() -> None:
    assert _kib(_graph("a = Sin(x) b = Exp(a) y = Sin(a)")) == (2, 2)


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
    assert _kib(text) == (4, 1)


def test_a_loop_body_stands_on_what_its_owner_holds() -> None:
    # a and the Loop's result, then in one trip: the condition (1 byte), p, p q.
    text = """g (float[256] x) => (float[256] y) <int64 n = {5}, bool t = {1}> {
        a = Sin(x)
        y = Loop (n, t, a) <body = step (int64 i, bool go, float[256] h)
            => (bool on, float[256] q) {
            on = Identity(go)
            p = Sin(h)
            q = Sin(p)
        }>
    }"""
    nbytes, node = _peak(text)
    assert node == 1
    assert nbytes is not None
    assert 4 * KIB <= nbytes <= 4 * KIB + 1


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
    text = """g (float[4] x) => (float[4] y) {
        a = SequenceConstruct(x, x)
        n = SequenceLength(a)
        i = Sub(n, n)
        b = SequenceAt(a, i)
        y = Sin(b)
    }"""
    assert _peak(text) == (None, None)


# -- items -----------------------------------------------------------------------------------------

CHAIN = """g (float[8,256] x) => (float[8,256] y) <float[256,256] w, float[256,256] v> {
    a = MatMul(x, w)
    b = Relu(a)
    y = MatMul(b, v)
}"""


def _device(text: str, device: str, runtime: str | None = None) -> DeviceReport:
    analysis = analyse(prepare(model_from_text(text), Path("text.onnx")), HOST, Bindings())
    options = CheckOptions(devices=[HOST.devices[device].load()], runtime=runtime)
    return report(analysis, HOST, options).devices[0]


def test_items_by_hand() -> None:
    # Weights 2 x 256 KiB, input 8 KiB, two activations of 8 KiB at the height.
    found = _device(CHAIN, "tpu-v4")
    assert found.memory_items == {
        "weights": 512 * KIB,
        "graph_inputs": 8 * KIB,
        "peak_activations": 16 * KIB,
        "workspace": 0,
        "allocator_slack": 0,
        "runtime": 0,
    }
    assert found.memory_bytes is not None
    assert found.memory_bytes.expected == 536 * KIB
    # Floor: weights and what the largest kernel reads and writes.
    assert found.memory_bytes.floor == 512 * KIB + 16 * KIB


@pytest.mark.parametrize("device", ["tpu-v4", "nv-a100-sxm4-80", "i7-12700k", "rpi5", "amd-mi300x"])
@pytest.mark.parametrize("text", [CHAIN, _graph("y = Sin(x)"), _graph("a = Sin(x) y = Add(a, x)")])
def test_items_add_up_to_the_expected_memory(device: str, text: str) -> None:
    found = _device(text, device)
    assert found.memory_bytes is not None
    memory = found.memory_bytes
    assert sum(found.memory_items.values()) == memory.expected
    assert memory.floor <= memory.low <= memory.expected <= memory.high
    assert found.fits is (None if found.capacity_bytes is None else True)


def test_a_model_larger_than_the_device_does_not_fit() -> None:
    text = "g (float[1,65536] x) => (float[1,65536] y) <float[65536,65536] w> { y = MatMul(x, w) }"
    assert _device(text, "nv-l4").fits is True  # 17 GB of 24
    assert _device(text, "nv-gtx1080ti").fits is False  # of 11
    assert _device(text, "rpi5").fits is None  # sold with several sizes


def _tensor(size: int, kind: str = "tensor") -> TensorInfo:
    return TensorInfo(name="t", dtype="float", shape=(size,), kind=kind)


def _runtime(slack: float = 1.0, copies: float = 1.0, base: int = 0) -> Runtime:
    return Runtime(
        name="toy",
        fuse=lambda _costs, _results: (),
        in_place={},
        base_bytes=(base, 2 * base, 3 * base),
        weight_copies=(copies, copies, 2 * copies),
        activation_slack=(slack, slack, slack),
    )


def test_a_runtime_adds_copies_slack_and_its_own_memory() -> None:
    weights = [Parameter(origin="w", dtype="float", elements=100, nbytes=400)]
    kernel = Kernel(
        nodes=(0,),
        cost=OpCost(
            contractions=(Contraction(m=5, n=5, k=5, dtype="float"),),
            bytes_read=500,
            weight_bytes=400,
            bytes_written=50,
            workspace_bytes=7,
        ),
        kernel_class="gemm",
        dtype="float",
    )
    memory, items = memory_of(
        [kernel], weights, [_tensor(10)], Peak(nbytes=50, node=0), _runtime(1.5, 2.0, 1000)
    )
    assert memory is not None
    assert dict(items) == {
        "weights": 800,
        "graph_inputs": 40,
        "peak_activations": 50,
        "workspace": 7,
        "allocator_slack": 25,
        "runtime": 2000,
    }
    assert memory.expected == 2922
    assert memory.low == 1922
    assert memory.high == 1600 + 40 + 50 + 7 + 25 + 3000
    assert memory.floor == 400 + (500 - 400) + 50


def test_the_floor_lets_element_wise_kernels_work_in_place() -> None:
    # 4 MiB either way: Relu writes over what it reads.
    text = """g (float[1,1] x) => (float[1,1] y) <int64[2] s = {1024, 1024}> {
        a = Expand(x, s)
        b = Relu(a)
        y = ReduceMax(b)
    }"""
    found = _device(text, "tpu-v4", "onnxruntime-cpu")
    assert found.memory_bytes is not None
    assert found.memory_bytes.floor == 4 * 2**20


def test_a_kernel_of_uncertain_size_raises_no_floor() -> None:
    kernel = Kernel(
        nodes=(0,),
        cost=OpCost(bytes_read=500, bytes_written=500),
        kernel_class="gemm",
        dtype="float",
        certain=False,
    )
    memory, _ = memory_of([kernel], [], [], Peak(nbytes=500, node=0), _runtime())
    assert memory is not None
    assert memory.floor == 0


def test_memory_is_open_when_a_peak_or_an_input_is() -> None:
    assert memory_of([], [], [], None, _runtime()) == (None, {})
    peak = Peak(nbytes=0, node=None)
    assert memory_of([], [], [_tensor(3, "sequence")], peak, _runtime()) == (None, {})
