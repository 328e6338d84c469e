"""Values of the analysed graph: tensors and nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, cast

from mlsys_lint import dtypes
from mlsys_lint.errors import UnknownSizeError
from mlsys_lint.records.frozen import record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.generic]

Shape: TypeAlias = tuple[int | None, ...]


@record
class TensorInfo:
    """A value of the graph, without its data.

    Attributes:
        name: The value's name in its own (sub)graph.
        dtype: ONNX's lower-case name (`float`, `int64`), None when unknown. Of a sequence or
            optional: its elements' type.
        shape: Sizes by axis, None for an unknown one; None as a whole when the rank is unknown.
        bounded: Axes whose size depends on data; their entry in `shape` is the maximum.
        symbols: Names of the sizes that are unknown, by axis; empty when none has a name.
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
    symbols: tuple[str, ...] = ()
    kind: str = "tensor"
    uid: int = -1
    constant: bool = False
    origin: str | None = None
    stored_elements: int | None = None
    value: Array | None = field(default=None, compare=False)

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape, every size known; UnknownSizeError otherwise."""
        if self.shape is None or None in self.shape:
            raise UnknownSizeError(f"{self.name!r} has no static shape")
        return cast("tuple[int, ...]", self.shape)

    @property
    def is_static(self) -> bool:
        """True when every size is known."""
        return self.shape is not None and None not in self.shape

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
        shape = self.shape
        if shape is None or None in shape or self.dtype is None:
            return dtypes.stored_bytes(self.type_name, self.numel)  # which says what is missing
        return dtypes.stored_bytes(self.dtype, prod(cast("tuple[int, ...]", shape)))


Attribute: TypeAlias = (
    int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | TensorInfo
)


@record
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
        reachable: False in a branch that can't run with the given sizes.
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
    reachable: bool = True
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
