"""Values that leave the pipeline: reports, findings, problems, and the plugins' rule and reporter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mlsys_lint.records.cost import NodeCost
from mlsys_lint.records.device import DeviceProfile, Interval, Kernel, Placement
from mlsys_lint.records.graph import TensorInfo
from mlsys_lint.records.memory import Activations
from mlsys_lint.records.training import Training

LARGEST_BATCH: Final = 1 << 20
"""A `max_batch` of this size means: this or more."""


class Severity(StrEnum):
    """Weight of a finding, heaviest first."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """The size a dynamic dimension was given; source: given, batch, derived or assumed."""

    name: str
    value: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What the file is."""

    path: str
    opset_imports: Mapping[str, int]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    parameters: int
    parameter_bytes: int
    parameter_dtypes: Mapping[str, int]
    dims: tuple[Dimension, ...]
    ir_version: int
    producer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Number of nodes by status, of those that run: the others add nothing to the totals."""

    nodes: int
    counts: Mapping[str, int]

    @property
    def fraction_of_nodes(self) -> float:
        """(exact + expanded + estimated) / nodes; 1 for an empty graph."""
        covered = sum(self.counts[status] for status in ("exact", "expanded", "estimated"))
        return covered / self.nodes if self.nodes else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over all nodes of figure x repeat."""

    nodes: int
    macs: int
    macs_masked: int
    flops: int
    vector_ops: int
    transcendentals: int
    bytes_read: int
    bytes_written: int
    weight_bytes: int
    peak_activation_bytes: int | None
    peak_node: int | None
    coverage: Coverage
    is_lower_bound: bool
    is_upper_bound: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelReport:
    """A kernel with its place and time; `time_s` is None when the device has no peak for it."""

    kernel: Kernel
    placement: Placement
    time_s: Interval | None
    bound: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReport:
    """The model on one device.

    Attributes:
        latency_s: Of one run; None when a kernel is unplaced.
        bound_time_s: Expected time by what bounds it; adds up to the expected latency.
        memory_items: Name -> bytes; adds up to the expected memory.
        unplaced: Indexes of nodes for whose dtype the device has no peak.
        untimed: Operators whose kernels, or a part of them, the calibration never timed.
        activations: What is held kernel by kernel, and which tensors make the peak; None where a
            live value's size is not known.
        training_fits: Whether the tensors of a training step fit; None without one, or where a size
            is not known.
        max_batch: Largest batch whose expected memory, or training step, fits; None where it was not
            asked for or can't be told.
        lower_bound: Some node's cost is unknown, so figures may be too small.
    """

    profile: DeviceProfile
    runtime: str
    runtime_version: str | None
    precision: str
    ridge: float | None
    latency_s: Interval | None
    throughput_per_s: float | None
    bound_time_s: Mapping[str, float]
    memory_bytes: Interval | None
    memory_items: Mapping[str, int]
    peak_activation_bytes: int | None
    capacity_bytes: int | None
    fits: bool | None
    unplaced: tuple[int, ...]
    kernels: tuple[KernelReport, ...]
    activations: Activations | None = None
    training_fits: bool | None = None
    max_batch: int | None = None
    lower_bound: bool = False
    untimed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetVerdict:
    """A limit that the user set, against the prediction."""

    name: str
    limit: float
    unit: str
    device: str
    value: Interval | None
    verdict: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """What a rule's check yields; the host adds the rule's code, name and severity."""

    message: str
    node: int | None = None
    device: str | None = None
    saving_s: float | None = None
    saving_bytes: int | None = None
    help: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about the model that is worth changing."""

    code: str
    name: str
    severity: Severity
    message: str
    node: int | None = None
    device: str | None = None
    saving_s: float | None = None
    saving_bytes: int | None = None
    help: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Trouble of the tool or a plugin; never mixed with findings."""

    plugin: str
    stage: str
    message: str
    node: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """Everything `check` found out about one model."""

    schema_version: str
    tool_version: str
    model: ModelInfo
    nodes: tuple[NodeCost, ...]
    totals: Totals
    devices: tuple[DeviceReport, ...] = ()
    budgets: tuple[BudgetVerdict, ...] = ()
    findings: tuple[Finding, ...] = ()
    problems: tuple[Problem, ...] = ()
    assumptions: tuple[str, ...] = ()
    training: Training | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A lint rule; `doc` has the sections What it does, Why it matters, Example, Use instead, Limits."""

    code: str
    name: str
    severity: Severity
    check: Callable[[ModelReport], Iterable[Hit]]
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """A format of `check`'s output: a function of all reports of one invocation."""

    name: str
    render: Callable[[Sequence[ModelReport]], str | bytes]
    suffix: str = ".txt"
