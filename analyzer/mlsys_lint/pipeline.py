"""The order of stages, and nothing else."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlsys_lint import __version__, linting
from mlsys_lint.batching import largest_batch
from mlsys_lint.budgets import judge_budgets
from mlsys_lint.costing import cost_nodes
from mlsys_lint.errors import MlsysLintError, OptionError, UnknownSizeError
from mlsys_lint.fusion import certain_nodes, kernels_of, program_of
from mlsys_lint.graph import Graph, build
from mlsys_lint.loading import LoadedModel, load
from mlsys_lint.memory import memory_of, peak_activations
from mlsys_lint.parameters import Parameter, by_dtype, find_parameters
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.precision import AS_IS, PRECISIONS, Retyped, retyped
from mlsys_lint.prediction import predict
from mlsys_lint.program import Program
from mlsys_lint.records import (
    Activations,
    DeviceProfile,
    DeviceReport,
    Kernel,
    ModelInfo,
    ModelReport,
    NodeCost,
    Problem,
    Runtime,
    Training,
)
from mlsys_lint.roofline import contraction_peak, ridge
from mlsys_lint.shapes import Bindings
from mlsys_lint.totals import is_lower_bound, total
from mlsys_lint.traffic import io_bytes

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
    select: Sequence[str] = ()
    ignore: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How `validate` runs a model; see measure.measure."""

    provider: str = "cpu"
    threads: int = 1
    runs: int | None = None
    arrays: Path | None = None
    timeout_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """A model with its sizes bound and its nodes costed; independent of any device."""

    model: LoadedModel
    graph: Graph
    stored: Graph
    """Likewise in the types that the file stores."""
    types: Retyped | None
    """The types of another precision; None as the file stands."""
    unbound: Graph | None
    """Likewise with the sizes that the file leaves open; None where it leaves none."""
    costs: tuple[NodeCost, ...]
    parameters: tuple[Parameter, ...]
    problems: tuple[Problem, ...]


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
    from mlsys_lint.measure import measure
    from mlsys_lint.validation import compare

    model = load(path)
    analysis = analyse(model, host, options.bindings)
    predicted = report(analysis, host, options)
    measurement = measure(
        path,
        proto=model.proto,
        shapes={tensor.name: tensor.dims for tensor in analysis.graph.inputs if tensor.is_static},
        provider=run.provider,
        threads=run.threads,
        runs=run.runs,
        inputs=run.arrays,
        timeout_s=run.timeout_s,
        progress=progress,
    )
    return compare(predicted, measurement)


def analyse(
    model: LoadedModel,
    host: PluginHost,
    bindings: Bindings,
    precision: str = AS_IS,
    unbound: Graph | None = None,
) -> Analysis:
    """Bind sizes, walk the graph, cost every node; in another precision where one is named.

    `unbound`: the model's graph without sizes, where it is known from an analysis for others.
    """
    with _nothing_collected():
        graph = stored = build(model, bindings, host.operators)
        costs, problems = cost_nodes(graph, host)
        types = None if precision == AS_IS else retyped(PRECISIONS[precision], costs)
        if types is not None:
            graph = types.graph(stored)
            costs, problems = cost_nodes(graph, host)
        if "ai.onnx.preview.training" in model.opsets:
            costs = _with_gradients(graph, costs)
        parameters, by_node = find_parameters(graph, costs)
        costs = tuple(
            one.with_parameters(by_node[one.node.index]) if one.node.index in by_node else one
            for one in costs
        )
    return Analysis(
        model=model,
        graph=graph,
        stored=stored,
        types=types,
        unbound=(unbound or _unbound(model, host)) if _is_open(stored) else None,
        costs=costs,
        parameters=tuple(parameters.values()),
        problems=problems,
    )


def _with_gradients(graph: Graph, costs: Sequence[NodeCost]) -> tuple[NodeCost, ...]:
    """The costs, those of Gradient nodes from the nodes between."""
    from mlsys_lint.training import cost_gradients

    return cost_gradients(graph, costs)


def _is_open(graph: Graph) -> bool:
    """True where a runtime knows less of the sizes when it loads the file than the analysis."""
    return bool(graph.dims) or any(node.op_type == "Loop" for node in graph.nodes)


def _unbound(model: LoadedModel, host: PluginHost) -> Graph | None:
    """The model as a runtime knows it when it loads the file; None where that can't be told."""
    try:
        return build(model, Bindings(unbound=True, strict=False), host.operators)
    except MlsysLintError:
        return None


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Pause the cycle collector: nearly all that is made here is kept, and records make no cycles.

    What was made goes to the oldest generation at once, unless the caller has frozen objects that
    this would thaw: the next collection of young objects need not look at it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What a runtime makes of a model: its program, the kernels in their order, the peak."""

    runtime: Runtime
    program: Program
    kernels: tuple[Kernel, ...]
    peak: Activations | None
    problems: tuple[Problem, ...] = ()
    """What went wrong in the runtime's optimizers; the program is then as the file stands."""


