"""Sequences and optionals: tensors that are kept together, seldom copied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from onnx import TensorProto, TypeProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import NodeView, OpCost, OperatorSpec, cost, view
from mlsys_lint_plugins.ops.inference import Infer, put

_COPIES: Final = "a sequence shares the tensors that it had before"


def construct(node: NodeView) -> OpCost:
    """Every tensor is copied into the sequence."""
    moved = sum(tensor.nbytes for tensor in node.inputs if tensor is not None)
    return cost(node, kernel_class="copy", bytes_written=moved)


def insert(node: NodeView) -> OpCost:
    """The new tensor is copied; the others are shared."""
    moved = node.input(1).nbytes
    return cost(node, kernel_class="copy", read=(1,), bytes_written=moved, assumptions=(_COPIES,))


def nothing(node: NodeView) -> OpCost:
    """An empty sequence, or one with a tensor less: nothing moves."""
    return cost(
        node,
        kernel_class="copy",
        bytes_read=0,
        bytes_written=0,
        weight_bytes=0,
        assumptions=(_COPIES,),
    )


def taken(node: NodeView) -> OpCost:
    """Copies what comes out: one tensor of the sequence, or all of them side by side."""
    moved = node.output().nbytes
    return cost(node, kernel_class="copy", bytes_read=moved, weight_bytes=0)


def split(node: NodeView) -> OpCost:
    """Reads the tensor and writes as much, whatever the number of parts."""
    return cost(node, kernel_class="split", read=(0,), bytes_written=node.input(0).nbytes)


def asked(node: NodeView) -> OpCost:
    """A number about the sequence or optional: its data is not read."""
    return cost(node, kernel_class="fill", bytes_read=0, weight_bytes=0)


def infer_has_element(context: InferenceContext) -> None:
    """A boolean scalar, also for the sequences that a Loop carries in an optional's place."""
    put(context, 0, TensorProto.BOOL, ())


def infer_element(context: InferenceContext) -> None:
    """What is in an optional; anything else is its own element."""
    kind: TypeProto | None = context.get_input_type(0)
    if kind is not None:
        inner = kind.optional_type.elem_type if kind.HasField("optional_type") else kind
        context.set_output_type(0, inner)


_INFER: Final[dict[str, Infer]] = {
    "OptionalHasElement": infer_has_element,
    "OptionalGetElement": infer_element,
}


def _spec(name: str, estimate: Callable[[NodeView], OpCost], *shape_inputs: int) -> OperatorSpec:
    return OperatorSpec(
        domain="",
        op_type=name,
        since_version=11,
        estimate=estimate,
        shape_inputs=shape_inputs,
        infer=_INFER.get(name),
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    _spec("SequenceConstruct", construct),
    _spec("SequenceInsert", insert, 2),
    _spec("SequenceEmpty", nothing),
    _spec("SequenceErase", nothing, 1),
    _spec("SequenceAt", taken, 1),
    _spec("ConcatFromSequence", taken),
    _spec("SplitToSequence", split, 1),
    _spec("SequenceLength", asked),
    _spec("OptionalHasElement", asked),
    _spec("Optional", view),
    _spec("OptionalGetElement", view),
)
