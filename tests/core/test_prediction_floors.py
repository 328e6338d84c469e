"""Floors by hand: the least work, the least traffic, the least case of the data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlsys_lint.analysis import analyse
from mlsys_lint.fusion import certain_nodes
from mlsys_lint.host import detect_host
from mlsys_lint.loading import prepare
from mlsys_lint.pipeline import CheckOptions, report
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.prediction import predict
from mlsys_lint.records import (
    Contraction,
    DeviceProfile,
    DeviceReport,
    Interval,
    Kernel,
    KernelReport,
    MemoryLevel,
    NodeCost,
    NodeStatus,
    NodeView,
    OpCost,
)
from mlsys_lint.roofline import contraction_peak
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text

HOST = PluginHost(third_party=False)
PROFILES = {name: entry.load() for name, entry in HOST.devices.items()}
A100, CPU = PROFILES["nv-a100-sxm4-80"], PROFILES["i7-12700k"]
PRODUCT = "g (float[1024,1024] x) => (float[1024,1024] y) <float[1024,1024] w> { y = MatMul(x, w) }"
TF32, FP32 = 156e12 * 1.1, 19.5e12 * 1.1
"""The A100's hard rates."""


def _on(
    text: str, device: str | DeviceProfile = A100, runtime: str | None = None, opset: int = 23
) -> DeviceReport:
    model = prepare(model_from_text(text, opset), Path("text.onnx"))
    profile = PROFILES[device] if isinstance(device, str) else device
    options = CheckOptions(devices=[profile], runtime=runtime)
    return report(analyse(model, HOST, Bindings()), HOST, options).devices[0]


def _latency(found: DeviceReport) -> Interval:
    assert found.latency_s is not None
    return found.latency_s


def _floor(one: KernelReport) -> float:
    assert one.time_s is not None
    return one.time_s.floor


# -- work floor ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("runtime", "hard"), [("onnxruntime-cuda", TF32), ("none", FP32)])
def test_the_work_floor_of_a_product_is_its_flops_at_the_hard_rate(
    runtime: str, hard: float
) -> None:
    # 2 x 1024^3 FLOPs; the 12 MB that cross fit in 40 MiB of L2, so bytes give no floor.
    found = _on(PRODUCT, runtime=runtime)
    assert _latency(found).floor == pytest.approx(2 * 1024**3 / hard)
    (kernel,) = found.kernels
    assert kernel.time_s is not None
    assert kernel.time_s.floor == pytest.approx(2 * 1024**3 / hard)


