"""Nodes that no definition allows are declined with a reason: no count, and no traceback."""

from __future__ import annotations

import pytest

from mlsys_lint.testing import estimate_text


def declined(call: str, inputs: str, result: str, *, stored: str = "", opset: int = 23) -> str:
    """The reason; the file declares a result, so that sizes are known whatever inference says."""
    constants = f"<{stored}>" if stored else ""
    (found,) = estimate_text(
        f"g ({inputs}) => ({result} y) {constants} {{ y = {call} }}", opset=opset
    )
    assert (found.status.value, found.cost) == ("declined", None)
    return found.reason or ""


@pytest.mark.parametrize(
    ("call", "inputs", "result", "reason"),
    [
        ("Gemm(a, b)", "float[3] a, float[3,4] b", "float[2,4]", "input 0 has rank 1"),
        ("Gemm(a, b)", "float[2,3] a, float[3] b", "float[2,4]", "input 1 has rank 1"),
        ("MatMul(a, b)", "float a, float[3] b", "float", "input 0 has rank 0"),
        ("MatMulInteger(a, b)", "uint8[3] a, uint8 b", "int32", "input 1 has rank 0"),
        ("Conv(a, b)", "float[1,4,5] a, float b", "float[1,3,4]", "input 1 has rank 0"),
        ("ConvTranspose(a, b)", "float a, float[4,3,2] b", "float[1,3,4]", "input 0 has rank 0"),
        ("Trilu(a)", "float[3] a", "float[3]", "input 0 has rank 1"),
        ("Multinomial(a)", "float[3] a", "int32[3]", "input 0 has rank 1"),
        ("Det(a)", "float a", "float", "input 0 has rank 0"),
        ("DFT(a)", "float a", "float", "input 0 has rank 0"),
        ("AffineGrid(a, s)", "float[2,6] a, int64[4] s", "float[2,3,4,2]", "input 0 has rank 2"),
        ("GridSample(a, b)", "float[1,2,3] a, float b", "float[1]", "input 1 has rank 0"),
        ("MaxRoiPool(a, b)", "float[3,4] a, float[4,5] b", "float[4,3,2,2]", "input 0 has rank 2"),
        ("RoiAlign(a, b, i)", "float[3] a, float[4,4] b, int64[4] i", "float[4,3,2,2]", "rank 1"),
        ("NonMaxSuppression(a, b)", "float[4] a, float[2] b", "int64[1,3]", "input 0 has rank 1"),
        ("InstanceNormalization(a, b, b)", "float a, float b", "float", "input 0 has rank 0"),
        ("EfficientNMS_TRT(a, b)", "float[3] a, float b", "int32[1]", "input 0 has rank 1"),
        ("PyramidROIAlign_TRT(a, b)", "float a, float b", "float[1]", "not 5 axes"),
        (
            "MaxRoiPool<pooled_shape=[2]>(a, b)",
            "float[1,3,5,5] a, float[4,5] b",
            "float[4,3,2]",
            "",
        ),
        ("MelWeightMatrix(a, a, a, b, b)", "int64 a, float b", "float[3]", "no matrix"),
    ],
)
def test_another_rank(call: str, inputs: str, result: str, reason: str) -> None:
    assert reason in declined(call, inputs, result)


@pytest.mark.parametrize("opset", [1, 7, 14, 22])
@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        (("4,3", "1,20,3", "1,20,5"), "input 0 has rank 2"),
        (("4,2,3", "20,3", "20,5"), "input 1 has rank 2"),
        (("4,2,3", "1,20,7", "1,20,5"), "do not fit 3 inputs"),
        (("4,2,3", "1,15,3", "1,15,5"), "do not fit"),
    ],
)
def test_a_cell_that_does_not_fit(opset: int, shapes: tuple[str, ...], reason: str) -> None:
    inputs = ", ".join(f"float[{shape}] {name}" for shape, name in zip(shapes, "xwr", strict=True))
    call = "LSTM<hidden_size=5>(x, w, r)"
    assert reason in declined(call, inputs, "float[4,1,2,5]", opset=opset)


@pytest.mark.parametrize(
    ("call", "inputs", "result"),
    [
        ("Gemm(a, b)", "float[2,3] a, float[4,5] b", "float[2,5]"),
        ("Gemm<transB=1>(a, b)", "float[2,3] a, float[3,5] b", "float[2,3]"),
        ("MatMul(a, b)", "float[2,3] a, float[4,5] b", "float[2,5]"),
        ("MatMul(a, b)", "float[2,3] a, float[4] b", "float[2]"),
        ("Conv(a, b)", "float[1,4,5] a, float[3,2,2] b", "float[1,3,4]"),
        ("ConvTranspose(a, b)", "float[1,4,5] a, float[3,4,2] b", "float[1,4,6]"),
        ('Einsum<equation="ij,jk->ik">(a, b)', "float[2,3] a, float[5,4] b", "float[2,4]"),
        ('Einsum<equation="ij,jk->il">(a, b)', "float[2,3] a, float[3,4] b", "float[2,3]"),
    ],
)
def test_sizes_that_do_not_meet(call: str, inputs: str, result: str) -> None:
    assert declined(call, inputs, result)


@pytest.mark.parametrize(
    ("call", "inputs", "result", "stored"),
    [
        ("Conv<group=0>(a, b)", "float[1,4,5] a, float[3,4,2] b", "float[1,3,4]", ""),
        ("MaxPool<kernel_shape=[0]>(a)", "float[1,2,3] a", "float[1,2,3]", ""),
        ("Softmax<axis=5>(a)", "float[2,3] a", "float[2,3]", ""),
        ("LayerNormalization<axis=2>(a, b)", "float[2,3] a, float[3] b", "float[2,3]", ""),
        ("Unique<axis=9>(a)", "float[3] a", "float[3]", ""),
        ("CumSum(a, k)", "float[3] a", "float[3]", "int64 k = {9}"),
        ("CumSum(a, k)", "float[3] a", "float[3]", "int64[0] k = {}"),
        ("DFT(a, , k)", "float[1,3,1] a", "float[1,3,2]", "int64 k = {9}"),
        ("Pad(a, p, , k)", "float[3] a", "float[3]", "int64[2] p = {0,1}, int64[1] k = {9}"),
        ("Col2Im<strides=[1]>(a, i, k)", "float[1,5,5] a, int64[2] i", "float[1,1,5,5]", "int64[2] k = {1,5}"),
        ("Col2Im<strides=[0,1]>(a, i, k)", "float[1,5,5] a, int64[2] i", "float[1,1,5,5]", "int64[2] k = {1,5}"),
    ],
)  # fmt: skip
def test_attributes_and_axes(call: str, inputs: str, result: str, stored: str) -> None:
    assert declined(call, inputs, result, stored=stored)


def test_machines_without_classes() -> None:
    call = "ai.onnx.ml.SVMClassifier<coefficients=[1.0], support_vectors=[1.0]>(a)"
    assert "no classes" in declined(call, "float[3] a", "int64[1]")


def test_scalars_keep_their_axes() -> None:
    # Axes 0 and -1 of a scalar are its only row of one element: 4 - 2 operations and an exp.
    for axis in (0, -1):
        (found,) = estimate_text(f"g (float a) => (float y) {{ y = Softmax<axis={axis}>(a) }}")
        assert found.cost is not None
        assert (found.cost.vector_ops, found.cost.transcendentals) == (2, 1)
