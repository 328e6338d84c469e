"""com.microsoft: quantized tables of which a row is read for each index."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import NodeView, OpCost, OperatorSpec, TensorInfo, cost
from mlsys_lint_plugins.ops.inference import (
    Sizes,
    element_type,
    integer,
    put,
    sizes,
)
from mlsys_lint_plugins.ops.normalization import layer_norm_cost
from mlsys_lint_plugins.ops.rows import with_rows

_DEQUANTIZE_OPS: Final = 2
"""Shift by the zero point, scale."""


# -- GatherBlockQuantized --------------------------------------------------------------------------


def gather_block_quantized(node: NodeView) -> OpCost:
    """Gather, then (x - zero) * scale for every output element.

    Bytes have a zero point always (2^(bits - 1) by default), 4-bit integers where one is given,
    floats never. Of data, scales and zero points the slices at the indices are read, at most all.
    """
    data, indices = node.input(0), node.input(1)
    axis = node.integer("gather_axis", 0) % data.rank
    shift = data.type_name == "uint8" or node.optional_input(3) is not None
    tables = [one for one in (data, node.input(2), node.optional_input(3)) if one is not None]
    taken = [_slices(one, axis, indices.numel) for one in tables]
    read = sum(one.nbytes for one in taken)
    weights = sum(one.nbytes for one in taken if one.constant)
    return cost(
        node,
        kernel_class="gather",
        vector_ops=(1 + shift) * node.output().numel,
        bytes_read=indices.nbytes + read,
        weight_bytes=weights + (indices.nbytes if indices.constant else 0),
    )


def _slices(table: TensorInfo, axis: int, count: int) -> TensorInfo:
    """The part of a table that holds as many slices along an axis, at most all of it."""
    dims = table.dims
    return replace(table, shape=(*dims[:axis], min(count, dims[axis]), *dims[axis + 1 :]))


def _values_per_byte(kind: str | None, bits: int) -> int:
    return 8 // bits if kind == "uint8" and bits in (2, 4) else 1


def block_elements(node: NodeView, position: int) -> int:
    """Logical values of what is packed into bytes: data by its bits, a zero point for each scale."""
    tensor = node.input(position)
    packed = _values_per_byte(tensor.dtype, node.integer("bits", 4))
    if position == 0:
        return packed * tensor.numel
    return node.input(2).numel if position == 3 and packed > 1 else tensor.numel


def infer_gather_block_quantized(context: InferenceContext) -> None:
    """Gather's shape of the logical values, in the type of the scales."""
    data, indices = sizes(context, 0), sizes(context, 1)
    if not data or indices is None:
        return
    axis = integer(context, "gather_axis") % len(data)
    byte = "uint8" if element_type(context, 0) == TensorProto.UINT8 else None
    packed = _values_per_byte(byte, integer(context, "bits", 4))
    last = None if data[-1] is None else data[-1] * packed
    logical: Sizes = (*data[:-1], last)
    put(context, 0, element_type(context, 2), (*logical[:axis], *indices, *logical[axis + 1 :]))


# -- QEmbedLayerNormalization ----------------------------------------------------------------------


def embed_layer_norm(node: NodeView) -> OpCost:
    """EmbedLayerNormalization on quantized tables, scale and bias.

    What is read is dequantized (2 per element): a row of each table per token, S rows of positions
    that all sequences share, gamma and beta. The mask index is not counted.
    """
    batch, length = node.input(0).dims
    segment = node.optional_input(4) if node.optional_input(1) is not None else None
    width, tokens = node.output().dims[-1], batch * length
    normed = layer_norm_cost(node, node.output(), extra=1 + (segment is not None), bias=True)
    rows = tokens + length + (tokens if segment is not None else 0)
    base = cost(
        node,
        kernel_class=normed.kernel_class,
        vector_ops=normed.vector_ops + _DEQUANTIZE_OPS * (rows + 2) * width,
        transcendentals=normed.transcendentals,
        read=(0, 1, *range(5, 18)),
    )
    tables = [(node.input(2), tokens), (node.input(3), length)]
    if segment is not None:
        tables.append((segment, tokens))
    return with_rows(base, tables)


def infer_embed_layer_norm(context: InferenceContext) -> None:
    """[B, S, width] in the type of the scales; the mask index is int32 [B]."""
    ids, table = sizes(context, 0), sizes(context, 2)
    if ids is None or table is None:
        return
    put(context, 0, element_type(context, 8), (*ids, table[1]))
    put(context, 1, TensorProto.INT32, (ids[0],))


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    OperatorSpec(
        domain="com.microsoft",
        op_type="GatherBlockQuantized",
        since_version=1,
        estimate=gather_block_quantized,
        infer=infer_gather_block_quantized,
        shape_inputs=(1,),
        elements=block_elements,
    ),
    OperatorSpec(
        domain="com.microsoft",
        op_type="QEmbedLayerNormalization",
        since_version=1,
        estimate=embed_layer_norm,
        infer=infer_embed_layer_norm,
        shape_inputs=(0, 1, 7),
    ),
)
