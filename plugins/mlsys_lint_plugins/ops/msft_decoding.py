"""com.microsoft: search for generated text, and what serves it."""

from __future__ import annotations

from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import NodeView, OpCost, OperatorSpec, Unsupported, cost
from mlsys_lint_plugins.ops.inference import (
    Infer,
    element_type,
    integer,
    put,
    same_as,
    scalar_value,
    sizes,
    total,
)
from mlsys_lint_plugins.ops.msft_spec import contrib

_DOMAIN: Final = "com.microsoft"
_GENERATES: Final = Unsupported(
    "how many tokens it generates depends on data; analyse the decoder in its body as a model of its own"
)


def _batch(context: InferenceContext) -> int | None:
    prompt = sizes(context, 0)
    return prompt[0] if prompt else None


def infer_beam_search(context: InferenceContext) -> None:
    """Sequences [B, R, max_length], their scores [B, R], all scores [new tokens, B, beams, vocabulary].

    R is num_return_sequences; the scores have the type of length_penalty.
    """
    prompt, batch = sizes(context, 0), _batch(context)
    longest, beams, returned = (scalar_value(context, at) for at in (1, 3, 4))
    kind = element_type(context, 5) or TensorProto.FLOAT
    put(context, 0, TensorProto.INT32, (batch, returned, longest))
    put(context, 1, kind, (batch, returned))
    length = prompt[1] if prompt and len(prompt) == 2 else None
    fresh = None if longest is None or length is None else longest - length
    put(context, 2, kind, (fresh, batch, beams, integer(context, "vocab_size") or None))


def infer_whisper(context: InferenceContext) -> None:
    """As beam search; Q K of chosen heads [B, R, heads, tokens, frames], no-speech probabilities [B]."""
    infer_beam_search(context)
    batch, returned, chosen = _batch(context), scalar_value(context, 4), sizes(context, 12)
    kind = element_type(context, 5) or TensorProto.FLOAT
    vocabulary = integer(context, "vocab_size") or None
    put(context, 2, kind, (None, batch, scalar_value(context, 3), vocabulary))
    put(context, 3, TensorProto.FLOAT, (batch, returned, chosen[0] if chosen else None, None, None))
    put(context, 4, kind, (batch,))


def infer_greedy(context: InferenceContext) -> None:
    """Sequences [B, max_length]; filtered logits [B, vocabulary]."""
    put(context, 0, TensorProto.INT32, (_batch(context), scalar_value(context, 1)))
    vocabulary = integer(context, "vocab_size") or None
    put(context, 1, TensorProto.FLOAT, (_batch(context), vocabulary))


def ngram_repeat_block(node: NodeView) -> OpCost:
    """Each n-gram's first n - 1 tokens against the last n - 1: B (S - n + 1) (n - 1) comparisons.

    Kernels may end a comparison early. The scores are copied; blocked ones become -inf.
    """
    batch, length = node.input(0).dims
    size = node.integer("ngram_size", 1)
    compared = max(0, length - size + 1) * max(0, size - 1)
    return cost(node, kernel_class="scatter", vector_ops=batch * compared)


_CONTROL_WORDS: Final = 16
_CONTEXT_WORDS: Final = 2
_WORD_BYTES: Final = 8


def speculative_prefix_commit(node: NodeView) -> OpCost:
    """Per request rows - 1 comparisons of predictions with draft tokens; status words are joined (n - 1).

    Of `prefixes` the accepted pair of words is read. Arithmetic on the control words and the record
    in the result ring are not counted.
    """
    batch = node.input(3).numel // _CONTROL_WORDS
    rows = node.input(0).numel // batch if batch else 0
    return cost(
        node,
        kernel_class="scatter",
        vector_ops=batch * max(0, rows - 1) + max(0, node.input(2).numel - 1),
        bytes_read=sum(node.input(at).nbytes for at in (0, 1, 2, 3, 4, 6))
        + batch * _CONTEXT_WORDS * _WORD_BYTES,
    )


def infer_speculative_prefix_commit(context: InferenceContext) -> None:
    """Lengths int32 [batch] (16 control words each); the states keep their shapes."""
    control = sizes(context, 3)
    words = 1
    for size in control or (None,):
        words = 0 if size is None else words * size
    put(context, 0, TensorProto.INT32, (words // _CONTROL_WORDS or None,))
    for position, source in ((1, 3), (2, 4)):
        shape = sizes(context, source)
        if shape is not None:
            put(context, position, element_type(context, source), shape)


def remove_padding(node: NodeView) -> OpCost:
    """Copies the tokens that are no padding; lengths are cumulated (B - 1) and compared (B - 1)."""
    batch = node.input(0).dims[0]
    return cost(
        node,
        kernel_class="gather",
        vector_ops=2 * max(0, batch - 1),
        assumptions=("data-dependent: no token is padding",),
    )


def infer_remove_padding(context: InferenceContext) -> None:
    """[tokens, H], at most all; offsets [B, S]; cumulated lengths [B + 1]; the longest [1]."""
    x = sizes(context, 0)
    if x is None or len(x) != 3:
        return
    count = element_type(context, 1) or TensorProto.INT32
    tokens = None if x[0] is None or x[1] is None else f"max:{x[0] * x[1]}"
    put(context, 0, element_type(context, 0), (tokens, x[2]))
    put(context, 1, count, x[:2])
    put(context, 2, count, (total(x[0], 1),))
    put(context, 3, count, (1,))


def restore_padding(node: NodeView) -> OpCost:
    """Copies tokens to their places; the rest becomes 0."""
    return cost(node, kernel_class="scatter")


def infer_restore_padding(context: InferenceContext) -> None:
    """[B, S, H] for offsets [B, S] and tokens [.., H]."""
    x, offsets = sizes(context, 0), sizes(context, 1)
    if x and offsets is not None:
        put(context, 0, element_type(context, 0), (*offsets, x[-1]))


def infer_scores(context: InferenceContext) -> None:
    """The scores' type and shape."""
    same: Infer = same_as(1)
    same(context)


def _searches() -> tuple[OperatorSpec, ...]:
    return tuple(
        OperatorSpec(
            domain=_DOMAIN,
            op_type=name,
            since_version=1,
            estimate=_GENERATES,
            infer=infer,
            shape_inputs=tuple(range(15)),
        )
        for name, infer in (
            ("BeamSearch", infer_beam_search),
            ("WhisperBeamSearch", infer_whisper),
            ("GreedySearch", infer_greedy),
            ("Sampling", infer_greedy),
        )
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    *_searches(),
    contrib("NGramRepeatBlock", ngram_repeat_block, infer_scores, (0,)),
    contrib(
        "SpeculativePrefixCommit",
        speculative_prefix_commit,
        infer_speculative_prefix_commit,
        tuple(range(7)),
    ),
    contrib("RemovePadding", remove_padding, infer_remove_padding, (1,)),
    contrib("RestorePadding", restore_padding, infer_restore_padding, (1,)),
)
