"""Other layouts: channels last, channels in blocks, pads and masks as inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from growth.case import Growth

_SCALES: Final = "float as, uint8 az, float bs, uint8 bz, float ys, uint8 yz"  # 15 bytes
_LAST: Final = "float[{n},6,6,3] x"  # 108 n elements, 432 n bytes
_BLOCKS: Final = "float[{n},16,6,6] x"  # 576 n elements, 2304 n bytes
_WINDOW: Final = "<kernel_shape=[3,3]>"  # 6 x 6 -> 4 x 4

Figures = Mapping[str, tuple[int, int]]


def _nhwc(call: str, inputs: str, figures: Figures, stored: str = "") -> Growth:
    domain = "com.ms.internal.nhwc"
    return Growth(
        call=f"{domain}.{call}",
        inputs=inputs,
        figures=figures,
        stored=stored,
        domains={domain: 17},
    )


def _nchwc(call: str, inputs: str, figures: Figures) -> Growth:
    domain = "com.microsoft.nchwc"
    return Growth(call=f"{domain}.{call}", inputs=inputs, figures=figures, domains={domain: 1})


def _ops(vector_ops: tuple[int, int], transcendentals: tuple[int, int] = (0, 0)) -> Figures:
    return {"vector_ops": vector_ops, "transcendentals": transcendentals}


_CHANNELS_LAST: Final = [
    # 64 n results of 27: bias and maximum; read 4 (108 n + 108 + 4)
    _nhwc(
        'Conv<activation="Relu">(x, w, b)',
        f"{_LAST}, float[4,3,3,3] w, float[4] b",
        {
            "macs": (6912, 13824),
            "vector_ops": (512, 1024),
            "bytes_read": (2176, 3904),
            "bytes_written": (1024, 2048),
        },
    ),
    # 36 n positions of 3 meet 4 x 2 x 2; 12 x 12 x 4 results
    _nhwc(
        "ConvTranspose<strides=[2,2]>(x, w)",
        f"{_LAST}, float[3,4,2,2] w",
        {"macs": (6912, 13824), "bytes_read": (1920, 3648), "bytes_written": (9216, 18432)},
    ),
    # shift 108 n + 108, requantize 5 * 64 n
    _nhwc(
        "QLinearConv(x, as, az, w, bs, bz, ys, yz)",
        f"uint8[{{n}},6,6,3] x, uint8[4,3,3,3] w, {_SCALES}",
        {
            "macs": (6912, 13824),
            "vector_ops": (1820, 3532),
            "bytes_read": (555, 987),
            "bytes_written": (256, 512),
        },
    ),
    # shift 108 n + 48, requantize 5 * 576 n
    _nhwc(
        "QLinearConvTranspose<strides=[2,2]>(x, as, az, w, bs, bz, ys, yz)",
        f"uint8[{{n}},6,6,3] x, uint8[3,4,2,2] w, {_SCALES}",
        {
            "macs": (6912, 13824),
            "vector_ops": (12000, 23952),
            "bytes_read": (495, 927),
            "bytes_written": (2304, 4608),
        },
    ),
    # 48 n results of windows of 9
    _nhwc(
        f"AveragePool{_WINDOW}(x)",
        _LAST,
        {"vector_ops": (1728, 3456), "bytes_read": (1728, 3456), "bytes_written": (768, 1536)},
    ),
    _nhwc(f"MaxPool{_WINDOW}(x)", _LAST, _ops((1536, 3072))),
    # 432 n squares and 432 n - 48 n sums, a root per result
    _nhwc(f"LpPool{_WINDOW}(x)", _LAST, _ops((3264, 6528), (192, 384))),
    # dequantize 2 * 108 n, windows 9 * 48 n, quantize 5 * 48 n
    _nhwc(
        f"QLinearAveragePool{_WINDOW}(x, as, az, ys, yz)",
        f"uint8[{{n}},6,6,3] x, {_SCALES}",
        {"vector_ops": (3552, 7104), "bytes_read": (442, 874), "bytes_written": (192, 384)},
    ),
    # 3 n results of 36
    _nhwc("GlobalAveragePool(x)", _LAST, {"vector_ops": (432, 864), "bytes_written": (48, 96)}),
    _nhwc("GlobalMaxPool(x)", _LAST, _ops((420, 840))),
    _nhwc("GlobalLpPool(x)", _LAST, _ops((852, 1704), (12, 24))),
    # 4 per element; per channel epsilon and a root
    _nhwc("BatchNormalization(x, s, s, s, s)", f"{_LAST}, float[3] s", _ops((1731, 3459), (3, 3))),
    # 7 per element; for each of 3 n rows epsilon and a root
    _nhwc("InstanceNormalization(x, s, s)", f"{_LAST}, float[3] s", _ops((3036, 6072), (12, 24))),
    # square, 2 sums, scale, bias, division and a power per element
    _nhwc("LRN<size=3>(x)", _LAST, _ops((2592, 5184), (432, 864))),
    _nhwc(
        "DepthToSpace<blocksize=2>(x)",
        "float[{n},6,6,4] x",
        {"bytes_read": (2304, 4608), "bytes_written": (2304, 4608)},
    ),
    _nhwc(
        "SpaceToDepth<blocksize=2>(x)",
        _LAST,
        {"bytes_read": (1728, 3456), "bytes_written": (1728, 3456)},
    ),
    # 72 n values and their indices of 8 bytes, each 18 n; 6 x 6 x 2 results
    _nhwc(
        "MaxUnpool<kernel_shape=[2,2], strides=[2,2]>(x, i)",
        "float[{n},3,3,2] x, int64[{n},3,3,2] i",
        {"bytes_read": (864, 1728), "bytes_written": (1152, 2304)},
    ),
    # 20 n positions take 4, 60 n results of 4 samples 7
    _nhwc(
        "GridSample(x, g)",
        f"{_LAST}, float[{{n}},4,5,2] g",
        {"vector_ops": (2000, 4000), "bytes_read": (2368, 4736), "bytes_written": (960, 1920)},
    ),
    # 432 n results of 4 samples
    _nhwc(
        'Resize<mode="linear">(x, , s)',
        _LAST,
        {"vector_ops": (12096, 24192), "bytes_read": (1728, 3456), "bytes_written": (6912, 13824)},
        stored="float[4] s = {{1, 2, 2, 1}}",
    ),
]
_IN_BLOCKS: Final = [
    # 256 n results of 144: bias, residual, maximum; read 4 (576 n + 2304 + 16 + 256 n)
    _nchwc(
        'Conv<activation="Relu">(x, w, b, z)',
        f"{_BLOCKS}, float[16,16,3,3] w, float[16] b, float[{{n}},16,4,4] z",
        {
            "macs": (147456, 294912),
            "vector_ops": (3072, 6144),
            "bytes_read": (22592, 35904),
            "bytes_written": (4096, 8192),
        },
    ),
    # 256 n results of windows of 9
    _nchwc(f"MaxPool{_WINDOW}(x)", _BLOCKS, _ops((8192, 16384))),
    _nchwc(f"AveragePool{_WINDOW}(x)", _BLOCKS, _ops((9216, 18432))),
    # 16 n results of 36
    _nchwc("GlobalMaxPool(x)", _BLOCKS, _ops((2240, 4480))),
    _nchwc("GlobalAveragePool(x)", _BLOCKS, _ops((2304, 4608))),
    _nchwc(
        "ReorderInput<channels_last=1>(x)",
        "float[{n},6,6,16] x",
        {"bytes_read": (9216, 18432), "bytes_written": (9216, 18432)},
    ),
    # 12 of 16 channels
    _nchwc(
        "ReorderOutput<channels=12>(x)",
        _BLOCKS,
        {"bytes_read": (6912, 13824), "bytes_written": (6912, 13824)},
    ),
    # 2304 n results of 4 samples
    _nchwc(
        'Upsample<scales=[1,1,2,2], mode="linear">(x)',
        _BLOCKS,
        {
            "vector_ops": (64512, 129024),
            "bytes_read": (9216, 18432),
            "bytes_written": (36864, 73728),
        },
    ),
]
_MICROSOFT: Final = [
    # as above: bias 64 n; with a residual and a maximum 3 * 64 n
    Growth(
        call="com.microsoft.NhwcConv(x, w, b)",
        inputs=f"{_LAST}, float[4,3,3,3] w, float[4] b",
        figures={"macs": (6912, 13824), "vector_ops": (256, 512), "bytes_read": (2176, 3904)},
    ),
    Growth(
        call='com.microsoft.NhwcFusedConv<activation="Relu">(x, w, b, z)',
        inputs=f"{_LAST}, float[4,3,3,3] w, float[4] b, float[{{n}},4,4,4] z",
        figures={"macs": (6912, 13824), "vector_ops": (768, 1536), "bytes_read": (3200, 5952)},
    ),
    Growth(
        call=f"com.microsoft.NhwcMaxPool{_WINDOW}(x)",
        inputs="uint8[{n},6,6,3] x",
        figures={"vector_ops": (1536, 3072), "bytes_read": (432, 864), "bytes_written": (192, 384)},
    ),
    # 12 x 12 less pads: 10 x 10 x 4 results and their bias; all MACs are done
    Growth(
        call="com.microsoft.ConvTransposeWithDynamicPads<strides=[2,2]>(x, w, p, b)",
        inputs="float[{n},3,6,6] x, float[3,4,2,2] w, float[4] b",
        stored="int64[4] p = {{1, 1, 1, 1}}",
        figures={
            "macs": (6912, 13824),
            "vector_ops": (1600, 3200),
            "bytes_read": (1968, 3696),
            "bytes_written": (6400, 12800),
        },
    ),
    # 48 n results: 9 tests of the mask, 8 comparisons; one mask serves all images
    Growth(
        call=f"com.microsoft.MaxpoolWithMask{_WINDOW}(x, m)",
        inputs="float[{n},3,6,6] x, int32[1,3,6,6] m",
        figures={"vector_ops": (3264, 6528), "bytes_read": (2160, 3888)},
    ),
    Growth(
        call="com.microsoft.GridSample(x, g)",
        inputs="float[{n},3,6,6] x, float[{n},4,5,2] g",
        figures={"vector_ops": (2000, 4000), "bytes_read": (2368, 4736)},
    ),
]

CASES: Final = [*_CHANNELS_LAST, *_IN_BLOCKS, *_MICROSOFT]
