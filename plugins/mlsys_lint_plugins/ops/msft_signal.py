"""com.microsoft: Fourier transforms of real signals, sliding windows, convolved word embeddings."""

from __future__ import annotations

from math import prod
from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.inference import element_type, integer, put, sizes
from mlsys_lint_plugins.ops.linear import contraction_class
from mlsys_lint_plugins.ops.msft_spec import contrib
from mlsys_lint_plugins.ops.rows import with_rows
from mlsys_lint_plugins.ops.spectral import transform_ops


def _signal_ops(node: NodeView, shape: tuple[int, ...]) -> int:
    """Transforms of a real signal over the last `signal_ndim` axes: real ones along the last axis.

    Along the axes before it complex ones, of the n // 2 + 1 frequencies that are kept.
    """
    axes = max(1, node.integer("signal_ndim", 1))
    *outer, last = shape[-axes:]
    lines, kept = prod(outer), last // 2 + 1
    each = lines * transform_ops(last, real=True)
    each += sum(lines // size * kept * transform_ops(size, real=False) for size in outer if size)
    return prod(shape[:-axes]) * each


def rfft(node: NodeView) -> OpCost:
    """See _signal_ops."""
    return cost(node, kernel_class="fft", vector_ops=_signal_ops(node, node.input(0).dims))


def irfft(node: NodeView) -> OpCost:
    """As Rfft, of the signal that results, and a scale per element of it."""
    y = node.output()
    return cost(node, kernel_class="fft", vector_ops=_signal_ops(node, y.dims) + y.numel)


def infer_rfft(context: InferenceContext) -> None:
    """[.., n] -> [.., n // 2 + 1, 2]."""
    shape = sizes(context, 0)
    if shape:
        kept = None if shape[-1] is None else shape[-1] // 2 + 1
        put(context, 0, element_type(context, 0), (*shape[:-1], kept, 2))


def infer_irfft(context: InferenceContext) -> None:
    """[.., m, 2] -> [.., 2 (m - 1)]."""
    shape = sizes(context, 0)
    if shape is not None and len(shape) > 1:
        length = None if shape[-2] is None else 2 * (shape[-2] - 1)
        put(context, 0, element_type(context, 0), (*shape[:-2], length))


def unfold(node: NodeView) -> OpCost:
    """Windows of `size` elements, `step` apart: copies; elements in several windows are read once."""
    x, y = node.input(0), node.output()
    axis = node.integer("dim", -1) % x.rank
    size, step, count = node.integer("size", 1), node.integer("step", 1), y.dims[axis]
    taken = (count - 1) * min(step, size) + size if count else 0
    read = x.nbytes * taken // x.dims[axis] if x.dims[axis] else 0
    return cost(node, kernel_class="copy", bytes_read=read, weight_bytes=read if x.constant else 0)


def infer_unfold(context: InferenceContext) -> None:
    """The axis holds the windows, a last axis their elements."""
    shape = sizes(context, 0)
    if not shape:
        return
    axis = integer(context, "dim", -1) % len(shape)
    size, step, extent = integer(context, "size"), integer(context, "step", 1), shape[axis]
    if size and step:
        windows = None if extent is None else (extent - size) // step + 1
        put(
            context, 0, element_type(context, 0), (*shape[:axis], windows, *shape[axis + 1 :], size)
        )


def word_embedding(node: NodeView) -> OpCost | Declined:
    """Characters of S words [S, L] are looked up, convolved, pooled: S * P * F * w * e MACs.

    F filters of w characters of e features, P = L - w + 1 positions a word; per result of the
    convolution bias and tanh, per word and filter P - 1 maxima. Lengths of words are not counted.
    """
    words, weights, bias, table = (node.input(position) for position in range(4))
    if words.rank != 2:
        return Declined("words of characters have rank 2")
    count, length = words.dims
    filters, _, width, features = weights.dims
    positions = max(1, length - width + 1)
    results = count * positions * filters
    product = Contraction(
        m=count * positions, n=filters, k=width * features, dtype=weights.type_name
    )
    base = cost(
        node,
        kernel_class=contraction_class(product),
        contractions=(product,),
        vector_ops=results + count * filters * (positions - 1),
        transcendentals=results,
        read=(0, weights, bias),
        assumptions=("data-dependent: every word has full length",),
    )
    return with_rows(base, [(table, count * length)])


def infer_word_embedding(context: InferenceContext) -> None:
    """[S, F]."""
    words, weights = sizes(context, 0), sizes(context, 1)
    if words and weights and len(words) == 2:
        put(context, 0, element_type(context, 1), (words[0], weights[0]))


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("Rfft", rfft, infer_rfft),
    contrib("Irfft", irfft, infer_irfft),
    contrib("UnfoldTensor", unfold, infer_unfold),
    contrib("WordConvEmbedding", word_embedding, infer_word_embedding, (0,)),
)
