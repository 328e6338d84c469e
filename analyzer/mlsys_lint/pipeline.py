"""The order of stages, and nothing else."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlsys_lint import __version__, linting
from mlsys_lint.budgets import judge_budgets
from mlsys_lint.costing import cost_nodes
from mlsys_lint.errors import OptionError
from mlsys_lint.graph import Graph, build
from mlsys_lint.loading import LoadedModel, load
from mlsys_lint.memory import memory_of, peak_activations
from mlsys_lint.parameters import Parameter, by_dtype, find_parameters
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.prediction import predict
from mlsys_lint.records import (
    DeviceProfile,
    DeviceReport,
    Kernel,
    ModelInfo,
    ModelReport,
    NodeCost,
    Problem,
    Runtime,
)
from mlsys_lint.roofline import contraction_peak, ridge
from mlsys_lint.shapes import Bindings
from mlsys_lint.totals import is_lower_bound, total
from mlsys_lint.traffic import io_bytes

if TYPE_CHECKING:
    from mlsys_lint.records.validation import ValidationReport

SCHEMA_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """What shapes a check besides the model: sizes, devices, budgets, rules."""

    bindings: Bindings = field(default_factory=Bindings)
    devices: Sequence[DeviceProfile] = ()
    runtime: str | None = None
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
    analysis = analyse(model, host, options.bindings)
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


def analyse(model: LoadedModel, host: PluginHost, bindings: Bindings) -> Analysis:
    """Bind sizes, walk the graph, cost every node."""
    with _nothing_collected():
        graph = build(model, bindings, host.operators)
        costs, problems = cost_nodes(graph, host)
        parameters, by_node = find_parameters(graph, costs)
        costs = tuple(
            one.with_parameters(by_node[one.node.index]) if one.node.index in by_node else one
            for one in costs
        )
    return Analysis(
        model=model,
        graph=graph,
        costs=costs,
        parameters=tuple(parameters.values()),
        problems=problems,
    )


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Pause the cycle collector: records make no cycles, and all that is made here is kept.

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


def report(analysis: Analysis, host: PluginHost, options: CheckOptions) -> ModelReport:
    """Place an analysed model on devices, judge budgets, run the rules."""
    first = _runtime(host, options, options.devices[0] if options.devices else None)
    _, executed = _kernels(analysis, first)
    peak = peak_activations(analysis.graph, analysis.costs, executed, first)
    devices = tuple(
        on_device(analysis, profile, _runtime(host, options, profile))
        for profile in options.devices
    )
    draft = ModelReport(
        schema_version=SCHEMA_VERSION,
        tool_version=__version__,
        model=_model_info(analysis),
        nodes=analysis.costs,
        totals=total(analysis.costs, peak),
        devices=devices,
        problems=(*host.problems, *analysis.problems),
        assumptions=analysis.graph.notes,
    )
    draft = replace(draft, budgets=judge_budgets(draft, options.budgets))
    findings, problems = linting.lint(
        draft, host.rules.values(), host.owners, select=options.select, ignore=options.ignore
    )
    return replace(draft, findings=findings, problems=(*draft.problems, *problems))


def on_device(analysis: Analysis, profile: DeviceProfile, runtime: Runtime) -> DeviceReport:
    """Kernels, time and memory of an analysed model on one device."""
    kernels, executed = _kernels(analysis, runtime)
    graph = analysis.graph
    peak = peak_activations(graph, analysis.costs, executed, runtime)
    memory, items = memory_of(kernels, analysis.parameters, graph.inputs, peak, runtime)
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
        precision="as-is",
        ridge=ridge(main_peak, profile) if main_peak else None,
        latency_s=latency,
        throughput_per_s=_batch(analysis) / latency.expected
        if latency and latency.expected
        else None,
        bound_time_s=prediction.bound_time_s,
        memory_bytes=memory,
        memory_items=items,
        peak_activation_bytes=peak.nbytes if peak else None,
        capacity_bytes=capacity,
        fits=None if capacity is None or memory is None else memory.expected <= capacity,
        unplaced=prediction.unplaced,
        kernels=prediction.kernels,
        lower_bound=is_lower_bound(analysis.costs),
    )


def _runtime(host: PluginHost, options: CheckOptions, profile: DeviceProfile | None) -> Runtime:
    name = options.runtime or (profile.runtime if profile else "onnxruntime-cpu")
    if name not in host.runtimes:
        known = ", ".join(sorted(host.runtimes))
        raise OptionError(f"--runtime {name}: unknown; known runtimes: {known}")
    return host.runtimes[name]


def _kernels(analysis: Analysis, runtime: Runtime) -> tuple[tuple[Kernel, ...], frozenset[int]]:
    """Executed kernels, and the nodes in them."""
    results = frozenset(uid for frame in analysis.graph.frames.values() for uid in frame.outputs)
    ordered = [analysis.costs[index] for index in analysis.graph.visits]
    kernels = runtime.fuse(ordered, results)
    return kernels, frozenset(index for kernel in kernels for index in kernel.nodes)


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
