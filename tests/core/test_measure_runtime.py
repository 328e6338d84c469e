from __future__ import annotations

import sys
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlsys_lint.errors import ModelError, OptionError, RuntimeUnavailableError
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


def _fake_runtime(available: list[str], active: list[str], asked: list[list[Any]]) -> Any:
    def session(
        path: str, options: object, *, providers: list[Any], enable_fallback: int
    ) -> _FakeSession:
        assert path == "m.onnx"
        assert options is not None
        assert enable_fallback == 0  # else a failed session is made anew on the CPU
        asked.append(providers)
        return _FakeSession(active)

    return SimpleNamespace(
        __version__="1.99.0",
        get_available_providers=lambda: available,
        SessionOptions=SimpleNamespace,
        GraphOptimizationLevel=SimpleNamespace(ORT_ENABLE_ALL=99),
        InferenceSession=session,
    )


_CUDA_JOB = MappingProxyType(
    {
        "path": "m.onnx",
        "provider": "cuda",
        "provider_options": {"use_tf32": "0"},
        "threads": 1,
        "scratch": "no/such/folder",
    }
)


def test_absent_provider_creates_no_session() -> None:
    asked: list[list[Any]] = []
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
    asked: list[list[Any]] = []
    session = runtime.open_session(_fake_runtime(both, both, asked), _CUDA_JOB)
    assert session.get_providers() == both
    assert asked == [[("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"]]


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ('Parse Unknown provider option: "a".', OptionError, 'Unknown provider option: "a"'),
        (
            "CUDA failure 100: no CUDA-capable device ; GPU=0",
            RuntimeUnavailableError,
            "failure 100",
        ),
        ("CUDA failure 2: out of memory ; GPU=0", ModelError, "refuses the model"),
    ],
)
def test_a_session_that_fails_blames_whom_it_concerns(
    text: str, kind: type[Exception], words: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError(text)

    fake = _fake_runtime(["CUDAExecutionProvider"], [], [])
    fake.InferenceSession = fails
    with pytest.raises(kind, match=words):
        runtime.open_session(fake, _CUDA_JOB)


class _Binding:
    """Records what it is asked to do, in order."""

    def __init__(self, done: list[tuple[object, ...]]) -> None:
        self.done = done

    def bind_ortvalue_input(self, name: str, value: object) -> None:
        self.done.append(("input", name, value))

    def bind_output(self, name: str, place: str, number: int) -> None:
        self.done.append(("output", name, place, number))

    def synchronize_outputs(self) -> None:
        self.done.append(("synchronize",))


def _bound(provider: str, options: dict[str, str]) -> list[tuple[object, ...]]:
    """What a run with a tensor and a sequence as outputs does."""
    done: list[tuple[object, ...]] = []
    outputs = [
        SimpleNamespace(name="y", type="tensor(float16)"),
        SimpleNamespace(name="q", type="seq(tensor(float))"),
        SimpleNamespace(name="s", type="tensor(string)"),
    ]
    session = SimpleNamespace(
        io_binding=lambda: _Binding(done),
        get_outputs=lambda: outputs,
        get_provider_options=lambda: {runtime.PROVIDER_NAMES[provider]: options},
        run_with_iobinding=lambda _: done.append(("run",)),
    )
    values = SimpleNamespace(ortvalue_from_numpy=lambda _, place, number: (place, number))
    fake = SimpleNamespace(OrtValue=values)
    runtime.bound_call(fake, session, {"x": np.zeros(2, np.float32)}, provider)()
    return done


def test_on_cuda_inputs_and_outputs_lie_on_the_device_and_a_run_ends_with_its_work() -> None:
    assert _bound("cuda", {"device_id": "1"}) == [
        ("input", "x", ("cuda", 1)),
        ("output", "y", "cuda", 1),
        ("output", "q", "cpu", 0),  # sequences and strings live on the host
        ("output", "s", "cpu", 0),
        ("run",),
        ("synchronize",),
    ]


def test_on_the_cpu_nothing_is_synchronized() -> None:
    done = _bound("cpu", {})
    assert done[1] == ("output", "y", "cpu", 0)
    assert done[-1] == ("run",)


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
