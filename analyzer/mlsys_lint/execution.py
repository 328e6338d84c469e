"""An analysed model as a runtime executes it: its kernels, their buffers, their time on a device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlsys_lint.analysis import Analysis
from mlsys_lint.fusion import certain_nodes, kernels_of, program_of
from mlsys_lint.memory import memory_of, peak_activations
from mlsys_lint.plugin_host import PluginHost
from mlsys_lint.precision import AS_IS
from mlsys_lint.prediction import predict
from mlsys_lint.program import Program
from mlsys_lint.records import (
    Activations,
    DeviceProfile,
    DeviceReport,
    Interval,
    Kernel,
    NodeCost,
    Problem,
    Runtime,
)
from mlsys_lint.roofline import contraction_peak, ridge
from mlsys_lint.shapes import overridable_inputs
from mlsys_lint.totals import is_lower_bound
from mlsys_lint.traffic import io_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What a runtime makes of a model: its program, the kernels in their order, the peak."""

    runtime: Runtime
    program: Program
    kernels: tuple[Kernel, ...]
    peak: Activations | None
    profile: DeviceProfile | None = None
    problems: tuple[Problem, ...] = ()
    """What went wrong in the runtime's optimizers; the program is then as the file stands."""


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
        profile=profile,
        problems=problems,
    )


def doubts(execution: Execution) -> Iterator[Problem]:
    """What speaks against the device's calibration, for this runtime."""
    profile, version = execution.profile, execution.runtime.version
    if profile is None or profile.calibration is None:
        return
    reasons = list(profile.doubts)
    timed = profile.calibration.version
    if version is not None and timed.split(".")[:2] != version.split(".")[:2]:
        reasons.append(f"kernels were timed in release {timed}, fusion follows {version}")
    for reason in reasons:
        yield Problem(plugin="mlsys_lint", stage="calibration", message=f"{profile.id}: {reason}")


def untimed_problems(device: DeviceReport) -> Iterator[Problem]:
    """Operators whose kernels, or a part of what they do, were never timed."""
    if device.untimed:
        message = (
            f"{device.profile.id}: not all that kernels of {', '.join(device.untimed)} do was "
            "timed: they count as bytes, or without that part, with a wide interval"
        )
        yield Problem(plugin="mlsys_lint", stage="calibration", message=message)


def _program(analysis: Analysis, runtime: Runtime, profile: DeviceProfile | None) -> Program:
    """The model as a runtime loads it, before its optimizers."""
    return program_of(
        analysis.stored,
        analysis.unbound,
        opset=analysis.model.opsets.get("", 1),
        block=profile.vector_lanes or 0 if profile is not None else 0,
        order=runtime.order,
        overridable=overridable_inputs(analysis.model.proto),
    )


def memory_on(
    analysis: Analysis, execution: Execution
) -> tuple[Interval | None, Mapping[str, int]]:
    """Memory of a session, and the items that it adds up from; see memory_of."""
    return memory_of(
        execution.program,
        execution.kernels,
        analysis.graph.inputs,
        execution.peak,
        execution.runtime,
    )


def on_device(analysis: Analysis, execution: Execution, profile: DeviceProfile) -> DeviceReport:
    """Time and memory of an analysed model on one device."""
    runtime, kernels, peak = execution.runtime, execution.kernels, execution.peak
    memory, items = memory_on(analysis, execution)
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
        untimed=prediction.untimed,
        kernels=prediction.kernels,
        lower_bound=is_lower_bound(analysis.costs),
    )


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
