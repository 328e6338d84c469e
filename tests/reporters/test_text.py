from __future__ import annotations

from dataclasses import replace

import pytest

from mlsys_lint.linting import judge
from mlsys_lint.records import (
    BudgetVerdict,
    Contraction,
    DeviceReport,
    Dimension,
    Finding,
    Interval,
    KernelReport,
    ModelReport,
    NodeStatus,
    Severity,
)
from mlsys_lint_plugins.reporters.text import render
from report_values import device, exactly, kernel, model, node, report, tensor, totals

NODES = (
    node(0, "Conv", name="layer1/conv1"),
    node(1, "Relu"),
    node(2, "MaxPool"),
    node(3, "Gemm", name="fc"),
)
SPAN = Interval(floor=10e-3, low=18.1e-3, expected=19.6e-3, high=21.9e-3)


def _kernels() -> tuple[KernelReport, ...]:
    conv = kernel(
        0,
        1,
        kernel_class="conv",
        contractions=[Contraction(m=100, n=100, k=1000, dtype="float")],
        bytes_read=1_500_000,
        bytes_written=100_000,
        time_s=1e-3,
        bound="matrix",
        attainable=40e9,
    )
    pool = kernel(
        2, kernel_class="pool", bytes_read=4_000_000, bytes_written=1_000_000, time_s=2e-3
    )
    return conv, pool


def _resnet(
    *devices: DeviceReport,
    budgets: tuple[BudgetVerdict, ...] = (),
    findings: tuple[Finding, ...] = (),
    assumptions: tuple[str, ...] = (),
) -> ModelReport:
    made = report(
        NODES,
        *devices,
        info=model("resnet50.onnx", tensor("x", 1, 3, 224, 224), parameters=25_557_032),
        sums=totals(
            NODES,
            macs=4_089_184_256,
            flops=8_211_110_912,
            peak_activation_bytes=9_633_792,
            peak_node=0,
        ),
    )
    return replace(made, budgets=budgets, findings=findings, assumptions=assumptions)


def _line(text: str, beginning: str) -> str:
    lines = [" ".join(line.split()) for line in text.splitlines()]
    (line,) = [line for line in lines if line.startswith(beginning)]
    return line


def test_the_head_says_what_the_model_is_and_costs() -> None:
    text = render([_resnet()])
    # 25,557,032 fp32 parameters are 102,228,128 bytes.
    assert text.splitlines()[0] == (
        "resnet50.onnx   ai.onnx 17, 4 nodes, 25.6 M parameters (102.2 MB fp32)"
    )
    assert _line(text, "input") == "input x fp32[1,3,224,224]"
    assert _line(text, "work") == (
        "work 4.09 G MACs 8.21 G FLOPs 0 transcendentals every node counted exactly"
    )
    assert _line(text, "memory") == (
        "memory weights 102.2 MB peak activations 9.6 MB at #0 layer1/conv1"
    )
    assert "findings: none" in text


def test_assumed_dimensions_stand_by_the_input() -> None:
    dims = (
        Dimension(name="S", value=128, source="given"),
        Dimension(name="N", value=1, source="assumed"),
        Dimension(name="x:2", value=1, source="assumed"),
    )
    one = _resnet()
    text = render([replace(one, model=replace(one.model, dims=dims))])
    assert _line(text, "input").endswith("N=1, x:2=1 assumed, change with --dim N=...; S=128 given")


def test_many_inputs_are_counted_not_listed() -> None:
    inputs = tuple(tensor(f"past_{at}", 1, None) for at in range(30))
    one = _resnet()
    dims = (Dimension(name="N", value=1, source="assumed"),)
    text = render([replace(one, model=replace(one.model, inputs=inputs, dims=dims))])
    assert "past_3 fp32[1,?]" in text
    assert "past_4" not in text
    assert "and 26 more inputs" in text
    assert _line(text, "sizes") == "sizes N=1 assumed, change with --dim N=..."


def test_inputs_whose_types_or_sizes_are_open() -> None:
    inputs = (
        replace(tensor("bounded", 100, 4), bounded=frozenset({0})),
        replace(tensor("shapeless"), shape=None),
        replace(tensor("list", 3), kind="sequence"),
        replace(tensor("typeless", 3), dtype=None),
    )
    newer = (tensor("newer", 2, dtype="float128"),)
    one = _resnet()
    text = render([replace(one, model=replace(one.model, inputs=inputs))])
    assert "bounded fp32[<=100,4]" in text
    assert "shapeless fp32, shape unknown" in text
    assert "list sequence of fp32[3]" in text
    assert "typeless unknown type[3]" in text
    text = render([replace(one, model=replace(one.model, inputs=newer))])
    assert "newer float128[2]" in text


