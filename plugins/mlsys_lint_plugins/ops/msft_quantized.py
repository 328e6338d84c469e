"""com.microsoft: products, convolutions and LSTMs in 8 bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.conv import per_output, qlinear_conv
from mlsys_lint_plugins.ops.inference import (
    Infer,
    element_type,
    infer_conv,
    integer,
    product,
    put,
    sizes,
)
from mlsys_lint_plugins.ops.linear import (
    REQUANTIZE_OPS,
    contraction_class,
    gemm_contraction,
    matmul_contraction,
    shift_ops,
)
from mlsys_lint_plugins.ops.quantization import dynamic_quantize_ops
from mlsys_lint_plugins.ops.recurrent import CELLS, recurrent_cost, sizes_of

_ON_THE_FLY: Final = "uint8"
"""Type that ONNX Runtime quantizes activations to on the fly, whatever the weights have."""
_RESCALE_OPS: Final = 2
"""Per int32 result that becomes float: conversion, scale."""


def qgemm(node: NodeView) -> OpCost:
    """Integer Gemm, A at 0, B at 3, int32 bias at 6: M * N * K MACs.

    Vector operations: zero points 1 per element of A and B, the bias 1 per result; requantization
    5 per result where y_scale is given, else conversion and scale. alpha is part of the scale.
    """
    a = node.input(0)
    contraction = gemm_contraction(node, a, node.input(3))
    each = REQUANTIZE_OPS if node.optional_input(7) is not None else _RESCALE_OPS
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=shift_ops(node, (0, 2), (3, 5))
        + per_output(node, 6)
        + each * node.output().numel,
    )


def infer_qgemm(context: InferenceContext) -> None:
    """[M, N] of the type of y_zero_point, or float without it."""
    a, b = sizes(context, 0), sizes(context, 3)
    if a is None or b is None or len(a) != 2 or len(b) != 2:
        return
    m = a[1] if integer(context, "transA") else a[0]
    n = b[0] if integer(context, "transB") else b[1]
    put(context, 0, element_type(context, 8) or TensorProto.FLOAT, (m, n))


def dynamic_quantize_matmul(node: NodeView) -> OpCost:
    """DynamicQuantizeLinear of A, MatMulInteger, conversion and scale of every result (2).

    The zero point of A counts 1 per element, as does that of B where there is one; the bias 1 per
    result. The product of the two scales is not counted.
    """
    a, b = node.input(0), node.input(1)
    contraction = matmul_contraction(a.dims, b.dims, _ON_THE_FLY)
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=dynamic_quantize_ops(a.numel)
        + a.numel
        + shift_ops(node, (1, 3))
        + per_output(node, 4)
        + _RESCALE_OPS * node.output().numel,
        assumptions=(f"{a.dtype} activations are quantized to 8 bits in every run",),
    )


def matmul_integer_to_float(node: NodeView) -> OpCost:
    """MatMulInteger whose results are converted and scaled (2); a bias counts 1 per result."""
    a, b = node.input(0), node.input(1)
    contraction = matmul_contraction(a.dims, b.dims, a.type_name)
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=shift_ops(node, (0, 4), (1, 5))
        + per_output(node, 6)
        + _RESCALE_OPS * node.output().numel,
    )


def infer_scaled_product(scale: int) -> Infer:
    """Shape of numpy.matmul, in the type of the scale at a position."""

    def infer(context: InferenceContext) -> None:
        a, b = sizes(context, 0), sizes(context, 1)
        if a and b:
            put(context, 0, element_type(context, scale) or TensorProto.FLOAT, product(a, b))

    return infer


def dynamic_quantize_lstm(node: NodeView) -> OpCost | Declined:
    """LSTM's MACs in 8 bits: W is [D, I, 4 H], R [D, H, 4 H].

    Besides LSTM's own vector operations: DynamicQuantizeLinear of X and, for every direction and
    step, of the state before it; zero points 1 per element of these and of the weights; conversion
    and scale for each of the two products.
    """
    w, hidden = node.input(1), node.input(2).dims[1]
    cell = CELLS["LSTM"]
    shape = sizes_of(node, cell.gates, hidden)
    quantized, calls = node.input(0).numel + shape.states, shape.directions * shape.steps
    each_state = dynamic_quantize_ops(shape.batch * shape.hidden)
    extra = (
        dynamic_quantize_ops(node.input(0).numel)
        + calls * each_state
        + quantized
        + shift_ops(node, (1, 9), (2, 11))
        + 2 * _RESCALE_OPS * cell.gates * shape.states
    )
    return recurrent_cost(node, cell, shape, replace(w, dtype=_ON_THE_FLY), extra_ops=extra)


def infer_lstm(context: InferenceContext) -> None:
    """Y [T, D, B, H], Y_h and Y_c [D, B, H]."""
    x, r = sizes(context, 0), sizes(context, 2)
    if x is None or r is None or len(x) != 3 or len(r) != 3:
        return
    kind, directions, hidden = element_type(context, 0), r[0], r[1]
    put(context, 0, kind, (x[0], directions, x[1], hidden))
    for position in (1, 2):
        put(context, position, kind, (directions, x[1], hidden))


def _spec(
    name: str,
    estimate: Callable[[NodeView], OpCost | Declined],
    infer: Infer,
    shape_inputs: tuple[int, ...] = (),
) -> OperatorSpec:
    return OperatorSpec(
        domain="com.microsoft",
        op_type=name,
        since_version=1,
        estimate=estimate,
        infer=infer,
        shape_inputs=shape_inputs,
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    _spec("QGemm", qgemm, infer_qgemm),
    _spec("DynamicQuantizeMatMul", dynamic_quantize_matmul, infer_scaled_product(2)),
    _spec("MatMulIntegerToFloat", matmul_integer_to_float, infer_scaled_product(2)),
    _spec("QLinearConv", qlinear_conv, infer_conv(0, 3, result=7)),
    _spec("DynamicQuantizeLSTM", dynamic_quantize_lstm, infer_lstm, (4,)),
)
