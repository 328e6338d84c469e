"""Shapes and types of quantized operators and of other layouts, as ONNX Runtime produces them."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from mlsys_lint.testing import estimate_text, model_from_text

A, B, Y = (f"float {side}s, uint8 {side}z" for side in "aby")
AB: Final = f"uint8[2,1,5] a, uint8[3,1] b, {A}, {B}, {Y}"
X: Final = f"uint8[2,3,9,8] a, {A}, {Y}"
LAST: Final = f"uint8[2,9,8,3] a, {A}, {Y}"
PADDED: Final = "kernel_shape=[3,2], strides=[2,2], pads=[1,0,1,1]"
EMBEDDED: Final = (
    "uint8[9,8] w, uint8[6,8] p, uint8[8] g, float as, uint8 az, int32[2,5] i, int32[2,5] m"
)
OBSERVED: Final = [
    # element by element, with broadcasting
    f"({AB}) => (uint8 y) {{ y = .QLinearAdd(a, as, az, b, bs, bz, ys, yz) }}",
    f"({AB}) => (uint8 y) {{ y = .QLinearMul(a, as, az, b, bs, bz, ys, yz) }}",
    f"(bool[2,3,1] c, {AB}) => (uint8 y) {{ y = .QLinearWhere(c, a, as, az, b, bs, bz, ys, yz) }}",
    f"({X}) => (uint8 y) {{ y = .QLinearLeakyRelu<alpha=0.5>(a, as, az, ys, yz) }}",
    f"({X}) => (uint8 y) {{ y = .QLinearSigmoid(a, as, az, ys, yz) }}",
    f"({X}) => (uint8 y) {{ y = .QLinearSoftmax<opset=13, axis=1>(a, as, az, ys, yz) }}",
    "(float[2,3] x, float s, int8 z) => (int8 y) { y = .QuantizeLinear(x, s, z) }",
    "(float[2,3] x, float s) => (uint8 y) { y = .QuantizeLinear(x, s) }",
    "(uint8[2,3] x, float[3] s, uint8[3] z) => (float y) { y = .DequantizeLinear<axis=1>(x, s, z) }",
    # pooling
    f"({X}) => (uint8 y) {{ y = .QLinearAveragePool<{PADDED}>(a, as, az, ys, yz) }}",
    f"({X}) => (uint8 y) {{ y = .QLinearAveragePool<{PADDED}, ceil_mode=1>(a, as, az, ys, yz) }}",
    f'({X}) => (uint8 y) {{ y = .QLinearAveragePool<kernel_shape=[3,3], strides=[2,2], auto_pad="SAME_UPPER">(a, as, az, ys, yz) }}',
    f"({LAST}) => (uint8 y) {{ y = .QLinearAveragePool<{PADDED}, channels_last=1>(a, as, az, ys, yz) }}",
    f"({X}) => (uint8 y) {{ y = .QLinearGlobalAveragePool(a, as, az, ys, yz) }}",
    f"({LAST}) => (uint8 y) {{ y = .QLinearGlobalAveragePool<channels_last=1>(a, as, az, ys, yz) }}",
    f"({LAST}) => (uint8 y) {{ y = .NhwcMaxPool<{PADDED}, dilations=[2,1]>(a) }}",
    f"({LAST}) => (uint8 y) {{ y = .NhwcMaxPool<{PADDED}, ceil_mode=1>(a) }}",
    f"(float[2,3,9,8] x, int32[2,3,9,8] m) => (float y) {{ y = .MaxpoolWithMask<{PADDED}>(x, m) }}",
    # joining, gathering
    f"(uint8[2,3,4] a, uint8[2,5,4] b, {A}, {B}, {Y}) => (uint8 y) {{ y = .QLinearConcat<axis=-2>(ys, yz, a, as, az, b, bs, bz) }}",
    "(uint8[6,32] d, int64[2,3] i, float[6,4] s) => (float y) { y = .GatherBlockQuantized<block_size=16>(d, i, s) }",
    "(uint8[6,32] d, int32[5] i, float[6,8] s, uint8[6,2] z) => (float y) { y = .GatherBlockQuantized<block_size=16, bits=2>(d, i, s, z) }",
    "(uint8[6,32] d, int64 i, float[6,2] s) => (float y) { y = .GatherBlockQuantized<block_size=16, bits=8>(d, i, s) }",
    f"({EMBEDDED}) => (float y, int32 n) {{ y, n = .QEmbedLayerNormalization(i, i, w, p, p, g, g, m, as, as, as, as, as, az, az, az, az, az) }}",
    f"({EMBEDDED}) => (float y, int32 n) {{ y, n = .QEmbedLayerNormalization(i, , w, p, , g, g, , as, as, , as, as, az, az, , az, az) }}",
    # products
    "(int16[2,1,3,4] a, int16[5,4,6] b) => (int32 y) { y = .MatMulInteger16(a, b) }",
    "(float[2,3,64] a, uint8[160] b, float[5] s) => (float y) { y = .MatMulBnb4<K=64, N=5, block_size=64, quant_type=1>(a, b, s) }",
    "(float[2,3,64] a, uint8[5,2,16] b, float[10] s) => (float y) { y = .MatMulNBits<K=64, N=5, block_size=32>(a, b, s) }",
    "(float[2,64] a, uint8[5,0,16] b, float[0] s, float[5] c) => (float y) { y = .MatMulNBits<K=64, N=5, block_size=32>(a, b, s, , , c) }",
    "(uint8[2,3] a, uint8[3,4] b, float s, uint8 z) => (float y) { y = .MatMulIntegerToFloat(a, b, s, s, z, z) }",
    "(float[4,2,3] x, int8[1,3,20] w, int8[1,5,20] r, float[1] s, int8[1] z) => (float y, float h, float c) { y, h, c = .DynamicQuantizeLSTM<hidden_size=5>(x, w, r, , , , , , s, z, s, z) }",
    # convolution, sampling
    "(float[2,3,9,8] x, float[3,4,3,2] w) => (float y) <int64[4] p = {1,0,1,1}> { y = .ConvTransposeWithDynamicPads<strides=[2,2]>(x, w, p) }",
    "(float[2,3,9,8] x, float[3,4,3,2] w) => (float y) <int64[4] p = {0,0,0,0}> { y = .ConvTransposeWithDynamicPads<strides=[2,3], dilations=[2,1], output_padding=[1,0]>(x, w, p) }",
    "(float[2,3,9,8] x, float[2,4,5,2] g) => (float y) { y = .GridSample(x, g) }",
]
BLOCKED: Final = [
    "(float[2,3,9,8] x, float[16,3,3,2] w) => (float y) { y = .Conv<strides=[2,2], pads=[1,0,1,1]>(x, w) }",
    '(float[2,32,9,8] x, float[16,32,3,2] w, float[16] b, float[2,16,5,4] s) => (float y) { y = .Conv<strides=[2,2], auto_pad="SAME_UPPER", activation="Relu">(x, w, b, s) }',
    f"(float[2,16,9,8] x) => (float y) {{ y = .MaxPool<{PADDED}>(x) }}",
    f"(float[2,16,9,8] x) => (float y) {{ y = .AveragePool<{PADDED}, ceil_mode=1>(x) }}",
    "(float[2,16,9,8] x) => (float y) { y = .GlobalMaxPool(x) }",
    "(float[2,16,9,8] x) => (float y) { y = .GlobalAveragePool(x) }",
    "(float[2,32,9,8] x) => (float y) { y = .ReorderInput(x) }",
    "(float[2,9,8,32] x) => (float y) { y = .ReorderInput<channels_last=1>(x) }",
    "(float[2,32,9,8] x) => (float y) { y = .ReorderOutput<channels=28>(x) }",
    "(float[2,32,9,8] x) => (float y) { y = .ReorderOutput<channels=28, channels_last=1>(x) }",
    "(float[2,16,9,8] x) => (float y) { y = .Upsample<scales=[1,1,2,3]>(x) }",
]
_NUMPY: Final = {
    1: np.float32,
    2: np.uint8,
    3: np.int8,
    5: np.int16,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
}


def agrees(text: str, domain: str) -> None:
    """The inferred shapes and types are those of the arrays that a run returns."""
    onnxruntime = pytest.importorskip("onnxruntime")
    graph = "g " + text.replace(" .", f" {domain}.")
    header = f'<ir_version: 10, opset_import: ["": 17, "{domain}": 1]>'
    model = model_from_text(f"{header} {graph}")
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feeds: dict[str, npt.NDArray[np.generic]] = {}
    for value in model.graph.input:
        kind = value.type.tensor_type
        shape = [dim.dim_value for dim in kind.shape.dim]
        # indices are 0, everything else 1
        feeds[value.name] = np.full(shape, kind.elem_type not in (6, 7), _NUMPY[kind.elem_type])
    observed = session.run(None, feeds)
    (found,) = estimate_text(f"{header} {graph}")
    outputs = [tensor for tensor in found.node.outputs if tensor is not None]
    assert [tensor.dims for tensor in outputs] == [array.shape for array in observed]
    names = [tensor.type_name.replace("float", "float32") for tensor in outputs]
    assert names == [str(array.dtype) for array in observed]
    assert found.cost is not None, found.reason


@pytest.mark.ort
@pytest.mark.parametrize("text", OBSERVED)
def test_shapes_are_those_that_onnx_runtime_produces(text: str) -> None:
    agrees(text, "com.microsoft")


@pytest.mark.ort
@pytest.mark.parametrize("text", BLOCKED)
def test_shapes_in_blocks_are_those_that_onnx_runtime_produces(text: str) -> None:
    agrees(text, "com.microsoft.nchwc")
