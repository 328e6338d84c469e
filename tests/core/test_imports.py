"""`check` stays light: nothing that it does not need is imported."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("onnxruntime", "scipy", "matplotlib", "pandas", "onnx.reference", "jsonschema")


def test_check_imports_no_heavy_library() -> None:
    program = (
        "import sys; from mlsys_lint.cli import run; "
        "run(['sample_models/lenet5.onnx', '--format', 'json']); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
