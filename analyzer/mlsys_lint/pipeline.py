"""The order of stages, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlsys_lint import __version__, linting
from mlsys_lint.analysis import Analysis, analyse, nothing_collected
from mlsys_lint.batching import largest_batch
from mlsys_lint.budgets import judge_budgets
from mlsys_lint.errors import OptionError, UnknownSizeError
from mlsys_lint.execution import doubts, execute, memory_on, on_device, untimed_problems
from mlsys_lint.loading import load
from mlsys_lint.math_mode import math_notes, with_math_mode
from mlsys_lint.parameters import by_dtype
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.precision import AS_IS
from mlsys_lint.records import DeviceProfile, ModelInfo, ModelReport, Problem, Runtime, Training
from mlsys_lint.shapes import Bindings
from mlsys_lint.totals import total

if TYPE_CHECKING:
    from mlsys_lint.records.validation import ValidationReport
    from mlsys_lint.training import TrainingOptions

SCHEMA_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """What shapes a check besides the model: sizes, devices, budgets, rules."""

    bindings: Bindings = field(default_factory=Bindings)
    devices: Sequence[DeviceProfile] = ()
    runtime: str | None = None
    precision: str = AS_IS
    """How the model's numbers are taken: as stored, or a key of precision.PRECISIONS."""
    max_batch: bool = False
    """Search for the largest batch that each device holds."""
    training: TrainingOptions | None = None
    """The training step to count besides the run; None: none."""
    budgets: Mapping[str, float] = field(default_factory=dict)
    """`latency` in seconds and `memory` in bytes."""
    session: Mapping[str, str] | None = None
    """Options of the CUDA session that is compared with; None: the runtime's own arithmetic."""
    select: Sequence[str] = ()
    ignore: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How `validate` runs a model; see measure.measure."""

    provider: str = "cpu"
    provider_options: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1
    runs: int | None = None
    arrays: Path | None = None
    fills: Mapping[str, str] = field(default_factory=dict)
    """Recipes of generated inputs by name; a name that one of several models lacks is passed over."""
    seed: int = 0
    timeout_s: float = 300.0
    save_profile: Path | None = None


def check(
    path: Path,
    host: PluginHost,
    options: CheckOptions,
    progress: Callable[[str], None] = lambda _: None,
) -> ModelReport:
    """Analyse a model file without running it.

    Raises:
        MlsysLintError: the file or an option is unusable.
    """
    progress("reading")
    model = load(path)
    progress("inferring shapes")
    analysis = analyse(model, host, options.bindings, options.precision)
    progress("predicting")
    return report(analysis, host, options)


def validate(
    path: Path,
    host: PluginHost,
    options: CheckOptions,
    run: RunOptions,
    progress: Callable[[str], None] = lambda _: None,
) -> ValidationReport:
    """Run a model in ONNX Runtime and compare with the prediction of `check`.

    Raises:
        MlsysLintError: the model can't be analysed or run, or the provider is not there.
    """
    from mlsys_lint.inputs.analysed import known_shapes, own_fills
    from mlsys_lint.joining import join_saved
    from mlsys_lint.measure import measure
    from mlsys_lint.validation import compare

    model = load(path)
    analysis = analyse(model, host, options.bindings)
    if run.provider == "cuda":
        options = replace(options, session=run.provider_options)
    predicted = report(analysis, host, options)
    measurement = measure(
        path,
        proto=model.proto,
        shapes=known_shapes(analysis.graph),
        provider=run.provider,
        provider_options=run.provider_options,
        threads=run.threads,
        runs=run.runs,
        inputs=run.arrays,
        values=own_fills(analysis.graph, options.bindings, run.fills),
        seed=run.seed,
        timeout_s=run.timeout_s,
        save_profile=run.save_profile,
        progress=progress,
    )
    if run.provider == "cuda":
        measurement = replace(
            measurement, problems=(*measurement.problems, *_math_problems(run.provider_options))
        )
    progress("joining kernels to nodes")
    return compare(predicted, measurement, join_saved(path, measurement.graphs))


def _math_problems(options: Mapping[str, str]) -> Iterator[Problem]:
    for note in math_notes(options, os.environ):
        yield Problem(plugin="mlsys_lint", stage="validate", message=note)


def report(analysis: Analysis, host: PluginHost, options: CheckOptions) -> ModelReport:
    """Place an analysed model on devices, judge budgets, run the rules."""
    with nothing_collected():
        executions = [
            execute(analysis, host, _runtime(host, options, profile), profile)
            for profile in options.devices or (None,)
        ]
    training = _training(analysis, host, options.training)
    devices = tuple(
        replace(
            on_device(analysis, execution, profile),
            training_fits=_fits(training, profile),
            max_batch=_max_batch(analysis, host, options, profile) if options.max_batch else None,
        )
        for execution, profile in zip(executions, options.devices, strict=False)
    )
    draft = ModelReport(
        schema_version=SCHEMA_VERSION,
        tool_version=__version__,
        model=_model_info(analysis),
        nodes=analysis.costs,
        totals=total(analysis.costs, executions[0].peak),
        devices=devices,
        training=training,
        problems=(
            *host.problems,
            *analysis.problems,
            *dict.fromkeys(problem for one in executions for problem in one.problems),
            *(doubt for one in executions for doubt in doubts(one)),
            *(problem for device in devices for problem in untimed_problems(device)),
        ),
        assumptions=(*_notes(analysis), *analysis.graph.notes),
    )
    draft = replace(draft, budgets=judge_budgets(draft, options.budgets))
    findings, problems = linting.lint(
        draft, host.rules.values(), host.owners, select=options.select, ignore=options.ignore
    )
    return replace(draft, findings=findings, problems=(*draft.problems, *problems))


def _fits(training: Training | None, profile: DeviceProfile) -> bool | None:
    """Whether the tensors of a training step fit; a framework's own memory is not known."""
    need = training.total_bytes if training is not None else None
    capacity = profile.dram.capacity_bytes
    return None if need is None or capacity is None else need <= capacity


