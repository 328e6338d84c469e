"""Our emulation of a model's optimization beside the graph that ONNX Runtime itself saves.

`assert_same(text)` is the usual test of a rule: the same operators in the same order. `members`
says which nodes of the file each kernel stands for; those are derived by hand in the tests.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from mlsys_lint.analysis import analyse
from mlsys_lint.fusion import program_of
from mlsys_lint.loading import prepare
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.program import Program
from mlsys_lint.shapes import Bindings, overridable_inputs
from mlsys_lint.testing import model_from_text

HOST = PluginHost(third_party=False)


def optimized(
    model: str | onnx.ModelProto,
    *,
    opset: int = 17,
    block: int | None = None,
    dims: Mapping[str, int] | None = None,
    runtime: str = "onnxruntime-cpu",
) -> Program:
    """The program that the emulation makes of a model."""
    proto = model if isinstance(model, onnx.ModelProto) else model_from_text(model, opset)
    loaded = prepare(_copy(proto), Path("model.onnx"))
    analysis = analyse(loaded, HOST, Bindings(dims=dims or {}))
    program = program_of(
        analysis.graph,
        analysis.unbound,
        opset=loaded.opsets.get("", 1),
        block=vector_block() if block is None else block,
        order=HOST.runtimes[runtime].order,
        overridable=overridable_inputs(proto),
    )
    HOST.runtimes[runtime].rewrite(program)
    return program


def operators(program: Program) -> list[str]:
    """`DOMAIN::TYPE` in execution order; the default domain is left out."""
    return [f"{op.domain}::{op.op_type}".removeprefix("::") for op in program.order()]


def members(program: Program) -> list[tuple[str, list[int]]]:
    """(operator type, indexes of the nodes in the file) in execution order."""
    return [(op.op_type, sorted(op.members)) for op in program.order()]


def runtimes_graph(
    model: str | onnx.ModelProto, *, opset: int = 17, level: str = "ORT_ENABLE_ALL"
) -> onnx.ModelProto:
    """The graph that ONNX Runtime saves after its optimizers; absent weights are random."""
    ort = pytest.importorskip("onnxruntime")
    proto = _with_weights(model, opset)
    options = _options(level)
    options.add_session_config_entry("session.disable_prepacking", "1")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        options.optimized_model_filepath = str(path)
        ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(path)


def executed(model: str | onnx.ModelProto, *, opset: int = 17) -> list[str]:
    """Operator types in the order in which ONNX Runtime runs them, from a profile.

    The graph that it saves does not keep this order. Open sizes are 4, floats 1, integers 0.
    """
    ort = pytest.importorskip("onnxruntime")
    options = _options("ORT_ENABLE_ALL")
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = ort.InferenceSession(
            _with_weights(model, opset).SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
        )
        feeds = {one.name: _feed(one.type, one.shape) for one in session.get_inputs()}
        session.run(None, feeds)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    kernels = [event for event in events if event["name"].endswith("_kernel_time")]
    return [event["args"]["op_name"] for event in sorted(kernels, key=_end)]


def assert_same(model: str | onnx.ModelProto, *, opset: int = 17, ordered: bool = True) -> Program:
    """The emulation gives the operators that ONNX Runtime executes, in its order.

    `ordered=False` compares their numbers only: for models that can't be run with plain inputs.
    """
    program = optimized(model, opset=opset)
    saved = [
        f"{node.domain}::{node.op_type}".removeprefix("ai.onnx").removeprefix("::")
        for node in runtimes_graph(model, opset=opset).graph.node
        if node.op_type != "Constant"
    ]
    assert sorted(operators(program)) == sorted(saved)
    if ordered:
        assert [op.op_type for op in program.order()] == executed(model, opset=opset)
    return program


@lru_cache(maxsize=1)
def vector_block() -> int:
    """Channels in a block of the blocked layout on this machine, as ONNX Runtime shows it.

    A convolution with 8 input channels is read unblocked where the block is 16.
    """
    text = "g (float[1,8,6,6] x) => (float[1,16,4,4] y) <float[16,8,3,3] w> { y = Conv(x, w) }"
    ops = [node.op_type for node in runtimes_graph(text).graph.node]
    if "ReorderOutput" not in ops:
        return 0
    return 8 if "ReorderInput" in ops else 16


def _copy(proto: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    return copy


def _with_weights(model: str | onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """A copy; different values in every absent weight: equal ones would be merged."""
    proto = _copy(model if isinstance(model, onnx.ModelProto) else model_from_text(model, opset))
    rng = np.random.default_rng(0)
    for tensor in proto.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
            values = (rng.standard_normal(tuple(tensor.dims)) * 8).astype(dtype)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return proto


def _options(level: str) -> Any:
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return options


def _feed(kind: str, shape: Sequence[int | str | None]) -> npt.NDArray[np.generic]:
    sizes = [size if isinstance(size, int) else 4 for size in shape]
    dtype = kind.removeprefix("tensor(").removesuffix(")").replace("float16", "half")
    fill = np.ones if dtype in ("float", "double", "half", "bool") else np.zeros
    return fill(sizes, {"float": "float32", "half": "float16"}.get(dtype, dtype))


def _end(event: Mapping[str, Any]) -> int:
    return int(event["ts"]) + int(event["dur"])