def report(analysis: Analysis, host: PluginHost, options: CheckOptions) -> ModelReport:
    """Place an analysed model on devices, judge budgets, run the rules."""
    with _nothing_collected():
        executions = [
            execute(analysis, host, _runtime(host, options, profile), profile)
            for profile in options.devices or (None,)
        ]
    devices = tuple(
        replace(
            on_device(analysis, execution, profile),
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
        training=_training(analysis, host, options.training),
        problems=(
            *host.problems,
            *analysis.problems,
            *dict.fromkeys(problem for one in executions for problem in one.problems),
        ),
        assumptions=(*_notes(analysis), *analysis.graph.notes),
    )
    draft = replace(draft, budgets=judge_budgets(draft, options.budgets))
    findings, problems = linting.lint(
        draft, host.rules.values(), host.owners, select=options.select, ignore=options.ignore
    )
    return replace(draft, findings=findings, problems=(*draft.problems, *problems))


def on_device(analysis: Analysis, execution: Execution, profile: DeviceProfile) -> DeviceReport:
    """Time and memory of an analysed model on one device."""
    runtime, kernels, peak = execution.runtime, execution.kernels, execution.peak
    memory, items = memory_of(execution.program, kernels, analysis.graph.inputs, peak, runtime)
    prediction = predict(
        kernels, profile, runtime, io_bytes(analysis.graph, analysis.costs, kernels)
    )
    latency = prediction.latency_s
    capacity = profile.dram.capacity_bytes
    main = _main_dtype(analysis.costs)
    main_peak = contraction_peak(main, profile, runtime.fast_math) if main else None
    return DeviceReport(
        profile=profile,
        runtime=runtime.name,
        runtime_version=runtime.version,
        precision=analysis.types.precision.name if analysis.types else AS_IS,
        ridge=ridge(main_peak, profile) if main_peak else None,
        latency_s=latency,
        throughput_per_s=_batch(analysis) / latency.expected
        if latency and latency.expected
        else None,
        bound_time_s=prediction.bound_time_s,
        memory_bytes=memory,
        memory_items=items,
        activations=peak,
        peak_activation_bytes=peak.nbytes if peak else None,
        capacity_bytes=capacity,
        fits=None if capacity is None or memory is None else memory.expected <= capacity,
        unplaced=prediction.unplaced,
        kernels=prediction.kernels,
        lower_bound=is_lower_bound(analysis.costs),
    )


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
    return training_step(analysis.graph, analysis.costs, analysis.parameters, optimizer, options)


def _runtime(host: PluginHost, options: CheckOptions, profile: DeviceProfile | None) -> Runtime:
    name = options.runtime or (profile.runtime if profile else "onnxruntime-cpu")
    if name not in host.runtimes:
        known = ", ".join(sorted(host.runtimes))
        raise OptionError(f"--runtime {name}: unknown; known runtimes: {known}")
    return host.runtimes[name]


def _max_batch(
    analysis: Analysis, host: PluginHost, options: CheckOptions, profile: DeviceProfile
) -> int | None:
    """The largest batch that a device's memory holds; None where its size or a need is not known.

    Raises:
        OptionError: no input has a dynamic axis 0, or its size was given.
    """
    capacity, runtime = profile.dram.capacity_bytes, _runtime(host, options, profile)

    def need(batch: int) -> int:
        bindings = replace(options.bindings, batch=batch, strict=True)
        larger = analyse(
            analysis.model, host, bindings, options.precision, unbound=analysis.unbound
        )
        memory = on_device(larger, execute(larger, host, runtime, profile), profile).memory_bytes
        if memory is None:
            raise UnknownSizeError(f"memory at batch {batch} is not known")
        return round(memory.expected)

    try:
        return None if capacity is None else largest_batch(need, capacity)
    except UnknownSizeError:
        return None


def execute(
    analysis: Analysis, host: PluginHost, runtime: Runtime, profile: DeviceProfile | None
) -> Execution:
    """Optimize a model as a runtime does on a device, or where no device is known."""
    program = _program(analysis, runtime, profile)
    problems: tuple[Problem, ...] = ()
    try:
        runtime.rewrite(program)
    except Exception as error:  # noqa: BLE001  a plugin may raise anything
        message = (
            f"runtime {runtime.name}: {type(error).__name__}: {error}; nodes run as they stand"
        )
        owner = host.owners.get(runtime.name, runtime.name)
        problems = (Problem(plugin=owner, stage="rewrite", message=message),)
        program = _program(analysis, runtime, profile)
    if analysis.types is not None:
        analysis.types.apply(program)
    certain = certain_nodes(analysis.costs)
    return Execution(
        runtime=runtime,
        program=program,
        kernels=kernels_of(program, analysis.costs, host.formula, certain),
        peak=peak_activations(program, runtime),
        problems=problems,
    )


def _program(analysis: Analysis, runtime: Runtime, profile: DeviceProfile | None) -> Program:
    """The model as a runtime loads it, before its optimizers."""
    return program_of(
        analysis.stored,
        analysis.unbound,
        opset=analysis.model.opsets.get("", 1),
        block=profile.vector_lanes or 0 if profile is not None else 0,
        order=runtime.order,
    )


def _notes(analysis: Analysis) -> tuple[str, ...]:
    return () if analysis.types is None else (analysis.types.precision.note,)


def _main_dtype(costs: Sequence[NodeCost]) -> str | None:
    """The type with most MACs."""
    macs: dict[str, int] = {}
    for one in costs:
        for contraction in one.cost.contractions if one.cost else ():
            count = contraction.macs * one.node.repeat
            macs[contraction.dtype] = macs.get(contraction.dtype, 0) + count
    return max(macs, key=lambda name: (macs[name], name), default=None)


def _batch(analysis: Analysis) -> int:
    """Samples in one run: what `--batch` bound, else 1."""
    return next((one.value for one in analysis.graph.dims if one.source == "batch"), 1)


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