def _training(
    analysis: Analysis, host: PluginHost, options: TrainingOptions | None
) -> Training | None:
    """The training step that was asked for."""
    if options is None:
        return None
    from mlsys_lint.training import training_step

    if options.optimizer not in host.optimizers:
        known = ", ".join(sorted(host.optimizers))
        raise OptionError(f"--optimizer {options.optimizer}: unknown; known optimizers: {known}")
    optimizer = host.optimizers[options.optimizer]
    return training_step(
        analysis.graph,
        analysis.costs,
        analysis.parameters,
        optimizer,
        options,
        others=host.optimizers.values(),
    )


def _runtime(host: PluginHost, options: CheckOptions, profile: DeviceProfile | None) -> Runtime:
    name = options.runtime or (profile.runtime if profile else "onnxruntime-cpu")
    if name not in host.runtimes:
        known = ", ".join(sorted(host.runtimes))
        raise OptionError(f"--runtime {name}: unknown; known runtimes: {known}")
    runtime = host.runtimes[name]
    if options.session is None:
        return runtime
    return with_math_mode(runtime, options.session, os.environ)


def _max_batch(
    analysis: Analysis, host: PluginHost, options: CheckOptions, profile: DeviceProfile
) -> int | None:
    """The largest batch of a run, or a training step, that a device's memory holds.

    None where the size of its memory, or of what must be held, is not known.

    Raises:
        OptionError: no input has a dynamic axis 0, or its size was given.
    """
    capacity, runtime = profile.dram.capacity_bytes, _runtime(host, options, profile)

    def need(batch: int) -> int:
        bindings = replace(options.bindings, batch=batch, strict=True)
        larger = analyse(
            analysis.model, host, bindings, options.precision, unbound=analysis.unbound
        )
        step = _training(larger, host, options.training)
        if step is not None:
            nbytes = step.total_bytes
        else:
            memory, _ = memory_on(larger, execute(larger, host, runtime, profile))
            nbytes = None if memory is None else round(memory.expected)
        if nbytes is None:
            raise UnknownSizeError(f"memory at batch {batch} is not known")
        return nbytes

    try:
        return None if capacity is None else largest_batch(need, capacity)
    except UnknownSizeError:
        return None


def _notes(analysis: Analysis) -> tuple[str, ...]:
    return () if analysis.types is None else (analysis.types.precision.note,)


def _model_info(analysis: Analysis) -> ModelInfo:
    proto = analysis.model.proto
    return ModelInfo(
        path=str(analysis.model.path),
        opset_imports={
            domain or "ai.onnx": version
            for domain, version in sorted(analysis.model.opsets.items())
        },
        inputs=analysis.graph.inputs,
        outputs=analysis.graph.outputs,
        parameters=sum(one.elements for one in analysis.parameters),
        parameter_bytes=sum(one.nbytes for one in analysis.parameters),
        parameter_dtypes=by_dtype(analysis.parameters),
        dims=analysis.graph.dims,
        ir_version=proto.ir_version,
        producer=f"{proto.producer_name} {proto.producer_version}".strip(),
    )
