"""QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear."""

from __future__ import annotations

from typing import Final

from mlsys_lint import NodeView, OpCost, OperatorSpec, cost


def quantize(node: NodeView) -> OpCost:
    """saturate(round(x / scale) + zero): scale, round, shift, clamp (min and max) per element.

    Without a zero point the shift is absent. Scales per tensor, axis or block count the same; they
    move their own bytes. Packing of sub-byte results is not counted.
    """
    shift = node.optional_input(2) is not None
    return cost(node, kernel_class="quantize", vector_ops=(4 + shift) * node.output().numel)


def dequantize(node: NodeView) -> OpCost:
    """(x - zero) * scale: a product per element, and the shift where there is a zero point.

    As QuantizeLinear for blocks; unpacking is not counted.
    """
    shift = node.optional_input(2) is not None
    return cost(node, kernel_class="quantize", vector_ops=(1 + shift) * node.output().numel)


_RANGE_OPS: Final = 10
"""Once per tensor, as onnx's body: minimum and maximum with 0, range, scale, the minimum scaled,
its difference from 0, two bounds of the zero point, rounding, conversion."""


def dynamic_quantize_ops(elements: int) -> int:
    """Minimum and maximum (2 n - 2), _RANGE_OPS for scale and zero point, QuantizeLinear (5 n)."""
    return max(0, 2 * elements - 2) + _RANGE_OPS + 5 * elements


def dynamic_quantize(node: NodeView) -> OpCost:
    """A tensor that is quantized by its own range: see dynamic_quantize_ops."""
    return cost(
        node,
        kernel_class="quantize",
        vector_ops=dynamic_quantize_ops(node.input(0).numel),
        dtype=node.input(0).dtype,
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    OperatorSpec(domain="", op_type="QuantizeLinear", since_version=10, estimate=quantize),
    OperatorSpec(domain="", op_type="DequantizeLinear", since_version=10, estimate=dequantize),
    OperatorSpec(
        domain="", op_type="DynamicQuantizeLinear", since_version=11, estimate=dynamic_quantize
    ),
)
