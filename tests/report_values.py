"""Hand-built reports for tests of rules and reporters: small, with round figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlsys_lint.records import (
    Activations,
    Calibration,
    Contraction,
    Coverage,
    DeviceProfile,
    DeviceReport,
    Figure,
    Interval,
    Kernel,
    KernelReport,
    MemoryLevel,
    ModelInfo,
    ModelReport,
    NodeCost,
    NodeStatus,
    NodeView,
    OpCost,
    Placement,
    TensorInfo,
    Totals,
)

_CALIBRATION = Calibration(
    runtime="onnxruntime-cpu", version="1.32.0", threads=1, cpu="toy", run_s=0, drift=0, classes={}
)


def tensor(
    name: str, *shape: int | None, dtype: str = "float", constant: bool = False
) -> TensorInfo:
    return TensorInfo(name=name, dtype=dtype, shape=shape, constant=constant)


def node(
    index: int,
    op_type: str = "Relu",
    *inputs: TensorInfo | None,
    name: str = "",
    domain: str = "",
    attributes: Mapping[str, int] | None = None,
    status: NodeStatus = NodeStatus.EXACT,
    reason: str | None = None,
) -> NodeCost:
    view = NodeView(
        index=index,
        name=name,
        domain=domain,
        op_type=op_type,
        opset=23,
        inputs=inputs,
        attributes=attributes or {},
    )
    return NodeCost(node=view, status=status, reason=reason)


def exactly(value: float) -> Interval:
    return Interval(floor=value, low=value, expected=value, high=value)


def kernel(
    *nodes: int,
    kernel_class: str = "elementwise",
    contractions: Sequence[Contraction] = (),
    vector_ops: int = 0,
    bytes_read: int = 0,
    bytes_written: int = 0,
    weight_bytes: int = 0,
    time_s: float | None = 1e-3,
    bound: str = "memory",
    ridge: float | None = 10.0,
    attainable: float | None = None,
    dtype: str = "fp32",
) -> KernelReport:
    cost = OpCost(
        contractions=tuple(contractions),
        vector_ops=vector_ops,
        bytes_read=bytes_read,
        bytes_written=bytes_written,
        weight_bytes=weight_bytes,
        kernel_class=kernel_class,
    )
    place = Placement(
        engine="matrix" if contractions else "vector",
        dtype=dtype,
        intensity=cost.intensity,
        ridge=ridge,
        attainable_flop_per_s=attainable,
        bound=bound,
    )
    return KernelReport(
        kernel=Kernel(nodes=nodes, cost=cost, kernel_class=kernel_class, dtype="float"),
        placement=place,
        time_s=None if time_s is None else exactly(time_s),
        bound=bound,
    )


def device(
    *kernels: KernelReport,
    id: str = "toy",  # noqa: A002  the record's own word
    kind: str = "cpu",
    runtime: str = "onnxruntime-cpu",
    vector_lanes: int | None = 16,
    threads: int | None = None,
    ridge: float | None = 10.0,
    latency: Interval | None = None,
    memory: Interval | None = None,
    capacity_bytes: int | None = None,
    fits: bool | None = None,
    calibrated: bool = True,
    lower_bound: bool = False,
    bandwidth: float = 1e10,
    activations: Activations | None = None,
    memory_items: Mapping[str, int] | None = None,
) -> DeviceReport:
    """A device whose latency is the sum of its kernels' times, unless it is given."""
    times = [entry.time_s for entry in kernels]
    known = [time.expected for time in times if time is not None]
    bounds: dict[str, float] = {}
    for entry in kernels:
        if entry.time_s is not None:
            bounds[entry.bound] = bounds.get(entry.bound, 0.0) + entry.time_s.expected
    if latency is None and len(known) == len(times):
        latency = exactly(sum(known))
    figure = Figure(value=bandwidth, low=bandwidth, high=bandwidth, source="toy", status="spec")
    return DeviceReport(
        profile=DeviceProfile(
            id=id,
            name=f"The {id}",
            vendor="toys",
            kind=kind,
            runtime=runtime,
            threads=threads,
            vector_lanes=vector_lanes,
            peaks={},
            memory=(MemoryLevel(level="dram", bandwidth=figure),),
            calibration=_CALIBRATION if calibrated else None,
        ),
        runtime=runtime,
        runtime_version=None,
        precision="as-is",
        ridge=ridge,
        latency_s=latency,
        throughput_per_s=1 / latency.expected if latency and latency.expected else None,
        bound_time_s=bounds,
        memory_bytes=memory,
        memory_items=memory_items or {},
        activations=activations,
        peak_activation_bytes=None,
        capacity_bytes=capacity_bytes,
        fits=fits,
        unplaced=(),
        kernels=kernels,
        lower_bound=lower_bound,
    )


def model(path: str = "toy.onnx", *inputs: TensorInfo, parameters: int = 0) -> ModelInfo:
    return ModelInfo(
        path=path,
        opset_imports={"": 17},
        inputs=inputs,
        outputs=(),
        parameters=parameters,
        parameter_bytes=4 * parameters,
        parameter_dtypes={"float": parameters} if parameters else {},
        dims=(),
        ir_version=10,
        producer="toy",
    )


def totals(
    nodes: Sequence[NodeCost] = (),
    *,
    macs: int = 0,
    flops: int = 0,
    transcendentals: int = 0,
    peak_activation_bytes: int | None = 0,
    peak_node: int | None = None,
    is_upper_bound: bool = False,
) -> Totals:
    counts = {status.value: 0 for status in NodeStatus}
    for entry in nodes:
        counts[entry.status.value] += 1
    unknown = counts["unsupported"] + counts["declined"] + counts["failed"]
    return Totals(
        nodes=len(nodes),
        macs=macs,
        macs_masked=0,
        flops=flops,
        vector_ops=flops - 2 * macs,
        transcendentals=transcendentals,
        bytes_read=0,
        bytes_written=0,
        weight_bytes=0,
        peak_activation_bytes=peak_activation_bytes,
        peak_node=peak_node,
        coverage=Coverage(nodes=len(nodes), counts=counts),
        is_lower_bound=unknown > 0,
        is_upper_bound=is_upper_bound,
    )


def report(
    nodes: Sequence[NodeCost] = (),
    *devices: DeviceReport,
    info: ModelInfo | None = None,
    sums: Totals | None = None,
) -> ModelReport:
    return ModelReport(
        schema_version="1",
        tool_version="0",
        model=info or model(),
        nodes=tuple(nodes),
        totals=sums or totals(nodes),
        devices=devices,
    )