def test_a_causal_mask_lowers_the_floor_and_not_the_count() -> None:
    text = """g (float16[1,8,512,64] q, float16[1,8,512,64] k, float16[1,8,512,64] v)
        => (float16[1,8,512,64] y) {{ y = Attention{0}(q, k, v) }}"""
    (dense,), (masked,) = (
        _on(text.format(causal)).kernels for causal in ("", "<is_causal: int = 1>")
    )
    macs = 2 * 8 * 512 * 512 * 64
    hidden = 2 * 8 * (512 * 511 // 2) * 64  # query i sees keys 0 .. i
    assert dense.kernel.cost.macs == masked.kernel.cost.macs == macs
    assert masked.kernel.cost.macs_masked == hidden
    assert dense.time_s is not None
    assert masked.time_s is not None
    hard = 312e12 * 1.1
    assert dense.time_s.floor == pytest.approx(2 * macs / hard)
    assert masked.time_s.floor == pytest.approx(2 * (macs - hidden) / hard)


# -- convolutions ----------------------------------------------------------------------------------


def _convolution(attributes: str, x: str, w: str, y: str) -> str:
    return f"g (float[{x}] x) => (float[{y}] y) <float[{w}] w> {{ y = Conv{attributes}(x, w) }}"


@pytest.mark.parametrize(
    ("attributes", "x", "w", "y", "gain"),
    [
        ("", "1,8,32,32", "8,8,3,3", "1,8,30,30", 4.0),
        ("<strides=[2,2]>", "1,8,33,33", "8,8,3,3", "1,8,16,16", 1.0),
        ("<dilations=[2,2]>", "1,8,34,34", "8,8,3,3", "1,8,30,30", 1.0),
        ("<group=2>", "1,8,32,32", "8,4,3,3", "1,8,30,30", 1.0),
        ("", "1,8,32,32", "8,8,1,1", "1,8,32,32", 1.0),
        # A transform of real data takes 2 MACs a point in place of 25 or 1 x 7.
        ("", "1,8,32,32", "8,8,5,5", "1,8,28,28", 12.5),
        ("", "1,8,32,32", "8,8,1,7", "1,8,32,26", 3.5),
    ],
)
def test_faster_algorithms_apply_where_they_can(
    attributes: str, x: str, w: str, y: str, gain: float
) -> None:
    text = _convolution(attributes, x, w, y)
    (cuda,) = _on(text).kernels
    (plain,) = _on(text, runtime="none").kernels
    flops = 2 * plain.kernel.cost.macs
    assert _floor(cuda) == pytest.approx(flops / (gain * TF32))
    assert _floor(plain) == pytest.approx(flops / FP32)


def test_the_cpu_provider_convolves_directly() -> None:
    # 64 channels of 54 x 54 results, 9 x 64 products each; test_winograd asks ONNX Runtime.
    text = _convolution("", "1,64,56,56", "64,64,3,3", "1,64,54,54")
    (kernel,) = (one for one in _on(text, CPU).kernels if one.kernel.cost.macs)
    assert _floor(kernel) == pytest.approx(2 * 54 * 54 * 64 * 9 * 64 / (1.094e12 * 2), rel=1e-3)


@pytest.mark.parametrize(
    ("attributes", "side", "out", "met"),
    [
        # 3 taps on 4 positions with a border of 1: the first and last position lack one: 10 of 12.
        ("<pads=[1,1,1,1]>", 4, 4, 10 / 12),
        ('<auto_pad="SAME_UPPER">', 4, 4, 10 / 12),
        ('<auto_pad="VALID">', 4, 2, 1.0),
        # Padding before only: position 0 lacks a tap, 8 of 9.
        ("<pads=[1,1,0,0]>", 4, 3, 8 / 9),
        # Taps at -2, 0, 2 from 0 .. 3: each position lacks exactly one.
        ("<pads=[2,2,2,2], dilations=[2,2]>", 4, 4, 8 / 12),
        # Windows at -1 and 1 of 4: 0, 1 and 1, 2, 3; SAME_LOWER puts the one row of padding first.
        ('<auto_pad="SAME_LOWER", strides=[2,2]>', 4, 2, 5 / 6),
        # SAME_UPPER puts it last: 0, 1, 2 and 2, 3.
        ('<auto_pad="SAME_UPPER", strides=[2,2]>', 4, 2, 5 / 6),
        # More padding than window: positions at -3 .. 4, two of eight meet nothing, 12 of 24 taps.
        ("<pads=[3,3,3,3]>", 4, 8, 12 / 24),
    ],
)
def test_products_with_padding_may_be_left_out(
    attributes: str, side: int, out: int, met: float
) -> None:
    text = _convolution(attributes, f"1,8,{side},{side}", "8,8,3,3", f"1,8,{out},{out}")
    (kernel,) = _on(text, runtime="none").kernels
    assert kernel.kernel.cost.macs == out * out * 8 * 8 * 9
    assert _floor(kernel) == pytest.approx(2 * kernel.kernel.cost.macs * met**2 / FP32)


def test_what_a_transposed_convolution_crops_may_be_left_out() -> None:
    # Inputs 0 .. 3 with taps -1, 0, 1 fall on -1 .. 4, of which 0 .. 3 are kept: 10 of 12 an axis.
    text = """g (float[1,8,4,4] x) => (float[1,16,4,4] y) <float[8,16,3,3] w> {
        y = ConvTranspose<pads=[1,1,1,1]>(x, w)
    }"""
    (kernel,) = _on(text, runtime="none").kernels
    macs = 16 * 8 * 16 * 9
    assert kernel.kernel.cost.macs == macs
    assert _floor(kernel) == pytest.approx(2 * macs * (10 / 12) ** 2 / FP32)
    (cuda,) = _on(text).kernels  # a gradient's algorithms: Winograd's is among them
    assert _floor(cuda) == pytest.approx(2 * macs * (10 / 12) ** 2 / (4 * TF32))


def test_channels_may_come_last() -> None:
    text = """g (uint8[1,8,4,4] x) => (uint8[1,16,4,4] y)
        <float s = {0.5}, uint8 z = {1}, uint8[16,8,3,3] w> {
        y = QLinearConv<pads=[1,1,1,1]>(x, s, z, w, s, z, s, z)
    }"""
    xeon = PROFILES["xeon-8480plus"]
    (kernel,) = (one for one in _on(text, xeon).kernels if one.kernel.cost.macs)
    assert kernel.kernel.op == "com.microsoft::QLinearConv"
    peak = contraction_peak("uint8", xeon, {})
    assert peak is not None
    assert _floor(kernel) == pytest.approx(2 * 16 * 16 * 8 * 9 * (10 / 12) ** 2 / peak.hard)


def test_a_convolution_whose_window_is_not_known_has_no_floor() -> None:
    (kernel,) = _on(_convolution("", "1,8,9,9", "8,8,3,3", "1,8,7,7"), runtime="none").kernels
    unseen = replace(kernel.kernel, view=None)
    found = predict([unseen], A100, HOST.runtimes["none"], 0)
    assert found.latency_s is not None
    assert found.latency_s.floor == 0


@pytest.mark.parametrize(("device", "rate"), [("xeon-8480plus", "int8"), ("rpi5", "fp32")])
def test_weights_of_four_bits_may_be_multiplied_as_bytes(device: str, rate: str) -> None:
    profile = PROFILES[device]
    contraction = Contraction(m=64, n=64, k=64, dtype="float")
    cost = OpCost(contractions=(contraction,), kernel_class="nbits_gemm")
    kernel = Kernel(nodes=(0,), cost=cost, kernel_class="nbits_gemm", dtype="float")
    found = predict([kernel], profile, HOST.runtimes["onnxruntime-cpu"], 0)
    assert found.latency_s is not None
    hard = max(peak.hard for (_, dtype), peak in profile.peaks.items() if dtype == rate)
    fastest = hard if rate == "int8" else 4 * hard
    assert found.latency_s.floor == pytest.approx(2 * 64**3 / fastest)


# -- vector work and ports --------------------------------------------------------------------------


def test_vector_work_has_a_floor_by_its_counted_operations() -> None:
    # Gelu: 5 operations and an erf per element; at most three a slot of the FMA rate.
    (kernel,) = _on("g (float[1024,1024] x) => (float[1024,1024] y) { y = Gelu(x) }").kernels
    assert _floor(kernel) == pytest.approx(kernel.kernel.cost.vector_ops / (3 * FP32))
    assert kernel.kernel.cost.vector_ops > 0


@pytest.mark.parametrize(
    "text",
    [
        "g (int32[64,64] x) => (int32[64,64] y) { y = Add(x, x) }",  # integers pack more lanes
        """g (float[1,8,9,9] x) => (float[1,8,9,9] y) {
            y = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x)
        }""",
        "g (float[64,64] x) => (uint8[64,64] y) <float s = {0.5}> { y = QuantizeLinear(x, s) }",
        "g (float[64,64] x) => (float[64,64] y) { y = Exp(x) }",  # transcendentals count 0
    ],
)
def test_operations_that_a_kernel_may_spare_raise_no_floor(text: str) -> None:
    (kernel,) = _on(text).kernels
    assert _floor(kernel) == 0


def _with_ports(bytes_per_s: float) -> DeviceProfile:
    nearest = MemoryLevel(level="l1", capacity_bytes=32768, hard_bandwidth=bytes_per_s)
    return replace(CPU, memory=(nearest, CPU.dram))


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("g (float[1024] x, float[1024] z) => (float[1024] y) { y = Add(x, z) }", 3 * 4096),
        ("g (float[1024] x) => (float[1024] y) <float[1024] w> { y = Add(x, w) }", 2 * 4096),
        ("g (float[32,32] x) => (float[32,32] y) { y = Transpose(x) }", 2 * 4096),
        ("g (float[1024] x) => (float[1024] y) { y = Sigmoid(x) }", 2 * 4096),
        ("g (float[32,32] x) => (float[32,1] y) { y = ReduceMax<keepdims=1>(x) }", None),
    ],
)
def test_activations_pass_the_ports_of_a_cpu(text: str, moved: int | None) -> None:
    (kernel,) = _on(text, _with_ports(1e6), opset=17).kernels
    cost = kernel.kernel.cost
    expected = cost.bytes_read + cost.bytes_written if moved is None else moved
    assert _floor(kernel) == pytest.approx(expected / 1e6)


