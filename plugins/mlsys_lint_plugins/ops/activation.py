"""Activations: operations and transcendentals per element, as onnx's function bodies count them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlsys_lint import NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.inference import same_as
from mlsys_lint_plugins.ops.ranks import Formula, ranked

ACTIVATIONS: Final[Mapping[str, tuple[int, int]]] = {
    # name: (vector operations, transcendentals) per element
    "Relu": (1, 0),  # max
    "LeakyRelu": (3, 0),  # compare, product, select
    "PRelu": (3, 0),  # compare, product, select
    "ThresholdedRelu": (2, 0),  # compare, select
    "Elu": (4, 1),  # compare, exp, -1, alpha, select
    "Selu": (6, 1),  # exp, alpha, -alpha, gamma twice, compare, select
    "Celu": (6, 1),  # x / alpha, Elu, alpha
    "Clip": (2, 0),  # min, max
    "HardSigmoid": (4, 0),  # alpha, beta, min, max
    "HardSwish": (5, 0),  # HardSigmoid, product
    "Sigmoid": (0, 1),
    "Tanh": (0, 1),
    "Softplus": (1, 2),  # exp, +1, log
    "Softsign": (3, 0),  # abs, +1, division
    "Gelu": (4, 1),  # x / sqrt 2, erf, +1, 0.5, product
    "FastGelu": (6, 2),  # x^3 (pow), 0.044715, sum, sqrt(2 / pi), tanh, +1, 0.5, product
    "QuickGelu": (2, 1),  # alpha, sigmoid, product
    "Swish": (2, 1),  # alpha, sigmoid, product
    "SwiGLU": (3, 1),  # Swish, product
    "Mish": (2, 3),  # softplus (1, 2), tanh, product
    "Shrink": (6, 0),  # two comparisons, two shifts, two selections
}


def activation(node: NodeView) -> OpCost:
    """Per output element, by the table ACTIVATIONS; Gelu with approximate="tanh" is FastGelu."""
    name = node.op_type
    if name == "Gelu" and node.text("approximate") == "tanh":
        name = "FastGelu"
    ops, transcendentals = ACTIVATIONS[name]
    elements = node.output().numel
    return cost(
        node,
        kernel_class=f"unary:{node.op_type.lower()}" if transcendentals else "elementwise",
        vector_ops=ops * elements,
        transcendentals=transcendentals * elements,
    )


def clip(node: NodeView) -> OpCost:
    """min(max(x, low), high): one operation per element for each bound given (before opset 11: both).

    Onnx's body spells each bound as a comparison and a selection, which would make two; a maximum is
    one operation by convention, and kernels take it.
    """
    bounds = sum(tensor is not None for tensor in node.inputs[1:])
    if node.opset < 11:
        bounds = 2
    return cost(node, kernel_class="elementwise", vector_ops=bounds * node.output().numel)


def softmax(node: NodeView) -> OpCost:
    """exp(x - max) / sum: 4 operations per element less 2 per row, and one exp per element.

    Maximum n - 1, subtraction n, sum n - 1, division n for a row of n.
    """
    return _softmax(node, per_element=4, transcendentals_per_row=0)


def log_softmax(node: NodeView) -> OpCost:
    """(x - max) - log(sum exp(x - max)): as softmax with a subtraction for the division, a log a row."""
    return _softmax(node, per_element=4, transcendentals_per_row=1)


def _softmax(node: NodeView, *, per_element: int, transcendentals_per_row: int) -> OpCost:
    elements, rows = node.output().numel, _rows(node)
    return cost(
        node,
        kernel_class="softmax",
        vector_ops=max(0, per_element * elements - 2 * rows),
        transcendentals=elements + transcendentals_per_row * rows,
    )


def _rows(node: NodeView) -> int:
    """Independent rows: from opset 13 along one axis, before that the axes before `axis`."""
    dims = node.input(0).dims
    if not dims:
        return 1
    axis = node.integer("axis", -1 if node.opset >= 13 else 1) % (len(dims) or 1)
    reduced = dims[axis] if node.opset >= 13 else _product(dims[axis:])
    return node.input(0).numel // reduced if reduced else 0


def _product(sizes: tuple[int, ...]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result


def hardmax(node: NodeView) -> OpCost:
    """ArgMax (n - 1 comparisons in a row of n), then a comparison per element as in OneHot."""
    operations = max(0, 2 * node.output().numel - _rows(node))
    return cost(node, kernel_class="reduction", vector_ops=operations)


_OWN: Final[Mapping[str, Formula]] = {
    "Clip": clip,
    "Softmax": ranked(softmax, along=True),
    "LogSoftmax": ranked(log_softmax, along=True),
    "Hardmax": ranked(hardmax, along=True),
}
_CONTRIB_ONLY: Final = ("FastGelu", "QuickGelu")

OPERATORS: Final[tuple[OperatorSpec, ...]] = tuple(
    OperatorSpec(
        domain="",
        op_type=name,
        since_version=1,
        estimate=_OWN.get(name, activation),
        infer=same_as(0),
    )
    for name in (*ACTIVATIONS, "Softmax", "LogSoftmax", "Hardmax")
    if name not in _CONTRIB_ONLY
)
