"""Times of kernels and models: floors and sums by hand, order and scaling on random models."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlsys_lint.analysis import analyse
from mlsys_lint.loading import prepare
from mlsys_lint.pipeline import CheckOptions, report
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.prediction import Prediction, predict
from mlsys_lint.records import DeviceProfile, DeviceReport, Interval, NodeStatus, Peak
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import check_text, model_from_text

HOST = PluginHost(third_party=False)
PROFILES = {name: entry.load() for name, entry in HOST.devices.items()}
A100, CPU = PROFILES["nv-a100-sxm4-80"], PROFILES["i7-12700k"]
FP32_DEVICES = ["nv-a100-sxm4-80", "nv-v100-sxm2-32", "i7-12700k", "rpi5", "amd-mi300x"]

PRODUCT = "g (float[1024,1024] x) => (float[1024,1024] y) <float[1024,1024] w> { y = MatMul(x, w) }"


def _on(
    text: str, device: str = "nv-a100-sxm4-80", runtime: str | None = None, opset: int = 23
) -> DeviceReport:
    model = prepare(model_from_text(text, opset), Path("text.onnx"))
    options = CheckOptions(devices=[PROFILES[device]], runtime=runtime)
    return report(analyse(model, HOST, Bindings()), HOST, options).devices[0]


def _latency(found: DeviceReport | Prediction) -> Interval:
    assert found.latency_s is not None
    return found.latency_s


# -- expected --------------------------------------------------------------------------------------


def test_an_expected_time_by_hand() -> None:
    # 256 tiles of 64 x 64 fill 3 waves of 108 SMs to 0.7901, no other tile more (128 x 128: 64 of 108).
    # Tc = 2 x 1024^3 / (0.65 x 0.7901 x 156e12) = 26.80 us; Tm = 12 MiB from L2 at 0.84 x 5.4e12 =
    # 2.774 us; 2.4 us to start; (26.80^4 + 2.774^4)^(1/4) = 26.80 us.
    (kernel,) = _on(PRODUCT).kernels
    assert kernel.time_s is not None
    assert kernel.time_s.expected == pytest.approx(29.20e-6, rel=1e-3)
    assert kernel.bound == "matrix"


def test_many_tiny_kernels_take_the_hosts_time() -> None:
    # 50 kernels of 2.4 us each on the device, 5 us each on the host, which queues them.
    lines = "\n".join(f"t{i + 1} = Sin(t{i})" for i in range(50))
    found = _on(f"g (float[8] t0) => (float[8] t50) {{ {lines} }}")
    assert len(found.kernels) == 50
    assert _latency(found).expected == pytest.approx(50 * 5e-6)
    assert found.bound_time_s["overhead"] == pytest.approx(50 * 5e-6)


def test_a_few_long_kernels_hide_the_hosts_time() -> None:
    found = _on(PRODUCT)
    (kernel,) = found.kernels
    assert kernel.time_s is not None
    assert _latency(found).expected == kernel.time_s.expected


def test_on_a_cpu_nothing_is_queued_and_a_run_has_a_fixed_cost() -> None:
    found = _on("g (float[8] x) => (float[8] y) { y = Sin(x) }", "i7-12700k")
    (kernel,) = found.kernels
    assert kernel.time_s is not None
    assert kernel.time_s.expected == pytest.approx(0.18e-6, rel=0.02)  # one dispatch
    assert _latency(found).expected == pytest.approx(kernel.time_s.expected + 1.7e-6)


@pytest.mark.parametrize("device", FP32_DEVICES)
def test_twice_the_kernels_take_twice_the_time(device: str) -> None:
    text = """g (float[512,512] x) => (float[512,512] y) <float[512,512] w> {
        t = MatMul(x, w)
        y = Relu(t)
    }"""
    profile = PROFILES[device]
    runtime = HOST.runtimes[profile.runtime]
    run = profile.launch_s.get("run")
    fixed = run.value if run else 0.0
    kernels = [one.kernel for one in _on(text, device).kernels]
    single, double = (
        _latency(predict(kernels * times, profile, runtime, 0)).expected for times in (1, 2)
    )
    assert double - fixed == pytest.approx(2 * (single - fixed))


def test_blocked_convolutions_skip_padding() -> None:
    # Dilation 8 on 9 x 9 with padding 8: of three taps on nine positions 1, 9 and 1 meet data an axis.
    text = """g (float[16,64,9,9] x) => (float[16,64,9,9] y) <float[64,64,3,3] w> {{
        y = Conv<pads=[{0},{0},{0},{0}], dilations=[{0},{0}]>(x, w)
    }}"""
    padded, dense = (
        next(one for one in _on(text.format(pad), "i7-12700k").kernels if one.kernel.cost.macs)
        for pad in (8, 1)
    )
    assert padded.kernel.op == "com.microsoft.nchwc::Conv"
    assert padded.time_s is not None
    assert dense.time_s is not None
    launch = CPU.launch_s["dispatch"].value
    ratio = (padded.time_s.expected - launch) / (dense.time_s.expected - launch)
    assert ratio < 0.5  # (11 / 27)^2 = 0.17 of the products against (25 / 27)^2, and the same bytes
    assert padded.time_s.high == dense.time_s.high


# -- properties ------------------------------------------------------------------------------------

_SIZES = st.sampled_from([1, 3, 16, 100, 512, 2048])


@st.composite
def _chains(draw: st.DrawFn) -> str:
    """A chain of products, activations and convolutions, all in fp32."""
    if draw(st.booleans()):
        rows, width = draw(_SIZES), draw(_SIZES)
        first, weights, lines = f"float[{rows},{width}]", [], []
        for at in range(draw(st.integers(1, 5))):
            if draw(st.booleans()):
                wider = draw(_SIZES)
                weights.append(f"float[{width},{wider}] w{at}")
                lines.append(f"t{at + 1} = MatMul(t{at}, w{at})")
                width = wider
            else:
                lines.append(f"t{at + 1} = {draw(st.sampled_from(['Relu', 'Exp']))}(t{at})")
        last = f"float[{rows},{width}]"
    else:
        channels, side = draw(st.sampled_from([1, 8, 64])), draw(st.sampled_from([4, 28]))
        first, weights, lines = f"float[2,{channels},{side},{side}]", [], []
        for at in range(draw(st.integers(1, 4))):
            wider, size = draw(st.sampled_from([1, 8, 64])), draw(st.sampled_from([1, 3]))
            weights.append(f"float[{wider},{channels},{size},{size}] w{at}")
            pad = size // 2
            pads = f"<pads: ints = [{pad},{pad},{pad},{pad}]>"
            lines.append(f"t{at + 1} = Conv{pads}(t{at}, w{at})")
            channels = wider
        last = f"float[2,{channels},{side},{side}]"
    declared = f"<{', '.join(weights)}>" if weights else ""
    body = "\n".join(lines)
    return f"g ({first} t0) => ({last} t{len(lines)}) {declared} {{ {body} }}"


def _check_order(one: Interval) -> None:
    assert 0 <= one.floor <= one.low <= one.expected <= one.high


@settings(max_examples=60, deadline=None)
@given(text=_chains(), device=st.sampled_from(FP32_DEVICES))
def test_intervals_are_ordered_and_times_add_up(text: str, device: str) -> None:
    found = _on(text, device)
    _check_order(_latency(found))
    for kernel in found.kernels:
        assert kernel.time_s is not None
        _check_order(kernel.time_s)
    assert sum(found.bound_time_s.values()) == pytest.approx(_latency(found).expected)


@settings(max_examples=40, deadline=None)
@given(text=_chains(), device=st.sampled_from(FP32_DEVICES))
def test_kernels_do_the_work_of_the_executed_nodes(text: str, device: str) -> None:
    found = check_text(text, device=device)
    (on,) = found.devices
    executed = {index for one in on.kernels for index in one.kernel.nodes}
    flops = sum(
        one.cost.flops * one.node.repeat
        for one in found.nodes
        if one.cost is not None and one.node.index in executed
    )
    assert sum(one.kernel.cost.flops * one.kernel.repeat for one in on.kernels) == flops
    if len(executed) == len(found.nodes):
        assert flops == found.totals.flops


def _twice(profile: DeviceProfile, factor: float = 2) -> DeviceProfile:
    """The same device with all rates scaled and no overheads."""

    def peak(one: Peak) -> Peak:
        dense = replace(
            one.dense,
            value=one.dense.value * factor,
            low=one.dense.low * factor,
            high=one.dense.high * factor,
        )
        return replace(one, dense=dense, hard=one.hard * factor)

    levels = []
    for level in profile.memory:
        bandwidth, hard = level.bandwidth, level.hard_bandwidth
        if bandwidth is not None and hard is not None:
            bandwidth = replace(
                bandwidth,
                value=bandwidth.value * factor,
                low=bandwidth.low * factor,
                high=bandwidth.high * factor,
            )
            hard *= factor
        levels.append(replace(level, bandwidth=bandwidth, hard_bandwidth=hard))
    return replace(
        profile,
        peaks={key: peak(one) for key, one in profile.peaks.items()},
        memory=tuple(levels),
        launch_s={},
    )


@settings(max_examples=40, deadline=None)
@given(text=_chains(), device=st.sampled_from(FP32_DEVICES))
def test_twice_the_rates_take_half_the_time(text: str, device: str) -> None:
    found = _on(text, device)
    kernels = [one.kernel for one in found.kernels]
    runtime = HOST.runtimes[PROFILES[device].runtime]
    slow, fast = (
        _latency(predict(kernels, _twice(PROFILES[device], factor), runtime, 10**9))
        for factor in (1, 2)
    )
    for name in ("floor", "low", "expected", "high"):
        assert getattr(fast, name) == pytest.approx(getattr(slow, name) / 2)


@settings(max_examples=20, deadline=None)
@given(text=_chains())
def test_a_faster_device_is_never_slower(text: str) -> None:
    kernels = [one.kernel for one in _on(text).kernels]
    runtime = HOST.runtimes["onnxruntime-cuda"]
    times = [_latency(predict(kernels, _twice(A100, factor), runtime, 0)) for factor in (1, 1.5, 4)]
    for slower, faster in pairwise(times):
        assert faster.expected <= slower.expected
        assert faster.floor <= slower.floor


def test_a_model_without_kernels_takes_the_fixed_cost_of_a_run() -> None:
    runtime = HOST.runtimes["onnxruntime-cpu"]
    latency = _latency(predict([], CPU, runtime, 0))
    assert latency.floor == 0
    assert latency.expected == pytest.approx(1.7e-6)
    assert _latency(predict([], A100, HOST.runtimes["onnxruntime-cuda"], 0)).expected == 0


# -- figures of the model ---------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(batch=st.integers(1, 64), wide=_SIZES)
def test_macs_and_flops_are_linear_in_a_symbolic_batch(batch: int, wide: int) -> None:
    text = f"""g (float[N,16] x, float[N,4,8,8] i) => (float[N,{wide}] y, float[N,6,8,8] j)
        <float[16,{wide}] w, float[{wide}] b, float[6,4,3,3] k> {{
        t = Gemm(x, w, b)
        y = Relu(t)
        j = Conv<pads: ints = [1,1,1,1]>(i, k)
    }}"""
    one = check_text(text, dims={"N": 1}).totals
    many = check_text(text, dims={"N": batch}).totals
    assert many.macs == batch * one.macs
    assert many.flops == batch * one.flops
    assert many.vector_ops == batch * one.vector_ops
    assert many.weight_bytes == one.weight_bytes
    assert one.macs == 16 * wide + 64 * 6 * 4 * 9


_NODES = (
    ("a", "MatMul", ("x", "w")),
    ("b", "Relu", ("a",)),
    ("c", "MatMul", ("x", "v")),
    ("d", "Sigmoid", ("c",)),
    ("e", "Add", ("b", "d")),
    ("f", "Softmax", ("e",)),
)


def _written(order: Sequence[int], prefix: str = "") -> str:
    lines = []
    for at in order:
        output, operator, inputs = _NODES[at]
        names = ", ".join(f"{prefix}{name}" for name in inputs)
        lines.append(f"{prefix}{output} = {operator}({names})")
    body = "\n".join(lines)
    return f"""g (float[64,128] {prefix}x) => (float[64,32] {prefix}f)
        <float[128,32] {prefix}w, float[128,32] {prefix}v> {{ {body} }}"""


def _figures(text: str, device: str) -> object:
    found = check_text(text, device=device)
    (on,) = found.devices
    totals = replace(found.totals, peak_node=None, peak_activation_bytes=None)
    by_op = sorted((one.node.op_type, one.status, one.cost) for one in found.nodes if one.cost)
    latency = [round(1e15 * value) for value in _ends(_latency(on))]
    return totals, [str(one) for one in by_op], latency, found.model.parameters


def _ends(one: Interval) -> list[float]:
    return [one.floor, one.low, one.expected, one.high]


@pytest.mark.parametrize("device", ["nv-a100-sxm4-80", "i7-12700k"])
def test_renaming_changes_no_figure(device: str) -> None:
    order = range(len(_NODES))
    assert _figures(_written(order), device) == _figures(_written(order, "layer_7_"), device)


@pytest.mark.parametrize("seed", range(8))
def test_permuting_nodes_changes_no_figure(seed: int) -> None:
    # One of the orders in which every node comes after those that it reads.
    rng = random.Random(seed)
    left, done, order = list(range(len(_NODES))), {"x", "w", "v"}, []
    while left:
        ready = [at for at in left if set(_NODES[at][2]) <= done]
        pick = rng.choice(ready)
        left.remove(pick)
        done.add(_NODES[pick][0])
        order.append(pick)
    reference = _figures(_written(range(len(_NODES))), "nv-a100-sxm4-80")
    assert _figures(_written(order), "nv-a100-sxm4-80") == reference


def test_everything_here_is_counted_exactly() -> None:
    found = check_text(_written(range(len(_NODES))))
    assert {one.status for one in found.nodes} == {NodeStatus.EXACT}
