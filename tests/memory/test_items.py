"""The memory of a model on a runtime, item by item, derived by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from mlsys_lint.analysis import analyse
from mlsys_lint.fusion import program_of
from mlsys_lint.loading import prepare
from mlsys_lint.memory import memory_of
from mlsys_lint.pipeline import CheckOptions, report
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.program import Program, listed_order
from mlsys_lint.records import (
    Activations,
    Contraction,
    DeviceReport,
    Interval,
    Kernel,
    OpCost,
    Runtime,
    TensorInfo,
)
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text

KIB = 1024
HOST = PluginHost(third_party=False)
EMPTY = Program()


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
        "freed_while_loading": 0,
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
@pytest.mark.parametrize(
    "text",
    [
        CHAIN,
        "g (float[256] x) => (float[256] y) { y = Sin(x) }",
        "g (float[256] x) => (float[256] y) { a = Sin(x) y = Add(a, x) }",
    ],
)
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


TOY = Runtime(
    name="toy",
    rewrite=lambda _: None,
    order=listed_order,
    in_place={},
    base_bytes=(1000, 2000, 3000),
    kernel_bytes=(1, 10, 100),
    load_remainder={("", "MatMul"): (0.0, 0.5, 2.0)},
    activation_slack=(1.0, 1.5, 2.0),
)


def _kernel(*, workspace: int = 0, certain: bool = True) -> Kernel:
    return Kernel(
        nodes=(0,),
        cost=OpCost(
            contractions=(Contraction(m=5, n=5, k=5, dtype="float"),),
            bytes_read=500,
            weight_bytes=400,
            bytes_written=50,
            workspace_bytes=workspace,
        ),
        kernel_class="gemm",
        dtype="float",
        weights=(("w", 400),),
        certain=certain,
    )


def _program(body: str, weights: str) -> Program:
    text = f"g (float[1,10] x) => (float[1,10] y) <{weights}> {{ {body} }}"
    analysis = analyse(prepare(model_from_text(text), Path("text.onnx")), HOST, Bindings())
    return program_of(analysis.graph, opset=17)


PEAK = Activations(nbytes=50, node=0, least_nbytes=50)
FED = TensorInfo(name="t", dtype="float", shape=(10,))


def test_a_runtime_adds_what_loading_leaves_slack_and_its_own_memory() -> None:
    # 400 bytes for MatMul, 40 for Add; two kernels.
    program = _program("a = MatMul(x, w) y = Add(a, b)", "float[10,10] w, float[10] b")
    memory, items = memory_of(program, [_kernel(workspace=7)], [FED], PEAK, TOY)
    assert dict(items) == {
        "weights": 440,
        "freed_while_loading": 200,
        "graph_inputs": 40,
        "peak_activations": 50,
        "workspace": 7,
        "allocator_slack": 25,
        "runtime": 2020,
    }
    assert memory == Interval(
        floor=400 + (500 - 400) + 50,
        low=440 + 0 + 40 + 50 + 0 + 1002,
        expected=2782,
        high=440 + 800 + 40 + 50 + 7 + 50 + 3200,
    )


def test_a_weight_counts_once_whoever_reads_it() -> None:
    program = _program("a = MatMul(x, w) y = MatMul(a, w)", "float[10,10] w")
    _, items = memory_of(program, [], [], PEAK, TOY)
    assert items["weights"] == 400


def test_weights_of_bodies_are_there_whether_they_run_or_not() -> None:
    text = """g (bool c, float[1,10] x) => (float[1,10] y) <float[10,10] w, float[10,10] v> {
        y = If (c) <
            then_branch = one () => (float[1,10] r) { r = MatMul(x, w) },
            else_branch = two () => (float[1,10] s) { s = MatMul(x, v) }
        >
    }"""
    analysis = analyse(prepare(model_from_text(text), Path("text.onnx")), HOST, Bindings())
    program = program_of(analysis.graph, opset=17)
    assert memory_of(program, [], [], PEAK, TOY)[1]["weights"] == 800


def test_large_blocks_are_given_back_when_they_are_freed() -> None:
    # 64 MiB of float[4096,4096]: above what the allocator keeps.
    text = "g (float[1,4096] x) => (float[1,4096] y) <float[4096,4096] w> { y = MatMul(x, w) }"
    analysis = analyse(prepare(model_from_text(text), Path("text.onnx")), HOST, Bindings())
    program = program_of(analysis.graph, opset=17)
    assert memory_of(program, [], [], PEAK, TOY)[1]["freed_while_loading"] == 0


def test_the_floor_takes_of_a_table_what_is_read() -> None:
    # 2 rows of 1,000: stored in a file of its own, the others need not be loaded.
    text = """g (int64[2] i) => (float[2,256] y) <float[1000,256] w> {
        a = Gather(w, i)
        y = Sin(a)
    }"""
    found = _device(text, "tpu-v4")
    assert found.memory_items["weights"] == 1000 * KIB
    assert found.memory_bytes is not None
    # Rows, and the larger of what one kernel reads besides and writes.
    assert found.memory_bytes.floor == 2 * KIB + 2 * KIB


def test_the_floor_lets_element_wise_kernels_work_in_place() -> None:
    # 4 MiB either way: Relu writes over what it reads.
    text = """g (float[1,1] x) => (float[1,1] y) <int64[2] s = {1024, 1024}> {
        a = Expand(x, s)
        b = Relu(a)
        y = ReduceMax(b)
    }"""
    found = _device(text, "tpu-v4")
    assert found.memory_bytes is not None
    assert found.memory_bytes.floor == 4 * 2**20


def test_a_kernel_of_uncertain_size_raises_no_floor() -> None:
    memory, _ = memory_of(EMPTY, [_kernel(certain=False)], [], PEAK, TOY)
    assert memory is not None
    assert memory.floor == 400


def test_memory_is_open_when_a_peak_or_an_input_is() -> None:
    assert memory_of(EMPTY, [], [], None, TOY) == (None, {})
    fed = TensorInfo(name="t", dtype="float", shape=(3,), kind="sequence")
    assert memory_of(EMPTY, [], [fed], PEAK, TOY) == (None, {})


CHILD = """
import sys
import numpy as np

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

before = resident()
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
for _ in range(4):
    session.run(None, {"x": np.ones((256, 4096), np.float32)})
print(resident() - before)
"""


@pytest.mark.ort
@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="resident memory by Linux's /proc"
)
def test_a_process_holds_what_is_expected(tmp_path: Path) -> None:
    # 2 x 64 MiB of weights, three activations of 4 MiB.
    pytest.importorskip("onnxruntime")
    text = """g (float[256,4096] x) => (float[256,4096] y) <float[4096,4096] w, float[4096,4096] v> {
        a = MatMul(x, w) b = Sin(a) y = MatMul(b, v)
    }"""
    model = model_from_text(text, 17)
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        values = rng.standard_normal(tuple(tensor.dims), dtype=np.float32)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, tmp_path / "model.onnx")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "model.onnx")],
        check=True,
        capture_output=True,
        text=True,
    )
    memory = _device(text, "i7-12700k").memory_bytes
    assert memory is not None
    assert memory.floor >= 2 * 2**26
    assert memory.floor <= int(done.stdout)
    assert memory.expected == pytest.approx(int(done.stdout), rel=0.15)
