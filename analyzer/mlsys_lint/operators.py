"""The operator table, and the helper that estimators build their costs with."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlsys_lint.errors import PluginError
from mlsys_lint.records import (
    Contraction,
    NodeView,
    OpCost,
    OperatorSpec,
    TensorInfo,
    Unsupported,
)


def cost(
    node: NodeView,
    *,
    kernel_class: str,
    contractions: Sequence[Contraction] = (),
    vector_ops: int = 0,
    transcendentals: int = 0,
    read: Sequence[int | TensorInfo | None] | None = None,
    bytes_read: int | None = None,
    bytes_written: int | None = None,
    weight_bytes: int | None = None,
    workspace_bytes: int = 0,
    aliases: Sequence[tuple[int, int]] = (),
    macs_masked: int = 0,
    dtype: str | None = None,
    assumptions: Sequence[str] = (),
) -> OpCost:
    """An OpCost whose traffic defaults to the convention: each tensor moves once.

    Unless given, `bytes_read` is the size of the distinct inputs at the positions `read` (default:
    all), `weight_bytes` the part of them that is constant, and `bytes_written` the size of the
    outputs that are named.

    Raises:
        UnknownSizeError: a size that is needed is not static; costing turns it into `declined`.
    """
    if bytes_read == 0:
        weight_bytes = 0
    elif bytes_read is None or weight_bytes is None:
        moved, constant = _traffic(node, read)
        bytes_read = moved if bytes_read is None else bytes_read
        weight_bytes = constant if weight_bytes is None else weight_bytes
    if bytes_written is None:
        bytes_written = sum([tensor.nbytes for tensor in node.outputs if tensor is not None])
    return OpCost(
        contractions=tuple(contractions),
        vector_ops=vector_ops,
        transcendentals=transcendentals,
        bytes_read=bytes_read,
        bytes_written=bytes_written,
        weight_bytes=min(weight_bytes, bytes_read),
        workspace_bytes=workspace_bytes,
        kernel_class=kernel_class,
        aliases=tuple(aliases),
        macs_masked=macs_masked,
        dtype=dtype,
        assumptions=tuple(assumptions),
    )


def _traffic(node: NodeView, read: Sequence[int | TensorInfo | None] | None) -> tuple[int, int]:
    """Bytes of the distinct tensors that are read, and of the constant ones among them."""
    chosen: Iterable[TensorInfo | None] = node.inputs
    if read is not None:
        chosen = [node.optional_input(item) if isinstance(item, int) else item for item in read]
    distinct: dict[int | str, TensorInfo] = {}
    for tensor in chosen:
        if tensor is not None:  # by its number, or its name where values are not numbered
            distinct.setdefault(tensor.uid if tensor.uid >= 0 else tensor.name, tensor)
    total = constant = 0
    for tensor in distinct.values():
        size = tensor.nbytes
        total += size
        if tensor.constant:
            constant += size
    return total, constant


def view(node: NodeView) -> OpCost:
    """Reshape, Squeeze, Identity ...: the output is the first input's buffer; nothing moves."""
    return cost(
        node,
        kernel_class="view",
        bytes_read=0,
        bytes_written=0,
        weight_bytes=0,
        aliases=((0, 0),),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A spec and the plugin that brought it."""

    spec: OperatorSpec
    plugin: str


@dataclass(slots=True)
class OperatorTable:
    """(domain, op_type) -> specs by since_version; the largest one <= the opset serves a node."""

    _entries: dict[tuple[str, str], dict[int, Entry]] = field(default_factory=dict)
    _found: dict[tuple[str, str, int], Entry | None] = field(default_factory=dict)
    """Answers of `find`, which is asked twice for every node."""
    memo: dict[Any, Any] = field(default_factory=dict)
    """Output types that inference found with these entries (inference.py)."""

    def merge(self, specs: Iterable[OperatorSpec], plugin: str) -> None:
        """Add all of a plugin's specs, or none of them.

        Raises:
            PluginError: a spec is malformed, or its key is taken and it does not say `replace`.
        """
        accepted: dict[tuple[str, str, int], Entry] = {}
        for spec in specs:
            key = self._checked_key(spec, plugin)
            if key in accepted:
                raise PluginError(f"{describe(spec)} is registered twice by {plugin!r}")
            accepted[key] = Entry(spec=spec, plugin=plugin)
        self._found.clear()
        self.memo.clear()
        for (domain, op_type, since), entry in accepted.items():
            self._entries.setdefault((domain, op_type), {})[since] = entry

    def _checked_key(self, spec: object, plugin: str) -> tuple[str, str, int]:
        if not isinstance(spec, OperatorSpec):
            raise PluginError(f"register_operators must return OperatorSpec values, got {spec!r}")
        formula = callable(spec.estimate) or isinstance(spec.estimate, Unsupported)
        if spec.since_version < 1 or not spec.op_type or not formula:
            raise PluginError(
                f"{describe(spec)}: op_type, since_version >= 1 and estimate are required"
            )
        domain = normal_domain(spec.domain)
        taken = self._entries.get((domain, spec.op_type), {}).get(spec.since_version)
        if taken is not None and not spec.replace:
            raise PluginError(
                f"{describe(spec)} is already registered by {taken.plugin!r}; "
                f"set replace=True in {plugin!r} to override it"
            )
        return domain, spec.op_type, spec.since_version

    def find(self, domain: str, op_type: str, opset: int) -> Entry | None:
        """The entry for a node: the largest since_version that its opset reaches."""
        key = (domain, op_type, opset)
        if key not in self._found:
            versions = self._entries.get((normal_domain(domain), op_type), {})
            known = sorted(versions)
            position = bisect_right(known, opset)
            self._found[key] = versions[known[position - 1]] if position else None
        return self._found[key]

    def __iter__(self) -> Iterator[Entry]:
        for key in sorted(self._entries):
            for since in sorted(self._entries[key]):
                yield self._entries[key][since]


def normal_domain(domain: str) -> str:
    """`ai.onnx` and `` are the same domain; the second form is used inside."""
    return "" if domain == "ai.onnx" else domain


def describe(spec: OperatorSpec) -> str:
    """`ai.onnx::MatMul-9`."""
    return f"{spec.domain or 'ai.onnx'}::{spec.op_type}-{spec.since_version}"
