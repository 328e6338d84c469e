"""Timing micro-networks in one child process."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import onnx

from mlsys_lint.errors import MlsysLintError, RuntimeUnavailableError
from mlsys_lint.inputs import plan_inputs
from mlsys_lint.measure.process import run_child

_LIMIT_S: Final = 900.0


def time_networks(
    networks: Sequence[tuple[str, onnx.ModelProto]],
    *,
    threads: int,
    budget_s: float,
    progress: Callable[[str, float], None],
) -> tuple[str, list[dict[str, Any]]]:
    """(version of ONNX Runtime, one result a network); see measure.networks.

    Args:
        networks: Name and model with static inputs; a name may occur twice.
        threads: Threads of one operator.
        budget_s: Seconds in which each is run over and over.
        progress: Called with a name and the share that is done.

    Raises:
        RuntimeUnavailableError: ONNX Runtime is not installed.
        MlsysLintError: a network could not be run.
    """
    with tempfile.TemporaryDirectory(prefix="mlsys-lint-") as name:
        folder = Path(name)
        entries = [_entry(folder, at, *one) for at, one in enumerate(networks)]
        labels = {entry["name"]: at for at, entry in enumerate(entries)}

        def report(label: str) -> None:
            at = labels.get(label, 0)
            progress(networks[at][0], at / len(networks))

        job = {
            "work": "networks",
            "memory_limit_bytes": None,
            "scratch": name,
            "threads": threads,
            "budget_s": budget_s,
            "networks": entries,
        }
        outcome = run_child(job, folder=folder, timeout_s=_LIMIT_S, progress=report)
    if outcome.failure is not None or "version" not in outcome.parts:
        kind, message = outcome.error or ("", outcome.failure or "the child said nothing")
        if kind == RuntimeUnavailableError.__name__:
            raise RuntimeUnavailableError(message)
        raise MlsysLintError(f"calibration stopped: {message}")
    return outcome.parts["version"], [outcome.parts[entry["name"]] for entry in entries]


def _entry(folder: Path, at: int, name: str, model: onnx.ModelProto) -> dict[str, Any]:
    label = f"{at:03d}-{name}"
    path = folder / f"{label}.onnx"
    onnx.save(model, path)
    shapes = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in model.graph.input
    }
    plans = [asdict(plan) for plan in plan_inputs(model, shapes, {})]
    return {"name": label, "path": str(path), "inputs": plans}
