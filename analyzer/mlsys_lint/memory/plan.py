"""Which buffer each value lives in, as ONNX Runtime decides when it loads a model.

The rules are those of its planner (allocation_planner.cc), checked against release 1.32.0 with its
own optimized graphs. Values that belong to others (graph inputs, constants, outer values of a body)
have no buffer here: they are never counted, never reused, never freed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final, TypeAlias

from mlsys_lint import dtypes
from mlsys_lint.program import Dim, Op, Program, Value
from mlsys_lint.records import Runtime

VIEWS: Final[Mapping[tuple[str, str], Mapping[int, int]]] = {
    **{("", name): {0: 0} for name in ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")},
    **{("", name): {0: 0} for name in ("Optional", "OptionalGetElement")},
    ("", "BatchNormalization"): {1: 3, 2: 4},  # the running statistics
    ("com.microsoft", "ExpandDims"): {0: 0},
}
"""Kernels some of whose outputs always live in the buffer of an input: output -> input."""
_NO_VIEWS: Final[Mapping[int, int]] = {}
_LISTS: Final = frozenset({("", "SequenceInsert"), ("", "SequenceErase")})
"""Kernels whose list shares the tensors of the list that they read."""

_Fit: TypeAlias = tuple[tuple[Dim, ...], int]
"""Sizes and element width: what two buffers must have in common to replace each other."""


class Plan:
    """The buffers of one graph; bodies have plans of their own.

    Attributes:
        order: The operators in execution order.
        roots: Value -> the value whose buffer it lives in: itself when it has its own.
    """

    def __init__(self, program: Program, runtime: Runtime, *, reuse: bool) -> None:
        self.order = program.order()
        self.roots: dict[Value, Value] = {}
        self._kept = _handed_on(program)
        self._in_place = runtime.in_place
        self._reuse = reuse
        self._uses: dict[Value, int] = {}
        """root -> what still needs its buffer"""
        self._free: defaultdict[_Fit, list[Value]] = defaultdict(list)
        """buffers that nobody needs any more, newest last"""
        for op in self.order:
            self._place(op)

    def last_uses(self, *, frees_unread: bool) -> dict[Op, list[Value]]:
        """Operator -> roots that it is the last to read; results of the graph have none.

        With `frees_unread`, the last to write in a buffer that nobody reads frees it.
        """
        last = {
            root: op
            for op in self.order
            for value in (*op.reads(), *(op.outputs if frees_unread else ()))
            if value is not None and (root := self.roots.get(value)) is not None
        }
        found: dict[Op, list[Value]] = {}
        for root, op in last.items():
            if not root.is_result:
                found.setdefault(op, []).append(root)
        return found

    def _place(self, op: Op) -> None:
        written = [value for value in op.outputs if value is not None]
        for position, value in enumerate(op.outputs):
            if value is not None and value not in self._kept:
                self._give_buffer(op, position, value)
        for value in (*op.reads(), *written):
            root = self.roots.get(value)
            if root is not None:
                self._uses[root] -= 1
                if not self._uses[root] and (fit := _fit(root)) is not None:
                    self._free[fit].append(root)

    def _give_buffer(self, op: Op, position: int, value: Value) -> None:
        """The first that applies: its own (results), that of an input, a free one, its own."""
        root: Value | None = value
        if not value.is_result:
            shown = VIEWS.get((op.domain, op.op_type), _NO_VIEWS).get(position)
            source = op.input(shown) if shown is not None else None
            if source is not None:
                root = self.roots.get(source)
            elif (op.domain, op.op_type) in _LISTS and (listed := op.input(0)) is not None:
                root = self.roots.get(listed, value)
            else:
                root = self._overwritten(op, position, value) or self._freed(value) or value
        if root is not None:  # else it is a view of what belongs to somebody else
            self.roots[value] = root
            self._uses[root] = self._uses.get(root, 0) + 1 + value.uses

    def _overwritten(self, op: Op, position: int, value: Value) -> Value | None:
        """The buffer of an input that the kernel may compute in: its last reader, and it fits."""
        for read, written in self._in_place.get((op.domain, op.op_type), ()):
            source = op.input(read) if written == position else None
            root = self.roots.get(source) if source is not None else None
            if root is not None and self._uses[root] == 1 and _fits(source, value):
                return root
        return None

    def _freed(self, value: Value) -> Value | None:
        """The newest free buffer of the value's size; what nobody reads and scalars take none."""
        if not self._reuse or not value.readers or not value.dims:
            return None
        fit = _fit(value)
        buffers = self._free.get(fit) if fit is not None else None
        return buffers.pop() if buffers else None


def _handed_on(program: Program) -> frozenset[Value]:
    """Results of a Loop's body that are its inputs or outer values, passed on by an Identity.

    The loop's counter is copied: int64 scalars are taken for it.
    """
    if program.owner != "Loop":
        return frozenset()
    return frozenset(
        value
        for value in program.results
        if value.producer is not None
        and value.producer.is_a("Identity")
        and (source := value.producer.input(0)) is not None
        and (source.producer is None or source.home is not program)
        and not source.constant
        and (source.dtype, source.shape) != ("int64", ())
    )


def _fits(one: Value | None, other: Value) -> bool:
    fit = _fit(one) if one is not None else None
    return fit is not None and fit == _fit(other)


def _fit(value: Value) -> _Fit | None:
    """None for what fits nothing: lists, strings, sizes that are not known before the run."""
    if value.kind != "tensor" or value.dims is None or None in value.dims or value.dtype is None:
        return None
    kind = dtypes.lookup(value.dtype)
    return None if kind.kind == "string" else (value.dims, max(kind.bits, 8))
