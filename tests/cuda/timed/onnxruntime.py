"""Stands for a build of onnxruntime-gpu with CUPTI: the CPU runs the model, the profile says CUDA.

Every node gets one GPU kernel of MICROSECONDS[its operator], written as gpu_profiler_common.h and
cupti_manager.cc do (see test_gpu_events.py).
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

MICROSECONDS = {"MatMul": 90, "Softmax": 10}
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def _real() -> Any:
    """The installed runtime, which this module hides."""
    here = str(Path(__file__).parent)
    sys.path.remove(here)
    hidden = sys.modules.pop("onnxruntime")
    try:
        return importlib.import_module("onnxruntime")
    finally:
        sys.path.insert(0, here)
        sys.modules["onnxruntime"] = hidden


runtime = _real()
__version__ = runtime.__version__
SessionOptions = runtime.SessionOptions
GraphOptimizationLevel = runtime.GraphOptimizationLevel


class OrtValue:
    @staticmethod
    def ortvalue_from_numpy(array: Any, place: str, number: int) -> Any:
        assert (place, number) == ("cuda", 0)
        return runtime.OrtValue.ortvalue_from_numpy(array, "cpu", 0)


def get_available_providers() -> list[str]:
    return [CUDA, CPU]


class Binding:
    def __init__(self, session: Any) -> None:
        self.real = session.io_binding()

    def bind_ortvalue_input(self, name: str, value: Any) -> None:
        self.real.bind_ortvalue_input(name, value)

    def bind_output(self, name: str, place: str, number: int) -> None:
        assert (place, number) == ("cuda", 0)
        self.real.bind_output(name, "cpu")

    def synchronize_outputs(self) -> None:
        self.real.synchronize_outputs()


class InferenceSession:
    def __init__(self, source: Any, options: Any, *, providers: list[Any], **_: Any) -> None:
        assert providers == [(CUDA, {"use_tf32": "1"}), CPU]
        self.real = runtime.InferenceSession(source, options, providers=[CPU])

    def get_providers(self) -> list[str]:
        return [CUDA, CPU]

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        return {CUDA: {"device_id": "0", "use_tf32": "1"}, CPU: {}}

    def get_outputs(self) -> Any:
        return self.real.get_outputs()

    def io_binding(self) -> Binding:
        return Binding(self.real)

    def run_with_iobinding(self, binding: Binding) -> None:
        time.sleep(1e-3)  # a run lasts longer than its kernels do on the GPU
        self.real.run_with_iobinding(binding.real)

    def end_profiling(self) -> str:
        path = Path(self.real.end_profiling())
        events = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps([one for event in events for one in _on_gpu(event)]))
        return str(path)


def _on_gpu(event: dict[str, Any]) -> list[dict[str, Any]]:
    """A node's event, and behind it that of its kernel."""
    if event["cat"] != "Node":
        return [event]
    arguments = {**event["args"], "provider": CUDA}
    names = {"op_name": arguments["op_name"], "parent_name": event["name"]}
    kernel = {"cat": "Kernel", "pid": -1, "tid": -1, "name": "k", "ts": event["ts"] + 1, "ph": "X"}
    return [
        {**event, "args": arguments},
        {**kernel, "dur": MICROSECONDS[arguments["op_name"]], "args": {**names, "stream": "7"}},
    ]
