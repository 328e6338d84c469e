"""com.microsoft: group normalizations with a skip before and SiLU after them."""

from __future__ import annotations

from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec
from mlsys_lint_plugins.ops.inference import element_type, put, same_as, sizes
from mlsys_lint_plugins.ops.msft_spec import contrib
from mlsys_lint_plugins.ops.normalization import group_norm_cost


def _normed(node: NodeView, sums: int) -> OpCost | Declined:
    """GroupNormalization after so many sums per element; SiLU adds a product and a sigmoid."""
    groups = node.integer("groups", 0)
    if not groups:
        return Declined("groups is required")
    silu = int(node.integer("activation", 0) == 1)
    return group_norm_cost(node, groups, extra=sums + silu, transcendentals=silu)


def group_norm(node: NodeView) -> OpCost | Declined:
    """GroupNormalization of ai.onnx (7 per element, 3 and a root per group), then SiLU if asked."""
    return _normed(node, 0)


def skip_group_norm(node: NodeView) -> OpCost | Declined:
    """GroupNorm of x + skip (+ bias): one more operation per element for each sum."""
    return _normed(node, 1 + (node.optional_input(4) is not None))


def infer_skip_group_norm(context: InferenceContext) -> None:
    """Both outputs, the result and the sum, have the input's type."""
    shape = sizes(context, 0)
    if shape is not None:
        for position in range(2):
            put(context, position, element_type(context, 0), shape)


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("GroupNorm", group_norm, same_as(0)),
    contrib("SkipGroupNorm", skip_group_norm, infer_skip_group_norm),
)
