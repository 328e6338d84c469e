"""What training adds to an operator's spec, where its kernel class does not tell (gradients.py).

One table for all families: how dear the backward pass is, what it needs to be kept, which constants
are no weights, and what has no derivative.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from mlsys_lint import NodeView, OpCost, OperatorSpec, TensorInfo
from mlsys_lint.gradients import (
    both_sides,
    broadcast_sums,
    chained,
    elementwise,
    free,
    fused_products,
    keep_factors,
    keep_input,
    keep_nothing,
    keep_output,
    keep_partners,
    once,
    products,
    twice,
)
from mlsys_lint.records import Backward, Kept, Saves, Wanted, Work
from mlsys_lint_plugins.ops.recurrent import CELLS, keep_recurrent, recurrent_gradient


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Fields of an OperatorSpec that only training reads."""

    backward: Backward | None = None
    saves: Saves | None = None
    buffers: tuple[int, ...] = ()
    differentiable: bool = True


def per_element(operations: int, transcendentals: int = 0) -> Backward:
    """So many operations for each element of the result."""

    def backward(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
        del cost, wanted
        elements = node.output().numel
        return Work(vector_ops=operations * elements, transcendentals=transcendentals * elements)

    return backward


def stretched(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """Y = A + B, Expand: gradients pass, and sum over the axes along which an operand stretches."""
    del cost
    return Work(vector_ops=broadcast_sums(node, wanted))


def subtraction(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """As a sum; the right operand's gradient changes its sign."""
    sums = stretched(node, cost, wanted).vector_ops
    return Work(vector_ops=sums + (node.input(1).numel if 1 in wanted else 0))


def mean(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """Each result's gradient is divided by the number of elements, then stretched."""
    sums = stretched(node, cost, wanted).vector_ops
    return Work(vector_ops=sums + node.output().numel)


def division(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """Of Y = A / B: dA = dY / B, dB = -dA Y; the sum over stretched axes comes last."""
    sums = stretched(node, cost, wanted).vector_ops
    return Work(vector_ops=sums + (1 + 2 * (1 in wanted)) * node.output().numel)


def keep_division(node: NodeView, cost: OpCost, wanted: Wanted) -> Kept:
    """The divisor; the dividend, too, where the divisor is wanted: Y is one more division."""
    del cost
    return Kept(tensors=(node.input(1), *([node.input(0)] if 1 in wanted else [])))


def gemm(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """As MatMul; alpha (unless 1) scales dY once, beta (unless 1) the bias's gradient."""
    found = products(node, cost, wanted)
    scaled = node.output().numel if node.attributes.get("alpha", 1.0) != 1.0 else 0
    if 2 in wanted and node.attributes.get("beta", 1.0) != 1.0:
        scaled += node.input(2).numel
    return replace(found, vector_ops=found.vector_ops + scaled)


def _rows(elements: int, cost: OpCost) -> int:
    """Rows of a softmax, whose forward pass takes 4 operations for each element less 2 for each row."""
    return max(0, 4 * elements - cost.vector_ops) // 2


def softmax(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """Of y the gradient y (dy - sum y dy): a row of n takes n products, n - 1 sums, 2 n more."""
    del wanted
    elements = node.output().numel
    return Work(vector_ops=4 * elements - _rows(elements, cost))


def log_softmax(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """Of y the gradient dy - exp(y) sum dy: a row of n takes n - 1 sums, an exp and 2 operations each."""
    del wanted
    elements = node.output().numel
    return Work(vector_ops=3 * elements - _rows(elements, cost), transcendentals=elements)


def keep_mask(node: NodeView, cost: OpCost, wanted: Wanted) -> Kept:
    """Dropout: which elements were dropped, a byte each."""
    del cost, wanted
    mask = TensorInfo(name="mask", dtype="bool", shape=node.output().shape)
    return Kept(tensors=(mask,))


def keep_places(node: NodeView, cost: OpCost, wanted: Wanted) -> Kept:
    """MaxPool: where each maximum was found."""
    del cost, wanted
    given = node.outputs[1] if len(node.outputs) > 1 else None
    places = TensorInfo(name="indices", dtype="int64", shape=node.output().shape)
    return Kept(tensors=(given or places,))


def keep_at(*positions: int) -> Saves:
    """The inputs at these positions."""

    def saves(node: NodeView, cost: OpCost, wanted: Wanted) -> Kept:
        del cost, wanted
        found = (node.optional_input(position) for position in positions)
        return Kept(tensors=tuple(tensor for tensor in found if tensor is not None))

    return saves


def keep_all(node: NodeView, cost: OpCost, wanted: Wanted) -> Kept:
    """Every input and the first output."""
    return Kept(
        tensors=(
            *keep_at(*range(len(node.inputs)))(node, cost, wanted).tensors,
            node.output(),
        )
    )


def keep_fused(node: NodeView, cost: OpCost, wanted: Wanted) -> Kept:
    """A contraction's operands, and the result for its activation."""
    return Kept(tensors=(*keep_factors(node, cost, wanted).tensors, node.output()))


def keep_rms(node: NodeView, cost: OpCost, wanted: Wanted) -> Kept:
    """The input and the root of each row."""
    del wanted
    return Kept(tensors=(node.input(0),), statistics=cost.transcendentals)


def keep_skip(statistics: int) -> Saves:
    """SkipLayerNormalization: the sum that is normalized, and the statistics of each row."""

    def saves(node: NodeView, cost: OpCost, wanted: Wanted) -> Kept:
        del wanted
        given = node.outputs[3] if len(node.outputs) > 3 else None
        data = node.input(0)
        inner = TensorInfo(name="sum", dtype=data.dtype, shape=data.shape)
        return Kept(tensors=(given or inner,), statistics=statistics * cost.transcendentals)

    return saves


_OUTPUT: Final = keep_output
_STANDARD: Final[Mapping[str, Rule]] = {
    **dict.fromkeys(("Add", "Sum"), Rule(backward=stretched, saves=keep_nothing)),
    "Sub": Rule(backward=subtraction, saves=keep_nothing),
    **dict.fromkeys(("Mean", "ReduceMean"), Rule(backward=mean, saves=keep_nothing)),
    "GlobalAveragePool": Rule(backward=mean, saves=keep_nothing),
    "Neg": Rule(backward=per_element(1), saves=keep_nothing),
    "Div": Rule(backward=division, saves=keep_division),
    **dict.fromkeys(("Max", "Min"), Rule(backward=elementwise, saves=keep_all)),
    "Where": Rule(backward=elementwise, saves=keep_at(0)),
    **dict.fromkeys(("PRelu", "Clip"), Rule(backward=elementwise, saves=keep_input)),
    "Relu": Rule(backward=per_element(1), saves=_OUTPUT),  # compare and select
    "Exp": Rule(backward=per_element(1), saves=_OUTPUT),  # y dy
    "Sqrt": Rule(backward=per_element(2), saves=_OUTPUT),  # dy / (2 y)
    "Reciprocal": Rule(backward=per_element(3), saves=_OUTPUT),  # -y y dy
    "Tanh": Rule(backward=per_element(3), saves=_OUTPUT),  # (1 - y y) dy
    "Sigmoid": Rule(backward=per_element(3), saves=_OUTPUT),  # y (1 - y) dy
    "Log": Rule(backward=per_element(1), saves=keep_input),  # dy / x
    "Erf": Rule(backward=per_element(4, 1), saves=keep_input),  # 2 / sqrt(pi) exp(-x x) dy
    "Pow": Rule(backward=per_element(2, 1), saves=keep_input),  # c x^(c - 1) dy
    "Sin": Rule(backward=per_element(1, 1), saves=keep_input),
    "Cos": Rule(backward=per_element(2, 1), saves=keep_input),
    "Softmax": Rule(backward=softmax),
    "LogSoftmax": Rule(backward=log_softmax, saves=_OUTPUT),
    "Gemm": Rule(backward=gemm),
    "Dropout": Rule(backward=per_element(2), saves=keep_mask),
    "ReduceSum": Rule(backward=free, saves=keep_nothing),
    "ReduceLogSumExp": Rule(saves=keep_all),
    **dict.fromkeys(("ReduceL1", "ReduceL2", "ReduceProd"), Rule(saves=keep_all)),
    "CumSum": Rule(saves=keep_nothing),
    "AveragePool": Rule(saves=keep_nothing),
    "MaxPool": Rule(backward=per_element(1), saves=keep_places),
    **dict.fromkeys(("Expand", "Tile"), Rule(backward=stretched, saves=keep_nothing)),
    **dict.fromkeys(
        ("Gather", "GatherElements", "GatherND"), Rule(backward=per_element(1), saves=keep_at(1))
    ),
    **dict.fromkeys(
        ("Scatter", "ScatterElements", "ScatterND", "MaxUnpool"),
        Rule(backward=free, saves=keep_at(1)),
    ),
    "TopK": Rule(backward=per_element(1), saves=keep_places),
    "BatchNormalization": Rule(buffers=(3, 4)),
    "RMSNormalization": Rule(saves=keep_rms),
    "SimplifiedLayerNormalization": Rule(saves=keep_rms),
    "LRN": Rule(backward=twice, saves=keep_all),
    "MeanVarianceNormalization": Rule(backward=twice, saves=keep_input),
    "RotaryEmbedding": Rule(backward=once, saves=keep_at(1, 2, 3), buffers=(1, 2)),
    **dict.fromkeys(CELLS, Rule(backward=recurrent_gradient, saves=keep_recurrent, buffers=(5, 6))),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), Rule(buffers=(1, 2))),
    **dict.fromkeys(
        (
            *("Floor", "Ceil", "Round", "Sign", "Hardmax", "EyeLike", "OneHot"),
            *("RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"),
        ),
        Rule(differentiable=False),
    ),
}
_MICROSOFT: Final[Mapping[str, Rule]] = {
    **dict.fromkeys(
        ("FusedConv", "FusedGemm", "GemmFastGelu", "FusedMatMulActivation"),
        Rule(backward=fused_products, saves=keep_fused),
    ),
    **dict.fromkeys(("BiasGelu", "FastGelu"), Rule(backward=chained, saves=keep_at(0, 1))),
    "SkipLayerNormalization": Rule(saves=keep_skip(2)),
    "SkipSimplifiedLayerNormalization": Rule(saves=keep_skip(1)),
    "DynamicQuantizeLSTM": Rule(
        backward=recurrent_gradient, saves=keep_recurrent, buffers=(5, 6, 8, 9, 10, 11)
    ),
    "MoE": Rule(backward=both_sides, saves=keep_partners),
    "RotaryEmbedding": Rule(backward=once, saves=keep_at(1, 2, 3), buffers=(2, 3)),
    "GroupQueryAttention": Rule(buffers=(7, 8)),
}
_RULES: Final[Mapping[str, Mapping[str, Rule]]] = {"": _STANDARD, "com.microsoft": _MICROSOFT}
_FIXED: Final = Rule(differentiable=False)
_WITHOUT_GRADIENT: Final = ("ai.onnx.ml", "ai.onnx.preview.training")
"""Domains whose operators are trained by other means, or are themselves part of training."""


def with_gradients(specs: Iterable[OperatorSpec]) -> Iterator[OperatorSpec]:
    """The specs with what training needs to know."""
    for spec in specs:
        rule = _RULES.get(spec.domain, {}).get(spec.op_type)
        if spec.domain in _WITHOUT_GRADIENT:
            rule = _FIXED
        if rule is None:
            yield spec
            continue
        yield replace(
            spec,
            backward=rule.backward,
            saves=rule.saves,
            buffers=rule.buffers,
            differentiable=rule.differentiable,
        )
