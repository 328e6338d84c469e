"""What serves the generation of text; an LSTM that attends; rotary embeddings and position biases."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

CASES: Final = [
    # 2 sequences, n - 2 trigrams, 2 comparisons each; tokens of 8 bytes, 18 scores.
    Growth(
        call="com.microsoft.NGramRepeatBlock<ngram_size=3>(i, s)",
        inputs="int64[2,{n}] i, float[2,9] s",
        figures={"vector_ops": (8, 24), "bytes_read": (136, 200), "bytes_written": (72, 72)},
    ),
    # 2 requests, n - 1 comparisons each; 3 status words joined. Of prefixes 2 words a request.
    Growth(
        call="com.microsoft.SpeculativePrefixCommit<head_rows=4>(t, i, s, c, x, p, q)",
        inputs="int64[2,{n}] t, int64[2,{n}] i, int32[3] s, int64[2,16] c, int64[2,2] x, int64[2,16] p, int64[2] q",
        outputs="h, u, v",
        figures={
            "vector_ops": (6 + 2, 14 + 2),
            "bytes_read": (128 + 12 + 256 + 32 + 16 + 32, 256 + 12 + 256 + 32 + 16 + 32),
            "bytes_written": (8 + 256 + 32, 8 + 256 + 32),
        },
    ),
    # n sequences of 5 tokens of 32 bytes, n lengths; offsets, n + 1 cumulated lengths, the longest.
    Growth(
        call="com.microsoft.RemovePadding(x, c)",
        inputs="float[{n},5,8] x, int32[{n}] c",
        outputs="y, o, s, m",
        figures={
            "vector_ops": (6, 14),
            "bytes_read": (656, 1312),
            "bytes_written": (640 + 80 + 20 + 4, 1280 + 160 + 36 + 4),
        },
    ),
    # n tokens of 32 bytes and 10 offsets; 10 tokens are written.
    Growth(
        call="com.microsoft.RestorePadding(x, o)",
        inputs="float[{n},8] x, int32[2,5] o",
        figures={"bytes_read": (168, 296), "bytes_written": (320, 320)},
    ),
    # n steps of 2 sequences. Gates 12 x 11 and 12 x 3: 336 n; query 3 x 4: 24 n; scores 9 x 4: 72 n;
    # context 9 x 7: 126 n; layer 10 x 6: 120 n; once the keys: 2 * 9 * 7 * 4. Cell 16 a state of 6 n,
    # 72 n sums, softmax 4 * 9 - 2 for 2 n rows; 5 activations a state, 72 n tanh, 18 n exp.
    Growth(
        call="com.microsoft.AttnLSTM<hidden_size=3>(x, w, r, b, , , , , q, k, v, m, , a)",
        inputs="float[{n},2,5] x, float[1,12,11] w, float[1,12,3] r, float[1,24] b, float[1,3,4] q, float[1,7,4] k, float[1,4] v, float[2,9,7] m, float[1,10,6] a",
        outputs="y, h, c",
        figures={
            "macs": (678 * 4 + 504, 678 * 8 + 504),
            "vector_ops": (4 * (96 + 72 + 68), 8 * (96 + 72 + 68)),
            "transcendentals": (4 * (30 + 72 + 18), 8 * (30 + 72 + 18)),
            "bytes_read": (4 * (40 + 422), 4 * (80 + 422)),
            "bytes_written": (4 * (24 + 12), 4 * (48 + 12)),
        },
    ),
    # 4 n elements of emb: sine, cosine, two conversions; 8 n of q and of k, 3 each.
    Growth(
        call="com.microsoft.GemmaRotaryEmbedding(e, q, r, k, l)",
        inputs="float[1,{n},4] e, float16[1,2,{n},4] q, float16[1,2,{n},4] r, float16[1,2,{n},4] k, float16[1,2,{n},4] l",
        outputs="y, z",
        figures={
            "vector_ops": (192 + 32, 384 + 64),
            "transcendentals": (32, 64),
            "bytes_read": (64 + 256, 128 + 512),
            "bytes_written": (128, 256),
        },
    ),
    # n tokens of 8, all rotated; three positions a token; of both tables as many elements as a row.
    Growth(
        call="com.microsoft.MRotaryEmbedding<mrope_section=[1,1,0], num_heads=2>(x, p, c, s)",
        inputs="float[1,{n},8] x, int64[3,1,{n}] p, float[16,2] c, float[16,2] s",
        figures={
            "vector_ops": (96, 192),
            "bytes_read": (128 + 96 + 64, 256 + 192 + 128),
            "bytes_written": (128, 256),
        },
    ),
    # 3 n rows of 6 out of 8: norm 4 and conversions 2 an element, epsilon and root a row, 4 rotated (3).
    Growth(
        call="com.microsoft.RMSNormRotary<rotary_embedding_dim=4, input_width=6>(x, g, p, c, s)",
        inputs="float16[1,{n},3,8] x, float[6] g, int64[1] p, float[16,2] c, float[16,2] s",
        figures={
            "vector_ops": (12 * 49, 24 * 49),
            "transcendentals": (12, 24),
            "bytes_read": (144 + 24 + 8 + 64, 288 + 24 + 8 + 128),
            "bytes_written": (144, 288),
        },
    ),
    # n^2 pairs of 10 operations and a log; a table of 32 x 4, a result of 4 n^2.
    Growth(
        call="com.microsoft.RelativePositionBias<max_distance=128>(t, q, k)",
        inputs="float[32,4] t",
        stored="int64[1] q = {{{n}}}, int64[1] k = {{{n}}}",
        figures={
            "vector_ops": (160, 640),
            "transcendentals": (16, 64),
            "bytes_read": (512, 512),
            "bytes_written": (256, 1024),
        },
    ),
    # 4 n rows of 4 -> 6: bias 4, bias 6, two sums of 3 (2 each), gate 4; 4 n^2 products.
    Growth(
        call="com.microsoft.GatedRelativePositionBias<num_heads=2>(q, b, r, w, g, e)",
        inputs="float[2,{n},8] q, float[8] b, float[1,2,{n},{n}] r, float[4,6] w, float[6] g, float[1,2,1,1] e",
        figures={
            "macs": (384, 768),
            "vector_ops": (16 * 18 + 64, 32 * 18 + 256),
            "transcendentals": (32, 64),
            "bytes_read": (4 * (64 + 32 + 40), 4 * (128 + 128 + 40)),
            "bytes_written": (256, 1024),
        },
    ),
]