def test_every_operator_that_is_not_counted_is_named() -> None:
    nodes = (
        node(0, "MyFft", domain="acme", status=NodeStatus.UNSUPPORTED),
        node(1, "MyFft", domain="acme", status=NodeStatus.UNSUPPORTED),
        node(2, "TopK", status=NodeStatus.DECLINED),
        node(3, "Bad", domain="acme", status=NodeStatus.FAILED),
        node(4),
    )
    text = " ".join(render([report(nodes)]).split())
    assert "at least: 4 of 5 nodes not counted" in text
    assert "acme::MyFft x2 (no formula)" in text
    assert "TopK x1 (a size is missing)" in text
    assert "acme::Bad x1 (a plugin failed)" in text
    assert "exactly" not in text


def test_bounds_and_estimates_are_said() -> None:
    nodes = (node(0, "NonZero", status=NodeStatus.ESTIMATED), node(1))
    upper = render([report(nodes, sums=totals(nodes, is_upper_bound=True))])
    assert "at most: what depends on data counts at its maximum" in upper
    assert "1 of 2 nodes estimated" in render([report(nodes)])
    loop = render([report(nodes[1:], sums=replace(totals(nodes[1:]), is_lower_bound=True))])
    assert "at least: a loop of unknown length counts one trip" in loop


def test_an_unknown_peak_is_not_zero() -> None:
    text = render([report(NODES, sums=totals(NODES, peak_activation_bytes=None))])
    assert "peak activations unknown" in text


def test_the_device_line_has_time_interval_bound_memory_and_verdict() -> None:
    host = device(
        *_kernels(), id="host", threads=2, latency=SPAN, memory=exactly(112e6), calibrated=True
    )
    budgets = (judge("latency", 0.025, "s", "host", SPAN),)
    text = render([_resnet(host, budgets=budgets)])
    assert "budget 25 ms" in text
    # The pool takes 2 of 3 ms and is bound by memory.
    assert _line(text, "host, 2 threads") == (
        "host, 2 threads 19.6 ms 18.1 .. 21.9 memory 67 % 112.0 MB fits"
    )
    assert "not calibrated" not in text


def test_what_is_missing_from_a_device_is_said() -> None:
    rough = device(*_kernels(), id="rough", calibrated=False, lower_bound=True)
    full = replace(rough, memory_bytes=exactly(20e9), capacity_bytes=16 * 10**9, fits=False)
    text = render([_resnet(full)])
    line = _line(text, "rough >=")
    assert line == "rough >= 3.00 ms 3.00 .. 3.00 memory 67 % 20.0 GB not calibrated"
    assert "rough: does not fit into the memory of 16.0 GB" in text


def test_a_time_that_is_not_known_says_why() -> None:
    kernels = [
        replace(entry, time_s=None, placement=replace(entry.placement, dtype="bf16"))
        for entry in (kernel(at, time_s=None) for at in range(3))
    ]
    t4 = device(*kernels, id="t4")
    text = render([_resnet(t4)])
    assert _line(text, "t4 ") == "t4 unknown - - unknown"
    assert "t4: unknown: no bf16 peak for 3 kernels" in text
    assert "kernels by bytes on t4 (3 of 3 shown)" in text


def test_the_kernel_table() -> None:
    text = render([_resnet(device(*_kernels(), latency=exactly(4e-3)))])
    assert "kernels by time on toy (2 of 2 shown)" in text
    # 2*100*100*1000 = 20 MFLOP over 1.6 MB = 12.5 F/B; 20 MFLOP / 1 ms = 20 of 40 GFLOP/s.
    assert _line(text, "0-1 ") == (
        "0-1 layer1/conv1+relu conv 20.0 M 1.6 MB 12.5 F/B 1.00 ms 25 % 50 % matrix"
    )
    # No arithmetic: 5 MB / 2 ms = 2.5 of 10 GB/s. Slowest first.
    assert _line(text, "2 ") == "2 MaxPool pool 0 5.0 MB 0 F/B 2.00 ms 50 % 25 % memory"
    assert text.index("MaxPool") < text.index("layer1/conv1+relu")


def test_repeated_kernels_show_the_work_of_the_run() -> None:
    once = _kernels()[0]
    thrice = replace(once, kernel=replace(once.kernel, repeat=3))
    text = render([_resnet(device(thrice, latency=exactly(4e-3)))])
    # 3 x 20 MFLOP and 3 x 1.6 MB in 3 x 1 ms: still half of 40 GFLOP/s.
    assert _line(text, "0-1 ") == (
        "0-1 layer1/conv1+relu x3 conv 60.0 M 4.8 MB 12.5 F/B 3.00 ms 75 % 50 % matrix"
    )


@pytest.mark.parametrize(
    ("indexes", "shown"),
    [((5,), "5"), ((4, 5, 6), "4-6"), ((6, 4, 9), "4,6,9"), ((10, 11, 200, 300, 400), "10-11,+3")],
)
def test_positions_of_a_kernels_nodes(indexes: tuple[int, ...], shown: str) -> None:
    nodes = [node(at) for at in range(401)]
    text = render([report(nodes, device(kernel(*indexes, bytes_read=8)))])
    assert _line(text, f"{shown} ").startswith(f"{shown} Relu")
    assert ("Relu+relu+relu+2" in text) == (len(indexes) == 5)


def test_a_kernel_of_the_runtime_without_a_node() -> None:
    assert "elementwise" in render([report((), device(kernel(bytes_read=8)))])


