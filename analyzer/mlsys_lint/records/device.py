"""Values that describe hardware, runtimes and the place of a kernel on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from mlsys_lint.records.calibration import Calibration, Timing
from mlsys_lint.records.cost import OpCost
from mlsys_lint.records.frozen import record
from mlsys_lint.records.graph import NodeView

if TYPE_CHECKING:
    from mlsys_lint.program import Op, Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A quantity that is not known exactly: `floor <= low <= expected <= high`.

    `low` to `high` is meant to hold the truth in 80 % of cases; `floor` can't be beaten.
    """

    floor: float
    low: float
    expected: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.floor <= self.low <= self.expected <= self.high:
            raise ValueError(f"an interval must be ordered, got {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number with where it comes from.

    `status` is spec, measured, derived, approximation or unverified; `low` and `high` give the
    range of an approximation, and equal `value` otherwise.
    """

    value: float
    low: float
    high: float
    source: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """Dense rate of one engine for one data type.

    Attributes:
        engine: `matrix`, `vector` or `special`.
        dtype: Short name: `fp32`, `bf16`, `tf32`, `int8`.
        accumulate: Type of the accumulator, `""` when the source does not say.
        dense: FLOP/s (1 FMA = 2), without structured sparsity.
        hard: Rate that can't be exceeded: at maximum clock, for floors.
    """

    engine: str
    dtype: str
    accumulate: str = ""
    dense: Figure
    hard: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLevel:
    """One level of the memory hierarchy; `dram` is the last and mandatory.

    `bandwidth` is in bytes/s (1e9 = 1 GB/s), `hard_bandwidth` what it can't exceed.
    `capacity_bytes` is None where no source was found.
    """

    level: str
    managed: str = "hardware"
    capacity_bytes: int | None = None
    bandwidth: Figure | None = None
    hard_bandwidth: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """Sustained fraction of a roof for a kernel class: pessimistic, typical, optimistic."""

    low: float
    typ: float
    high: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProfile:
    """Everything known about one device; see README, devices, for the file format.

    Attributes:
        kind: `cpu`, `gpu`, `tpu` or `npu`.
        threads: Worker threads that the peaks stand for (CPUs); None where it means nothing.
        peaks: By (engine, dtype); of several accumulators the one that runtimes use by default.
        memory: Fastest to slowest, `dram` last.
        launch_s: Cost of starting one kernel, by mode (`stream`, `eager`, `graph`, `dispatch`).
        asynchronous: The host queues kernels while the device runs: the larger total wins.
        efficiency: By kernel class or group; `default` for the rest.
        vector_lanes: fp32 lanes of the SIMD unit (CPUs), which is the runtime's channel block.
        units: Cores, SMs or cores of a chip.
        links: Bytes/s in one direction by name.
        sources: Source key -> citation.
        calibration: What was measured on it for its number of threads.
        doubts: Why the calibration may not hold here and now, in words.
    """

    id: str
    name: str
    vendor: str
    kind: str
    runtime: str = "none"
    scope: str = "card"
    software_devices: int = 1
    threads: int | None = None
    units: int | None = None
    vector_lanes: int | None = None
    year: int | None = None
    peaks: Mapping[tuple[str, str], Peak]
    memory: tuple[MemoryLevel, ...]
    launch_s: Mapping[str, Figure] = field(default_factory=lambda: MappingProxyType({}))
    asynchronous: bool = False
    efficiency: Mapping[str, Efficiency] = field(default_factory=lambda: MappingProxyType({}))
    links: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    power_w: float | None = None
    sources: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    notes: str = ""
    calibration: Calibration | None = None
    doubts: tuple[str, ...] = ()

    @property
    def calibrated(self) -> bool:
        """True when kernels were timed on it."""
        return self.calibration is not None

    @property
    def dram(self) -> MemoryLevel:
        """The slowest level, which holds the model."""
        return self.memory[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEntry:
    """A device that a plugin offers: parsed only when it is asked for."""

    id: str
    name: str
    vendor: str
    kind: str
    load: Callable[[], DeviceProfile]


@record
class Touch:
    """A tensor that a kernel reads or writes; see fusion.reuse.

    Attributes:
        kind: `weight` (a constant), `read` or `written`.
        distance: Bytes that the run has touched since it touched this tensor, or the buffer that is
            written, before.
    """

    kind: str
    nbytes: int
    distance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """Nodes that a runtime executes as one; its bytes exclude what stays inside."""

    nodes: tuple[int, ...]
    op: str = ""
    """`DOMAIN::TYPE` of what is executed."""
    cost: OpCost
    kernel_class: str
    dtype: str | None
    repeat: int = 1
    weights: tuple[tuple[str, int], ...] = ()
    """(identity, bytes) of each constant it reads: loaded once a run, whoever shares it."""
    certain: bool = True
    """False where data decide whether, how often or at what size it runs."""
    view: NodeView | None = None
    """The operator that is executed, in executed sizes."""
    touches: tuple[Touch, ...] = ()
    """Each tensor that it reads or writes, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """How a runtime turns nodes into kernels and buffers.

    Attributes:
        rewrite: Its optimizers; `mlsys_lint.program` has the parts they are made of.
        order: (operators in the order of the file) -> execution order.
        reuses_buffers: Its planner gives the buffer of a dead tensor to a later one of its shape.
        in_place: (domain, op_type) -> (input, output) positions that may share a buffer when the
            input dies there.
        algorithmic_gain: Kernel class -> factor by which its algorithms may undercut the direct
            MAC count, for floors; that of `conv` holds for stride-1 undilated ungrouped 3x3 windows
            (Winograd). `sources` says where it comes from.
        fourier_convolutions: Larger such windows may run as Fourier transforms.
        fast_math: Stored dtype -> type that contractions run in by default (fp32 -> tf32 on CUDA).
        base_bytes: Memory of the runtime itself, (low, expected, high).
        kernel_bytes: Its objects for one kernel, (low, expected, high).
        load_remainder: (domain, op_type) of kernels that lay their constants out anew while the
            model is loaded -> memory freed by that which stays with the process, over the bytes of
            those constants, (low, expected, high).
        activation_slack: Memory held for activations over their peak, (low, expected, high).
        version: The release whose behaviour is followed; None where there is none.
        timing: How its kernels are calibrated; None where they can't be.
    """

    name: str
    rewrite: Callable[[Program], None]
    order: Callable[[Iterable[Op]], list[Op]]
    reuses_buffers: bool = True
    in_place: Mapping[tuple[str, str], tuple[tuple[int, int], ...]]
    algorithmic_gain: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    fourier_convolutions: bool = False
    fast_math: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    base_bytes: tuple[int, int, int] = (0, 0, 0)
    kernel_bytes: tuple[int, int, int] = (0, 0, 0)
    load_remainder: Mapping[tuple[str, str], tuple[float, float, float]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    activation_slack: tuple[float, float, float] = (1.0, 1.0, 1.0)
    version: str | None = None
    timing: Timing | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a kernel stands under the nominal roofs of a device.

    Attributes:
        engine: Engine that does most of its arithmetic.
        dtype: Short name of the type whose roof it stands under.
        intensity: FLOPs per byte; None when it moves nothing.
        ridge: Peak / DRAM bandwidth, for its engine and type; None without a peak.
        attainable_flop_per_s: min(peak, intensity * bandwidth).
        bound: `matrix`, `vector`, `special`, `memory` or `none` (no work at all).
    """

    engine: str
    dtype: str
    intensity: float | None
    ridge: float | None
    attainable_flop_per_s: float | None
    bound: str
