"""Strings: what depends on their lengths is not counted, what does not is; extents have bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mlsys_lint import NodeStatus, OpCost
from mlsys_lint.testing import estimate_text
from node_costs import node_of
from runtime_outputs import assert_as_observed, inferred, observed, text_model

GRAMS = "ngram_counts=[0,3,7], ngram_indexes=[0,1,2,4,3], pool_int64s=[1,2,3,1,2,2,3]"


def vectorized(attributes: str, inputs: str = "int64[2,6] x") -> OpCost:
    call = f"TfIdfVectorizer<{attributes}>(x)"
    found = node_of(call, inputs)
    assert found.cost is not None, found.reason
    assert found.status is NodeStatus.ESTIMATED
    return found.cost


def test_n_grams_are_looked_up() -> None:
    # Rows of 6: 6 items, 5 pairs of neighbours, 4 pairs with one item between them.
    text = f'mode="TF", {GRAMS}, min_gram_length=1, max_gram_length=2, max_skip_count=1'
    cost = vectorized(text)
    assert cost.vector_ops == 2 * (6 + 5 + 4)
    # A pool of 7 items and 5 indices, 8 bytes each; 5 counts a row.
    assert (cost.bytes_read, cost.weight_bytes) == (96 + 56 + 40, 96)
    assert cost.bytes_written == 2 * 5 * 4
    # Pairs only: their 4 items and 2 indices.
    pairs = vectorized(text.replace("min_gram_length=1", "min_gram_length=2"))
    assert (pairs.vector_ops, pairs.weight_bytes) == (2 * (5 + 4), 32 + 16)
    # Three items with two between each pair need 7.
    triples = vectorized(
        'mode="TF", ngram_counts=[0,0,0], ngram_indexes=[0], pool_int64s=[1,2,3], '
        "min_gram_length=3, max_gram_length=3, max_skip_count=2"
    )
    assert triples.vector_ops == 2 * (4 + 2 + 0)


@pytest.mark.parametrize(
    ("mode", "weights", "each"),
    [
        ("TF", "", 0),
        ("IDF", "", 1),  # cut off at 1
        ("TFIDF", "", 0),
        ("TF", "weights=[1.0,1.0,1.0,1.0,1.0], ", 0),
        ("IDF", "weights=[1.0,1.0,1.0,1.0,1.0], ", 2),
        ("TFIDF", "weights=[1.0,1.0,1.0,1.0,1.0], ", 1),
    ],
)
def test_counts_are_weighed(mode: str, weights: str, each: int) -> None:
    head = f'mode="{mode}", {weights}{GRAMS}'
    cost = vectorized(f"{head}, min_gram_length=1, max_gram_length=1, max_skip_count=3")
    # 6 items, 5 results in each of two rows; single items have no distances.
    assert cost.vector_ops == 2 * (6 + 5 * each)
    # Three items of the pool, with an index and, where it counts, a weight.
    assert cost.weight_bytes == 3 * (8 + 8 + (4 if weights and mode != "TF" else 0))


@pytest.mark.ort
@pytest.mark.parametrize("inputs", ["int64[2,6] x", "int64[6] x", "int32[2,1] x", "int32[0] x"])
def test_counts_as_observed(inputs: str) -> None:
    call = f'TfIdfVectorizer<mode="TF", {GRAMS}, min_gram_length=1, max_gram_length=2, max_skip_count=1>'
    model = text_model(f"({inputs}) => (float y) {{ y = {call}(x) }}")
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    kind = np.int64 if "int64" in inputs else np.int32
    feeds = {"x": np.zeros(shape, kind)}
    assert_as_observed(model, feeds)


@pytest.mark.ort
def test_additions_are_a_maximum() -> None:
    # Every n-gram of the row is in the pool: the counts add up to the additions.
    call = (
        'TfIdfVectorizer<mode="TF", ngram_counts=[0,1], ngram_indexes=[0,1], pool_int64s=[7,7,7], '
        "min_gram_length=1, max_gram_length=2, max_skip_count=2>(x)"
    )
    text = f"(int64[9] x) => (float y) {{ y = {call} }}"
    _, (counts,) = observed(text_model(text), {"x": np.full(9, 7, np.int64)})
    (found,) = estimate_text(f"g {text}")
    assert found.cost is not None
    assert found.cost.vector_ops == int(counts.sum()) == 9 + 8 + 7 + 6


@pytest.mark.parametrize(
    ("call", "inputs", "outputs", "reason"),
    [
        ('RegexFullMatch<pattern="a">(x)', "string[3] x", "y", "lengths of the strings"),
        ("StringConcat(x, x)", "string[3] x", "y", "lengths of the strings"),
        ("StringNormalizer(x)", "string[3] x", "y", "lengths of the strings"),
        ("StringSplit(x)", "string[3] x", "y, n", "lengths of the strings"),
        ("ImageDecoder(x)", "uint8[99] x", "y", "compression of the image"),
        (
            'com.microsoft.Tokenizer<mark=0, mincharnum=1, pad_value="", separators=[" "]>(x)',
            "string[3] x",
            "y",
            "lengths of the strings",
        ),
    ],
)
def test_lengths_are_not_in_a_file(call: str, inputs: str, outputs: str, reason: str) -> None:
    found = node_of(call, inputs, outputs=outputs)
    assert (found.status, found.cost) == (NodeStatus.UNSUPPORTED, None)
    assert found.reason is not None
    assert reason in found.reason


def test_images_have_channels() -> None:
    grey = node_of('ImageDecoder<pixel_format="Grayscale">(x)', "uint8[99] x")
    assert grey.node.output().shape == (None, None, 1)
    colour = node_of("ImageDecoder(x)", "uint8[99] x")
    assert (colour.node.output().dtype, colour.node.output().shape) == ("uint8", (None, None, 3))


def words(*texts: str) -> npt.NDArray[Any]:
    return np.array(texts, dtype=object)


@pytest.mark.ort
@pytest.mark.parametrize(
    ("text", "feed"),
    [
        (
            '(string[3] x) => (bool y) { y = RegexFullMatch<pattern="a.*">(x) }',
            words("ab", "b", "a"),
        ),
        ("(string[3] x) => (string y) { y = StringConcat(x, x) }", words("a", "b", "c")),
        ("(string[3] x) => (string y) { y = StringNormalizer(x) }", words("a", "b", "c")),
        # No string is a stop word, every string has 3 parts: the maxima.
        (
            '(string[3] x) => (string y) { y = StringNormalizer<stopwords=["z"], is_case_sensitive=1>(x) }',
            words("a", "b", "c"),
        ),
        (
            '(string[2] x) => (string y, int64 n) { y, n = StringSplit<delimiter=",", maxsplit=2>(x) }',
            words("a,b,c,d", "a"),
        ),
    ],
)
def test_strings_as_observed(text: str, feed: npt.NDArray[Any]) -> None:
    assert_as_observed(text_model(text), {"x": feed})


@pytest.mark.ort
def test_dropped_strings_stay_below_the_maximum() -> None:
    text = '(string[1,3] x) => (string y) { y = StringNormalizer<stopwords=["a","b"], is_case_sensitive=1>(x) }'
    model = text_model(text)
    (found,) = inferred(model)
    assert (found.shape, found.bounded) == ((1, 3), frozenset({1}))
    for feed, kept in ((("a", "b", "c"), 1), (("a", "a", "b"), 1), (("c", "d", "a"), 2)):
        _, (values,) = observed(model, {"x": words(*feed).reshape(1, 3)})
        assert values.shape == (1, kept)


@pytest.mark.ort
def test_tokens_have_no_bound() -> None:
    text = '(string[1,2] x) => (string y) { y = .Tokenizer<mark=0, mincharnum=1, pad_value="", separators=[" "]>(x) }'
    model = text_model(text)
    (found,) = inferred(model)
    assert (found.dtype, found.shape) == ("string", (1, 2, None))
    _, (values,) = observed(model, {"x": words("a b", "c d e").reshape(1, 2)})
    assert values.shape == (1, 2, 3)


def test_split_strings_without_a_limit_have_no_bound() -> None:
    found = node_of("StringSplit(x)", "string[2,3] x", outputs="y, n")
    assert found.node.output(0).shape == (2, 3, None)
    assert found.node.output(1).shape == (2, 3)
