"""Strings, and what is decoded from bytes: the work mostly depends on lengths that no file states."""

from __future__ import annotations

from math import prod
from typing import Final

import onnx
from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import NodeView, OpCost, OperatorSpec, Unsupported, cost
from mlsys_lint_plugins.ops.bounds import infer_normalized_strings, infer_split_strings
from mlsys_lint_plugins.ops.inference import Infer, put
from mlsys_lint_plugins.ops.ml import attribute_bytes

_LENGTHS: Final = Unsupported("the work depends on the lengths of the strings")
_IMAGE: Final = Unsupported("the work depends on the size and the compression of the image")
_INDEX_BYTES: Final = 8
"""Of an entry of ngram_indexes."""
_MOST: Final = "data-dependent, at most: every n-gram of the input is one of the pool"


def vectorize(node: NodeView) -> OpCost:
    """TfIdfVectorizer: a look-up for each n-gram of a row, an addition to its count if it is found.

    A row of C items has C 1-grams; for n > 1 and each distance d up to max_skip_count + 1 between
    two of its items, it has C - (n - 1) d n-grams. Look-ups compute nothing. IDF cuts each count off
    at 1; with `weights`, IDF and TFIDF scale it. The pool of these lengths is read, at most all of it.
    """
    x, y = node.input(0), node.output()
    items = x.dims[-1] if x.dims else 1
    rows = prod(x.dims[:-1])
    mode, weighted = node.text("mode"), "weights" in node.attributes
    each = (mode == "IDF") + (mode in ("IDF", "TFIDF") and weighted)
    stored = _pool_bytes(node, weighted=weighted and mode != "TF")
    return cost(
        node,
        kernel_class="gather",
        vector_ops=rows * _look_ups(node, items) + each * y.numel,
        bytes_read=x.nbytes + stored,
        weight_bytes=stored + (x.nbytes if x.constant else 0),
        assumptions=(_MOST,),
    )


def _lengths(node: NodeView) -> range:
    return range(node.integer("min_gram_length", 1), node.integer("max_gram_length", 1) + 1)


def _look_ups(node: NodeView, items: int) -> int:
    """N-grams in a row of items; an n-gram of one item has no distances."""
    distances = range(1, node.integer("max_skip_count", 0) + 2)
    return sum(
        max(0, items - (n - 1) * distance)
        for n in _lengths(node)
        for distance in (distances if n > 1 else (1,))
    )


def _pool_bytes(node: NodeView, *, weighted: bool) -> int:
    """Items, an index and (`weighted`) a weight of every n-gram whose length is looked for."""
    pool = node.attributes.get("pool_strings", node.attributes.get("pool_int64s"))
    count = len(pool) if isinstance(pool, tuple) else 0
    starts = (*node.integers("ngram_counts"), count)
    total = 0
    for n in _lengths(node):
        if 0 < n < len(starts) and isinstance(pool, tuple):
            items = pool[starts[n - 1] : starts[n]]
            total += attribute_bytes(items) + len(items) // n * (_INDEX_BYTES + 4 * weighted)
    return total


def infer_image(context: InferenceContext) -> None:
    """[height, width, channels] of bytes; a file tells the channels only."""
    attribute: onnx.AttributeProto | None = context.get_attribute("pixel_format")
    grey = attribute is not None and attribute.s == b"Grayscale"
    put(context, 0, TensorProto.UINT8, (None, None, 1 if grey else 3))


def _spec(
    name: str, since_version: int, reason: Unsupported, infer: Infer | None = None
) -> OperatorSpec:
    return OperatorSpec(
        domain="", op_type=name, since_version=since_version, estimate=reason, infer=infer
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    _spec("ImageDecoder", 20, _IMAGE, infer_image),
    _spec("RegexFullMatch", 20, _LENGTHS),
    _spec("StringConcat", 20, _LENGTHS),
    _spec("StringNormalizer", 10, _LENGTHS, infer_normalized_strings),
    _spec("StringSplit", 20, _LENGTHS, infer_split_strings),
    OperatorSpec(domain="", op_type="TfIdfVectorizer", since_version=9, estimate=vectorize),
)
