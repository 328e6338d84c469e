"""com.microsoft: element-wise operators with a bias, dropout with one, position biases, lookups."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.activation import ACTIVATIONS
from mlsys_lint_plugins.ops.indexing import gather
from mlsys_lint_plugins.ops.inference import (
    Infer,
    element_type,
    integer,
    put,
    same_as,
    scalar_value,
    sizes,
)
from mlsys_lint_plugins.ops.msft_spec import contrib

_TRAINS: Final = "data-dependent: training_mode is not known, counted as training"
_WORD: Final = 32
"""Bits of an element of a bit mask."""


def bias_add(node: NodeView) -> OpCost:
    """X + bias + skip: 2 operations per element."""
    return cost(node, kernel_class="elementwise", vector_ops=2 * node.output().numel)


def bias_softmax(node: NodeView) -> OpCost:
    """Softmax(data + bias) over the axes from `axis` (1) on: 1 per element more than Softmax.

    Softmax takes 4 per element less 2 per row, and an exp per element.
    """
    data = node.input(0)
    row = prod(data.dims[node.integer("axis", 1) % max(1, data.rank) :])
    rows = data.numel // row if row else 0
    return cost(
        node,
        kernel_class="softmax",
        vector_ops=max(0, 5 * data.numel - 2 * rows),
        transcendentals=data.numel,
    )


def bias_split_gelu(node: NodeView) -> OpCost:
    """(left + bias) * Gelu(right + bias) for the halves of the last axis.

    Per result 2 sums, Gelu (4 and an erf), a product.
    """
    ops, transcendentals = ACTIVATIONS["Gelu"]
    results = node.output().numel
    return cost(
        node,
        kernel_class="unary:gelu",
        vector_ops=(2 + ops + 1) * results,
        transcendentals=transcendentals * results,
    )


def infer_bias_split_gelu(context: InferenceContext) -> None:
    """[N, S, D / 2]."""
    x = sizes(context, 0)
    if x:
        half = None if x[-1] is None else x[-1] // 2
        put(context, 0, element_type(context, 0), (*x[:-1], half))


def _dropout(mode: int, *, bias: bool) -> Callable[[NodeView], OpCost]:
    """Dropout(data + bias) + residual; `mode` is the position of training_mode.

    Per element 1 for each of bias and residual; in training a comparison with the ratio, a product
    with the mask and a scale (3). Random numbers and packing of bits are not counted.
    """

    def estimate(node: NodeView) -> OpCost:
        trains = _trains(node, mode)
        sums = (1 + (node.optional_input(2) is not None)) if bias else 0
        each = sums + (0 if trains is False else 3)
        return cost(
            node,
            kernel_class="elementwise"
            if trains is False and bias
            else "random"
            if each
            else "copy",
            vector_ops=each * node.output().numel,
            read=range(mode - 1),
            assumptions=(_TRAINS,) if trains is None else (),
        )

    return estimate


def _trains(node: NodeView, position: int) -> bool | None:
    """False without training_mode; None when it is not known."""
    mode = node.optional_input(position)
    if mode is None:
        return False
    return None if mode.value is None else bool(mode.value.any())


def _infer_dropout(*, packed: bool) -> Infer:
    """Data's type and shape; the mask is bool, or one bit per element in uint32 words."""

    def infer(context: InferenceContext) -> None:
        shape = sizes(context, 0)
        if shape is None:
            return
        put(context, 0, element_type(context, 0), shape)
        if not packed:
            put(context, 1, TensorProto.BOOL, shape)
            return
        known = [size for size in shape if size is not None]
        words = -(-prod(known) // _WORD) if len(known) == len(shape) else None
        put(context, 1, TensorProto.UINT32, (words,))

    return infer


def infer_torch_embedding(context: InferenceContext) -> None:
    """[*indices, M] for a table [N, M]."""
    table, indices = sizes(context, 0), sizes(context, 1)
    if table and indices is not None:
        put(context, 0, element_type(context, 0), (*indices, table[-1]))


_BUCKET_OPS: Final = 10
"""Per pair: difference, abs, comparison with the exact half; for a large distance division, division
by a logarithm, scale, conversion, shift, minimum; selection. The logarithm is apart."""


def relative_position_bias(node: NodeView) -> OpCost:
    """A bucket for each pair of query and key, and every head's bias of that bucket.

    _BUCKET_OPS and a log per pair; in both directions 2 more (sign, half of the buckets). Heads
    share the bucket of a pair; kernels that compute it again for every head do more.
    """
    _, heads, queries, keys = node.output().dims
    each = _BUCKET_OPS + (2 if node.integer("is_bidirectional", 0) else 0)
    pairs = queries * keys if heads else 0
    return cost(
        node,
        kernel_class="gather",
        vector_ops=each * pairs,
        transcendentals=pairs,
        read=(0,),
        dtype="float",
    )


def infer_relative_position_bias(context: InferenceContext) -> None:
    """[1, heads, query_length, key_length]; the table is [buckets, heads]."""
    table = sizes(context, 0)
    heads = table[1] if table and len(table) == 2 else None
    shape = (1, heads, scalar_value(context, 1), scalar_value(context, 2))
    put(context, 0, element_type(context, 0), shape)


def gated_relative_position_bias(node: NodeView) -> OpCost | Declined:
    """rel_pos * (u * (r * eco_a - 1) + 2), where u and r are gates of (query + bias) W + b.

    W is [D, E]. MACs: B * H * S * D * E. Per element of the query 1 (bias), per product 1 (bias);
    each gate sums E / 2 of them (E / 2 - 1) and takes a sigmoid; 4 per row for the gate, 1 per
    result.
    """
    batch, heads, length, _ = node.output().dims
    size, width = node.input(3).dims
    rows = batch * heads * length
    gates = width + 2 * (width // 2 - 1) + 4
    return cost(
        node,
        kernel_class="gemm",
        contractions=(Contraction(m=rows, n=width, k=size, dtype=node.input(0).type_name),),
        vector_ops=rows * (size + gates) + node.output().numel,
        transcendentals=2 * rows,
    )


def infer_gated_relative_position_bias(context: InferenceContext) -> None:
    """[B, heads, S, S]; without padding (input 6) token_offset [B, S] says B and S."""
    query, offsets = sizes(context, 0), sizes(context, 6)
    shape = offsets if offsets is not None else query
    if shape is None or len(shape) < 2:
        return
    heads = integer(context, "num_heads") or None
    put(context, 0, element_type(context, 0), (shape[0], heads, shape[1], shape[1]))


def sample(node: NodeView) -> OpCost:
    """com.microsoft.SampleOp gives back its input."""
    return cost(node, kernel_class="copy")


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("BiasAdd", bias_add, same_as(0)),
    contrib("BiasSoftmax", bias_softmax, same_as(0)),
    contrib("BiasSplitGelu", bias_split_gelu, infer_bias_split_gelu),
    contrib("BiasDropout", _dropout(4, bias=True), _infer_dropout(packed=False), (3, 4)),
    contrib("BitmaskDropout", _dropout(2, bias=False), _infer_dropout(packed=True), (1, 2)),
    contrib("BitmaskBiasDropout", _dropout(4, bias=True), _infer_dropout(packed=True), (3, 4)),
    contrib("TorchEmbedding", gather, infer_torch_embedding, (1, 2, 3)),
    contrib("RelativePositionBias", relative_position_bias, infer_relative_position_bias, (1, 2)),
    contrib(
        "GatedRelativePositionBias",
        gated_relative_position_bias,
        infer_gated_relative_position_bias,
        (6,),
    ),
    contrib("SampleOp", sample, same_as(0)),
)
