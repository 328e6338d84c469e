"""The same model in other number formats, derived by hand.

y = x W + b with x [8,64], W [64,32], b [32]: 2,048 weights and 32 biases; x has 512 elements, y 256.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mlsys_lint.analysis import analyse
from mlsys_lint.devices import find_device
from mlsys_lint.loading import prepare
from mlsys_lint.pipeline import CheckOptions, report
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import ModelReport
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text

HOST = PluginHost(third_party=False)
LINEAR = "g (float[8,64] x) => (float[8,32] y) <float[64,32] w, float[32] b> { y = Gemm(x, w, b) }"


def _report(text: str, precision: str) -> ModelReport:
    model = prepare(model_from_text(text, 17), Path("model.onnx"))
    analysis = analyse(model, HOST, Bindings(), precision)
    device = find_device("nv-a100-sxm4-80", HOST.devices)
    return report(analysis, HOST, CheckOptions(devices=[device], precision=precision))


@pytest.mark.parametrize(
    ("precision", "weights", "inputs", "outputs", "contraction"),
    [
        ("as-is", 4 * 2080, 4 * 512, 4 * 256, "float"),
        ("fp32", 4 * 2080, 4 * 512, 4 * 256, "float"),
        ("fp16", 2 * 2080, 2 * 512, 2 * 256, "float16"),
        ("bf16", 2 * 2080, 2 * 512, 2 * 256, "bfloat16"),
        # the bias, no weight of a contraction, stays as it is stored
        ("int8", 2048 + 4 * 32, 512, 256, "int8"),
        # 64 blocks of 32 weights: 16 bytes of weights and a 2-byte scale each; the rest is fp16
        ("int4", 64 * 18 + 2 * 32, 2 * 512, 2 * 256, "float16"),
    ],
)
def test_bytes_of_a_linear_layer(
    precision: str, weights: int, inputs: int, outputs: int, contraction: str
) -> None:
    found = _report(LINEAR, precision)
    (node,) = found.nodes
    assert node.cost is not None
    assert found.model.parameters == 2080
    assert found.model.parameter_bytes == weights
    assert node.cost.weight_bytes == weights
    assert node.cost.bytes_read == weights + inputs
    assert node.cost.bytes_written == outputs
    assert found.totals.peak_activation_bytes == outputs
    assert [one.dtype for one in node.cost.contractions] == [contraction]
    assert found.devices[0].precision == precision


@pytest.mark.parametrize("precision", ["fp16", "int8", "int4"])
def test_work_does_not_change(precision: str) -> None:
    assert _report(LINEAR, precision).totals.flops == _report(LINEAR, "as-is").totals.flops


def test_the_report_states_what_was_assumed() -> None:
    assert any("blocks of 32" in one for one in _report(LINEAR, "int4").assumptions)
    assert _report(LINEAR, "as-is").assumptions == ()


def test_a_transposed_weight_is_a_weight() -> None:
    body = "t = Transpose<perm = [1, 0]>(w) y = MatMul(x, t)"
    text = f"g (float[8,64] x) => (float[8,32] y) <float[32,64] w> {{ {body} }}"
    assert _report(text, "int4").model.parameter_bytes == 64 * 18


def test_a_table_of_embeddings_is_no_weight_of_a_contraction() -> None:
    text = "g (int64[4] i) => (float[4,32] y) <float[100,32] t> { y = Gather(t, i) }"
    assert _report(text, "int4").model.parameter_bytes == 2 * 3200
    assert _report(text, "int8").model.parameter_bytes == 4 * 3200


def test_integers_keep_their_type() -> None:
    text = "g (int64[4] i) => (int64[4] y) <int64[4] w = {1, 2, 3, 4}> { y = Add(i, w) }"
    assert _report(text, "fp16").totals.bytes_read == _report(text, "as-is").totals.bytes_read


def test_kernels_are_fused_as_the_file_stands() -> None:
    body = "a = Gemm(x, w, b) y = Relu(a)"
    text = LINEAR.replace("y = Gemm(x, w, b)", body)
    kernels = [one.kernel.nodes for one in _report(text, "int8").devices[0].kernels]
    assert kernels == [one.kernel.nodes for one in _report(text, "as-is").devices[0].kernels]
