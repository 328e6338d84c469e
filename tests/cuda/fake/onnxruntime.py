"""Stands for onnxruntime-gpu 1.31.1 where CUDA's libraries are missing.

The real package lists the provider, opens a session all the same, leaves the provider out, and says
why in two log lines only, whatever the log level. `loader.log` holds those lines as it wrote them.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

__version__ = "1.31.1"


class SessionOptions(SimpleNamespace):
    """Takes whatever is set."""


class GraphOptimizationLevel:
    ORT_ENABLE_ALL = 99


def get_available_providers() -> list[str]:
    return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


class InferenceSession:
    def __init__(
        self, path: str, options: Any, *, providers: list[Any], enable_fallback: int
    ) -> None:
        assert Path(path).is_file()
        assert options.log_severity_level == 4
        assert enable_fallback == 0  # no second try on the CPU
        assert providers[0][0] == "CUDAExecutionProvider"
        os.write(2, Path(__file__).with_name("loader.log").read_bytes())

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"]
