"""Strings and n-grams."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

CASES: Final = [
    # Two rows of n items: n single ones, n - 1 pairs of neighbours, n - 2 with an item between:
    # 2 * (6 + 5 + 4), then 2 * (12 + 11 + 10) additions. Items of 8 bytes; a pool of 7 items with 5
    # indices (96 bytes); 5 counts a row.
    Growth(
        call='TfIdfVectorizer<mode="TF", ngram_counts=[0,3], ngram_indexes=[0,1,2,3,4], '
        "pool_int64s=[1,2,3,1,2,2,3], min_gram_length=1, max_gram_length=2, max_skip_count=1>(x)",
        inputs="int64[2,{n}] x",
        n=6,
        figures={
            "vector_ops": (30, 66),
            "bytes_read": (96 + 96, 192 + 96),
            "bytes_written": (40, 40),
            "weight_bytes": (96, 96),
        },
    ),
]
