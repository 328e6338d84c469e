"""Sizes of the model's inputs: what the user gives, what follows from it, what is assumed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import onnx

from mlsys_lint.errors import OptionError
from mlsys_lint.records import Dimension

Dim = onnx.TensorShapeProto.Dimension

_ASSUMED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Bindings:
    """What the user says about sizes.

    Attributes:
        dims: `NAME` or `INPUT:AXIS` (or `VALUE:AXIS` of a data-dependent value) -> size.
        batch: Size of axis 0 of every input where it is dynamic.
        inputs: Input name -> whole shape.
        trips: Loop index or name -> trip count.
        strict: An option that names nothing in the model is an error; False where several models
            share the options.
        unbound: Leave dynamic dimensions open, as a runtime does when it loads the file.
    """

    dims: Mapping[str, int] = field(default_factory=dict)
    batch: int | None = None
    inputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    trips: Mapping[str, int] = field(default_factory=dict)
    strict: bool = True
    unbound: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundInputs:
    """Input types with every dimension bound, and the table of what was bound how."""

    types: Mapping[str, onnx.TypeProto]
    dims: tuple[Dimension, ...]
    symbols: Mapping[str, int]
    unused: tuple[str, ...]
    """Options that named nothing in this model; they may name a data-dependent value."""


def graph_inputs(proto: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Inputs that a caller feeds: those that are no initializer."""
    stored = {tensor.name for tensor in proto.graph.initializer}
    stored |= {sparse.values.name for sparse in proto.graph.sparse_initializer}
    return [value for value in proto.graph.input if value.name not in stored]


def overridable_inputs(proto: onnx.ModelProto) -> frozenset[str]:
    """Stored tensors that are inputs too: from IR version 4 on a caller may feed others."""
    if proto.ir_version < 4:
        return frozenset()
    stored = {tensor.name for tensor in proto.graph.initializer}
    return frozenset(value.name for value in proto.graph.input if value.name in stored)


def symbol(dim: Dim) -> str:
    """Name of a dynamic dimension; "" for a fixed or unnamed one (`?` names nothing)."""
    return "" if dim.dim_param == "?" else dim.dim_param


def is_dynamic(dim: Dim) -> bool:
    """True for a named, unnamed or negative (`-1`) dimension."""
    return not (dim.HasField("dim_value") and dim.dim_value >= 0)


def bind(proto: onnx.ModelProto, bindings: Bindings) -> BoundInputs:
    """Give every dynamic dimension of the inputs a size.

    Raises:
        OptionError: an option contradicts the file or another option, or names no input.
    """
    inputs = graph_inputs(proto)
    if bindings.unbound:
        return BoundInputs(
            types={value.name: value.type for value in inputs}, dims=(), symbols={}, unused=()
        )
    table = _Table(bindings)
    for value in inputs:
        if value.name in bindings.inputs:
            table.take_shape(value, bindings.inputs[value.name])
        table.take_named(value)
    unknown = sorted(set(bindings.inputs) - {value.name for value in inputs})
    if unknown and bindings.strict:
        known = ", ".join(value.name for value in inputs) or "none"
        raise OptionError(f"--input {unknown[0]}: the model has no such input; inputs: {known}")
    if bindings.batch is not None:
        table.take_batch(inputs, bindings.batch, strict=bindings.strict)
    types = {value.name: table.resolve(value) for value in inputs}
    return BoundInputs(
        types=types,
        dims=tuple(table.found.values()),
        symbols={name: one.value for name, one in table.found.items()},
        unused=tuple(sorted(set(bindings.dims) - table.used)),
    )


