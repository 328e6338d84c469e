"""What ONNX Runtime itself holds, kernel by kernel, and our plan of the same graph.

All optimizers are off, so that both execute the nodes of the text: differences are the planner's.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from mlsys_lint.analysis import analyse
from mlsys_lint.fusion import program_of
from mlsys_lint.loading import prepare
from mlsys_lint.measure.activation import HELD, TAKEN, node_events
from mlsys_lint.memory.replay import Policy, replay
from mlsys_lint.memory.trace import Trace
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.program import Program, execution_order
from mlsys_lint.records import Runtime
from mlsys_lint.shapes import Bindings
from mlsys_lint.testing import model_from_text
from mlsys_lint_plugins.runtimes.in_place import IN_PLACE

Held = list[tuple[str, int]]
"""(operator type, bytes held after it) in execution order."""

HOST = PluginHost(third_party=False)
PLAIN = Runtime(name="plain", rewrite=lambda _: None, order=execution_order, in_place=IN_PLACE)
"""ONNX Runtime's planner without its optimizers."""


def graph(body: str, *, before: str = "float[8,256] x", after: str = "float[8,256] y") -> str:
    """A model of one input and one output; a float[8,256] has 8,192 bytes."""
    return f"g ({before}) => ({after}) {{ {body} }}"


def program(text: str, *, opset: int = 17, dims: Mapping[str, int] | None = None) -> Program:
    """The nodes of a text, as they stand."""
    model = prepare(model_from_text(text, opset), Path("text.onnx"))
    analysis = analyse(model, HOST, Bindings(dims=dims or {}))
    return program_of(analysis.graph, analysis.unbound, opset=opset)


def planned(
    text: str, *, opset: int = 17, dims: Mapping[str, int] | None = None, reuse: bool = True
) -> Held:
    """What our plan holds at each kernel."""
    return [
        (step.op.op_type, step.held)
        for step in trace(text, opset=opset, dims=dims, reuse=reuse).steps
    ]


def trace(
    text: str, *, opset: int = 17, dims: Mapping[str, int] | None = None, reuse: bool = True
) -> Trace:
    """Our plan of a text, replayed."""
    return replay(program(text, opset=opset, dims=dims), Policy(runtime=PLAIN, reuse=reuse))


def peak(text: str, *, opset: int = 17, reuse: bool = True) -> int:
    """Most bytes that our plan holds."""
    return trace(text, opset=opset, reuse=reuse).peak


def observed(
    model: str | onnx.ModelProto,
    *,
    opset: int = 17,
    dims: Mapping[str, int] | None = None,
    feeds: Mapping[str, Any] | None = None,
    reuse: bool = True,
) -> Held:
    """What ONNX Runtime holds after each kernel: requested bytes, less those before the run."""
    ort = pytest.importorskip("onnxruntime")
    proto = model if isinstance(model, onnx.ModelProto) else model_from_text(model, opset)
    _fill_weights(proto)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_mem_pattern = False  # the pattern allocates one block in advance
    options.enable_mem_reuse = reuse
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = ort.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        values = _inputs(session, dims or {}) | dict(feeds or {})
        ort_values = {name: ort.OrtValue.ortvalue_from_numpy(one) for name, one in values.items()}
        names = [one.name for one in session.get_outputs() if one.type.startswith("tensor")]
        for _ in range(2):  # the first run also pays for what stays
            session.run_with_ort_values(names, ort_values)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return _held(list(node_events(events))[-1])


def _held(events: list[Mapping[str, Any]]) -> Held:
    before = int(events[0]["args"][HELD]) - int(events[0]["args"][TAKEN])
    return [(one["args"]["op_name"], int(one["args"][HELD]) - before) for one in events]


_NUMPY = {
    "float": "float32",
    "double": "float64",
    **{name: name for name in ("float16", "bool", "int8", "uint8", "int32", "int64")},
}


def _inputs(session: Any, dims: Mapping[str, int]) -> dict[str, Any]:
    """Ones for every input; sizes without a name are 2."""
    return {
        one.name: np.ones(
            [size if isinstance(size, int) else dims.get(size, 2) for size in one.shape],
            _NUMPY[one.type.removeprefix("tensor(").removesuffix(")")],
        )
        for one in session.get_inputs()
    }


def _fill_weights(proto: onnx.ModelProto) -> None:
    for tensor in proto.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
            zeros = np.zeros(tuple(tensor.dims), dtype)
            tensor.CopyFrom(onnx.numpy_helper.from_array(zeros, tensor.name))
