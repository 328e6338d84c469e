"""The same model in other number formats: types replaced, everything else as it stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from mlsys_lint import dtypes
from mlsys_lint.graph import Graph
from mlsys_lint.program import Program, Value
from mlsys_lint.records import NodeCost, NodeView, TensorInfo

_FLOATS: Final = frozenset({"float", "double", "float16", "bfloat16"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """A number format for a whole model.

    Attributes:
        name: As `--precision` takes it.
        activations: Type of floating-point values that are computed or fed.
        weights: Type of the constants that contractions read.
        others: Type of the other floating-point constants; None: as stored.
        note: What is assumed, in words.
    """

    name: str
    activations: str
    weights: str
    others: str | None
    note: str


def _everything(name: str, dtype: str) -> Precision:
    note = f"--precision {name}: every floating-point tensor is taken as {name}"
    return Precision(name=name, activations=dtype, weights=dtype, others=dtype, note=note)


PRECISIONS: Final[Mapping[str, Precision]] = MappingProxyType(
    {
        "fp32": _everything("fp32", "float"),
        "fp16": _everything("fp16", "float16"),
        "bf16": _everything("bf16", "bfloat16"),
        "int8": Precision(
            name="int8",
            activations="int8",
            weights="int8",
            others=None,
            note="--precision int8: activations and the weights of contractions are taken as int8, "
            "other constants as stored; scales (one a tensor or channel) are not counted",
        ),
        "int4": Precision(
            name="int4",
            activations="float16",
            weights=dtypes.INT4_BLOCKS.onnx_name,
            others="float16",
            note="--precision int4: weights of contractions are taken as int4 in blocks of 32 with "
            "a 16-bit scale each (4.5 bits a weight), everything else as fp16",
        ),
    }
)
AS_IS: Final = "as-is"


@dataclass(frozen=True, slots=True)
class Retyped:
    """The types that values have in another precision."""

    precision: Precision
    weights: frozenset[int]
    """uids of the constants that contractions read"""

    def dtype(self, uid: int, stored: str | None, *, constant: bool) -> str | None:
        """Type of a value; integers, booleans and strings keep theirs."""
        if stored not in _FLOATS:
            return stored
        if uid in self.weights:
            return self.precision.weights
        return (self.precision.others or stored) if constant else self.precision.activations

    def tensor(self, info: TensorInfo | None) -> TensorInfo | None:
        """A value in the precision."""
        if info is None:
            return None
        dtype = self.dtype(info.uid, info.dtype, constant=info.constant)
        return info if dtype == info.dtype else replace(info, dtype=dtype)

    def graph(self, graph: Graph) -> Graph:
        """A graph in the precision."""
        return replace(
            graph,
            nodes=tuple(map(self._node, graph.nodes)),
            inputs=_present(map(self.tensor, graph.inputs)),
            outputs=_present(map(self.tensor, graph.outputs)),
        )

    def _node(self, node: NodeView) -> NodeView:
        return replace(
            node,
            inputs=tuple(map(self.tensor, node.inputs)),
            outputs=tuple(map(self.tensor, node.outputs)),
            implicit=_present(map(self.tensor, node.implicit)),
        )

    def apply(self, program: Program) -> None:
        """Give the values of an optimized program their types: fusion sees the file's own."""
        seen: set[Value] = set()
        for body in program.walk():
            for op in body.ops.values():
                for value in (*op.reads(), *op.outputs):
                    if value is not None and value not in seen:
                        seen.add(value)
                        value.dtype = self.dtype(value.uid, value.dtype, constant=value.stored)


def retyped(precision: Precision, costs: Sequence[NodeCost]) -> Retyped:
    """Find the constants that contractions read, themselves or through what folds to a constant.

    A constant in the first place (`A` of `A x`) is a weight of the activations' type: low-bit
    kernels take the right operand only.
    """
    weights: set[int] = set()
    for one in reversed(costs):  # readers first
        node = one.node
        if any(tensor is not None and tensor.uid in weights for tensor in node.outputs):
            weights.update(_weights(node.inputs))
        elif one.cost is not None and one.cost.contractions:
            weights.update(_weights(node.inputs[1:]))
    return Retyped(precision, frozenset(weights))


def _weights(tensors: Iterable[TensorInfo | None]) -> Iterator[int]:
    for tensor in tensors:
        if tensor is None or not tensor.constant or tensor.dtype not in _FLOATS:
            continue
        if tensor.shape is not None and len(tensor.shape) > 1:
            yield tensor.uid


def _present(tensors: Iterable[TensorInfo | None]) -> tuple[TensorInfo, ...]:
    return tuple(tensor for tensor in tensors if tensor is not None)
