"""Data flows one way: a module imports its own layer and earlier ones, plugins the public API."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS: tuple[tuple[str, ...], ...] = (
    ("records", "dtypes", "errors", "program"),
    (
        "hookspecs",
        "operators",
        "gradients",
        "devices",
        "cpu",
        "host",
        "roofline",
        "formatting",
        "documents",
    ),
    (
        "plugin_host",
        "loading",
        "shapes",
        "values",
        "onnx_types",
        "maxima",
        "worlds",
        "schemas",
        "intervals",
        "inference",
        "symbols",
        "graph",
    ),
    (
        *(
            "costing",
            "parameters",
            "fusion",
            "memory",
            "precision",
            "math_mode",
            "totals",
            "traffic",
            "prediction",
            "linting",
        ),
        *("batching", "budgets", "inputs", "joining", "measure", "training", "validation"),
    ),
    ("analysis", "execution"),
    ("pipeline", "calibration"),
    ("testing", "cli"),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
PUBLIC_MODULES = (
    "records",
    "gradients",
    "devices",
    "formatting",
    "program",
    "dtypes",
    "operators",
    "documents",
)
"""What plugins may import besides the names of `mlsys_lint` itself."""
FACADE = ("__init__", "__main__")
"""The public API re-exports, and `python -m` starts: neither has a layer."""
NOWHERE = ("matplotlib", "pandas", "torch")
ONLY_IN = {"onnxruntime": "measure", "scipy": "calibration"}
"""Heavy packages and the one part that may import them."""


def imports(source: str) -> Iterator[str]:
    """Dotted names that a module imports, at any depth; `from a import b` gives a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(path: Path) -> str:
    """First part of a module below mlsys_lint: `graph` for graph/walker.py."""
    return path.relative_to(ROOT / "analyzer/mlsys_lint").with_suffix("").parts[0]


def core_faults(part: str, source: str) -> list[str]:
    faults = []
    for name in imports(source):
        parts = name.split(".")
        if parts[0] in NOWHERE or part != ONLY_IN.get(parts[0], part):
            faults.append(f"{part} imports {name}")
        if parts[0] in ("mlsys_lint_plugins", "mlsys_lint_devices"):
            faults.append(f"{part} imports {name}: built-ins are named by text only")
        if parts[0] != "mlsys_lint" or parts[1] not in RANK:
            continue
        if part not in FACADE and RANK[parts[1]] > RANK[part]:
            faults.append(f"{part} imports {name} from a later layer")
    return faults


def plugin_faults(source: str) -> list[str]:
    import mlsys_lint

    faults = []
    for name in imports(source):
        parts = name.split(".")
        if parts[0] == "mlsys_lint" and parts[1] not in (*mlsys_lint.__all__, *PUBLIC_MODULES):
            faults.append(f"{name} is not public")
        if parts[0] in (*NOWHERE, *ONLY_IN):
            faults.append(name)
    return faults


@pytest.mark.parametrize(
    "path", sorted((ROOT / "analyzer/mlsys_lint").rglob("*.py")), ids=lambda path: path.name
)
def test_core_modules_keep_their_layer(path: Path) -> None:
    part = part_of(path)
    assert part in RANK or part in FACADE, f"give {part} a layer"
    assert core_faults(part, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "path",
    sorted([*(ROOT / "plugins").rglob("*.py"), *(ROOT / "devices").rglob("*.py")]),
    ids=lambda path: path.name,
)
def test_plugins_are_clients_of_the_public_api(path: Path) -> None:
    assert plugin_faults(path.read_text(encoding="utf-8")) == []


def test_the_check_bites() -> None:
    assert core_faults("loading", "from mlsys_lint.pipeline import check")
    assert core_faults("costing", "import onnxruntime")
    assert core_faults("linting", "from mlsys_lint_plugins.rules import register_rules")
    assert core_faults("pipeline", "def f():\n    import scipy.optimize")
    assert not core_faults("costing", "from mlsys_lint.graph.walker import build")
    assert plugin_faults("from mlsys_lint.costing import cost_nodes")
    assert plugin_faults("from mlsys_lint import PluginHost")
    assert not plugin_faults("from mlsys_lint import cost, OpCost")
