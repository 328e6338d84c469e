"""ONNX Runtime: loading it, opening sessions, and making sure of the execution provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import onnx

from mlsys_lint.errors import MlsysLintError, ModelError, RuntimeUnavailableError
from mlsys_lint.measure.arrays import Array, Arrays
from mlsys_lint.measure.cuda_errors import cuda_fault, not_loaded
from mlsys_lint.measure.cuda_placement import RECORD_ASSIGNMENT

PROVIDER_NAMES: Final = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
INSTALL: Final = "pip install 'mlsys-lint[cpu]' or 'mlsys-lint[cuda]'"
_LONGEST: Final = 300
_LOG: Final = "stderr"
"""What the child writes to stderr, in its scratch folder (see process.run_child)."""
_SILENT: Final = 4  # log severity: fatal only


# onnxruntime ships no type information.
Runtime: TypeAlias = Any
"""The module onnxruntime."""
Session: TypeAlias = Any
"""An onnxruntime.InferenceSession."""
Provider: TypeAlias = str | tuple[str, dict[str, str]]
"""Its name, or its name and options."""


def load_runtime() -> Runtime:
    """The module onnxruntime.

    Raises:
        RuntimeUnavailableError: it is not installed, or does not load.
    """
    try:
        import onnxruntime  # noqa: TID251  the one place that runs models
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "onnxruntime":
            raise RuntimeUnavailableError(f"validate needs ONNX Runtime: {INSTALL}") from error
        raise _broken(error) from error
    except (ImportError, OSError) as error:
        raise _broken(error) from error
    if not hasattr(onnxruntime, "InferenceSession"):  # what is left of a removed installation
        raise RuntimeUnavailableError(f"validate needs ONNX Runtime: {INSTALL}")
    return onnxruntime


def open_session(
    runtime: Runtime, job: Mapping[str, Any], *, profile: Path | None = None
) -> Session:
    """A session with all optimizations on the provider that the job names, and on no other.

    Args:
        runtime: The module.
        job: path, provider, its options, threads, and the scratch folder that holds the log.
        profile: Where to write a profile; None: do not.

    Raises:
        RuntimeUnavailableError: the provider is absent, or ONNX Runtime left it for another.
        OptionError: the provider refuses an option.
        ModelError: ONNX Runtime refuses the model.
    """
    wanted = PROVIDER_NAMES[job["provider"]]
    _check_available(runtime, wanted)
    options = _options(runtime, job, profile)
    try:
        # Without enable_fallback=0 a failed CUDA session is silently made anew on the CPU.
        session: Session = runtime.InferenceSession(
            job["path"], options, providers=providers(job), enable_fallback=0
        )
    except MemoryError:
        raise
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise fault(error, "ONNX Runtime refuses the model") from error
    active = list(session.get_providers())
    # A provider whose library does not load is left out all the same, with a line in the log only.
    if not active or active[0] != wanted:
        raise not_loaded(runtime.__version__, ", ".join(active) or "nothing", _log(job))
    return session


def providers(job: Mapping[str, Any]) -> list[Provider]:
    """The provider with its options; behind CUDA the CPU, for nodes that CUDA has no kernel for."""
    wanted = PROVIDER_NAMES[job["provider"]]
    if wanted == PROVIDER_NAMES["cpu"]:
        return [wanted]
    return [(wanted, dict(job.get("provider_options", {}))), PROVIDER_NAMES["cpu"]]


def provider_options(session: Session, provider: str) -> dict[str, str]:
    """All options that the provider of a session has, defaults included."""
    given = session.get_provider_options().get(PROVIDER_NAMES[provider], {})
    return {key: str(value) for key, value in sorted(given.items())}


def bound_call(
    runtime: Runtime, session: Session, arrays: Arrays, provider: str
) -> Callable[[], object]:
    """A call with inputs and outputs that lie where the provider reads and writes them.

    String tensors can't be bound: they are handed over with each run.
    """
    if any(array.dtype.kind == "O" for array in arrays.values()):
        return lambda: session.run(None, arrays)
    number = int(provider_options(session, provider).get("device_id", 0))
    binding = session.io_binding()
    for name, array in arrays.items():
        binding.bind_ortvalue_input(name, _ort_value(runtime, array, provider, number))
    for output in session.get_outputs():
        place = provider if _is_numeric_tensor(output.type) else "cpu"
        binding.bind_output(output.name, place, number if place == provider else 0)
    if provider == "cpu":
        return lambda: session.run_with_iobinding(binding)

    def call() -> None:
        # The run ends with a wait for its stream, unless the run option
        # disable_synchronize_execution_providers is set (onnxruntime_run_options_config_keys.h).
        # synchronize_outputs waits for the whole device (IOBinding.cc SyncProviders,
        # CUDAExecutionProvider::Sync): whichever stream computed an output, its work is timed.
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return call


def fault(error: Exception, what: str) -> MlsysLintError:
    """An exception of ONNX Runtime: of CUDA's installation, of an option, or else of the model."""
    return cuda_fault(str(error)) or ModelError(f"{what}: {reason(error)}")


def reason(error: Exception) -> str:
    """ONNX Runtime's words without its prefix `[ONNXRuntimeError] : 1 : FAIL : `."""
    text = str(error)
    if text.startswith("[ONNXRuntimeError]"):
        text = text.split(" : ", 3)[-1]
    return one_line(text)


def one_line(text: str) -> str:
    """A message without its line breaks, cut where it gets long."""
    joined = " ".join(text.split())
    return joined if len(joined) <= _LONGEST else f"{joined[: _LONGEST - 3]}..."


def _check_available(runtime: Runtime, wanted: str) -> None:
    available = list(runtime.get_available_providers())
    if wanted in available:
        return
    raise RuntimeUnavailableError(
        f"ONNX Runtime {runtime.__version__} here has no {wanted} (it has {', '.join(available)}); "
        "remove the package onnxruntime and install the one for CUDA: "
        "pip uninstall onnxruntime; pip install 'mlsys-lint[cuda]'"
    )


def _log(job: Mapping[str, Any]) -> str:
    """What the child wrote to stderr until now."""
    try:
        return (Path(job["scratch"]) / _LOG).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _is_numeric_tensor(described: str) -> bool:
    """True for `tensor(float)`, not for sequences and strings, which live on the host."""
    return described.startswith("tensor(") and described != "tensor(string)"


def _options(runtime: Runtime, job: Mapping[str, Any], profile: Path | None) -> Any:
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = job["threads"]
    options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
        # The memory pattern takes one block in advance, which hides what each node takes.
        options.enable_mem_pattern = False
        if job["provider"] != "cpu":
            options.add_session_config_entry(RECORD_ASSIGNMENT, "1")
    return options


def _ort_value(runtime: Runtime, array: Array, provider: str, number: int) -> Any:
    if array.dtype.kind == "V" or array.dtype.name.startswith(("bfloat16", "float8", "float4")):
        # types that numpy itself lacks
        number = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        return runtime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, number)
    return runtime.OrtValue.ortvalue_from_numpy(array, provider, number)


def _broken(error: Exception) -> RuntimeUnavailableError:
    return RuntimeUnavailableError(
        f"ONNX Runtime is installed but does not load ({one_line(str(error))}); "
        f"install it again: {INSTALL}"
    )
