"""com.microsoft: rotary embeddings of Gemma and of several positions, and after a normalization."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, TensorInfo, cost
from mlsys_lint_plugins.ops.attention import rotary_cost
from mlsys_lint_plugins.ops.inference import element_type, integer, put, same_as, sizes
from mlsys_lint_plugins.ops.msft_spec import contrib
from mlsys_lint_plugins.ops.rows import with_rows


def gemma_rotary_embedding(node: NodeView) -> OpCost:
    """(q cos + q_rot sin, k cos + k_rot sin) with sine and cosine of emb, converted to q's type.

    Per element of q and k 3 operations; per element of emb two transcendentals, two conversions.
    """
    emb, q, k = node.input(0), node.input(1), node.input(3)
    converted = 2 * emb.numel if emb.dtype != q.dtype else 0
    return cost(
        node,
        kernel_class="elementwise",
        vector_ops=3 * (q.numel + k.numel) + converted,
        transcendentals=2 * emb.numel,
    )


def infer_gemma_rotary_embedding(context: InferenceContext) -> None:
    """The results have the shapes of q and k."""
    for position, source in ((0, 1), (1, 3)):
        shape = sizes(context, source)
        if shape is not None:
            put(context, position, element_type(context, 1), shape)


def multi_rotary_embedding(node: NodeView) -> OpCost | Declined:
    """com.microsoft.MRotaryEmbedding: 3 operations per rotated element.

    Each token has three positions; each fills its own section of the token's cosines and sines, so
    that a token reads as many of them as with one position.
    """
    return rotary_cost(node, positions=1, caches=(2, 3))


def rms_norm_rotary(node: NodeView) -> OpCost:
    """RMS normalization of a slice of the last axis, then rotation of its first elements.

    Per normalized element square, mean, division, scale (4) and two conversions (to float and
    back); per row epsilon and a root; 3 per rotated element. Of X the slice is read, of the
    cosines and sines the rows of the tokens: with one base position those of a sequence.
    """
    x, scale, positions = node.input(0), node.input(1), node.input(2)
    batch, length, heads, stride = x.dims
    width = scale.numel
    rows = batch * length * heads
    base = cost(
        node,
        kernel_class="norm",
        vector_ops=rows * (6 * width + 1 + 3 * node.integer("rotary_embedding_dim", 0)),
        transcendentals=rows,
        read=(1, 2, 5),
    )
    one = positions.numel == 1 and not node.integer("flatten_batch", 0)
    tokens = length if one else batch * length
    tables: list[tuple[TensorInfo, int]] = [(node.input(at), tokens) for at in (3, 4)]
    taken = x.nbytes * width // stride if stride else 0
    return with_rows(_reading(base, x, taken), tables)


def _reading(base: OpCost, tensor: TensorInfo, taken: int) -> OpCost:
    weights = base.weight_bytes + (taken if tensor.constant else 0)
    return replace(base, bytes_read=base.bytes_read + taken, weight_bytes=weights)


def infer_rms_norm_rotary(context: InferenceContext) -> None:
    """[B, S, heads * width], or [1, B S, heads * width]; the normalized values [B, S, heads, width]."""
    x, scale = sizes(context, 0), sizes(context, 1)
    if x is None or len(x) != 4:
        return
    width = scale[0] if scale else integer(context, "input_width") or x[3]
    kind = TensorProto.FLOAT16 if integer(context, "output_fp16") else TensorProto.BFLOAT16
    rows: tuple[int | None, ...] = x[:2]
    if integer(context, "flatten_batch"):
        rows = (1, _times(x[0], x[1]))
    put(context, 0, kind, (*rows, _times(x[2], width)))
    put(context, 1, TensorProto.FLOAT, (*x[:3], width))


def _times(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left * right


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("GemmaRotaryEmbedding", gemma_rotary_embedding, infer_gemma_rotary_embedding),
    contrib("MRotaryEmbedding", multi_rotary_embedding, same_as(0), (1,)),
    contrib("RMSNormRotary", rms_norm_rotary, infer_rms_norm_rotary, (2, 5)),
)
