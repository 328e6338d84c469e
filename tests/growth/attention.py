"""Attention and rotary embeddings of ai.onnx.

Attention counts as onnx's body: Q and K scaled, a bias added to every score, softmax (4 T - 2 for a
row of T scores, and T exp), a selection per score for rows that are masked whole, and the maximum of
the bias for that (as much as the bias has elements, its comparison with -inf included).
"""

from __future__ import annotations

from typing import Final

from growth.case import Growth

# A sequence of 6 query heads: 3 queries and 5 keys of 8, values of 4. 90 scores: 90 * (8 + 4) MACs.
GROUPED: Final = "float[{n},6,3,8] q, float[{n},2,5,8] k, float[{n},2,5,4] v"
# Scaled: 6 * 3 * 8 and 6 * 5 * 8. Bias 90, softmax 4 * 90 - 2 * 18, selection 90.
GROUPED_WORK: Final = 144 + 240 + 90 + 324 + 90


def _grouped(
    call: str, inputs: str, once: int, *, each: int = 0, tanh: int = 0, extra: int = 0
) -> Growth:
    """`once` operations on a bias that all sequences share, `each` more and `tanh` for a sequence."""
    work = GROUPED_WORK + each
    return Growth(
        call=call,
        inputs=inputs,
        figures={
            "macs": (4 * 1080, 8 * 1080),
            "macs_masked": (0, 0),
            "vector_ops": (4 * work + once, 8 * work + once),
            "transcendentals": (4 * (90 + tanh), 8 * (90 + tanh)),
            "bytes_read": (4 * 1056 + extra, 8 * 1056 + extra),
            "bytes_written": (4 * 288, 8 * 288),
        },
    )


# Two heads of n queries and keys of 8: 2 n^2 scores, 2 * 8 MACs each. Scaled 2 * 2 n 8, bias,
# softmax 4 * 2 n^2 - 2 * 2 n, selection: n = 4: 128 + 32 + 112 + 32; n = 8: 256 + 128 + 480 + 128.
SELF: Final = "float[1,2,{n},8] q, float[1,2,{n},8] k, float[1,2,{n},8] v"
SELF_WORK: Final = (304, 992)


def _self(attributes: str, opset: int, hidden: tuple[int, int], bias: int) -> Growth:
    """`hidden` pairs a head; for the bias n sums of positions, and `bias` operations for each pair."""
    return Growth(
        call=f"Attention<{attributes}>(q, k, v)",
        inputs=SELF,
        opset=opset,
        figures={
            "macs": (512, 2048),
            "macs_masked": (32 * hidden[0], 32 * hidden[1]),
            "vector_ops": (SELF_WORK[0] + 4 + 16 * bias, SELF_WORK[1] + 8 + 64 * bias),
            "transcendentals": (32, 128),
            "bytes_read": (768, 1536),
            "bytes_written": (256, 512),
        },
    )


