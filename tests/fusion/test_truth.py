"""The truth itself, on models small enough to map by hand.

Members are indexes of nodes in the text, from 0; Constants count.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fusion.truth_text import inserted, kernels, truth_of_text

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.ort


def test_activation_joins_convolution(tmp_path: Path) -> None:
    found = truth_of_text(
        tmp_path,
        """(float[1,3,8] x, float[4,3,3] w) => (float[1,4,6] z)
        { y = Conv(x, w) z0 = Relu(y) z = Neg(z0) }""",
    )
    assert kernels(found) == [("FusedConv", [0, 1]), ("Neg", [2])]
    assert found.unclaimed == {}


def test_normalization_joins_convolution(tmp_path: Path) -> None:
    found = truth_of_text(
        tmp_path,
        """(float[1,3,8] x, float[4,3,3] w, float[4] w1, float[4] b1, float[4] b2, float[4] w2)
        => (float[1,4,6] z)
        { y = Conv(x, w) z = BatchNormalization(y, w1, b1, b2, w2) }""",
    )
    assert kernels(found) == [("Conv", [0, 1])]


def test_bias_joins_product_between_inserted_reshapes(tmp_path: Path) -> None:
    # The runtime's matrix product with a bias has two dimensions.
    found = truth_of_text(
        tmp_path,
        """(float[2,3,4] x, float[4,5] w, float[5] b) => (float[2,3,5] z)
        { y = MatMul(x, w) z0 = Add(b, y) z = Neg(z0) }""",
    )
    assert kernels(found) == [("Reshape", []), ("Gemm", [0, 1]), ("Reshape", []), ("Neg", [2])]
    # The second is known by what it makes; the tensor before it has the same elements.
    assert inserted(found) == [("Reshape", "x", "input"), ("Reshape", "z0", "input")]


def test_products_in_a_row_share_the_reshape_between_them(tmp_path: Path) -> None:
    found = truth_of_text(
        tmp_path,
        """(float[2,3,4] x, float[4,5] w, float[5] b, float[5,6] w2, float[6] b2)
        => (float[2,3,6] z)
        {
          [m1] y = MatMul(x, w)
          y1 = Add(b, y)
          [m2] y2 = MatMul(y1, w2)
          z = Add(y2, b2)
        }""",
    )
    compute = [one for one in kernels(found) if one[0] == "Gemm"]
    assert compute == [("Gemm", [0, 1]), ("Gemm", [2, 3])]
    assert {anchor for _, anchor, _ in inserted(found)} == {"x", "y1", "z"}


def test_gelu_of_five_nodes_among_constants(tmp_path: Path) -> None:
    found = truth_of_text(
        tmp_path,
        """(float[2,3] x) => (float[2,3] z)
        {
          s = Constant<value = float {1.4142135}>()
          d = Div(x, s)
          e = Erf(d)
          one = Constant<value = float {1.0}>()
          a = Add(e, one)
          m = Mul(x, a)
          h = Constant<value = float {0.5}>()
          z = Mul(m, h)
        }""",
    )
    assert kernels(found) == [("Gelu", [1, 2, 4, 5, 7])]
    assert found.unclaimed == {0: "constant", 3: "constant", 6: "constant"}


def test_blocked_convolution_takes_sum_and_activation(tmp_path: Path) -> None:
    # 32 channels fill blocks of 8 and of 16. The sum goes into the Conv of its first operand.
    found = truth_of_text(
        tmp_path,
        """(float[1,32,8,8] x, float[32,32,1,1] w, float[32,32,1,1] w2) => (float[1,32,8,8] z)
        { y = Conv(x, w) y2 = Conv(x, w2) s = Add(y, y2) z = Relu(s) }""",
    )
    if len(found.kernels) == 3:
        pytest.skip("no blocked layout on this machine")
    assert kernels(found) == [
        *(("ReorderInput", []), ("Conv", [1])),
        *(("Conv", [0, 2, 3]), ("ReorderOutput", [])),
    ]
    assert [anchor for _, anchor, _ in inserted(found)] == ["x", "z"]


def test_function_without_kernel_is_all_its_parts(tmp_path: Path) -> None:
    found = truth_of_text(tmp_path, "(float[4] x) => (float[4] z) { y = HardSwish(x) z = Neg(y) }")
    assert kernels(found) == [("HardSigmoid", [0]), ("Mul", [0]), ("Neg", [1])]


def test_pieces_of_one_tensor_are_one_split(tmp_path: Path) -> None:
    found = truth_of_text(
        tmp_path,
        """(float[2,3] x) => (float[3] z)
        <int64 zero = {0}, int64 one = {1}>
        { a = Gather<axis = 0>(x, zero) b = Gather<axis = 0>(x, one) z = Sub(a, b) }""",
    )
    assert kernels(found)[0] == ("Split", [0, 1])
    assert sorted(kernels(found)[1:]) == [("Squeeze", []), ("Squeeze", []), ("Sub", [2])]
    assert {anchor for _, anchor, _ in inserted(found)} == {"a", "b"}


def test_moved_transpose_stands_where_it_runs(tmp_path: Path) -> None:
    # It is pushed over Exp and meets its inverse.
    found = truth_of_text(
        tmp_path,
        """(float[2,3,4] x) => (float[2,3,4] z)
        {
          t = Transpose<perm = [1, 2, 0]>(x)
          e = Exp(t)
          u = Transpose<perm = [2, 0, 1]>(e)
          z = Neg(u)
        }""",
    )
    assert [sorted(one.core) for one in found.kernels] == [[1], [3]]


def test_constants_join_a_convolution_whose_layout_changes(tmp_path: Path) -> None:
    # As exporters write channels-last models: the inner Transposes meet, then Mul and Add fold.
    found = truth_of_text(
        tmp_path,
        """(float[1,8,8,3] x, float[4,3,3,3] w, float[4] w1, float[4] b1, float[4,4,3,3] w2)
        => (float[1,4,4,4] z)
        {
          xt = Transpose<perm = [0, 3, 1, 2]>(x)
          y = Conv(xt, w)
          yt = Transpose<perm = [0, 2, 3, 1]>(y)
          m = Mul(yt, w1)
          a = Add(m, b1)
          e = Erf(a)
          et = Transpose<perm = [0, 3, 1, 2]>(e)
          v = Conv(et, w2)
          z = Transpose<perm = [0, 2, 3, 1]>(v)
        }""",
    )
    assert [sorted(one.core) for one in found.kernels if one.core] == [[1, 3, 4], [5], [7]]


def test_reasons_of_what_does_not_run(tmp_path: Path) -> None:
    found = truth_of_text(
        tmp_path,
        """(float[2,3] x) => (float[2,3] z, float[2,3] v)
        <float[1] two = {2.0}, float one = {1.0}>
        {
          i = Identity(x)
          four = Mul(two, two)
          a = Exp(i)
          same = Exp(x)
          n = Mul(same, one)
          shape = Shape(x)
          m = Mul(a, four)
          q = Add(m, n)
          z = Reshape(q, shape)
          v = Sin(z)
        }""",
    )
    assert kernels(found) == [
        ("Exp", [2]),
        ("Mul", [6]),
        ("Add", [7]),
        ("Reshape", [8]),
        ("Sin", [9]),
    ]
    assert found.unclaimed == {
        0: "identity",
        1: "folded",
        3: "duplicate",
        4: "identity",
        5: "shape",
    }


BRANCHES = """
  y = If (c) <
    then_branch = t () => (float[2,4] p) { h = MatMul(r, w) q = Add(h, b) p = Tanh(q) },
    else_branch = e () => (float[2,4] s) { k = MatMul(r, w) s = Sigmoid(k) }
  >
  z = Exp(y)
