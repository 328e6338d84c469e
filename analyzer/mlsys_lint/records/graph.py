"""Values of the analysed graph: tensors, nodes, and what a node costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from mlsys_lint import dtypes
from mlsys_lint.errors import UnknownSizeError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from onnx.shape_inference import InferenceContext

    Array: TypeAlias = npt.NDArray[np.generic]

Shape: TypeAlias = tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """A value of the graph, without its data.

    Attributes:
        name: The value's name in its own (sub)graph.
        dtype: ONNX's lower-case name (`float`, `int64`), None when unknown. Of a sequence or
            optional: its elements' type.
        shape: Sizes by axis, None for an unknown one; None as a whole when the rank is unknown.
        bounded: Axes whose size depends on data; their entry in `shape` is the maximum.
        kind: `tensor`, `sparse`, `sequence`, `optional` or `map`.
        uid: The value's number in the analysis; the same value has the same number in every scope.
        constant: Known before the run: stored in the file, or computed from such values only.
        origin: Identity of the stored tensor (initializer, Constant node, filled ConstantOfShape);
            None when the value is not itself stored.
        stored_elements: Elements that a sparse initializer stores; None when all are.
        value: The elements, when they are known and at most 1,024.
    """

    name: str
    dtype: str | None = None
    shape: Shape | None = None
    bounded: frozenset[int] = frozenset()
    kind: str = "tensor"
    uid: int = -1
    constant: bool = False
    origin: str | None = None
    stored_elements: int | None = None
    value: Array | None = field(default=None, compare=False)

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape, every size known; UnknownSizeError otherwise."""
        sizes = tuple(size for size in self.shape or () if size is not None)
        if self.shape is None or len(sizes) != len(self.shape):
            raise UnknownSizeError(f"{self.name!r} has no static shape")
        return sizes

    @property
    def rank(self) -> int:
        """Number of axes; UnknownSizeError when unknown."""
        if self.shape is None:
            raise UnknownSizeError(f"{self.name!r} has no known rank")
        return len(self.shape)

    @property
    def type_name(self) -> str:
        """The dtype; UnknownSizeError when unknown."""
        if self.dtype is None:
            raise UnknownSizeError(f"{self.name!r} has no known element type")
        return self.dtype

    @property
    def numel(self) -> int:
        """Number of elements (1 for a scalar); UnknownSizeError when unknown."""
        return prod(self.dims)

    @property
    def nbytes(self) -> int:
        """Bytes of the dense tensor, sub-byte types packed; UnknownSizeError when unknown."""
        return dtypes.stored_bytes(self.type_name, self.numel)


Attribute: TypeAlias = (
    int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | TensorInfo
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A node with everything an estimator may look at; there is no protobuf inside.

    Attributes:
        index: Position in the report. Top-level nodes: position in the file.
        domain: `""` for ai.onnx.
        opset: Version of the domain that the model (or function) imports.
        since_version: Version of the operator's schema in force; None when onnx knows none.
        inputs: In the order of the schema; None for an omitted optional input.
        outputs: Likewise.
        implicit: Values of outer scopes that the node's bodies read.
        attributes: By name; subgraphs and attributes of exotic types are left out.
        scope: Where the node stands: `""` at the top level, else the path of its owners.
        repeat: Product of the trip counts around the node; 0 in a branch that is not counted.
        owner: Index of the container (If, Loop, Scan, function call) around the node.
        container: True when the node's cost is that of the nodes inside it.
        upper_bound: Sizes, trips or the branch depend on data and stand at their maximum.
        lower_bound: The trip count is not known; one trip is counted.
        assumptions: What was assumed about its types, trip count or branch.
    """

    index: int
    name: str = ""
    domain: str = ""
    op_type: str
    opset: int
    since_version: int | None = None
    inputs: tuple[TensorInfo | None, ...] = ()
    outputs: tuple[TensorInfo | None, ...] = ()
    implicit: tuple[TensorInfo, ...] = ()
    attributes: Mapping[str, Attribute] = field(default_factory=lambda: MappingProxyType({}))
    scope: str = ""
    repeat: int = 1
    owner: int | None = None
    container: bool = False
    upper_bound: bool = False
    lower_bound: bool = False
    assumptions: tuple[str, ...] = ()

    @property
    def op(self) -> str:
        """`DOMAIN::TYPE`, with `ai.onnx` for the default domain."""
        return f"{self.domain or 'ai.onnx'}::{self.op_type}"

    def input(self, position: int) -> TensorInfo:
        """The input at a position; UnknownSizeError when it is omitted."""
        found = self.optional_input(position)
        if found is None:
            raise UnknownSizeError(f"input {position} is omitted")
        return found

    def optional_input(self, position: int) -> TensorInfo | None:
        """The input at a position, None when it is omitted."""
        return self.inputs[position] if position < len(self.inputs) else None

    def output(self, position: int = 0) -> TensorInfo:
        """The output at a position; UnknownSizeError when it is omitted."""
        found = self.outputs[position] if position < len(self.outputs) else None
        if found is None:
            raise UnknownSizeError(f"output {position} is omitted")
        return found

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        value = self.attributes.get(name, default)
        return value if isinstance(value, int) else default

    def integers(self, name: str, default: Sequence[int] = ()) -> tuple[int, ...]:
        """An attribute that lists integers."""
        value = self.attributes.get(name)
        if not isinstance(value, tuple):
            return tuple(default)
        return tuple(item for item in value if isinstance(item, int))

    def text(self, name: str, default: str = "") -> str:
        """A string attribute."""
        value = self.attributes.get(name, default)
        return value if isinstance(value, str) else default


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
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
        for name in [
            "vector_ops",
            "transcendentals",
            "bytes_read",
            "bytes_written",
            "weight_bytes",
            "workspace_bytes",
            "macs_masked",
        ]:
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"OpCost.{name} must be a non-negative int, got {value!r}")

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all contractions."""
        return sum(contraction.macs for contraction in self.contractions)

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


Estimate: TypeAlias = Callable[[NodeView], OpCost | Declined]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSpec:
    """How one operator, from one schema version on, is costed.

    Attributes:
        domain: `""` or `ai.onnx` for the default domain.
        since_version: First opset whose semantics the formula covers.
        estimate: Pure function of the node; UnknownSizeError and `Declined` both mean `declined`.
        infer: Function of onnx's InferenceContext that sets the output types, for operators that
            onnx does not know.
        shape_inputs: Input positions that only shape a result (shapes, axes, indices, pads):
            constants there are no parameters.
        elements: Logical number of weights in a packed input: (node, position) -> count.
        backward: Cost of the gradients; None: the default of the kernel class.
        saves: Names of the tensors that training keeps ("inputs", "outputs"); None: by class.
        replace: Take the place of another plugin's entry on purpose.
    """

    domain: str
    op_type: str
    since_version: int
    estimate: Estimate
    infer: Callable[[InferenceContext], None] | None = None
    shape_inputs: tuple[int, ...] = ()
    elements: Callable[[NodeView, int], int] | None = None
    backward: Estimate | None = None
    saves: tuple[str, ...] | None = None
    replace: bool = False


class NodeStatus(StrEnum):
    """How much is known about a node's cost."""

    EXACT = "exact"
    EXPANDED = "expanded"
    ESTIMATED = "estimated"
    DECLINED = "declined"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCost:
    """A node and the verdict on its cost; `cost` is None when it is not known."""

    node: NodeView
    status: NodeStatus
    cost: OpCost | None = None
    reason: str | None = None
    plugin: str | None = None
    spec: OperatorSpec | None = None
    parameters: int = 0
