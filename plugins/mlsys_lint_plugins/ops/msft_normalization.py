"""com.microsoft: normalizations with a skip or embeddings before them, activations with a bias."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.activation import ACTIVATIONS
from mlsys_lint_plugins.ops.inference import (
    element_type,
    integer,
    put,
    same_as,
    sizes,
)
from mlsys_lint_plugins.ops.msft_spec import contrib
from mlsys_lint_plugins.ops.normalization import layer_norm_cost, rms_norm, rms_norm_cost
from mlsys_lint_plugins.ops.rows import with_rows


def skip_layer_norm(node: NodeView) -> OpCost:
    """LayerNormalization of input + skip (+ bias): one more operation per element for each sum."""
    sums = 1 + (node.optional_input(4) is not None)
    return layer_norm_cost(node, node.input(0), extra=sums, bias=node.optional_input(3) is not None)


def skip_rms_norm(node: NodeView) -> OpCost:
    """RMS normalization of input + skip (+ bias): one more operation per element for each sum."""
    sums = 1 + (node.optional_input(3) is not None)
    return rms_norm_cost(node, node.input(0), extra=sums)


def infer_skip_norm(context: InferenceContext) -> None:
    """The input's shape; mean and inverse deviation keep the rows; the sum has the input's shape."""
    shape = sizes(context, 0)
    if not shape:
        return
    kind = element_type(context, 0)
    put(context, 0, kind, shape)
    for position in (1, 2):
        put(context, position, TensorProto.FLOAT, (*shape[:-1], 1))
    put(context, 3, kind, shape)


def infer_simplified(context: InferenceContext) -> None:
    """The input's shape in the scale's type, and for each row the inverse root mean square."""
    shape = sizes(context, 0)
    if not shape:
        return
    put(context, 0, element_type(context, 1), shape)
    axis = integer(context, "axis", -1) % len(shape)
    rows = (*shape[:axis], *(1 for _ in shape[axis:]))
    put(context, 1, integer(context, "stash_type", TensorProto.FLOAT), rows)


def embed_layer_norm(node: NodeView) -> OpCost:
    """Sum of word, position and segment embeddings, then LayerNormalization.

    A row of each table is read per token; without position_ids one of positions 0 .. S - 1 serves
    all sequences. The mask index is the sum of a sequence's mask: S - 1 where there is one.
    """
    batch, length = node.input(0).dims
    segment = node.optional_input(4) if node.optional_input(1) is not None else None
    normed = layer_norm_cost(node, node.output(), extra=1 + (segment is not None), bias=True)
    counts = len(node.outputs) > 1 and node.outputs[1] is not None and bool(node.optional_input(7))
    base = cost(
        node,
        kernel_class=normed.kernel_class,
        vector_ops=normed.vector_ops + (batch * max(0, length - 1) if counts else 0),
        transcendentals=normed.transcendentals,
        read=(0, 1, 5, 6, 7, 8),
    )
    given_positions = node.optional_input(8)
    positions = length if given_positions is None else given_positions.numel
    tables = [(node.input(2), batch * length), (node.input(3), positions)]
    if segment is not None:
        tables.append((segment, batch * length))
    return with_rows(base, tables)


def infer_embed_layer_norm(context: InferenceContext) -> None:
    """[B, S, width] of the word table; the mask index is int32 [B]."""
    ids, table = sizes(context, 0), sizes(context, 2)
    if ids is None or table is None:
        return
    kind = element_type(context, 2)
    put(context, 0, kind, (*ids, table[1]))
    put(context, 1, TensorProto.INT32, (ids[0],))
    put(context, 2, kind, (*ids, table[1]))


def _activation(name: str, bias: int | None = None) -> Callable[[NodeView], OpCost]:
    """An activation by name; `bias` is the position of a bias that is added first."""

    def estimate(node: NodeView) -> OpCost:
        ops, transcendentals = ACTIVATIONS[name]
        elements = node.output().numel
        added = bias is not None and node.optional_input(bias) is not None
        return cost(
            node,
            kernel_class=f"unary:{name.lower()}",
            vector_ops=(ops + added) * elements,
            transcendentals=transcendentals * elements,
        )

    return estimate


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("SkipLayerNormalization", skip_layer_norm, infer_skip_norm),
    contrib("SkipSimplifiedLayerNormalization", skip_rms_norm, infer_skip_norm),
    # RMSNormalization under the name that ONNX Runtime gives it, in the domain ai.onnx.
    OperatorSpec(
        domain="",
        op_type="SimplifiedLayerNormalization",
        since_version=1,
        estimate=rms_norm,
        infer=infer_simplified,
    ),
    contrib("EmbedLayerNormalization", embed_layer_norm, infer_embed_layer_norm, (0, 1, 7, 8)),
    contrib("Gelu", _activation("Gelu"), same_as(0)),
    contrib("FastGelu", _activation("FastGelu", bias=1), same_as(0)),
    contrib("BiasGelu", _activation("Gelu", bias=1), same_as(0)),
    contrib("QuickGelu", _activation("QuickGelu"), same_as(0)),
)