class _Table:
    """Sizes by symbol (`N`) or position (`x:0`), in the order they are met."""

    def __init__(self, bindings: Bindings) -> None:
        self.given = bindings.dims
        self.found: dict[str, Dimension] = {}
        self.used: set[str] = set()

    def put(self, key: str, value: int, source: str) -> None:
        known = self.found.get(key)
        if known is not None and known.value != value:
            raise OptionError(
                f"dimension {key!r} is given twice: {known.value} ({known.source}) and {value} "
                f"({source}); keep one"
            )
        if known is None:
            self.found[key] = Dimension(name=key, value=value, source=source)

    def take_shape(self, value: onnx.ValueInfoProto, shape: tuple[int, ...]) -> None:
        dims = _dims(value)
        if dims is None:
            return
        if len(dims) != len(shape):
            raise OptionError(
                f"--input {value.name}: has {len(dims)} axes in the file, {len(shape)} were given"
            )
        for axis, (dim, size) in enumerate(zip(dims, shape, strict=True)):
            if is_dynamic(dim):
                self.put(symbol(dim) or f"{value.name}:{axis}", size, "given")
            elif dim.dim_value != size:
                raise OptionError(
                    f"--input {value.name}: axis {axis} is fixed at {dim.dim_value} in the file, "
                    f"{size} was given; export the model with a dynamic axis"
                )

    def take_named(self, value: onnx.ValueInfoProto) -> None:
        for axis, dim in enumerate(_dims(value) or ()):
            position, name = f"{value.name}:{axis}", symbol(dim)
            for key in (name, position):
                if key and key in self.given:
                    self.used.add(key)
                    if not is_dynamic(dim) and dim.dim_value != self.given[key]:
                        raise OptionError(
                            f"--dim {key}: axis {axis} of {value.name!r} is fixed at "
                            f"{dim.dim_value} in the file"
                        )
                    if is_dynamic(dim):
                        self.put(name or position, self.given[key], "given")

    def take_batch(
        self, inputs: Iterable[onnx.ValueInfoProto], batch: int, *, strict: bool
    ) -> None:
        taken = False
        for value in inputs:
            dims = _dims(value)
            if dims and is_dynamic(dims[0]):
                taken = True
                self.put(symbol(dims[0]) or f"{value.name}:0", batch, "batch")
        if not taken and strict:
            raise OptionError(
                "--batch: no input has a dynamic axis 0; export the model with a dynamic batch"
            )

    def resolve(self, value: onnx.ValueInfoProto) -> onnx.TypeProto:
        bound = onnx.TypeProto()
        bound.CopyFrom(value.type)
        tensor = _tensor_type(bound)
        given = () if tensor is None or not tensor.HasField("shape") else tensor.shape.dim
        for axis, dim in enumerate(given):
            if is_dynamic(dim):
                name = symbol(dim)
                key = name or f"{value.name}:{axis}"
                if key not in self.found:
                    derived = _derived(name, self.found)
                    if derived is None:
                        self.put(key, _ASSUMED, "assumed")
                    else:
                        self.put(key, derived, "derived")
                dim.Clear()
                dim.dim_value = self.found[key].value
        return bound


def _tensor_type(kind: onnx.TypeProto) -> onnx.TypeProto.Tensor | None:
    return kind.tensor_type if kind.HasField("tensor_type") else None


def _dims(value: onnx.ValueInfoProto) -> list[Dim] | None:
    tensor = _tensor_type(value.type)
    return list(tensor.shape.dim) if tensor is not None and tensor.HasField("shape") else None


def _derived(name: str, known: Mapping[str, Dimension]) -> int | None:
    """Value of a name such as `past + 1`, as exporters write sums of other dimensions."""
    parts = re.split(r"\s*([+*-])\s*", name.strip())
    if len(parts) < 3 or len(parts) % 2 == 0:
        return None
    sizes = [_operand(part, known) for part in parts[::2]]
    total = sizes[0]
    for operator, size in zip(parts[1::2], sizes[1:], strict=True):
        if total is None or size is None:
            return None
        total = {"+": total + size, "-": total - size, "*": total * size}[operator]
    # Left to right is wrong only where a product follows a sum: leave that to the user.
    mixed = "*" in parts[3::2] and ("+" in parts or "-" in parts)
    return None if mixed or total is None or total < 0 else total


def _operand(text: str, known: Mapping[str, Dimension]) -> int | None:
    if text.isdecimal():
        return int(text)
    return known[text].value if text in known else None
