"""What ONNX Runtime says when CUDA does not start or refuses an option, as errors for users."""

from __future__ import annotations

import re
from typing import Final

from mlsys_lint.errors import MlsysLintError, OptionError, RuntimeUnavailableError

REQUIREMENTS: Final = (
    "check the driver and that the CUDA and cuDNN libraries are those that onnxruntime-gpu needs: "
    "onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html"
)
_OPTION: Final = re.compile(r"(?:Unknown|Failed to parse) provider option.*")
_FAILURE: Final = re.compile(r"CUDA failure (\d+): [^;]*")
_CUDNN: Final = re.compile(r"cuDNN is unavailable.*")
_LOADER: Final = re.compile(
    r"Failed to load library \S+ with error: (?P<linux>[^\n\x1b]+)"
    r"|(?P<windows>LoadLibrary failed with error [^\n\x1b]+)"
)
_LOG_LINE: Final = re.compile(r"\[[EW]:onnxruntime:[^\]]*\] ([^\n\x1b]+)")
_PLACE: Final = re.compile(r"\b\w+\.(?:h|cc):\d+ \w+(?:\(\))? ")
"""Source file, line and function that ONNX Runtime puts before its words."""
_NO_MEMORY: Final = "2"
"""cudaErrorMemoryAllocation: the model's fault, not the installation's."""


def cuda_fault(text: str) -> MlsysLintError | None:
    """An exception's text as an error of the installation or of an option; None: neither.

    The texts are those of onnxruntime-gpu 1.31.1.
    """
    failure = _FAILURE.search(text)
    if failure and failure[1] != _NO_MEMORY:
        return _unavailable(failure[0].strip())
    if found := _OPTION.search(text):
        words = _PLACE.sub("", " ".join(found[0].split())).rstrip(".")
        return OptionError(f"--provider-option: CUDAExecutionProvider says: {words}")
    if found := _CUDNN.search(text):
        return _unavailable(" ".join(found[0].split()))
    return None


def not_loaded(version: str, active: str, log: str) -> RuntimeUnavailableError:
    """The error for a session that ONNX Runtime opened without CUDA, and only logged why.

    Args:
        version: Of ONNX Runtime.
        active: Provider that it took instead.
        log: What it wrote to stderr.
    """
    why = loader_reason(log)
    return RuntimeUnavailableError(
        f"CUDA was asked for, ONNX Runtime {version} fell back to {active}"
        f"{f' ({why})' if why else ''}; {REQUIREMENTS}"
    )


def loader_reason(log: str) -> str | None:
    """Why the provider's library did not load, in the loader's words: `libcudnn.so.9: cannot ...`.

    The last error or warning where no line tells of the loader; None: the log has none.
    """
    if found := _LOADER.search(log):
        return (found["linux"] or found["windows"]).strip()
    lines: list[str] = _LOG_LINE.findall(log)
    return lines[-1].strip() if lines else None


def _unavailable(words: str) -> RuntimeUnavailableError:
    return RuntimeUnavailableError(f"CUDA was asked for and does not work: {words}; {REQUIREMENTS}")
