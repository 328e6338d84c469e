"""What a node costs, and the formula that says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from mlsys_lint.records.frozen import record
from mlsys_lint.records.gradient import Backward, Saves
from mlsys_lint.records.graph import NodeView

if TYPE_CHECKING:
    from onnx.shape_inference import InferenceContext


@record
class Contraction:
    """`batch` matrix products of [m, k] by [k, n]; the count is derived from the shape."""

    batch: int = 1
    m: int
    n: int
    k: int
    dtype: str

    @property
    def macs(self) -> int:
        """Multiply-accumulates: batch * m * n * k."""
        return self.batch * self.m * self.n * self.k


_COUNTS: Final = (
    *("vector_ops", "transcendentals", "bytes_read", "bytes_written"),
    *("weight_bytes", "workspace_bytes", "macs_masked"),
)


@record
class OpCost:
    """What one execution of a node computes and moves.

    Attributes:
        contractions: Matrix products, by shape.
        vector_ops: Arithmetic outside contractions (see README, conventions).
        transcendentals: exp, log, tanh, erf, sqrt, pow ...; apart from `flops`.
        bytes_read, bytes_written: Unique bytes: each input element that is needed once, each
            output element once.
        weight_bytes: The part of `bytes_read` that comes from constants.
        workspace_bytes: Scratch memory that a kernel holds while it runs.
        kernel_class: Class that efficiencies and calibration speak of: gemm, gemv, conv, ...
        aliases: (input, output) positions that share one buffer: views.
        macs_masked: Part of the MACs that a causal mask makes unnecessary.
        dtype: Type that the vector work is done in; None: that of the first output.
        assumptions: What the figure rests on, in words. One that begins with "data-dependent" says
            that the figure is a maximum: the node becomes `estimated`.
    """

    contractions: tuple[Contraction, ...] = ()
    vector_ops: int = 0
    transcendentals: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    weight_bytes: int = 0
    workspace_bytes: int = 0
    kernel_class: str = "unknown"
    aliases: tuple[tuple[int, int], ...] = ()
    macs_masked: int = 0
    dtype: str | None = None
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        counts = (
            self.vector_ops,
            self.transcendentals,
            self.bytes_read,
            self.bytes_written,
            self.weight_bytes,
            self.workspace_bytes,
            self.macs_masked,
        )
        if type(sum(counts)) is int and min(counts) >= 0:  # the usual case, by the shortest look
            return
        for name, value in zip(_COUNTS, counts, strict=True):
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"OpCost.{name} must be a non-negative int, got {value!r}")

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all contractions."""
        return sum([one.macs for one in self.contractions]) if self.contractions else 0

    @property
    def flops(self) -> int:
        """2 * macs + vector_ops."""
        return 2 * self.macs + self.vector_ops

    @property
    def intensity(self) -> float | None:
        """FLOPs per byte moved; None when nothing moves."""
        moved = self.bytes_read + self.bytes_written
        return self.flops / moved if moved else None


@dataclass(frozen=True, slots=True)
class Declined:
    """An estimator's answer when it knows the operator but lacks a size; `reason` says which."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Stands for a formula where none can exist: `reason` says what a file does not tell."""

    reason: str


Estimate: TypeAlias = Callable[[NodeView], OpCost | Declined]


@record
class OperatorSpec:
    """How one operator, from one schema version on, is costed.

    Attributes:
        domain: `""` or `ai.onnx` for the default domain.
        since_version: First opset whose semantics the formula covers.
        estimate: Pure function of the node; UnknownSizeError and `Declined` both mean `declined`.
            `Unsupported` instead of a function: the cost can't be known from a file.
        infer: Function of onnx's InferenceContext that sets the output types, for operators that
            onnx does not know.
        shape_inputs: Input positions that only shape a result (shapes, axes, indices, pads):
            constants there are no parameters.
        elements: Logical number of weights in a packed input: (node, position) -> count.
        backward: Cost of the gradients; None: the default of the kernel class (gradients.py).
        saves: What the gradients need; None: the default of the kernel class.
        buffers: Input positions whose constants are never trained: statistics, tables, scales.
        differentiable: False where the results' gradients tell the inputs nothing (Round, Sign).
        replace: Take the place of another plugin's entry on purpose.
    """

    domain: str
    op_type: str
    since_version: int
    estimate: Estimate | Unsupported
    infer: Callable[[InferenceContext], None] | None = None
    shape_inputs: tuple[int, ...] = ()
    elements: Callable[[NodeView, int], int] | None = None
    backward: Backward | None = None
    saves: Saves | None = None
    buffers: tuple[int, ...] = ()
    differentiable: bool = True
    replace: bool = False


class NodeStatus(StrEnum):
    """How much is known about a node's cost."""

    EXACT = "exact"
    EXPANDED = "expanded"
    ESTIMATED = "estimated"
    DECLINED = "declined"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"


@record
class NodeCost:
    """A node and the verdict on its cost; `cost` is None when it is not known."""

    node: NodeView
    status: NodeStatus
    cost: OpCost | None = None
    reason: str | None = None
    plugin: str | None = None
    spec: OperatorSpec | None = None
    parameters: int = 0

    def with_parameters(self, parameters: int) -> NodeCost:
        """The same verdict on a node that is the first to read so many parameters."""
        return NodeCost(
            node=self.node,
            status=self.status,
            cost=self.cost,
            reason=self.reason,
            plugin=self.plugin,
            spec=self.spec,
            parameters=parameters,
        )
