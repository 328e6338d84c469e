"""Values between the operators of a program."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, TypeAlias

from mlsys_lint import dtypes
from mlsys_lint.errors import UnknownSizeError
from mlsys_lint.records import TensorInfo

if TYPE_CHECKING:
    from mlsys_lint.program.graph import Program
    from mlsys_lint.program.ops import Op
    from mlsys_lint.records.graph import Array

Dim: TypeAlias = int | str | None
"""A size as the runtime knows it before a run: a number, a symbol, or unknown."""


class Value:
    """A tensor between operators.

    Attributes:
        name: As in the file, or made up by a rule.
        dtype: ONNX's lower-case name.
        shape: Sizes as executed; None where they are not known.
        dims: Sizes as the runtime knows them when it loads the file: symbols are not bound.
        kind: `tensor`, `sparse`, `sequence`, `optional` or `map`.
        constant: Stored, or folded: it has no producer and is known before the run.
        array: The elements of a constant, or of what folds to one, when they are few.
        origin: Identity of a stored tensor; None for what was computed.
        uid: The analysed value's number; negative for a value that a rule made.
        producer: The operator that writes it; None for constants, inputs and outer values.
        home: The graph that it belongs to.
        readers: Operators of its graph that read it -> how often; a container of bodies that read
            it counts once.
        inner: Operators in bodies that read it.
        is_result: An output of its graph.
    """

    __slots__ = (
        *("array", "constant", "dims", "dtype", "home", "inner", "is_result", "kind", "name"),
        *("origin", "producer", "readers", "shape", "uid"),
    )

    def __init__(
        self,
        name: str,
        dtype: str | None,
        shape: tuple[int, ...] | None,
        dims: tuple[Dim, ...] | None,
        *,
        kind: str = "tensor",
        constant: bool = False,
        array: Array | None = None,
        origin: str | None = None,
        uid: int = -1,
    ) -> None:
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.dims = dims
        self.kind = kind
        self.constant = constant
        self.array = array
        self.origin = origin
        self.uid = uid
        self.producer: Op | None = None
        self.home: Program | None = None
        self.readers: dict[Op, int] = {}
        self.inner: dict[Op, int] = {}
        self.is_result = False

    def __repr__(self) -> str:
        return f"<{self.name or self.uid} {self.dtype}{list(self.dims or ())}>"

    @property
    def rank(self) -> int | None:
        """Number of axes, as far as the runtime knows."""
        return None if self.dims is None else len(self.dims)

    @property
    def static(self) -> tuple[int, ...] | None:
        """The sizes, where the runtime knows every one of them; else None."""
        dims = self.dims
        if dims is None:
            return None
        found = tuple([size for size in dims if isinstance(size, int)])
        return found if len(found) == len(dims) else None

    @property
    def only_reader(self) -> Op | None:
        """The operator that reads it, where exactly one does, once, and it is no result."""
        if len(self.readers) != 1 or self.is_result:
            return None
        ((reader, times),) = self.readers.items()
        return reader if times == 1 else None

    @property
    def uses(self) -> int:
        """Edges to readers of its graph, and one more when it is a result."""
        return sum(self.readers.values()) + self.is_result

    @property
    def nbytes(self) -> int:
        """Bytes as executed; UnknownSizeError where they are not static."""
        if self.kind != "tensor" or self.shape is None or self.dtype is None:
            raise UnknownSizeError(f"{self.name!r} ({self.kind}) has no static size")
        return dtypes.stored_bytes(self.dtype, prod(self.shape))

    @property
    def stored(self) -> bool:
        """True for what a session holds from the start: constants, and what a caller may replace."""
        return self.constant or (self.producer is None and self.origin is not None)

    def number(self) -> float | None:
        """The element of a constant that has only one; None otherwise."""
        array = self.array
        return array.item() if self.constant and array is not None and array.size == 1 else None

    def info(self) -> TensorInfo:
        """As a record, in executed sizes."""
        return TensorInfo(
            name=self.name,
            dtype=self.dtype,
            shape=self.shape,
            kind=self.kind,
            uid=self.uid,
            constant=self.stored,
            origin=self.origin,
            value=self.array if self.constant else None,
        )
