"""ai.onnx.preview.training: optimizers, as the pseudo code of their schemas counts them; Gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import onnx
from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.inference import Infer, element_type, put, sizes

_SCALARS: Final = 2
"""Inputs before the tensors: the learning rate R and the update count T."""


def optimized(node: NodeView, inputs_per_tensor: int) -> tuple[int, int]:
    """Number of optimized tensors and of their elements: they come first, then their gradients."""
    count = (len(node.inputs) - _SCALARS) // inputs_per_tensor
    return count, sum(node.input(_SCALARS + at).numel for at in range(count))


def regularized(node: NodeView, name: str, operations: int) -> int:
    """Operations per element that a coefficient of 0 (the default) makes unnecessary."""
    return 0 if node.attributes.get(name, 0.0) == 0.0 else operations


def adagrad(node: NodeView) -> OpCost:
    """Per element 6 operations and a root, 8 with norm_coefficient; 3 operations in all for r.

    G' = norm_coefficient X + G (2); H' = H + G' G' (2); sqrt(H') + epsilon (1, a root);
    X - r G' / that (3). The rate r = R / (1 + T decay_factor) is one for all tensors.
    """
    _, elements = optimized(node, 3)
    each = 6 + regularized(node, "norm_coefficient", 2)
    return cost(
        node,
        kernel_class="elementwise",
        vector_ops=each * elements + 3,
        transcendentals=elements,
    )


def adam(node: NodeView) -> OpCost:
    """Per element 11 operations and a root, 2 more with norm_coefficient, 1 with .._post.

    G' = norm_coefficient X + G (2); V' = alpha V + (1 - alpha) G' (3);
    H' = beta H + (1 - beta) G' G' (4); sqrt(H') + epsilon (1, a root); X - r V' / that (3);
    (1 - norm_coefficient_post) X (1). For each tensor r = T > 0 ? R sqrt(1 - beta^T) / (1 - alpha^T)
    : R takes 6 operations and 3 transcendentals. Differences of attributes are not counted.
    """
    count, elements = optimized(node, 4)
    each = 11 + regularized(node, "norm_coefficient", 2)
    each += regularized(node, "norm_coefficient_post", 1)
    return cost(
        node,
        kernel_class="elementwise",
        vector_ops=each * elements + 6 * count,
        transcendentals=elements + 3 * count,
    )


def momentum(node: NodeView) -> OpCost:
    """Per element 5 operations, 7 for Nesterov's, 2 more with norm_coefficient; 2 in all for beta.

    G' = norm_coefficient X + G (2); V' = alpha V + beta' G' (3); X - R V' (2), or Nesterov's
    X - R (G' + alpha V') (4). beta' = T > 0 ? beta : 1 is one for all tensors.
    """
    _, elements = optimized(node, 3)
    each = 7 if node.text("mode") == "nesterov" else 5
    each += regularized(node, "norm_coefficient", 2)
    return cost(node, kernel_class="elementwise", vector_ops=each * elements + 2)


def gradient(node: NodeView) -> Declined:
    """The backward pass of the nodes between xs and y, which the node alone does not tell.

    mlsys_lint.training.gradient_nodes counts it with the graph around the node.
    """
    return Declined(f"the nodes between xs and {node.text('y')!r} are not known")


def infer_gradient(context: InferenceContext) -> None:
    """A gradient has the type of its tensor: one for each of `xs`, the first inputs."""
    names: onnx.AttributeProto | None = context.get_attribute("xs")
    for position in range(len(names.strings) if names is not None else 0):
        put(context, position, element_type(context, position), sizes(context, position))


def _spec(
    name: str, estimate: Callable[[NodeView], OpCost | Declined], infer: Infer | None = None
) -> OperatorSpec:
    return OperatorSpec(
        domain="ai.onnx.preview.training",
        op_type=name,
        since_version=1,
        estimate=estimate,
        infer=infer,
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    _spec("Adagrad", adagrad),
    _spec("Adam", adam),
    _spec("Momentum", momentum),
    _spec("Gradient", gradient, infer_gradient),
)