"""


def test_bodies_are_scopes_of_their_own(tmp_path: Path) -> None:
    # Three nodes at the top; the branches' follow them: 3, 4, 5 and 6, 7.
    found = truth_of_text(
        tmp_path,
        "(float[2,3] x, float[3,4] w, float[4] b, bool c) => (float[2,4] z)"
        f"{{ r = Relu(x) {BRANCHES} }}",
    )
    assert kernels(found.only("")) == [("Relu", [0]), ("If", [1]), ("Exp", [2])]
    assert kernels(found.only("1.then_branch")) == [("FusedGemm", [3, 4, 5])]
    assert kernels(found.only("1.else_branch")) == [("MatMul", [6]), ("Sigmoid", [7])]
    assert found.unclaimed == {}


def test_chosen_branch_takes_the_place_of_the_if(tmp_path: Path) -> None:
    found = truth_of_text(
        tmp_path,
        "(float[2,3] x, float[3,4] w, float[4] b) => (float[2,4] z) <bool c = {1}>"
        f"{{ r = Relu(x) {BRANCHES} }}",
    )
    assert kernels(found) == [("Relu", [0]), ("FusedGemm", [3, 4, 5]), ("Exp", [2])]
    assert found.unclaimed == {1: "outside", 6: "outside", 7: "outside"}


def test_quantized_convolution_takes_its_surroundings(tmp_path: Path) -> None:
    found = truth_of_text(
        tmp_path,
        """(uint8[1,4,8,8] x) => (uint8[1,4,8,8] z)
        <float sx = {0.5}, float sy = {0.25}, float sw = {0.125}, uint8 zero = {7},
         int8[4,4,1,1] k = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}, int8 zk = {0}>
        {
          xf = DequantizeLinear(x, sx, zero)
          kf = DequantizeLinear(k, sw, zk)
          y = Conv(xf, kf)
          z = QuantizeLinear(y, sy, zero)
        }""",
    )
    (kernel,) = [one for one in found.kernels if one.core]
    assert (kernel.op_type, sorted(kernel.members)) == ("QLinearConv", [0, 1, 2, 3])
    assert {op_type for op_type, _, _ in inserted(found)} <= {"Transpose"}