def test_the_nearest_cache_of_a_gpu_is_no_gate() -> None:
    nearest = MemoryLevel(level="l1", capacity_bytes=2**20, hard_bandwidth=1.0)
    profile = replace(A100, memory=(nearest, *A100.memory))
    (kernel,) = _on("g (float[64] x) => (float[64] y) { y = Exp(x) }", profile).kernels
    assert _floor(kernel) == 0


def test_a_kernels_resources_overlap_and_kernels_follow_each_other() -> None:
    text = """g (float[512,512] x) => (float[512,512] y) <float[512,512] w> {
        t = MatMul(x, w)
        y = Softmax(t)
    }"""
    found = _on(text, _with_ports(1e9))
    product, softmax = (_floor(one) for one in found.kernels)
    assert softmax == pytest.approx(2 * 4 * 512 * 512 / 1e9)
    assert _latency(found).floor == pytest.approx(product + softmax)


def test_an_estimated_kernel_has_no_floor() -> None:
    cost = OpCost(vector_ops=10**9, kernel_class="elementwise")
    kernel = Kernel(nodes=(0,), cost=cost, kernel_class="elementwise", dtype="float", certain=False)
    found = predict([kernel], A100, HOST.runtimes["none"], 0)
    assert found.latency_s is not None
    assert found.latency_s.floor == 0


