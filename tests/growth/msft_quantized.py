"""com.microsoft: operators on tensors with scales and zero points."""

from __future__ import annotations

from typing import Final

from growth.case import Growth

_ONE: Final = "float as, uint8 az, float ys, uint8 yz"  # 10 bytes
_TWO: Final = f"{_ONE}, float bs, uint8 bz"  # 15 bytes
_PAIR: Final = f"uint8[{{n}},8] a, uint8[8] b, {_TWO}"
_ROWS: Final = f"uint8[{{n}},8] a, {_ONE}"
_IMAGE: Final = f"uint8[{{n}},2,5,5] a, {_ONE}"

_ELEMENTWISE: Final = [
    # 8 n results: dequantize 2 (8 n + 8), add 8 n, quantize 5 * 8 n; read 8 n + 8 + 15
    Growth(
        call="com.microsoft.QLinearAdd(a, as, az, b, bs, bz, ys, yz)",
        inputs=_PAIR,
        figures={"vector_ops": (272, 528), "bytes_read": (55, 87), "bytes_written": (32, 64)},
    ),
    # shift 8 n + 8, multiply 8 n, quantize 5 * 8 n
    Growth(
        call="com.microsoft.QLinearMul(a, as, az, b, bs, bz, ys, yz)",
        inputs=_PAIR,
        figures={"vector_ops": (232, 456), "bytes_read": (55, 87), "bytes_written": (32, 64)},
    ),
    # dequantize 2 (8 n + 8), select 8 n, quantize 5 * 8 n; the condition adds n bytes
    Growth(
        call="com.microsoft.QLinearWhere(c, a, as, az, b, bs, bz, ys, yz)",
        inputs=f"bool[{{n}},1] c, {_PAIR}",
        figures={"vector_ops": (272, 528), "bytes_read": (59, 95), "bytes_written": (32, 64)},
    ),
    # 8 n elements: dequantize 2, compare, multiply, select, quantize 5
    Growth(
        call="com.microsoft.QLinearLeakyRelu(a, as, az, ys, yz)",
        inputs=_ROWS,
        figures={"vector_ops": (320, 640), "bytes_read": (42, 74), "bytes_written": (32, 64)},
    ),
    # without zero points: scale 1, sigmoid, quantize 4
    Growth(
        call="com.microsoft.QLinearSigmoid(a, as, , ys)",
        inputs=_ROWS,
        figures={"vector_ops": (160, 320), "transcendentals": (32, 64), "bytes_read": (40, 72)},
    ),
    # 8 rows of n (axis 0): softmax 4 * 8 n - 2 * 8, dequantize and quantize 7 * 8 n
    Growth(
        call="com.microsoft.QLinearSoftmax<opset=13, axis=0>(a, as, az, ys, yz)",
        inputs=_ROWS,
        figures={"vector_ops": (336, 688), "transcendentals": (32, 64), "bytes_read": (42, 74)},
    ),
    # shift 8 n + 8, multiply 8 n; int32 results
    Growth(
        call="com.microsoft.MulInteger(a, az, b, bz)",
        inputs=_PAIR,
        figures={"vector_ops": (72, 136), "bytes_read": (42, 74), "bytes_written": (128, 256)},
    ),
    # scale, round, shift, clamp of 8 n floats
    Growth(
        call="com.microsoft.QuantizeLinear(x, s, z)",
        inputs="float[{n},8] x, float s, uint8 z",
        figures={"vector_ops": (160, 320), "bytes_read": (133, 261), "bytes_written": (32, 64)},
    ),
    # a product for each of 8 n elements: no zero point
    Growth(
        call="com.microsoft.DequantizeLinear(x, s)",
        inputs="uint8[{n},8] x, float s",
        figures={"vector_ops": (32, 64), "bytes_read": (36, 68), "bytes_written": (128, 256)},
    ),
]
_COMBINING: Final = [
    # 50 n in, 18 n out: dequantize 2 * 50 n, windows of 9, quantize 5 * 18 n
    Growth(
        call="com.microsoft.QLinearAveragePool<kernel_shape=[3,3]>(a, as, az, ys, yz)",
        inputs=_IMAGE,
        figures={"vector_ops": (1408, 2816), "bytes_read": (210, 410), "bytes_written": (72, 144)},
    ),
    # 50 n in, 2 n out: dequantize 2 * 50 n, mean of 25 for each, quantize 5 * 2 n
    Growth(
        call="com.microsoft.QLinearGlobalAveragePool(a, as, az, ys, yz)",
        inputs=_IMAGE,
        figures={"vector_ops": (640, 1280), "bytes_read": (210, 410), "bytes_written": (8, 16)},
    ),
    # 8 n in, n out: dequantize 2 * 8 n, mean of 8 for each, quantize 5 n
    Growth(
        call="com.microsoft.QLinearReduceMean<axes=[1], keepdims=0>(a, as, az, ys, yz)",
        inputs=_ROWS,
        figures={"vector_ops": (116, 232), "bytes_read": (42, 74), "bytes_written": (4, 8)},
    ),
    # 7 sums for each of n rows; uint32 results
    Growth(
        call="com.microsoft.ReduceSumInteger<axes=[1], keepdims=1>(a)",
        inputs="uint8[{n},8] a",
        figures={"vector_ops": (28, 56), "bytes_read": (32, 64), "bytes_written": (16, 32)},
    ),
    # 8 n + 24 elements: dequantize 2, quantize 5
    Growth(
        call="com.microsoft.QLinearConcat<axis=0>(ys, yz, a, as, az, b, bs, bz)",
        inputs=f"uint8[{{n}},8] a, uint8[3,8] b, {_TWO}",
        figures={"vector_ops": (392, 616), "bytes_read": (71, 103), "bytes_written": (56, 88)},
    ),
    # n rows of 32 values in 16 bytes, 2 scales, 2 zero points in a byte, an index of 8 bytes
    Growth(
        call="com.microsoft.GatherBlockQuantized<block_size=16>(d, i, s, z)",
        inputs="uint8[100,16] d, int64[{n}] i, float[100,2] s, uint8[100,1] z",
        figures={"vector_ops": (256, 512), "bytes_read": (132, 264), "bytes_written": (512, 1024)},
    ),
    # 2 n tokens of 8: per element 7 for the normalization and 2 sums, per row 4 and a root;
    # dequantize 2 * 8 for 2 n words, n positions, 2 n segments, gamma and beta: 232 n + 32.
    # Read: two ids of 4 bytes a token, 2 n and n rows, both rows of segments, gamma, beta, 5 bytes.
    Growth(
        call="com.microsoft.QEmbedLayerNormalization(i, j, w, p, t, g, b, , s, s, s, s, s, z, z, z, z, z)",
        inputs="int32[2,{n}] i, int32[2,{n}] j, uint8[50,8] w, uint8[20,8] p, uint8[2,8] t, uint8[8] g, uint8[8] b, float s, uint8 z",
        figures={
            "vector_ops": (960, 1888),
            "transcendentals": (8, 16),
            "bytes_read": (197, 357),
            "bytes_written": (256, 512),
        },
    ),
]
_PRODUCTS: Final = [
    # 2 n rows of 3 x 5 in 16 bits; int32 results
    Growth(
        call="com.microsoft.MatMulInteger16(a, b)",
        inputs="int16[2,{n},3] a, int16[3,5] b",
        figures={"macs": (120, 240), "bytes_read": (78, 126), "bytes_written": (160, 320)},
    ),
    # n x 4 x 5: shift 4 n + 20, bias 5 n, requantize 5 * 5 n
    Growth(
        call="com.microsoft.QGemm(a, as, az, b, bs, bz, c, ys, yz)",
        inputs=f"uint8[{{n}},4] a, uint8[4,5] b, int32[5] c, {_TWO}",
        figures={
            "macs": (80, 160),
            "vector_ops": (156, 292),
            "bytes_read": (71, 87),
            "bytes_written": (20, 40),
        },
    ),
    # 4 n values: quantize 7 each and 8 once (as DynamicQuantizeLinear), shift; B: shift 20; convert
    # and scale 2 * 5 n
    Growth(
        call="com.microsoft.DynamicQuantizeMatMul(a, b, bs, bz)",
        inputs="float[{n},4] a, uint8[4,5] b, float bs, uint8 bz",
        figures={
            "macs": (80, 160),
            "vector_ops": (196, 364),
            "bytes_read": (89, 153),
            "bytes_written": (80, 160),
        },
    ),
    # shift 4 n + 20, convert and scale 2 * 5 n
    Growth(
        call="com.microsoft.MatMulIntegerToFloat(a, b, as, bs, az, bz)",
        inputs=f"uint8[{{n}},4] a, uint8[4,5] b, {_TWO}",
        figures={
            "macs": (80, 160),
            "vector_ops": (76, 132),
            "bytes_read": (46, 62),
            "bytes_written": (80, 160),
        },
    ),
    # 64 n results of 27: shift 108 n + 108, bias 64 n, requantize 5 * 64 n
    Growth(
        call="com.microsoft.QLinearConv(a, as, az, b, bs, bz, ys, yz, c)",
        inputs=f"uint8[{{n}},3,6,6] a, uint8[4,3,3,3] b, int32[4] c, {_TWO}",
        figures={
            "macs": (6912, 13824),
            "vector_ops": (2076, 4044),
            "bytes_read": (571, 1003),
            "bytes_written": (256, 512),
        },
    ),
    # n steps of 2 sequences, 20 gates, 3 + 5 inputs: 2 n * 20 * 8 MACs; 10 n states: 16 each for the
    # cell (4 * 3 sums, 4); quantize x 7 * 6 n + 8 and the 10 values of each step's state 7 * 10 + 8,
    # shift both 16 n; 2 * 2 for each gate of both products (40 n), shift 60 + 100; 5 activations a
    # state: 456 n + 168
    Growth(
        call="com.microsoft.DynamicQuantizeLSTM<hidden_size=5>(x, w, r, b, , , , , s, z, t, v)",
        inputs="float[{n},2,3] x, int8[1,3,20] w, int8[1,5,20] r, float[1,40] b, float[1] s, int8[1] z, float[1] t, int8[1] v",
        figures={
            "macs": (1280, 2560),
            "vector_ops": (1992, 3816),
            "transcendentals": (200, 400),
            "bytes_read": (426, 522),
            "bytes_written": (160, 320),
        },
    ),
]

CASES: Final = [*_ELEMENTWISE, *_COMBINING, *_PRODUCTS]
