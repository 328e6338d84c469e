"""Linear attention, state spaces, gates, hyper-connections, hashes of n-grams, group norms."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

CASES: Final = [
    # 2 n tokens, 2 states of 3 x 4, 4 queries. MACs a token: 24 into the states, 24 held back, 48
    # out. Operations: decay and sum 48, correction 2 * 8, scale 16; 2 decays. Floats a token: in
    # 12 + 6 + 8 + 2 + 2, out 16; states of 192 bytes.
    Growth(
        call="com.microsoft.LinearAttention<q_num_heads=4, kv_num_heads=2>(q, k, v, p, g, b)",
        inputs="float[2,{n},12] q, float[2,{n},6] k, float[2,{n},8] v, float[2,2,3,4] p, float[2,{n},2] g, float[2,{n},2] b",
        outputs="y, s",
        figures={
            "macs": (768, 1536),
            "vector_ops": (640, 1280),
            "transcendentals": (16, 32),
            "bytes_read": (960 + 192, 1920 + 192),
            "bytes_written": (512 + 192, 1024 + 192),
        },
    ),
    # 6 n elements: bias, softplus (+1, exp, log), scale; a sigmoid. Two vectors of 3.
    Growth(
        call="com.microsoft.LinearAttentionGate(a, d, s, b)",
        inputs="float[2,{n},3] a, float[3] d, float[3] s, float[2,{n},3] b",
        outputs="y, z",
        figures={
            "vector_ops": (72, 144),
            "transcendentals": (72, 144),
            "bytes_read": (192 + 24, 384 + 24),
            "bytes_written": (192, 384),
        },
    ),
    # n tokens, 4 states of 3 x 5, each with its value and reader: 60 MACs in, held back, out.
    # Operations: decay and sum 120, correction 2 * 20, scale 20; 4 decays. Floats a token: in
    # 6 + 6 + 20 + 4 + 4, out 20; lengths of 12 bytes, final states 2 * 60 floats.
    Growth(
        call="com.microsoft.GatedDeltaNet(q, k, v, c, g, b)",
        inputs="float[{n},2,3] q, float[{n},2,3] k, float[{n},4,5] v, int32[3] c, float[{n},4] g, float[{n},4] b",
        outputs="y, s",
        figures={
            "macs": (720, 1440),
            "vector_ops": (720, 1440),
            "transcendentals": (16, 32),
            "bytes_read": (640 + 12, 1280 + 12),
            "bytes_written": (320 + 480, 640 + 480),
        },
    ),
    # n transitions kept of 8; a row 2 x 3 x 4, 1 key head: a product, decay and sum per element.
    # The row once, 2 + 4 + 6 floats a transition, metadata 88 bytes.
    Growth(
        call="com.microsoft.GatedDeltaNetStateReplay(a, b, c, m)",
        inputs="float[999] a, float[999] b, float[999] c",
        stored="int64[11] m = {{0, 0, 0, 16, 48, 2, 3, 4, 1, 8, {n}}}",
        figures={
            "macs": (96, 192),
            "vector_ops": (192, 384),
            "bytes_read": (96 + 192 + 88, 96 + 384 + 88),
            "bytes_written": (96, 96),
        },
    ),
    # 12 n results of 4 taps, with bias and SiLU (a product, a sigmoid); states of 144 bytes.
    Growth(
        call='com.microsoft.CausalConvWithState<activation="silu">(x, w, b, p)',
        inputs="float[2,6,{n}] x, float[6,1,4] w, float[6] b, float[2,6,3] p",
        outputs="y, s",
        figures={
            "macs": (192, 384),
            "vector_ops": (96, 192),
            "transcendentals": (48, 96),
            "bytes_read": (192 + 96 + 24 + 144, 384 + 96 + 24 + 144),
            "bytes_written": (192 + 144, 384 + 144),
        },
    ),
    # 6 n results of 4 taps; lengths of 12 bytes.
    Growth(
        call="com.microsoft.VarlenCausalConvWithState(x, w, c, , p)",
        inputs="float[{n},6] x, float[6,1,4] w, int32[3] c, float[2,6,3] p",
        outputs="y, s",
        figures={
            "macs": (96, 192),
            "vector_ops": (0, 0),
            "bytes_read": (96 + 96 + 12 + 144, 192 + 96 + 12 + 144),
            "bytes_written": (96 + 144, 192 + 144),
        },
    ),
    # n states of 6 x 3 floats are copied; metadata 64 bytes.
    Growth(
        call="com.microsoft.ConvStateReplay(a, b, c, m)",
        inputs="float[999] a, float[999] b, float[999] c",
        stored="int64[8] m = {{0, 0, 0, {n}, 6, 3, 8, 2}}",
        figures={
            "macs": (0, 0),
            "vector_ops": (0, 0),
            "bytes_read": (288 + 64, 576 + 64),
            "bytes_written": (288, 576),
        },
    ),
    # n tokens, 3 heads of 64, states of 128 (24,576 elements), 448 channels. MACs a token: 448 * 4
    # taps, 24,576 in, 24,576 out. Operations: bias and SiLU 896, steps 4 * 3, decay and sum 49,152,
    # 9 * 192 for the rest, an epsilon, conversions 448 + 3 + 2 * 192. Sigmoids 448 and 192, 3 a
    # head, a root. Bytes: 1,286 a token, weights 3,584 + 896 + 3 * 12 + 768 + 4, a slot 100,992.
    Growth(
        call="com.microsoft.Mamba2Verify<n_groups=1, heads=3>(x, c, s, w, b, t, a, d, g, i)",
        inputs="bfloat16[{n},643] x, bfloat16[2,448,3] c, float[2,3,128,64] s, bfloat16[448,4] w, bfloat16[448] b, float[3] t, float[3] a, float[3] d, float[192] g, int32[1] i",
        outputs="y, e, f",
        figures={
            "macs": (203_776, 407_552),
            "vector_ops": (210_496, 420_992),
            "transcendentals": (2_600, 5_200),
            "bytes_read": (5_144 + 5_288 + 100_992, 10_288 + 5_288 + 100_992),
            "bytes_written": (1_536 + 201_984, 3_072 + 201_984),
        },
    ),
    # 6 n rows of 5: three normalizations (4 * 30 n + 6 n), a dot product, 5 a row, the product with
    # the gate; roots of the norms, a root and a sigmoid. Scales 3 * 60 bytes.
    Growth(
        call="com.microsoft.EngramGate(k, q, v, a, b, c)",
        inputs="float[2,{n},3,5] k, float[2,{n},3,5] q, float[2,{n},5] v, float[3,5] a, float[3,5] b, float[3,5] c",
        outputs="y, z",
        figures={
            "macs": (120, 240),
            "vector_ops": (1752, 3504),
            "transcendentals": (120, 240),
            "bytes_read": (1120 + 180, 2240 + 180),
            "bytes_written": (960, 1920),
        },
    ),
    # 2 n rows of 4 streams of 5 features, weighed and added; a scale per result.
    Growth(
        call="com.microsoft.HyperConnectionPreMix<num_branches=4, reduction_scale=0.5>(x, g)",
        inputs="float[2,{n},20] x, float[2,{n},4] g",
        figures={
            "macs": (160, 320),
            "vector_ops": (40, 80),
            "bytes_read": (768, 1536),
            "bytes_written": (160, 320),
        },
    ),
    # 4 x 4 streams of 5 features a row, product and sum of the block's output. Floats a row: in
    # 20 + 5 + 4 + 16, out 20.
    Growth(
        call="com.microsoft.HyperConnectionPostMix<num_branches=4>(x, o, g, m)",
        inputs="float[2,{n},20] x, float[2,{n},5] o, float[2,{n},4] g, float[2,{n},4,4] m",
        figures={
            "macs": (640, 1280),
            "vector_ops": (320, 640),
            "bytes_read": (1440, 2880),
            "bytes_written": (640, 1280),
        },
    ),
    # MACs a row: 20 * 6 down, 6 * 20 up, 20 * 4 gates, 20 for the sum. Operations: prologue 40, norm
    # 4 * 20 + 4, SiLU 2 * 6, division 4; 4 roots, sigmoids 6 + 20 + 4. Floats a row: in and out
    # 20 + 5 + 4; weights 340 floats.
    Growth(
        call="com.microsoft.HyperConnectionLowRankMix<num_branches=4, gate_div=2.0>(x, s, d, u, i, o, g)",
        inputs="float[2,{n},20] x, float[20] s, float[20,6] d, float[6,20] u, float[20,4] i, float[2,{n},5] o, float[2,{n},4] g",
        outputs="y, h, z",
        figures={
            "macs": (2720, 5440),
            "vector_ops": (1120, 2240),
            "transcendentals": (272, 544),
            "bytes_read": (928 + 1360, 1856 + 1360),
            "bytes_written": (928, 1856),
        },
    ),
    # 40 n elements in 8 n streams: square, mean, division, scale; an epsilon and a root.
    Growth(
        call="com.microsoft.BranchwiseRMSNorm<num_branches=4>(x, s)",
        inputs="float[2,{n},20] x, float[20] s",
        figures={
            "vector_ops": (672, 1344),
            "transcendentals": (32, 64),
            "bytes_read": (640 + 80, 1280 + 80),
            "bytes_written": (640, 1280),
        },
    ),
    # 10 n elements: product, sum; a gate for 5.
    Growth(
        call="com.microsoft.GatedAdd(x, z, g)",
        inputs="float[2,{n},5] x, float[2,{n},5] z, float[2,{n},1] g",
        figures={"vector_ops": (80, 160), "bytes_read": (352, 704), "bytes_written": (160, 320)},
    ),
    # 16 n elements in 4 n rows of 4: norm 4 * 16 n + 4 n, SiLU and the product with it 2 * 16 n.
    Growth(
        call="com.microsoft.GatedRMSNorm(x, s, g)",
        inputs="float[2,{n},8] x, float[4] s, float[2,{n},8] g",
        figures={
            "vector_ops": (400, 800),
            "transcendentals": (80, 160),
            "bytes_read": (512 + 16, 1024 + 16),
            "bytes_written": (256, 512),
        },
    ),
    # 2 n elements: scale, sigmoid, product.
    Growth(
        call="com.microsoft.ScaledSiLU<alpha=2.0>(x)",
        inputs="float[2,{n}] x",
        figures={
            "vector_ops": (16, 32),
            "transcendentals": (8, 16),
            "bytes_read": (32, 64),
            "bytes_written": (32, 64),
        },
    ),
    # n results: one and two clamps, alpha, sigmoid, product, beta, product.
    Growth(
        call="com.microsoft.SwiGLU<limit=7.0, activation_beta=1.0>(x)",
        inputs="float[2,{n}] x",
        figures={
            "vector_ops": (28, 56),
            "transcendentals": (4, 8),
            "bytes_read": (32, 64),
            "bytes_written": (16, 32),
        },
    ),
    # 2 n tokens: 2 + 3 products, 1 + 2 ors, 2 earlier ids compared, joined, chosen; 4 hashes with
    # modulo and offset. Bytes: ids 16 n, 24 + 32 + 32 + 32 + 8; hashes 64 n, ids for later 32.
    Growth(
        call="com.microsoft.NGramHashMapping<max_ngram_size=3, n_head_per_ngram=2, pad_id=0, reset_on_eos=1>(x, m, v, p, o, e)",
        inputs="int64[2,{n}] x, int64[3] m, int64[4] v, int64[2,2] p, int64[4] o, int64 e",
        outputs="y, z",
        figures={
            "vector_ops": (176, 352),
            "bytes_read": (64 + 128, 128 + 128),
            "bytes_written": (256 + 32, 512 + 32),
        },
    ),
    # n tokens: 5 products, 3 ors, 4 modulos. Bytes: ids 8 n, 24 + 32 + 12 + 32.
    Growth(
        call="com.microsoft.VarlenNGramHashMapping<max_ngram_size=3, n_head_per_ngram=2, pad_id=0>(x, m, v, c, p)",
        inputs="int64[{n}] x, int64[3] m, int64[4] v, int32[3] c, int64[2,2] p",
        outputs="y, z",
        figures={
            "vector_ops": (48, 96),
            "bytes_read": (32 + 100, 64 + 100),
            "bytes_written": (128 + 32, 256 + 32),
        },
    ),
    # 48 n elements: 7, and SiLU's product and sigmoid; 4 groups: 3 and a root.
    Growth(
        call="com.microsoft.GroupNorm<groups=2, activation=1>(x, g, b)",
        inputs="float[2,{n},4,6] x, float[6] g, float[6] b",
        figures={
            "vector_ops": (1548, 3084),
            "transcendentals": (196, 388),
            "bytes_read": (768 + 48, 1536 + 48),
            "bytes_written": (768, 1536),
        },
    ),
    # 48 n elements: skip and bias, then 7; 4 groups: 3 and a root; the sum is an output too.
    Growth(
        call="com.microsoft.SkipGroupNorm<groups=2, activation=0>(x, g, b, s, c)",
        inputs="float[2,{n},4,6] x, float[6] g, float[6] b, float[2,6] s, float[6] c",
        outputs="y, z",
        figures={
            "vector_ops": (1740, 3468),
            "transcendentals": (4, 4),
            "bytes_read": (768 + 120, 1536 + 120),
            "bytes_written": (1536, 3072),
        },
    ),
]