def test_what_a_plugin_guesses_is_not_certain() -> None:
    view = NodeView(index=0, name="", domain="acme", op_type="Odd", opset=1)
    guess = NodeCost(node=view, status=NodeStatus.ESTIMATED, cost=OpCost(vector_ops=1))
    assert certain_nodes([guess]) == frozenset()
    assert certain_nodes([replace(guess, status=NodeStatus.EXACT)]) == {0}


def test_the_host_knows_its_ports_where_its_family_does() -> None:
    host = detect_host(1)
    nearest = host.memory[0]
    if nearest.hard_bandwidth is not None:
        # A port moves at most a register of 64 bytes, two in and one out, at 6 GHz.
        assert 1e10 < nearest.hard_bandwidth <= 192 * 6.3e9


# -- byte floor ------------------------------------------------------------------------------------


def test_the_byte_floor_is_what_must_cross_beyond_the_caches() -> None:
    # 1 GiB of weights and 2 x 64 KiB at the ends, less 40 MiB of L2, at 2039 GB/s.
    text = "g (float[1,16384] x) => (float[1,16384] y) <float[16384,16384] w> { y = MatMul(x, w) }"
    crossing = 4 * 16384**2 + 2 * 4 * 16384 - 40 * 2**20
    assert _latency(_on(text)).floor == pytest.approx(crossing / 2.039e12)


def test_a_shared_weight_crosses_once() -> None:
    text = """g (float[1,16384] x) => (float[1,16384] y) <float[16384,16384] w> {
        t = MatMul(x, w)
        y = MatMul(t, w)
    }"""
    crossing = 4 * 16384**2 + 2 * 4 * 16384 - 40 * 2**20
    assert _latency(_on(text)).floor == pytest.approx(crossing / 2.039e12)


def test_a_lookup_crosses_only_the_rows_that_it_takes() -> None:
    text = """g (int64[4] i) => (float[4,4096] y) <float[1000000,4096] w> { y = Gather(w, i) }"""
    assert _latency(_on(text)).floor == 0  # 64 KiB, which the caches hold


def test_an_input_crosses_only_as_far_as_it_is_read() -> None:
    # 16 GB are fed, 64 KiB of them are looked up; and an input that nobody reads never crosses.
    text = """g (float[1000000,4096] x, int64[4] i, float[1000000,4096] unused)
        => (float[4,4096] y) { y = Gather(x, i) }"""
    assert _latency(_on(text)).floor == 0


def test_an_input_crosses_through_a_view() -> None:
    text = """g (float[65536,4096] x) => (float[1024,262144] y) <int64[2] s = {1024, 262144}> {
        t = Reshape(x, s)
        y = Relu(t)
    }"""
    crossing = 2 * 4 * 65536 * 4096 - 40 * 2**20
    assert _latency(_on(text)).floor == pytest.approx(crossing / 2.039e12)


# -- what depends on data ---------------------------------------------------------------------------


def test_a_node_at_its_maximum_does_not_raise_the_floor() -> None:
    text = """g (float[4096,64] x, bool[4096] c) => (float[4096,64] y, float[n,4096] z)
        <float[64,64] w, float[64,4096] v> {
        y = MatMul(x, w)
        t = Compress<axis: int = 0>(x, c)
        z = MatMul(t, v)
    }"""
    found = _on(text)
    certain = {one.kernel.nodes[0]: one.kernel.certain for one in found.kernels}
    assert certain == {0: True, 1: False, 2: False}
    assert _latency(found).floor == pytest.approx(2 * 4096 * 64 * 64 / (156e12 * 1.1))


def test_a_branch_that_may_not_be_taken_raises_no_floor() -> None:
    text = """g (bool c, float[2048,2048] x) => (float[2048,2048] y) <float[2048,2048] w> {
        y = If (c) <
            then_branch = big () => (float[2048,2048] a) { a = MatMul(x, w) },
            else_branch = small () => (float[2048,2048] b) { b = Relu(x) }
        >
    }"""
    found = _on(text)
    (kernel,) = [one for one in found.kernels if one.kernel.cost.macs]
    assert kernel.time_s is not None
    assert kernel.time_s.floor == 0
    assert kernel.time_s.expected > 0
    work = 2 * 2048**3 / (156e12 * 1.1)
    assert _latency(found).floor < work


def test_a_loop_of_known_trips_raises_the_floor_by_each() -> None:
    text = """g (float[512,512] x) => (float[512,512] y)
        <int64 n = {{{0}}}, bool t = {{1}}, float[512,512] w> {{
        y = Loop (n, t, x) <body = step (int64 i, bool go, float[512,512] h)
            => (bool on, float[512,512] k) {{
            on = Identity(go)
            k = MatMul(h, w)
        }}>
    }}"""
    one, ten = (_latency(_on(text.format(trips))).floor for trips in (1, 10))
    assert one == pytest.approx(2 * 512**3 / (156e12 * 1.1))
    assert ten == pytest.approx(10 * one)
