"""ONNX Runtime: loading it, opening sessions, and making sure of the execution provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import onnx

from mlsys_lint.errors import ModelError, RuntimeUnavailableError
from mlsys_lint.measure.arrays import Array, Arrays

PROVIDER_NAMES: Final = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
INSTALL: Final = "pip install 'mlsys-lint[cpu]' or 'mlsys-lint[cuda]'"
_LONGEST: Final = 300
_SILENT: Final = 4  # log severity: fatal only


# onnxruntime ships no type information.
Runtime: TypeAlias = Any
"""The module onnxruntime."""
Session: TypeAlias = Any
"""An onnxruntime.InferenceSession."""


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
        job: path, provider and threads.
        profile: Where to write a profile; None: do not.

    Raises:
        RuntimeUnavailableError: the provider is absent, or ONNX Runtime left it for another.
        ModelError: ONNX Runtime refuses the model.
    """
    wanted = PROVIDER_NAMES[job["provider"]]
    _check_available(runtime, wanted)
    options = _options(runtime, job["threads"], profile)
    # The CPU stands behind CUDA for the nodes that CUDA has no kernel for: they are listed.
    providers = list(dict.fromkeys([wanted, PROVIDER_NAMES["cpu"]]))
    try:
        session: Session = runtime.InferenceSession(job["path"], options, providers=providers)
    except MemoryError:
        raise
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise ModelError(f"ONNX Runtime refuses the model: {reason(error)}") from error
    active = list(session.get_providers())
    if not active or active[0] != wanted:
        label = job["provider"].upper()
        raise RuntimeUnavailableError(
            f"{label} was asked for, ONNX Runtime {runtime.__version__} fell back to "
            f"{', '.join(active) or 'nothing'}; check the driver and that the CUDA and cuDNN "
            "libraries fit onnxruntime-gpu"
        )
    return session


def bound_call(
    runtime: Runtime, session: Session, arrays: Arrays, provider: str
) -> Callable[[], object]:
    """A call with inputs that lie where the provider reads them, and outputs on the host.

    String tensors can't be bound: they are handed over with each run.
    """
    if any(array.dtype.kind == "O" for array in arrays.values()):
        return lambda: session.run(None, arrays)
    binding = session.io_binding()
    for name, array in arrays.items():
        binding.bind_ortvalue_input(name, _ort_value(runtime, array, provider))
    for output in session.get_outputs():
        binding.bind_output(output.name, "cpu")
    return lambda: session.run_with_iobinding(binding)


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


def _options(runtime: Runtime, threads: int, profile: Path | None) -> Any:
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _SILENT
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
        # The memory pattern takes one block in advance, which hides what each node takes.
        options.enable_mem_pattern = False
    return options


def _ort_value(runtime: Runtime, array: Array, provider: str) -> Any:
    if array.dtype.kind == "V" or array.dtype.name.startswith(("bfloat16", "float8", "float4")):
        # types that numpy itself lacks
        number = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        return runtime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, number)
    return runtime.OrtValue.ortvalue_from_numpy(array, provider, 0)


def _broken(error: Exception) -> RuntimeUnavailableError:
    return RuntimeUnavailableError(
        f"ONNX Runtime is installed but does not load ({one_line(str(error))}); "
        f"install it again: {INSTALL}"
    )
