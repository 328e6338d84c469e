"""Other layouts: the same work as with channels second, whatever the order of the axes."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from onnx import numpy_helper

from mlsys_lint import NodeStatus, OpCost
from mlsys_lint.pipeline import CheckOptions, check
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.testing import estimate_text, model_from_text
from node_costs import cost_of, node_of

NHWC: Final = "com.ms.internal.nhwc"
NCHWC: Final = "com.microsoft.nchwc"
WINDOW: Final = "kernel_shape=[3,2], strides=[2,1], pads=[1,0,1,1]"
SAME_WORK: Final = [
    # call, the other inputs; x is [2, 6, 9, 7] or [2, 9, 7, 6]
    ("Conv<group=2, strides=[2,1]>(x, w, b)", "float[4,3,3,2] w, float[4] b"),
    ("ConvTranspose<strides=[2,1]>(x, w, b)", "float[6,4,3,2] w, float[4] b"),
    (f"MaxPool<{WINDOW}>(x)", ""),
    (f"AveragePool<{WINDOW}, ceil_mode=1>(x)", ""),
    (f"LpPool<{WINDOW}, p=3>(x)", ""),
    ("GlobalMaxPool(x)", ""),
    ("GlobalAveragePool(x)", ""),
    ("GlobalLpPool(x)", ""),
    ("BatchNormalization(x, s, s, s, s)", "float[6] s"),
    ("InstanceNormalization(x, s, s)", "float[6] s"),
    ("LRN<size=3>(x)", ""),
    ("GridSample(x, g)", "float[2,4,5,2] g"),
    ("MaxUnpool<kernel_shape=[2,2], strides=[2,2]>(x, i)", "int64[2,{}] i"),
]


def node(domain: str, call: str, inputs: str, stored: str = "", opset: int = 17) -> OpCost:
    """The cost of a node of a domain, exact."""
    header = f'<ir_version: 10, opset_import: ["": 17, "{domain}": {opset}]>'
    weights = f"<{stored}>" if stored else ""
    text = f"{header} g ({inputs}) => (float[?] y) {weights} {{ y = {domain}.{call} }}"
    found = estimate_text(text)[-1]
    assert found.status is NodeStatus.EXACT, found.reason
    assert found.cost is not None
    return found.cost


@pytest.mark.parametrize(("call", "others"), SAME_WORK, ids=lambda value: value.partition("<")[0])
def test_channels_last_are_the_same_work(call: str, others: str) -> None:
    last, second = "9,7,6", "6,9,7"
    inputs = [
        f"float[2,{shape}] x, {others.format(shape)}".rstrip(", ") for shape in (last, second)
    ]
    turned, plain = node(NHWC, call, inputs[0]), cost_of(call, inputs[1], opset=17)
    assert turned == plain


def test_a_convolution_multiplies_as_often_as_a_loop() -> None:
    # [1, 6, 5, 4] with W [6, 2, 3, 2] in 2 groups: 4 x 4 positions
    x, w = np.ones((1, 6, 5, 4), np.int64), np.ones((6, 2, 3, 2), np.int64)
    y, count = np.zeros((1, 4, 4, 6), np.int64), 0
    for h, v, m in product(range(4), range(4), range(6)):
        for c, i, j in product(range(2), range(3), range(2)):
            y[0, h, v, m] += x[0, h + i, v + j, m // 3 * 2 + c] * w[m, c, i, j]
            count += 1
    found = node_of("com.microsoft.NhwcConv<group=2>(x, w)", "float[1,6,5,4] x, float[6,2,3,2] w")
    assert found.cost is not None
    assert found.node.output().dims == y.shape
    assert found.cost.macs == count


def test_a_fused_activation_counts_for_every_output() -> None:
    # 4 x 3 x 4 = 48 results: clip 2, or bias 1 and maximum 1
    plain = node(NHWC, "AveragePool<kernel_shape=[3,3]>(x)", "float[1,6,5,4] x")
    clip = node(NHWC, 'AveragePool<kernel_shape=[3,3], activation="Clip">(x)', "float[1,6,5,4] x")
    assert clip.vector_ops == plain.vector_ops + 2 * 48
    inputs = "float[1,6,5,4] x, float[4,4,3,3] w, float[4] b, float[1,4,3,4] z"
    fused = cost_of('com.microsoft.NhwcFusedConv<activation="Relu">(x, w, b, z)', inputs)
    assert fused.vector_ops == 3 * 48  # once, not by both names
    header = f'<ir_version: 10, opset_import: ["{NHWC}": 17]>'
    text = f'{header} g (float[1,6,5,4] x) => (float[?] y) {{ y = {NHWC}.MaxPool<kernel_shape=[3,3], activation="Sine">(x) }}'
    assert estimate_text(text)[-1].status is NodeStatus.DECLINED


def test_pads_that_depend_on_data_leave_the_largest_result() -> None:
    # (5 - 1) * 2 + 3 = 11 and (4 - 1) * 2 + 3 = 9; what is cropped is computed all the same.
    call = "com.microsoft.ConvTransposeWithDynamicPads<strides=[2,2]>(x, w, p)"
    found = node_of(call, "float[1,3,5,4] x, float[3,4,3,3] w, int64[4] p")
    assert found.status is NodeStatus.ESTIMATED
    assert found.node.output().dims == (1, 4, 11, 9)
    assert found.cost is not None
    assert found.cost.macs == 20 * 3 * 36


def test_a_mask_is_tested_for_every_element_of_a_window() -> None:
    found = node_of(
        "com.microsoft.MaxpoolWithMask<kernel_shape=[2,2]>(x, m)",
        "float[1,3,5,4] x, int32[1,3,5,4] m",
    )
    assert found.status is NodeStatus.ESTIMATED
    assert found.cost is not None
    assert found.cost.vector_ops == 3 * 4 * 3 * (4 + 3)


def test_blocks_of_unknown_width() -> None:
    # 24 channels fill 3 blocks of 8, or 2 of 16: the weights tell, the reordering alone does not. At
    # most 32 channels are written. 12 channels take 16 in blocks of either width.
    text = (
        f'<ir_version: 10, opset_import: ["{NCHWC}": 1]> '
        f"g (float[1,24,5,4] x) => (float[?] y) <float[16,32,2,2] w> "
        f"{{ a = {NCHWC}.ReorderInput(x) y = {NCHWC}.Conv(a, w) }}"
    )
    reorder, conv = estimate_text(text)
    assert reorder.status is NodeStatus.ESTIMATED
    assert reorder.node.output().shape == (1, 32, 5, 4)
    assert reorder.cost is not None
    assert (reorder.cost.bytes_read, reorder.cost.bytes_written) == (4 * 24 * 20, 4 * 32 * 20)
    assert "8 or 16 channels" in reorder.cost.assumptions[0]
    assert conv.cost is not None
    assert conv.cost.macs == 4 * 3 * 16 * 32 * 4
    assert conv.cost.bytes_read == 4 * (32 * 20 + 16 * 32 * 4)
    narrow = estimate_text(text.replace("1,24", "1,12").replace("16,32,2", "16,16,2"))
    assert [one.status for one in narrow] == [NodeStatus.EXACT] * 2
    assert narrow[0].node.output().dims == (1, 16, 5, 4)


@pytest.mark.ort
def test_a_model_that_onnx_runtime_brought_into_blocks(tmp_path: Path) -> None:
    # 3 -> 32 channels, 3x3, 16 x 16 positions; then depthwise; 2x2 pool; 32 -> 16, 1x1, 8 x 8.
    # 32 channels fill blocks of 8 and of 16: nothing is added to the model's own work.
    onnxruntime = pytest.importorskip("onnxruntime")
    model = model_from_text(
        "g (float[1,3,16,16] x) => (float[1,16,8,8] y) {"
        " a = Conv<pads=[1,1,1,1]>(x, u) b = Conv<pads=[1,1,1,1], group=32>(a, v)"
        " c = Relu(b) d = MaxPool<kernel_shape=[2,2], strides=[2,2]>(c) y = Conv(d, w) }",
        opset=17,
    )
    for name, shape in {"u": (32, 3, 3, 3), "v": (32, 1, 3, 3), "w": (16, 32, 1, 1)}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "blocks.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found = check(tmp_path / "blocks.onnx", PluginHost(third_party=False), CheckOptions())
    names = [one.node.op for one in found.nodes]
    if not any(name.startswith(NCHWC) for name in names):
        pytest.skip("this machine has no kernels in blocks")
    assert {one.status for one in found.nodes} == {NodeStatus.EXACT}
    macs = sum(one.cost.macs for one in found.nodes if one.cost is not None)
    assert macs == 256 * 32 * 27 + 256 * 32 * 9 + 64 * 16 * 32
    work = sum(one.cost.vector_ops for one in found.nodes if one.cost is not None)
    assert work == 256 * 32 + 64 * 32 * 3  # maximum; pool
