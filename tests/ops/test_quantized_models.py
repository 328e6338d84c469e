"""Whole models, quantized and optimised by ONNX Runtime's own tools: the work is that of the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mlsys_lint import NodeStatus
from mlsys_lint.analysis import analyse
from mlsys_lint.loading import prepare
from mlsys_lint.pipeline import CheckOptions, report
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.records import ModelReport
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text

pytestmark = pytest.mark.ort

HOST: Final = PluginHost(third_party=False)
COUNTED: Final = {NodeStatus.EXACT, NodeStatus.EXPANDED, NodeStatus.ESTIMATED}
BITS: Final = {"FLOAT": 32, "INT32": 32, "UINT8": 8, "INT8": 8, "UINT4": 4, "INT4": 4}
MODELS: Final = {
    # Text, weights, MACs. Channels fill blocks of 16. 2 images: 16 x 16 positions of 32 results of 27;
    # 8 x 8 positions of 32 results of 288, then of 9; 64 sums of 10.
    "convolutions": (
        (
            "g (float[2,3,16,16] x) => (float[2,10] y) {"
            " a = Conv<pads=[1,1,1,1]>(x, u, c) b = Relu(a) d = MaxPool<kernel_shape=[2,2], strides=[2,2]>(b)"
            " e = Conv<pads=[1,1,1,1]>(d, v) f = Add(d, e) h = Conv<pads=[1,1,1,1], group=32>(f, w)"
            " i = Concat<axis=1>(h, f) j = Sigmoid(i) k = Mul(i, j) l = GlobalAveragePool(k) m = Flatten(l)"
            " n = Gemm<transB=1>(m, r, s) y = Softmax(n) }"
        ),
        {
            "u": (32, 3, 3, 3),
            "c": (32,),
            "v": (32, 32, 3, 3),
            "w": (32, 1, 3, 3),
            "r": (10, 64),
            "s": (10,),
        },
        2 * (256 * 32 * 27 + 64 * 32 * (288 + 9) + 10 * 64),
    ),
    # 10 rows of 75 x 36 and 36 x 7
    "products": (
        "g (float[2,5,75] x) => (float[2,5,7] y) { a = MatMul(x, u) b = Add(a, c) d = Relu(b) y = MatMul(d, v) }",
        {"u": (75, 36), "c": (36,), "v": (36, 7)},
        10 * (75 * 36 + 36 * 7),
    ),
    # 2 directions, 5 steps of 3 sequences, 48 gates of 8 + 12 inputs; 3 rows of 24 x 6
    "recurrent": (
        (
            'g (float[5,3,8] x) => (float[3,6] y) { , a = LSTM<hidden_size=12, direction="bidirectional">(x, u, v, c)'
            " b = Transpose<perm=[1,0,2]>(a) d = Flatten(b) y = MatMul(d, w) }"
        ),
        {"u": (2, 48, 8), "v": (2, 48, 12), "c": (2, 96), "w": (24, 6)},
        2 * 5 * 3 * 48 * 20 + 3 * 24 * 6,
    ),
}


def built(name: str) -> onnx.ModelProto:
    """A model with random weights."""
    text, weights, _ = MODELS[name]
    model, random = model_from_text(text, opset=21), np.random.default_rng(0)
    for key, shape in weights.items():
        values = random.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, key))
    for at, node in enumerate(model.graph.node):
        node.name = f"node{at}"
    return model


def analysed(model: onnx.ModelProto) -> ModelReport:
    """The report of a copy, whose weights the analysis drops."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return report(analyse(prepare(copy, Path("m.onnx")), HOST, Bindings()), HOST, CheckOptions())


def inputs(model: onnx.ModelProto) -> dict[str, Any]:
    """The same random feed every time."""
    (value,) = model.graph.input
    shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    return {value.name: np.random.default_rng(1).standard_normal(shape).astype(np.float32)}


