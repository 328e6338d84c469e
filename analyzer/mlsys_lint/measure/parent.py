"""From a model and its bound shapes to a Measurement, through a child process."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import onnx

from mlsys_lint.errors import MlsysLintError, ModelError, OptionError, RuntimeUnavailableError
from mlsys_lint.inputs import plan_inputs
from mlsys_lint.measure.external import check_external_data
from mlsys_lint.measure.process import Outcome, run_child
from mlsys_lint.measure.profile import PROFILE_NAME
from mlsys_lint.records.report import Problem
from mlsys_lint.records.validation import (
    Copies,
    Fallback,
    InputPlan,
    KernelTimes,
    Measurement,
)

PROVIDERS: Final = ("cpu", "cuda")

_PARTS: Final = {
    "peak": "peak memory and each node's provider",
    "profile": "kernels one by one",
    "graphs": "which nodes each kernel stands for",
}
_NO_VALUES: Final[Mapping[str, str]] = MappingProxyType({})
_ERRORS: Final = {one.__name__: one for one in (ModelError, OptionError, RuntimeUnavailableError)}


def measure(
    path: Path,
    *,
    proto: onnx.ModelProto,
    shapes: Mapping[str, tuple[int, ...]],
    provider: str,
    threads: int,
    runs: int | None,
    inputs: Path | None,
    timeout_s: float,
    values: Mapping[str, str] = _NO_VALUES,
    seed: int = 0,
    memory_limit_bytes: int | None = None,
    save_profile: Path | None = None,
    provider_options: Mapping[str, str] = _NO_VALUES,
    progress: Callable[[str], None] | None = None,
) -> Measurement:
    """Time the model file and its kernels in ONNX Runtime, measure its peak activation memory.

    Args:
        path: The model file.
        proto: The same model, parsed; the data of its tensors is not needed.
        shapes: Bound shape of every input that a caller feeds; those of other values help to fill them.
        provider: `cpu` or `cuda`.
        threads: Threads that one operator may use.
        runs: Number of timed runs; None: as many as fit into two seconds, 5 to 200.
        inputs: An .npz file with arrays by input name; inputs that it lacks are generated.
        timeout_s: Limit of the child's life; what it holds then is lost.
        values: Recipes by input name, see `inputs.plan_inputs`.
        seed: Of the generated inputs.
        memory_limit_bytes: Limit of the child's address space.
        save_profile: Where to keep the runtime's profile of the kernels.
        provider_options: Options of the execution provider by name, see the provider's page.
        progress: Is told what the child does, for a terminal.

    Raises:
        ModelError: ONNX Runtime refuses, crashes or does not end in time.
        OptionError: an option or the .npz file does not fit the model.
        RuntimeUnavailableError: ONNX Runtime or the provider is not there.
    """
    _check_options(provider, threads, runs, timeout_s)
    if provider_options and provider == "cpu":
        raise OptionError("--provider-option is for --provider cuda: the CPU provider has none")
    if save_profile is not None and provider != "cpu":
        raise OptionError("--save-profile is for --provider cpu: elsewhere no kernels are timed")
    check_external_data(proto, path)
    plans = plan_inputs(proto, shapes, values, seed)
    job = {
        "work": "measure",
        "path": str(path.resolve()),
        "provider": provider,
        "provider_options": dict(provider_options),
        "threads": threads,
        "runs": runs,
        "inputs": [_plan_document(plan) for plan in plans],
        "npz": str(inputs.resolve()) if inputs is not None else None,
        "memory_limit_bytes": memory_limit_bytes,
    }
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    # The folder is the parent's, so that it goes even when the child is killed.
    with tempfile.TemporaryDirectory(prefix="mlsys-lint-") as scratch:
        outcome = run_child(
            {**job, "scratch": scratch},
            folder=Path(scratch),
            timeout_s=timeout_s,
            progress=progress,
        )
        if save_profile is not None and "profile" in outcome.parts:
            _save_profile(Path(scratch), save_profile)
        graphs = tuple(Path(one).read_bytes() for one in outcome.parts.get("graphs", ()))
    return _measurement(outcome, path=path, plans=plans, load=load, graphs=graphs)


def _save_profile(scratch: Path, target: Path) -> None:
    try:
        shutil.copyfile(scratch / PROFILE_NAME, target)
    except OSError as error:
        raise OptionError(f"--save-profile {target}: {error.strerror or error}") from error


def _check_options(provider: str, threads: int, runs: int | None, timeout_s: float) -> None:
    if provider not in PROVIDERS:
        raise OptionError(f"--provider {provider!r} is unknown; known: {', '.join(PROVIDERS)}")
    if threads < 1:
        raise OptionError(f"--threads must be at least 1, got {threads}")
    if runs is not None and runs < 1:
        raise OptionError(f"--runs must be at least 1, got {runs}")
    if not (timeout_s > 0 and isfinite(timeout_s)):
        raise OptionError(f"--timeout must be a number of seconds above 0, got {timeout_s}")


def _plan_document(plan: InputPlan) -> dict[str, object]:
    return {
        "name": plan.name,
        "dtype": plan.dtype,
        "shape": list(plan.shape),
        "recipe": plan.recipe,
        "seed": plan.seed,
    }


def _measurement(
    outcome: Outcome,
    *,
    path: Path,
    plans: tuple[InputPlan, ...],
    load: float | None,
    graphs: tuple[bytes, ...] = (),
) -> Measurement:
    """The record; runs that were timed count even when the child failed afterwards."""
    parts = outcome.parts
    if "latency" not in parts:
        raise _failure(outcome, path)
    latency: Mapping[str, Any] = parts["latency"]
    peak: Mapping[str, Any] = parts.get("peak", {})
    before, after = latency["sentinel_s"]
    from_file = frozenset(latency["from_file"])
    return Measurement(
        provider=latency["provider"],
        runtime_version=latency["runtime_version"],
        threads=latency["threads"],
        seconds=tuple(latency["seconds"]),
        first_run_s=latency["first_run_s"],
        session_s=latency["session_s"],
        sentinel_s=(before, after),
        load=load,
        cpus=latency["cpus"],
        inputs=tuple(_used(plan, from_file) for plan in plans),
        peak_activation_bytes=peak.get("peak_activation_bytes"),
        kernels=_kernels(parts["profile"]) if graphs else None,
        graphs=graphs,
        fallbacks=tuple(
            Fallback(**{**one, "nodes": tuple(one["nodes"])}) for one in peak.get("fallbacks", ())
        ),
        copies=tuple(
            Copies(**{**one, "nodes": tuple(one["nodes"])}) for one in peak.get("copies", ())
        ),
        provider_options=latency["provider_options"],
        problems=tuple(_problems(outcome)),
    )


def _problems(outcome: Outcome) -> Iterator[Problem]:
    """What the child said, and what it could not do."""
    parts = outcome.parts
    texts = list(parts.get("peak", {}).get("problems", ()))
    if outcome.failure is not None:
        on_cpu = parts["latency"]["provider"] == "cpu"
        timed = parts.get("peak", {}).get("kernels_timed", on_cpu)
        wanted = _PARTS if timed else ("peak",)
        missing = [_PARTS[part] for part in wanted if part not in parts]
        texts.append(f"not measured: {', '.join(missing)}: {outcome.failure}")
    for text in texts:
        yield Problem(plugin="mlsys_lint", stage="measure", message=text)


def _kernels(profile: Mapping[str, Any]) -> tuple[KernelTimes, ...]:
    return tuple(
        KernelTimes(
            name=one["name"],
            node_index=one["node_index"],
            op_type=one["op_type"],
            calls=tuple(one["calls"]),
            microseconds=tuple(one["microseconds"]),
        )
        for one in profile["kernels"]
    )


def _used(plan: InputPlan, from_file: frozenset[str]) -> InputPlan:
    if plan.name not in from_file:
        return plan
    return InputPlan(
        name=plan.name, dtype=plan.dtype, shape=plan.shape, recipe="file", seed=plan.seed
    )


def _failure(outcome: Outcome, path: Path) -> MlsysLintError:
    """The child's own error, or what became of the child."""
    kind, message = outcome.error or ("ModelError", outcome.failure or "the child said nothing")
    if kind == "RuntimeUnavailableError":
        return RuntimeUnavailableError(message)
    return _ERRORS.get(kind, MlsysLintError)(f"{path}: {message}")
