"""Operators that the installed ONNX Runtime registers, asked in a child process."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

from mlsys_lint.errors import MlsysLintError, RuntimeUnavailableError
from mlsys_lint.measure.process import run_child

_LIMIT_S: Final = 60.0


def registered_operators() -> list[tuple[str, str, int]]:
    """(domain, op_type, since_version) of every schema that ONNX Runtime knows.

    Raises:
        RuntimeUnavailableError: ONNX Runtime is not installed, or does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="mlsys-lint-") as scratch:
        job = {"work": "schemas", "memory_limit_bytes": None, "scratch": scratch}
        outcome = run_child(job, folder=Path(scratch), timeout_s=_LIMIT_S)
    if "schemas" not in outcome.parts:
        _, message = outcome.error or ("", outcome.failure or "the child said nothing")
        raise RuntimeUnavailableError(message)
    return [(domain, name, version) for domain, name, version in outcome.parts["schemas"]]


def schema_names(runtime: Any) -> list[tuple[str, str, int]]:
    """In the child: what the runtime's own registry says."""
    try:
        state = runtime.capi.onnxruntime_pybind11_state
        schemas = state.get_all_operator_schema()
    except AttributeError as error:
        raise MlsysLintError(
            f"onnxruntime {runtime.__version__} does not list its operators"
        ) from error
    return sorted({(one.domain, one.name, one.since_version) for one in schemas})
