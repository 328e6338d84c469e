"""Attention: n queries against n keys cost n^2, against a cache of n keys n; rotary embeddings."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

CASES: Final = [
    # 2 heads of 4, n queries and keys: 2 * 2 n^2 4 MACs; body: scale of Q and K 2 * 2 n 4, per score
    # softmax 4 (less 2 a row: 2 n rows), bias, selection; maximum over a bias of n^2.
    Growth(
        call="Attention(q, k, v)",
        inputs="float[1,2,{n},4] q, float[1,2,{n},4] k, float[1,2,{n},4] v",
        figures={
            "macs": (256, 1024),
            "vector_ops": (256, 928),  # 12 n + 13 n^2
            "transcendentals": (32, 128),
            "bytes_read": (384, 768),
            "bytes_written": (128, 256),
        },
    ),
    # 2 n tokens of 8, all rotated: 3 a element; positions of 8 bytes; 2 n rows of 4 in both tables.
    *(
        Growth(
            call=call,
            inputs="float[2,{n},8] x, int64[2,{n}] p",
            stored="float[16,4] c, float[16,4] s",
            figures={
                "vector_ops": (192, 384),
                "bytes_read": (256 + 64 + 256, 512 + 128 + 512),
                "bytes_written": (256, 512),
                "weight_bytes": (256, 512),
            },
        )
        for call in (
            "RotaryEmbedding<num_heads=1>(x, c, s, p)",
            "com.microsoft.RotaryEmbedding(x, p, c, s)",
        )
    ),
    # 2 n tokens of 6 -> 24: 288 n; 4 heads of 4, n^2 scores: 32 n^2. Bias 48 n; scores 4 n^2 (1 + 4),
    # less 2 for each of 4 n rows. Hidden: n (n - 1) / 2 pairs, 8 MACs, 4 heads.
    Growth(
        call="com.microsoft.Attention<num_heads=2, unidirectional=1>(x, w, b)",
        inputs="float[2,{n},6] x, float[6,24] w, float[24] b",
        figures={
            "macs": (1152 + 512, 2304 + 2048),
            "vector_ops": (192 + 320 - 32, 384 + 1280 - 64),
            "transcendentals": (64, 256),
            "macs_masked": (192, 896),
            "bytes_read": (4 * (48 + 168), 4 * (96 + 168)),
            "bytes_written": (256, 512),
        },
    ),
    # One token of 8 -> 24; 2 heads of 4 meet n + 1 keys: 16 (n + 1). Scores 2 (n + 1).
    Growth(
        call="com.microsoft.DecoderMaskedSelfAttention<num_heads=2>(x, w, b, , p, , k)",
        inputs="float[1,1,8] x, float[8,24] w, float[24] b, float[2,1,2,{n},4] p",
        stored="int32[1] k",
        outputs="y, o",
        figures={
            "macs": (192 + 80, 192 + 144),
            "vector_ops": (24 + 50 - 4, 24 + 90 - 4),
            "transcendentals": (10, 18),
            "bytes_read": (4 * (225 + 64), 4 * (225 + 128)),
            "bytes_written": (4 * (8 + 80), 4 * (8 + 144)),
        },
    ),
    # The cache has room for n rows of 32 bytes, holds 3 and gets 1: nothing of n is moved but a mask.
    Growth(
        call="com.microsoft.DecoderMaskedSelfAttention<num_heads=2, past_present_share_buffer=1>(x, w, b, m, p, , k)",
        inputs="float[1,1,8] x, float[8,24] w, float[24] b, int32[1,{n}] m, float[2,1,2,{n},4] p",
        stored="int32[1] k = {{3}}",
        outputs="y, o",
        figures={
            "macs": (192 + 64, 192 + 64),
            "bytes_read": (4 * (225 + 4 + 2 * 2 * 3 * 4), 4 * (225 + 8 + 2 * 2 * 3 * 4)),
            "bytes_written": (4 * (8 + 16), 4 * (8 + 16)),
        },
    ),
    # 8 bits: 384 n + 32 n^2; 48 n results rescaled and biased (2), 16 n inputs and 192 weights shifted.
    Growth(
        call="com.microsoft.QAttention<num_heads=2>(x, w, b, s, s, , z, z)",
        inputs="uint8[2,{n},8] x, uint8[8,24] w, float[24] b, float s, uint8 z",
        figures={
            "macs": (1536 + 512, 3072 + 2048),
            "vector_ops": (384 + 64 + 192 + 320 - 32, 768 + 128 + 192 + 1280 - 64),
            "transcendentals": (64, 256),
            "bytes_read": (64 + 192 + 96 + 4 + 1, 128 + 192 + 96 + 4 + 1),
            "bytes_written": (256, 512),
        },
    ),
    # n tokens of 6 -> 24; 2 sequences of at most 5: 4 tokens of one, 5 and 3 of two; 2 heads of 4. Scores
    # 2 * 16 (2 * (25 + 9)) of 8 MACs and 4 + 1 operations, less 2 for each of 2 n rows.
    Growth(
        call="com.microsoft.PackedAttention<num_heads=2>(x, w, b, o, c)",
        inputs="float[{n},6] x, float[6,24] w, float[24] b, int32[2,5] o, int32[3] c",
        figures={
            "macs": (576 + 256, 1152 + 544),
            "vector_ops": (96 + 160 - 16, 192 + 340 - 32),
            "transcendentals": (32, 68),
            "bytes_read": (4 * (24 + 181), 4 * (48 + 181)),
            "bytes_written": (128, 256),
        },
    ),
    # 4 heads, n queries, 6 keys of 4, values of 6: 240 n; bias 16 n + 96 + 144; 24 n scores (1 + 4),
    # less 2 for each of 4 n rows.
    Growth(
        call="com.microsoft.MultiHeadAttention<num_heads=2>(q, k, v, b)",
        inputs="float[2,{n},8] q, float[2,6,8] k, float[2,6,12] v, float[28] b",
        figures={
            "macs": (960, 1920),
            "vector_ops": (64 + 240 + 448, 128 + 240 + 896),
            "transcendentals": (96, 192),
            "bytes_read": (4 * (64 + 268), 4 * (128 + 268)),
            "bytes_written": (384, 768),
        },
    ),
    # 2 heads of 4 meet n + 1 keys: 16 (n + 1); caches of n rows of 32 bytes become n + 1.
    Growth(
        call="com.microsoft.DecoderMaskedMultiHeadAttention<num_heads=2>(q, k, v, , , pk, pv)",
        inputs="float[1,1,8] q, float[1,1,8] k, float[1,1,8] v, float[1,2,{n},4] pk, float[1,2,{n},4] pv",
        outputs="y, c, d",
        figures={
            "macs": (80, 144),
            "vector_ops": (50 - 4, 90 - 4),
            "transcendentals": (10, 18),
            "bytes_read": (4 * (24 + 64), 4 * (24 + 128)),
            "bytes_written": (4 * (8 + 80), 4 * (8 + 144)),
        },
    ),
    # As PackedAttention without projection and bias; n tokens of 24.
    Growth(
        call="com.microsoft.PackedMultiHeadAttention<num_heads=2>(q, , , , o, c)",
        inputs="float[{n},2,3,4] q, int32[2,5] o, int32[3] c",
        figures={
            "macs": (256, 544),
            "vector_ops": (160 - 16, 340 - 32),
            "transcendentals": (32, 68),
            "bytes_read": (4 * (96 + 13), 4 * (192 + 13)),
            "bytes_written": (128, 256),
        },
    ),
    # 8 query heads of 8 meet n + 1 keys at most: 128 (n + 1); 8 (n + 1) scores.
    Growth(
        call="com.microsoft.GroupQueryAttention<num_heads=4, kv_num_heads=2>(q, k, v, pk, pv, s, t)",
        inputs="float[2,1,32] q, float[2,1,16] k, float[2,1,16] v, float[2,2,{n},8] pk, float[2,2,{n},8] pv, int32[2] s, int32 t",
        outputs="y, c, d",
        figures={
            "macs": (640, 1152),
            "vector_ops": (200 - 16, 360 - 16),
            "transcendentals": (40, 72),
            "bytes_read": (4 * 131 + 1024, 4 * 131 + 2048),
            "bytes_written": (256 + 256 * 5, 256 + 256 * 9),
            "macs_masked": (0, 0),
        },
    ),
    # A prompt: 4 heads, n^2 pairs, of which n (n - 1) / 2 are hidden; 16 MACs a pair.
    Growth(
        call="com.microsoft.GroupQueryAttention<num_heads=4, kv_num_heads=2>(q, , , , , s, t)",
        inputs="float[1,{n},64] q, int32[1] s, int32 t",
        outputs="y, c, d",
        figures={
            "macs": (1024, 4096),
            "macs_masked": (384, 1792),
            "vector_ops": (320 - 32, 1280 - 64),
            "bytes_written": (4 * (128 + 128), 4 * (256 + 256)),
        },
    ),
    # 16 keys, of which the last n are new; 2 heads: 512 n. One block of 16 is seen, causally: hidden
    # n (n - 1) / 2 pairs a head. 16 - n rows of 32 bytes are read of two caches, n written.
    Growth(
        call="com.microsoft.SparseAttention<num_heads=2, kv_num_heads=1, sparse_block_size=16>(q, , , pk, pv, r, c, t, l)",
        inputs="float[1,{n},32] q, float[1,1,32,8] pk, float[1,1,32,8] pv, int32[1] l",
        stored="int32[1,3] r = {{0, 1, 3}}, int32[1,3] c = {{0, 0, 1}}, int32 t = {{16}}",
        outputs="y, e, f",
        figures={
            "macs": (2048, 4096),
            "macs_masked": (2 * 16 * 6, 2 * 16 * 28),
            "vector_ops": (640 - 16, 1280 - 32),
            "transcendentals": (128, 256),
            "bytes_read": (512 + 768 + 32, 1024 + 512 + 32),
            "bytes_written": (512, 1024),
        },
    ),
    # n tokens, 4 heads, at most 3 blocks of 4 keys: 768 n; 48 n scores, 4 n rows. All 24 rows of 32
    # bytes are read of both caches, n written.
    Growth(
        call="com.microsoft.PagedAttention<num_heads=4, kv_num_heads=2>(q, k, v, kc, vc, c, p, t)",
        inputs="float16[{n},32] q, float16[{n},16] k, float16[{n},16] v, float16[6,4,2,8] kc, float16[6,4,2,8] vc, int32[3] c, int32[2] p, int32[2,3] t",
        outputs="y, e, f",
        figures={
            "macs": (3072, 6144),
            "vector_ops": (960 - 32, 1920 - 64),
            "transcendentals": (192, 384),
            "bytes_read": (512 + 44 + 1536, 1024 + 44 + 1536),
            "bytes_written": (512, 1024),
        },
    ),
    # n tokens, 4 heads, 5 keys each: 320 n; 5 n rows of the caches, at most 24, are read.
    Growth(
        call="com.microsoft.SparsePagedAttention<num_heads=4, kv_num_heads=2>(q, , , kc, vc, c, p, t, , s, m)",
        inputs="float16[{n},64] q, float16[6,4,2,8] kc, float16[6,4,2,8] vc, int32[3] c, int32[2] p, int32[2,3] t, int32[{n},5] s, int32[{n}] m",
        outputs="y, e, f",
        figures={
            "macs": (1280, 2560),
            "vector_ops": (400 - 32, 800 - 64),
            "transcendentals": (80, 160),
            "bytes_read": (512 + 44 + 96 + 1280, 1024 + 44 + 192 + 1536),
            "bytes_written": (512, 1024),
        },
    ),
    # Likewise, with two caches of 16 rows of 32 bytes: all are read, 2 n rows of 16 written in place.
    Growth(
        call="com.microsoft.DynamicSparseAttention<num_heads=4, kv_num_heads=2>(q, , , kc, vc, , , s, m, l, t)",
        inputs="float16[1,{n},64] q, float16[1,2,16,8] kc, float16[1,2,16,8] vc, int32[{n},5] s, int32[{n}] m, int32[1] l",
        stored="int32 t = {{16}}",
        outputs="y, e, f",
        figures={
            "macs": (1280, 2560),
            "vector_ops": (400 - 32, 800 - 64),
            "transcendentals": (80, 160),
            "bytes_read": (512 + 96 + 8 + 1024, 1024 + 192 + 8 + 1024),
            "bytes_written": (256 + 256, 512 + 512),
        },
    ),
    # 3 heads of 8; 4 + n tokens make 2 (3) blocks of 4. Pairs n * blocks, 24 MACs each; scale, ReLU and
    # sum 8, choice of 2 blocks 2. Norm 33 and rotation 12 for 3 n + blocks vectors; means 32 a block.
    Growth(
        call='com.microsoft.SparseAttentionIndexer<policy_mode="qsa", compress_ratio=4, token_budget=8>(q, k, a, b, c, s, , p)',
        inputs="float[1,{n},24] q, float[1,{n},8] k, float[8] a, float[8] b, float[40,4] c, float[40,4] s, float[1,4,8] p",
        outputs="y, o",
        figures={
            "macs": (192, 576),
            "vector_ops": (80 + 14 * 45 + 64, 240 + 27 * 45 + 96),
            "transcendentals": (14, 27),
            "macs_masked": (3 * 24, 10 * 24),
            "bytes_read": (512 + 64 + 128 + 2 * 6 * 16, 1024 + 64 + 128 + 2 * 11 * 16),
            "bytes_written": (176 + 256, 352 + 384),
        },
    ),
    # Every token against a state of 16 keys; n tokens of 2 requests close at most (n + 6) / 4 blocks.
    Growth(
        call='com.microsoft.PackedSparseAttentionIndexer<policy_mode="qsa", compress_ratio=4, token_budget=8, state_capacity=16>(q, k, a, b, c, s, u, l, , , , , e, f, , g)',
        inputs="float[{n},24] q, float[{n},8] k, float[8] a, float[8] b, float[40,4] c, float[40,4] s, int32[3] u, int32[2] l, float[2,16,8] e, float[2,7,8] f, int32[2,2] g",
        outputs="y, o",
        figures={
            "macs": (1536, 3072),
            "vector_ops": (640 + 14 * 45 + 64, 1280 + 27 * 45 + 96),
            "transcendentals": (14, 27),
        },
    ),
    # n rows of 5 + 9 entries, 4 comparisons each.
    Growth(
        call='com.microsoft.PackedSparseAttentionIndexerMerge<max_output_entries=9, policy_mode="append_range">(b, m, r, s, e)',
        inputs="int32[3,5] b, int32[3] m, int32[{n}] r, int32[{n}] s, int32[{n}] e",
        outputs="y, o, p",
        figures={
            "vector_ops": (224, 448),
            "bytes_read": (72 + 48, 72 + 96),
            "bytes_written": (176, 352),
        },
    ),
    # Self-attention: 2 n tokens of 8 -> 8 and 16: 384 n; 4 heads of 4: 32 n^2; the flags are one tensor.
    Growth(
        call="com.microsoft.DecoderAttention<num_heads=2>(q, k, w, v, b, , , , f, f, f, f)",
        inputs="float[{n},2,8] q, float[6,2,8] k, float[8,8] w, float[8,16] v, float[24] b",
        stored="bool[1] f = {{0}}",
        figures={
            "macs": (1536 + 512, 3072 + 2048),
            "vector_ops": (192 + 320 - 32, 384 + 1280 - 64),
            "transcendentals": (64, 256),
            "bytes_read": (4 * (64 + 216) + 1, 4 * (128 + 216) + 1),
            "bytes_written": (256, 512),
        },
    ),
    # A window of 2 leaves 14 (34) pairs; n global tokens add n^2 there and n^2 of their own: 46 (162) a
    # head, 8 MACs each. Projections 192 n and 128 n, 64 n for global queries; biases 48 n.
    Growth(
        call="com.microsoft.LongformerAttention<num_heads=2, window=2>(x, w, b, m, v, c, g)",
        inputs="float[1,{n},8] x, float[8,24] w, float[24] b, float[1,{n}] m, float[8,24] v, float[24] c, int32[1,{n}] g",
        figures={
            "macs": (1536 + 736, 3072 + 2592),
            "vector_ops": (192 + 6 * 92 - 2 * 16, 384 + 6 * 324 - 2 * 32),
            "transcendentals": (92, 324),
            "bytes_read": (4 * (40 + 432), 4 * (80 + 432)),
            "bytes_written": (128, 256),
        },
    ),
]
