"""com.microsoft: fused products, weights of few bits, int8 in the layouts of cuBLASLt."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

_ORDER: Final = "order_input=1, order_output=1"

_FUSED: Final = [
    # n x 3 x 5, alpha once per result
    Growth(
        call="com.microsoft.FusedMatMul<alpha=0.5, transB=1>(a, b)",
        inputs="float[{n},3] a, float[5,3] b",
        figures={
            "macs": (60, 120),
            "vector_ops": (20, 40),
            "bytes_read": (108, 156),
            "bytes_written": (80, 160),
        },
    ),
    # a maximum per result
    Growth(
        call='com.microsoft.FusedMatMulActivation<activation="Relu">(a, b)',
        inputs="float[{n},3] a, float[3,5] b",
        figures={"macs": (60, 120), "vector_ops": (20, 40), "bytes_read": (108, 156)},
    ),
    Growth(
        call="com.microsoft.TransposeMatMul<transA=1>(a, b)",
        inputs="float[3,{n}] a, float[3,5] b",
        figures={"macs": (60, 120), "vector_ops": (0, 0), "bytes_read": (108, 156)},
    ),
    # C and a tanh per result
    Growth(
        call='com.microsoft.FusedGemm<activation="Tanh">(a, b, c)',
        inputs="float[{n},3] a, float[3,5] b, float[5] c",
        figures={"macs": (60, 120), "vector_ops": (20, 40), "transcendentals": (20, 40)},
    ),
    # bias 1, FastGelu 6 and two transcendentals for each of 5 n results
    Growth(
        call="com.microsoft.GemmFastGelu(a, b, c)",
        inputs="float[{n},3] a, float[3,5] b, float[5] c",
        figures={"macs": (60, 120), "vector_ops": (140, 280), "transcendentals": (40, 80)},
    ),
    # 64 n results of 27: bias, residual, maximum; read 4 (108 n + 108 + 4 + 64 n)
    Growth(
        call='com.microsoft.FusedConv<activation="Relu">(x, w, b, z)',
        inputs="float[{n},3,6,6] x, float[4,3,3,3] w, float[4] b, float[{n},4,4,4] z",
        figures={
            "macs": (6912, 13824),
            "vector_ops": (768, 1536),
            "bytes_read": (3200, 5952),
            "bytes_written": (1024, 2048),
        },
    ),
]
_LOW_BIT: Final = [
    # n x 40 x 5; 200 weights take 2 each; 160 bytes of them, 10 scales, 10 zero points in 5 bytes
    Growth(
        call="com.microsoft.MatMulNBits<K=40, N=5, bits=4, block_size=32>(a, w, s, z)",
        inputs="float[{n},40] a, uint8[5,2,16] w, float[10] s, uint8[5] z",
        figures={
            "macs": (800, 1600),
            "vector_ops": (400, 400),
            "bytes_read": (845, 1485),
            "bytes_written": (80, 160),
        },
    ),
    # n x 32 x 5; 160 weights take a product; 80 bytes, 5 maxima
    Growth(
        call="com.microsoft.MatMulBnb4<K=32, N=5, block_size=32, quant_type=1>(a, w, s)",
        inputs="float[{n},32] a, uint8[80] w, float[5] s",
        figures={"macs": (640, 1280), "vector_ops": (160, 160), "bytes_read": (612, 1124)},
    ),
    # n x 32 x 5; 160 weights take 2; a blob of 5 * (16 + 4) bytes, 2 sizes of 8
    Growth(
        call="com.microsoft.MatMulFpQ4(a, w, k)",
        inputs="float[{n},32] a, uint8[100] w",
        stored="int64[2] k = {{32, 5}}",
        figures={"macs": (640, 1280), "vector_ops": (320, 320), "bytes_read": (628, 1140)},
    ),
    # n x 8 x 5: scale and maximum per result; halves come out
    Growth(
        call='com.microsoft.GemmFloat8<transB=1, dtype=10, activation="RELU">(a, b, , s, t)',
        inputs="float8e4m3fn[{n},8] a, float8e4m3fn[5,8] b, float s, float t",
        figures={
            "macs": (160, 320),
            "vector_ops": (40, 80),
            "bytes_read": (80, 112),
            "bytes_written": (40, 80),
        },
    ),
    # n x 16 x 5: 80 weights scaled, 16 n activations quantized (4) and scaled back, bias 5 n
    Growth(
        call="com.microsoft.MatMulBlockQuantizedFp8Weight<block_size=8>(a, w, s, t, b)",
        inputs="float16[{n},16] a, float8e4m3fn[5,16] w, float[5,2] s, float t, float16[5] b",
        figures={
            "macs": (320, 640),
            "vector_ops": (420, 760),
            "bytes_read": (262, 390),
            "bytes_written": (40, 80),
        },
    ),
    # n x 32 x 5: 160 weights and 10 block scales take a product each
    Growth(
        call="com.microsoft.MatMulBlockQuantizedFp4Weight<block_size=16>(a, w, s, g)",
        inputs="float16[{n},32] a, uint8[5,16] w, uint8[5,2] s, float g",
        figures={"macs": (640, 1280), "vector_ops": (170, 170), "bytes_read": (350, 606)},
    ),
    # two of n x 32 x 5: normalization 4 * 32 n + n and a root a row, 2 * 320 to unpack, per result a
    # sigmoid and two products
    Growth(
        call='com.microsoft.MatMulNBitsMlp<K=32, N=5, block_size=32, activation="silu">(a, , g, w, s, , u, t)',
        inputs="float[{n},32] a, float[32] g, uint8[5,1,16] w, float[5] s, uint8[5,1,16] u, float[5] t",
        figures={
            "macs": (1280, 2560),
            "vector_ops": (1196, 1752),
            "transcendentals": (24, 48),
            "bytes_read": (840, 1352),
            "bytes_written": (80, 160),
        },
    ),
    # n x 32 x (6 + 3 + 3): normalization of a sum 5 * 32 n + n, 2 * 384 to unpack, bias 6 n;
    # written 4 (12 n + 32 n)
    Growth(
        call="com.microsoft.MatMulNBitsQkv<K=32, Nq=6, Nkv=3, block_size=32>(a, r, g, q, s, b, k, t, , v, u)",
        inputs="float[{n},32] a, float[{n},32] r, float[32] g, uint8[6,1,16] q, float[6] s, float[6] b, uint8[3,1,16] k, float[3] t, uint8[3,1,16] v, float[3] u",
        outputs="y, w, x, z",
        figures={
            "macs": (1536, 3072),
            "vector_ops": (1436, 2104),
            "transcendentals": (4, 8),
            "bytes_read": (1416, 2440),
            "bytes_written": (704, 1408),
        },
    ),
    # n (32 x 6 + 32 x 2 + 2 x 6): 2 per weight, a sum per result
    Growth(
        call="com.microsoft.MatMulNBitsQLoRA<K=32, N=6>(x, w, s, a, t, b, u)",
        inputs="float[{n},32] x, uint8[6,1,16] w, float[6,1] s, uint8[2,1,32] a, float[2,1] t, uint8[6,1,32] b, float[6,1] u",
        figures={
            "macs": (1072, 2144),
            "vector_ops": (560, 584),
            "bytes_read": (920, 1432),
            "bytes_written": (96, 192),
        },
    ),
    # n x 256 x 2 in Q6_K: 2 for each of 512 weights, 1 for each 16 of them; maximum, square: 2 * 2 n
    Growth(
        call='com.microsoft.MatMulPacked<packed_type=14, K=256, N=2, activation_type="relu2">(a, w)',
        inputs="float16[{n},256] a, uint8[2,210] w",
        figures={
            "macs": (2048, 4096),
            "vector_ops": (1072, 1088),
            "bytes_read": (2468, 4516),
            "bytes_written": (16, 32),
        },
    ),
]
_ORDERED: Final = [
    # scale, round, clamp of 8 n floats
    Growth(
        call=f"com.microsoft.QuantizeWithOrder<{_ORDER}>(x, s)",
        inputs="float[{n},8] x, float s",
        figures={"vector_ops": (128, 256), "bytes_read": (132, 260), "bytes_written": (32, 64)},
    ),
    # a product each; halves come out
    Growth(
        call=f"com.microsoft.DequantizeWithOrder<to=10, {_ORDER}>(x, s)",
        inputs="int8[{n},8] x, float s",
        figures={"vector_ops": (32, 64), "bytes_read": (36, 68), "bytes_written": (64, 128)},
    ),
    # 8 n elements: dequantize 1, Gelu 4 and an erf, quantize 4
    Growth(
        call="com.microsoft.QOrderedGelu(x, s, t)",
        inputs="int8[{n},8] x, float s, float t",
        figures={"vector_ops": (288, 576), "transcendentals": (32, 64), "bytes_read": (40, 72)},
    ),
    # per element 1 + 7 + 4, per row 4 and a root
    Growth(
        call="com.microsoft.QOrderedLayerNormalization(x, s, g, b, t)",
        inputs="int8[{n},8] x, float s, float16[8] g, float16[8] b, float t",
        figures={"vector_ops": (400, 800), "transcendentals": (4, 8), "bytes_read": (72, 104)},
    ),
    # 2 n x 8 x 5: per result requantize 4, bias, sum with C; C's 5 n elements are scaled
    Growth(
        call="com.microsoft.QOrderedMatMul<order_A=1, order_B=0, order_Y=1>(a, s, b, t, u, c, d, v)",
        inputs="int8[2,{n},8] a, float s, int8[8,5] b, float t, float u, float[5] c, int8[1,{n},5] d, float v",
        figures={
            "macs": (320, 640),
            "vector_ops": (260, 520),
            "bytes_read": (160, 244),
            "bytes_written": (40, 80),
        },
    ),
    # 2 x n tokens of 8, 2 heads of 4: projections 2 n * 8 * 24, scores and values 4 * 4 n^2 each;
    # 48 n projected take 5, 4 n^2 scores 4 + 1 + 4 + 1 and a softmax (4, less 2 for 4 n rows),
    # 16 n outputs 4; a query does not see n (n - 1) / 2 keys a head
    Growth(
        call="com.microsoft.QOrderedAttention<num_heads=2, unidirectional=1>(x, s, s, s, s, q, k, v, s, s, s, b, b, b, s, s, s, m)",
        inputs="int8[2,{n},8] x, float s, int8[8,8] q, int8[8,8] k, int8[8,8] v, float[8] b, int32[2,{n}] m",
        figures={
            "macs": (2048, 5120),
            "vector_ops": (2080, 5952),
            "transcendentals": (64, 256),
            "macs_masked": (192, 896),
            "bytes_read": (324, 420),
            "bytes_written": (64, 128),
        },
    ),
    # n tokens of 8, 2 heads of 4, W = 2: n * 8 (24 + 16) MACs and n * 8 * 8 for n global queries;
    # 5 n - 6 pairs within the window, n^2 to and n^2 from global tokens: 2 * 2 * 4 MACs each.
    # 48 n projected take 1 + 4 + 1, 2 (5 n - 6 + 2 n^2) scores 6 (less 2 for 4 n rows), 8 n outputs 4
    Growth(
        call="com.microsoft.QOrderedLongformerAttention<num_heads=2, window=2>(x, s, w, s, b, s, s, m, g, s, c, s, f, s)",
        inputs="int8[1,{n},8] x, float s, int8[8,24] w, float[24] b, float16[1,{n}] m, int8[8,24] g, float[24] c, int32[1,{n}] f",
        figures={
            "macs": (2272, 5664),
            "vector_ops": (1800, 4440),
            "transcendentals": (92, 324),
            "bytes_read": (636, 692),
            "bytes_written": (32, 64),
        },
    ),
]

CASES: Final = [*_FUSED, *_LOW_BIT, *_ORDERED]
