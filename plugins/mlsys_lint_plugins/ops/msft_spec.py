"""What the families of com.microsoft share: how a spec is written, what conversions count."""

from __future__ import annotations

from collections.abc import Callable

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, TensorInfo
from mlsys_lint_plugins.ops.inference import Infer


def contrib(
    name: str,
    estimate: Callable[[NodeView], OpCost | Declined],
    infer: Infer,
    shape_inputs: tuple[int, ...] = (),
    elements: Callable[[NodeView, int], int] | None = None,
) -> OperatorSpec:
    """An operator of com.microsoft; `shape_inputs` hold ids, lengths or sizes, never parameters."""
    return OperatorSpec(
        domain="com.microsoft",
        op_type=name,
        since_version=1,
        estimate=estimate,
        infer=infer,
        shape_inputs=shape_inputs,
        elements=elements,
    )


def float_conversions(*tensors: TensorInfo | None) -> int:
    """One conversion per element that is read or written in another type than float.

    For operators that are defined to compute in float whatever their type. Weights are not counted:
    a kernel may keep them converted.
    """
    return sum(one.numel for one in tensors if one is not None and one.dtype != "float")


def factor(node: NodeView, name: str, default: float = 1.0) -> float:
    """A number among the attributes."""
    value = node.attributes.get(name, default)
    return float(value) if isinstance(value, (int, float)) else default