def session(model: onnx.ModelProto, level: str, written: Path | None = None) -> Any:
    """A session of ONNX Runtime, which writes the graph that it optimised."""
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    if written is not None:
        options.optimized_model_filepath = str(written)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def assert_shapes(model: onnx.ModelProto, found: ModelReport) -> None:
    """Every value has the type and shape that ONNX Runtime produces."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    known = {value.name for value in model.graph.output}
    names = [name for node in model.graph.node for name in node.output if name]
    shown.graph.output.extend(
        helper.make_empty_tensor_value_info(name) for name in names if name not in known
    )
    running = session(shown, "ORT_DISABLE_ALL")
    order = [value.name for value in running.get_outputs()]
    observed = dict(zip(order, running.run(None, inputs(model)), strict=True))
    for one in found.nodes:
        for tensor in one.node.outputs:
            if tensor is not None and tensor.name in observed:
                array = observed[tensor.name]
                kind = onnx.TensorProto.DataType.Name(helper.np_dtype_to_tensor_dtype(array.dtype))
                assert (tensor.dtype, tensor.shape) == (kind.lower(), array.shape), tensor.name


def assert_stored(model: onnx.ModelProto, found: ModelReport, elements: int | None = None) -> None:
    """Parameters are the tensors with a rank that are stored, but no shapes; bytes as packed."""
    read = {name for node in model.graph.node for name in node.input}
    assert read.issuperset(one.name for one in model.graph.initializer)
    bits = [
        (BITS[onnx.TensorProto.DataType.Name(one.data_type)] * prod(one.dims), prod(one.dims))
        for one in model.graph.initializer
        if one.dims and one.data_type != onnx.TensorProto.INT64
    ]
    assert found.model.parameters == (elements or sum(count for _, count in bits))
    assert found.model.parameter_bytes == sum(-(-width // 8) for width, _ in bits)


def assert_same_work(name: str, model: onnx.ModelProto, folder: Path) -> ModelReport:
    """The model, and what ONNX Runtime makes of it, count in full and multiply as often."""
    found = analysed(model)
    reports = [(model, found)]
    for level in ("ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"):
        session(model, level, folder / "optimised.onnx")
        optimised = onnx.load(folder / "optimised.onnx")
        reports.append((optimised, analysed(optimised)))
    for graph, one in reports:
        assert {node.status for node in one.nodes} <= COUNTED
        assert one.totals.macs == MODELS[name][2]
        assert_shapes(graph, one)
    return found


def types(found: ModelReport) -> set[str]:
    """Types of the products."""
    costs = [one.cost for one in found.nodes if one.cost is not None]
    return {product.dtype for cost in costs for product in cost.contractions}


class Feeds:
    """Calibration data: one feed."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.feeds: Iterator[dict[str, Any]] = iter([inputs(model)])

    def get_next(self) -> dict[str, Any] | None:
        """The next feed, None at the end."""
        return next(self.feeds, None)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_dynamic_quantization(name: str, per_channel: bool, tmp_path: Path) -> None:  # noqa: FBT001
    tools = pytest.importorskip("onnxruntime.quantization")
    model = built(name)
    assert analysed(model).model.parameters == sum(prod(w) for w in MODELS[name][1].values())
    target = tmp_path / "quantized.onnx"
    tools.quantize_dynamic(
        model, target, weight_type=tools.QuantType.QInt8, per_channel=per_channel
    )
    quantized = onnx.load(target)
    found = assert_same_work(name, quantized, tmp_path)
    assert_stored(quantized, found)
    assert types(found) == {"uint8"}


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("name", ["convolutions", "products"])
def test_static_quantization(name: str, form: str, per_channel: bool, tmp_path: Path) -> None:  # noqa: FBT001
    tools = pytest.importorskip("onnxruntime.quantization")
    model, target = built(name), tmp_path / "quantized.onnx"
    tools.quantize_static(
        model,
        target,
        Feeds(model),
        quant_format=getattr(tools.QuantFormat, form),
        per_channel=per_channel,
        activation_type=tools.QuantType.QUInt8,
        weight_type=tools.QuantType.QInt8,
    )
    quantized = onnx.load(target)
    found = assert_same_work(name, quantized, tmp_path)
    assert_stored(quantized, found)
    assert types(found) == ({"uint8"} if form == "QOperator" else {"float"})


@pytest.mark.parametrize("block", [32, 128])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("bits", "form"), [(4, "QOperator"), (8, "QOperator"), (4, "QDQ")])
def test_weights_of_few_bits(
    bits: int,
    form: str,
    symmetric: bool,  # noqa: FBT001
    block: int,
    tmp_path: Path,
) -> None:
    pytest.importorskip("onnx_ir")  # which the tool needs
    tools = pytest.importorskip("onnxruntime.quantization.matmul_nbits_quantizer")
    config = tools.DefaultWeightOnlyQuantConfig(
        block_size=block,
        is_symmetric=symmetric,
        quant_format=getattr(pytest.importorskip("onnxruntime.quantization").QuantFormat, form),
        bits=bits,
    )
    tool = tools.MatMulNBitsQuantizer(built("products"), algo_config=config)
    tool.process()
    found = assert_same_work("products", tool.model.model, tmp_path)
    # Weights and bias, without what pads the last block; a scale a block of 75 and of 36 rows, and a
    # zero point unless symmetric.
    blocks = 36 * -(-75 // block) + 7 * -(-36 // block)
    elements = 75 * 36 + 36 + 36 * 7 + blocks * (1 if symmetric else 2)
    assert_stored(tool.model.model, found, elements)


def test_a_fusion_does_what_its_parts_do(tmp_path: Path) -> None:
    # ONNX Runtime's DynamicQuantizeMatMul against the nodes it stands for, which also multiply the two
    # scales: once for each of two products.
    tools = pytest.importorskip("onnxruntime.quantization")
    target = tmp_path / "quantized.onnx"
    tools.quantize_dynamic(built("products"), target, weight_type=tools.QuantType.QInt8)
    parts = onnx.load(target)
    session(parts, "ORT_ENABLE_EXTENDED", tmp_path / "fused.onnx")
    fused = analysed(onnx.load(tmp_path / "fused.onnx"))
    assert _names(fused).count("DynamicQuantizeMatMul") == 2
    assert fused.totals.vector_ops == analysed(parts).totals.vector_ops - 2
    assert types(fused) == types(analysed(parts))


def _names(found: ModelReport) -> Sequence[str]:
    return [one.node.op_type for one in found.nodes]
