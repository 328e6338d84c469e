"""In-process analysis (file to totals) as a ratio to onnx's own `infer_shapes` on the same graph.

    python tests/benchmarks/analysis.py [MODEL ...]    default: onnx's nine light networks

Both alternate in one run; the figures are minima of 15 (what the machine can do; other processes only
add). Then a chain of 100,000 nodes against one of 10,000. Where onnx-tool is installed, its profile of
the same file is timed too.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from mlsys_lint.analysis import analyse
from mlsys_lint.loading import load
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.shapes import Bindings
from mlsys_lint.totals import total

RUNS = 15


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ours(path: Path, host: PluginHost) -> None:
    """From the file to the totals."""
    total(analyse(load(path), host, Bindings()).costs, None)


def line(path: Path, host: PluginHost) -> float:
    """Print a model's figures; return the ratio."""
    proto = load(path).proto  # without weight data, as the analysis sees it

    def infer() -> object:
        return onnx.shape_inference.infer_shapes(proto, data_prop=True)

    pairs = [(seconds(infer), seconds(lambda: ours(path, host))) for _ in range(RUNS)]
    theirs, mine = min(one for one, _ in pairs), min(two for _, two in pairs)
    other = onnx_tool(path)
    more = "" if other is None else f"   onnx-tool {other * 1e3:9.1f} ms"
    sys.stdout.write(
        f"{path.name:36} {len(proto.graph.node):6} nodes  {mine / theirs:5.1f} x infer_shapes "
        f"({mine * 1e3:.1f} ms, {theirs * 1e3:.2f} ms){more}\n"
    )
    return mine / theirs


def onnx_tool(path: Path) -> float | None:
    """Least time of a profile by onnx-tool; None where it is not installed, or can't do the model."""
    try:
        tool: Any = import_module("onnx_tool")
    except ImportError:
        return None

    def profile() -> None:
        model = tool.Model(str(path))
        model.graph.shape_infer()
        model.graph.profile()

    least: float | None = None
    with suppress(Exception), redirect_stdout(StringIO()):
        least = min(seconds(profile) for _ in range(RUNS))
    return least


def chain(nodes: int, path: Path) -> None:
    """Write a model of so many element-wise nodes in a row."""
    graph = helper.make_graph(
        [
            helper.make_node("Relu" if at % 2 else "Neg", [f"v{at}"], [f"v{at + 1}"])
            for at in range(nodes)
        ],
        "chain",
        [helper.make_tensor_value_info("v0", onnx.TensorProto.FLOAT, (1, 64))],
        [helper.make_tensor_value_info(f"v{nodes}", onnx.TensorProto.FLOAT, (1, 64))],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


def main() -> None:
    """Print a line for each model, their geometric mean, and the chains."""
    host = PluginHost(third_party=False)
    light = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))
    ratios = [line(path, host) for path in map(Path, sys.argv[1:])] or [
        line(path, host) for path in light
    ]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    sys.stdout.write(f"geometric mean {mean:.1f}\n")
    with tempfile.TemporaryDirectory() as folder:
        times = []
        for nodes in (10_000, 100_000):
            path = Path(folder) / f"{nodes}.onnx"
            chain(nodes, path)
            times.append(min(seconds(lambda: ours(path, host)) for _ in range(3)))  # noqa: B023
    sys.stdout.write(
        f"a chain of 100,000 nodes costs {times[1] / times[0]:.1f} times one of 10,000 "
        f"({times[1]:.2f} s, {times[0]:.3f} s)\n"
    )


if __name__ == "__main__":
    main()
