"""Mixtures of experts and their routers."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

CASES: Final = [
    # 2 of 4 experts a token, all of them read. MACs: 2 * (10 * 8 + 8 * 5). Operations: softmax
    # 4 * 4 - 2, selection 4 * 2, normalization 3, SwiGLU 2 * 5 * 3, biases 2 * (10 + 8), sum 8 * 3;
    # 4 exps, 10 sigmoids. Bytes: 48 a token, experts 1,280 + 160 + 640 + 128.
    Growth(
        call='com.microsoft.MoE<k=2, activation_type="swiglu", swiglu_fusion=1, normalize_routing_weights=1>(x, r, a, b, c, d)',
        inputs="float[{n},8] x, float[{n},4] r, float[4,10,8] a, float[4,10] b, float[4,8,5] c, float[4,8] d",
        figures={
            "macs": (960, 1920),
            "vector_ops": (460, 920),
            "transcendentals": (56, 112),
            "bytes_read": (192 + 2208, 384 + 2208),
            "bytes_written": (128, 256),
        },
    ),
    # Weights of 4 bits: 16 x 32 and 32 x 16 an expert. MACs: 2 * (512 + 512). Operations: router
    # 14 + 8, SiLU 2 * 16, sum 32 * 3; unpacking 2 * 4 * 1,024; 4 exps, 32 sigmoids. Bytes: 144 a
    # token, experts 2 * 1,024 and scales 2 * 512.
    Growth(
        call='com.microsoft.QMoE<k=2, activation_type="silu", block_size=16>(x, r, a, s, , c, t)',
        inputs="float[{n},32] x, float[{n},4] r, uint8[4,16,16] a, float[4,16,2] s, uint8[4,32,8] c, float[4,32,1] t",
        figures={
            "macs": (8192, 16384),
            "vector_ops": (600 + 8192, 1200 + 8192),
            "transcendentals": (144, 288),
            "bytes_read": (576 + 3072, 1152 + 3072),
            "bytes_written": (512, 1024),
        },
    ),
    # MACs: 2 * 3 * 8 * 5. Operations: router 14 + 8 + 3, SiLU and product 2 * 10, sum 8 * 3;
    # unpacking 2 * 3 * 4 * 40; 4 exps, 10 sigmoids. Bytes: 24 a token, blobs 180 + 180 + 224.
    Growth(
        call="com.microsoft.MoEPacked<k=2, gate_type=16, up_type=16, down_type=16>(x, r, g, u, d)",
        inputs="float16[{n},8] x, float16[{n},4] r, uint8[4,5,9] g, uint8[4,5,9] u, uint8[4,8,7] d",
        figures={
            "macs": (960, 1920),
            "vector_ops": (276 + 960, 552 + 960),
            "transcendentals": (56, 112),
            "bytes_read": (96 + 584, 192 + 584),
            "bytes_written": (64, 128),
        },
    ),
    # A token: 8 biases, groups of 2 (8 * 2 comparisons, 4 sums), 4 * 2 among groups, 4 * 2 among the
    # experts of 2 groups, 2 maxima; 8 sigmoids, 2 logs.
    Growth(
        call="com.microsoft.MoEGroupRouter<top_k=2, n_group=4, topk_group=2>(x, b)",
        inputs="float[{n},8] x, float[8] b",
        figures={
            "vector_ops": (184, 368),
            "transcendentals": (40, 80),
            "bytes_read": (128 + 32, 256 + 32),
            "bytes_written": (128, 256),
        },
    ),
    # 8 x 14 MACs a token, 4 logits, 5 results: 3 clamps, SwiGLU 3, 3 conversions, a sigmoid.
    Growth(
        call="com.microsoft.RouterGateUpProj<router_size=4, limit=7.0>(x, w)",
        inputs="float16[{n},8] x, float16[8,14] w",
        outputs="y, z",
        figures={
            "macs": (448, 896),
            "vector_ops": (180, 360),
            "transcendentals": (20, 40),
            "bytes_read": (64 + 224, 128 + 224),
            "bytes_written": (72, 144),
        },
    ),
]
