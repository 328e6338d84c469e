"""com.microsoft: hashes of n-grams of token ids, for embedding tables."""

from __future__ import annotations

from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.inference import element_type, integer, put, sizes
from mlsys_lint_plugins.ops.msft_spec import contrib
from mlsys_lint_plugins.ops.rows import with_rows


def _hashes(node: NodeView, *, offsets: int, eos: int, segments: int) -> OpCost | Declined:
    """For each order n = 2 .. N of a token's n-gram: n products and n - 1 exclusive ors.

    Per hash the modulo, and a sum where there are offsets. A reset at EOS or at segments takes for
    each of the N - 1 shifted ids a comparison and an or, for each of the two; then a selection.
    """
    largest = node.integer("max_ngram_size", 0)
    if largest < 2:
        return Declined("max_ngram_size is required")
    ids, hashes = node.input(0), node.output(0)
    products = largest * (largest + 1) // 2 - 1
    joins = largest * (largest - 1) // 2
    at_eos = bool(node.integer("reset_on_eos", 0)) and node.optional_input(eos) is not None
    at_segments = node.optional_input(segments) is not None
    resets = 2 * (at_eos + at_segments) + (at_eos or at_segments)
    each = 1 + (node.optional_input(offsets) is not None)
    others = [position for position in range(len(node.inputs)) if position != 1]
    base = cost(
        node,
        kernel_class="elementwise",
        vector_ops=ids.numel * (products + joins + resets * (largest - 1)) + each * hashes.numel,
        read=others,
        dtype=ids.dtype,
    )
    return with_rows(base, [(node.input(1), largest)])


def hash_mapping(node: NodeView) -> OpCost | Declined:
    """Ids [B, S]: see _hashes; the ids that the next call needs are copied."""
    return _hashes(node, offsets=4, eos=5, segments=6)


def varlen_hash_mapping(node: NodeView) -> OpCost | Declined:
    """Packed ids [N]: see _hashes; lengths do not matter, states are copied."""
    return _hashes(node, offsets=5, eos=6, segments=7)


def _heads(context: InferenceContext) -> int:
    return (integer(context, "max_ngram_size") - 1) * integer(context, "n_head_per_ngram")


def infer_hash_mapping(context: InferenceContext) -> None:
    """[B, S, (N - 1) * heads], and the last N - 1 ids of each sequence."""
    ids, kind = sizes(context, 0), element_type(context, 0)
    if ids is None or len(ids) != 2:
        return
    put(context, 0, kind, (*ids, _heads(context)))
    put(context, 1, kind, (ids[0], integer(context, "max_ngram_size") - 1))


def infer_varlen_hash_mapping(context: InferenceContext) -> None:
    """[N, (N - 1) * heads]; per sequence the last ids, their segments, and captured states."""
    ids, lengths, kind = sizes(context, 0), sizes(context, 3), element_type(context, 0)
    if ids is None or lengths is None or len(lengths) != 1:
        return
    batch = None if lengths[0] is None else lengths[0] - 1
    history = integer(context, "max_ngram_size") - 1
    put(context, 0, kind, (*ids, _heads(context)))
    put(context, 1, kind, (batch, history))
    put(context, 2, TensorProto.INT32, (batch, history))
    put(context, 3, kind, (batch, integer(context, "state_update_capacity"), history))


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("NGramHashMapping", hash_mapping, infer_hash_mapping, (0, 3, 5, 6)),
    contrib(
        "VarlenNGramHashMapping",
        varlen_hash_mapping,
        infer_varlen_hash_mapping,
        (0, 3, 4, 6, 7, 8, 9),
    ),
)
