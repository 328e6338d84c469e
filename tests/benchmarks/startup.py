"""Wall time of whole `mlsys-lint MODEL` processes as a ratio to `python -c "import onnx"`.

    python tests/benchmarks/startup.py [MODEL ...]     default: onnx's light_resnet50

Both commands alternate in one run; the figures are medians of 10, with the range as the noise.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import onnx

RUNS = 10


def seconds(command: list[str]) -> float:
    """Wall time of one process."""
    start = time.perf_counter()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Print one line for each model."""
    light = Path(onnx.__file__).parent / "backend/test/data/light/light_resnet50.onnx"
    baseline = [sys.executable, "-c", "import onnx"]
    for model in sys.argv[1:] or [str(light)]:
        command = [sys.executable, "-m", "mlsys_lint", model]
        pairs = [(seconds(baseline), seconds(command)) for _ in range(RUNS)]
        imports, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratios = [one / base for base, one in pairs]
        sys.stdout.write(
            f"{Path(model).name}: {ours / imports:.2f} times `import onnx` "
            f"({ours:.3f} s, {imports:.3f} s; pairs {min(ratios):.2f} .. {max(ratios):.2f})\n"
        )


if __name__ == "__main__":
    main()
