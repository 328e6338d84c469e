from __future__ import annotations

import sys
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from mlsys_lint.errors import RuntimeUnavailableError
from mlsys_lint.measure import activation, runtime


def test_missing_runtime_names_both_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RuntimeUnavailableError, match=r"mlsys-lint\[cpu\].*mlsys-lint\[cuda\]"):
        runtime.load_runtime()


def test_remains_of_a_removed_runtime_count_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace())
    with pytest.raises(RuntimeUnavailableError, match="validate needs ONNX Runtime"):
        runtime.load_runtime()


class _FakeSession:
    def __init__(self, active: list[str]) -> None:
        self.active = active

    def get_providers(self) -> list[str]:
        return self.active


def _fake_runtime(available: list[str], active: list[str], asked: list[list[str]]) -> Any:
    def session(path: str, options: object, *, providers: list[str]) -> _FakeSession:
        assert path == "m.onnx"
        assert options is not None
        asked.append(providers)
        return _FakeSession(active)

    return SimpleNamespace(
        __version__="1.99.0",
        get_available_providers=lambda: available,
        SessionOptions=SimpleNamespace,
        GraphOptimizationLevel=SimpleNamespace(ORT_ENABLE_ALL=99),
        InferenceSession=session,
    )


_CUDA_JOB = MappingProxyType({"path": "m.onnx", "provider": "cuda", "threads": 1})


def test_absent_provider_creates_no_session() -> None:
    asked: list[list[str]] = []
    fake = _fake_runtime(["CPUExecutionProvider"], ["CPUExecutionProvider"], asked)
    with pytest.raises(RuntimeUnavailableError, match="no CUDAExecutionProvider"):
        runtime.open_session(fake, _CUDA_JOB)
    assert asked == []


def test_silent_fallback_is_an_error() -> None:
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    fake = _fake_runtime(both, ["CPUExecutionProvider"], [])
    with pytest.raises(
        RuntimeUnavailableError, match=r"CUDA was asked for, .* fell back to CPUExecutionProvider"
    ):
        runtime.open_session(fake, _CUDA_JOB)


def test_cuda_session_is_accepted_where_it_is_active() -> None:
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    asked: list[list[str]] = []
    session = runtime.open_session(_fake_runtime(both, both, asked), _CUDA_JOB)
    assert session.get_providers() == both
    assert asked == [both]


def test_reason_is_one_line_without_the_prefix() -> None:
    error = RuntimeError("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got: 2\n Expected: 3")
    assert runtime.reason(error) == "Got: 2 Expected: 3"


def _event(ts: int, name: str, held: int, taken: int, provider: str = "P") -> dict[str, Any]:
    return {
        "cat": "Node",
        "name": f"{name}_kernel_time",
        "ts": ts,
        "dur": 1,
        "args": {
            "op_name": name.upper(),
            "provider": provider,
            activation.HELD: str(held),
            activation.TAKEN: str(taken),
        },
    }


_RUN = MappingProxyType({"cat": "Session", "name": "model_run", "ts": 10, "dur": 10, "args": {}})


def test_peak_is_the_most_held_less_what_was_held_before() -> None:
    # 1000 bytes of weights; a takes 40 (1040), b 60 (1100), then 100 are left of all: peak 100.
    events = [
        _event(13, "b", 1100, 60),
        _event(11, "a", 1040, 40),
        _event(15, "c", 1080, -20),
        _RUN,
    ]
    runs = list(activation.node_events(events))
    assert [event["ts"] for event in runs[0]] == [11, 13, 15]
    assert activation.peak_bytes(runs) == 100


def test_peak_is_unknown_without_counters_or_nodes() -> None:
    event = _event(11, "a", 1, 1)
    del event["args"][activation.HELD]
    assert activation.peak_bytes([[event]]) is None
    assert activation.peak_bytes([]) is None


def test_events_outside_a_run_do_not_count() -> None:
    assert list(activation.node_events([_event(5, "a", 1, 1), _RUN])) == []


def test_nodes_on_another_provider_are_listed_by_operator() -> None:
    run = [
        _event(11, "a", 1, 1),
        _event(12, "r2", 1, 0, "CPU"),
        _event(13, "r1", 1, 0, "CPU"),
        _event(14, "r1", 1, 0, "CPU"),
    ]
    for event in run[1:]:
        event["args"]["op_name"] = "Resize"
    assert activation.fallbacks([run], "P") == [
        {"provider": "CPU", "op_type": "Resize", "nodes": ["r1", "r2"]}
    ]