def test_at_most_twelve_kernels() -> None:
    nodes = [node(at, name=f"n{at}_") for at in range(40)]
    kernels = [kernel(at, time_s=1e-3 * (at + 1)) for at in range(40)]
    text = render([report(nodes, device(*kernels))])
    assert "(12 of 40 shown)" in text
    assert "n39_" in text
    assert "n28_" in text
    assert "n27_" not in text


def test_several_devices_stand_side_by_side() -> None:
    slow = device(id="slow", latency=exactly(40e-3), memory=exactly(1e9), capacity_bytes=4 * 10**9)
    fast = device(id="fast", latency=exactly(10e-3), ridge=153.0)
    text = render([_resnet(slow, fast)])
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "slow 40.0 ms 1.00 x 25.0 - 10.0 F/B 1.0 GB 25 %" in lines
    assert "fast 10.0 ms 0.250 x 100 - 153 F/B unknown -" in lines


def _finding(
    saving_s: float | None = None,
    *,
    code: str = "MLS203",
    name: str = "channels-off-block",
    severity: Severity = Severity.WARNING,
    message: str = "100 channels",
    node: int | None = 3,
) -> Finding:
    return Finding(
        code=code,
        name=name,
        severity=severity,
        message=message,
        node=node,
        device="toy",
        saving_s=saving_s,
        help="choose 96",
    )


def test_findings_have_node_saving_and_each_advice_once() -> None:
    findings = (
        _finding(0.8e-3),
        _finding(),
        _finding(code="MLS501", severity=Severity.ERROR, node=None),
    )
    text = render([_resnet(device(latency=exactly(20e-3)), findings=findings)])
    assert "findings (1 error, 2 warnings)" in text
    # 0.8 of 20 ms.
    assert "#3 fc: 100 channels; saves 800 us (4.0 %)" in " ".join(text.split())
    assert text.count("choose 96") == 1


def test_of_several_devices_a_finding_names_its_own() -> None:
    text = render([_resnet(device(), device(id="other"), findings=(_finding(),))])
    assert "toy: #3 fc: 100 channels" in text


def test_long_lists_are_cut_and_counted() -> None:
    findings = tuple(_finding(message=f"message {at}.") for at in range(25))
    text = render([_resnet(findings=findings, assumptions=("a", "b", "c", "d", "e"))])
    assert "message 19." in text
    assert "message 20." not in text
    assert "and 5 more in --format json" in text
    assert "assumed: a; b; c; and 2 more in --format json" in text


def test_an_empty_model_looks_sane() -> None:
    text = render([report((), device(latency=exactly(0)))])
    assert "toy.onnx   ai.onnx 17, 0 nodes, no parameters" in text
    assert "there are no nodes" in text
    assert "kernels" not in text
    assert _line(text, "toy 0 s") == "toy 0 s 0 .. 0 - unknown"


def test_several_models_end_in_a_summary() -> None:
    rough = _resnet(device(latency=SPAN, lower_bound=True), findings=(_finding(),))
    text = render([rough, report()])
    assert "summary of 2 models" in text
    tail = text[text.index("summary") :]
    assert _line(tail, "resnet50.onnx") == "resnet50.onnx 25.6 M 4.09 G >= 19.6 ms toy 1 warning"
    assert _line(tail, "toy.onnx") == "toy.onnx 0 0 - - none"
    assert render([]) == ""


def test_hundred_columns_and_no_control_characters_whatever_the_names() -> None:
    wild = "blocks/" * 40 + "\x1b[31m\nred"
    nodes = [node(0, "Op" * 90, name=wild), node(1, "X" * 200, status=NodeStatus.UNSUPPORTED)]
    kernels = [
        kernel(0, 1, kernel_class="conv", vector_ops=10**14, bytes_read=10**12, time_s=1234.5),
        kernel(1, time_s=None, dtype="float8e4m3fnuz"),
    ]
    first = device(*kernels, id="d" * 60, threads=128, calibrated=False, memory=exactly(9.9e14))
    second = device(kernels[0], id="e" * 30, latency=SPAN, lower_bound=True)
    one = report(
        nodes,
        first,
        second,
        info=replace(
            model("p/" * 90 + "m.onnx", tensor("i" * 300, 1), parameters=10**12),
            opset_imports={"": 17, **{f"com.vendor{at}": at for at in range(20)}},
            dims=(Dimension(name="N" * 120, value=1, source="assumed"),),
        ),
    )
    budgets = tuple(
        judge(name, 1, unit, where, None)
        for name, unit in (("latency", "s"), ("memory", "bytes"))
        for where in (first.profile.id, second.profile.id)
    )
    findings = (_finding(node=0, message="w" * 300, name="n" * 30),)
    text = render([replace(one, budgets=budgets, findings=findings, assumptions=("a" * 250,))] * 2)
    assert max(map(len, text.splitlines())) <= 100
    assert all(char.isprintable() or char == "\n" for char in text)
    assert not any(line.endswith(" ") for line in text.splitlines())