ATTENTION: Final = [
    # Without a mask the bias is zeros of 3 * 5.
    _grouped("Attention(q, k, v)", GROUPED, 15),
    _grouped(
        "Attention<q_num_heads=6, kv_num_heads=2>(q, k, v)",
        "float[{n},3,48] q, float[{n},5,16] k, float[{n},5,8] v",
        15,
    ),
    # A boolean mask is turned into a bias by a selection; 15 bytes.
    _grouped("Attention(q, k, v, m)", f"{GROUPED}, bool[3,5] m", 15 + 15, extra=15),
    _grouped("Attention(q, k, v, m)", f"{GROUPED}, float[3,5] m", 15, extra=60),
    # A division, a tanh and a product for each score.
    _grouped("Attention<softcap=2.0>(q, k, v)", GROUPED, 15, each=180, tanh=90),
    # Causal: above the diagonal 6 of 16 pairs, 28 of 64. Comparison, selection, sum; maximum.
    *(_self("is_causal=1", opset, (6, 28), 4) for opset in (23, 24, 25)),
    # Two keys before, one after the own one: 2 + 3 + 4 + 3 pairs are seen of 16, and
    # 2 + 3 + 5 * 4 + 3 of 64. Difference, comparison, sign, comparison, and, selection, sum; maximum.
    _self("left_window_size=2, right_window_size=1", 25, (4, 36), 8),
    # Two keys before: 1 + 2 + 3 + 3 and the causal part's operations besides. One comparison only.
    Growth(
        call="Attention<is_causal=1, left_window_size=2>(q, k, v)",
        inputs=SELF,
        opset=25,
        figures={
            "macs": (512, 2048),
            "macs_masked": (32 * 7, 32 * 43),
            "vector_ops": (304 + 4 + 4 + 16 * 8, 992 + 8 + 8 + 64 * 8),
        },
    ),
    # One query after n keys of a cache, which is written anew: 4 heads of n + 1 scores hide nothing.
    Growth(
        call="Attention<is_causal=1>(q, k, v, , pk, pv)",
        inputs=(
            "float[1,4,1,8] q, float[1,2,1,8] k, float[1,2,1,8] v, "
            "float[1,2,{n},8] pk, float[1,2,{n},8] pv"
        ),
        outputs="y, kk, vv",
        figures={
            "macs": (4 * 5 * 16, 4 * 9 * 16),
            "macs_masked": (0, 0),
            # Scaled 32 + 32 T, bias 4 T, softmax 16 T - 8, selection 4 T; 1 + 4 T for the bias.
            "vector_ops": (25 + 60 * 5, 25 + 60 * 9),
            "transcendentals": (20, 36),
            "bytes_read": (4 * (32 + 32 + 128), 4 * (32 + 32 + 256)),
            "bytes_written": (4 * (32 + 160), 4 * (32 + 288)),
        },
    ),
    # n caches of 5 keys, the last 2 of which are the queries' own: the first query misses one. Scaled
    # 112, bias 20, softmax 72, selection 20; for the bias 2 sums, 20 and 10 operations to be causal, 10
    # for padding, 10 to join both, and the maximum 10.
    Growth(
        call="Attention<is_causal=1>(q, k, v, , , , l)",
        inputs="float[{n},2,2,8] q, float[{n},2,5,8] k, float[{n},2,5,8] v, int64[{n}] l",
        opset=24,
        figures={
            "macs": (4 * 320, 8 * 320),
            "macs_masked": (4 * 32, 8 * 32),
            "vector_ops": (4 * 286, 8 * 286),
            "transcendentals": (80, 160),
            "bytes_read": (4 * 776, 8 * 776),
            "bytes_written": (4 * 128, 8 * 128),
        },
    ),
]

# 2 * n tokens of 16: two products and a sum for each rotated element. Each token has a position, or
# rows of cosines and sines of its own.
ROTATED: Final = [
    *(
        Growth(
            call=f"RotaryEmbedding<num_heads=2{interleaved}>(x, c, s, p)",
            inputs="float[2,{n},16] x, float[20,4] c, float[20,4] s, int64[2,{n}] p",
            figures={
                "macs": (0, 0),
                "vector_ops": (384, 768),
                "transcendentals": (0, 0),
                "bytes_read": (4 * (128 + 16 + 64), 8 * (128 + 16 + 64)),
                "bytes_written": (512, 1024),
            },
        )
        for interleaved in ("", ", interleaved=1")
    ),
    Growth(
        call="RotaryEmbedding(x, c, s)",
        inputs="float[2,2,{n},8] x, float[2,{n},4] c, float[2,{n},4] s",
        figures={
            "vector_ops": (384, 768),
            "bytes_read": (4 * (128 + 64), 8 * (128 + 64)),
            "bytes_written": (512, 1024),
        },
    ),
    # Half of each head of 8.
    Growth(
        call="RotaryEmbedding<rotary_embedding_dim=4, num_heads=2>(x, c, s)",
        inputs="float[2,{n},16] x, float[2,{n},2] c, float[2,{n},2] s",
        figures={
            "vector_ops": (192, 384),
            "bytes_read": (4 * (128 + 32), 8 * (128 + 32)),
            "bytes_written": (512, 1024),
        },
    ),
]

CASES: Final = [*ATTENTION, *ROTATED]
