"""MatMul, Gemm, Einsum and their integer forms: shapes and counts derived by hand."""

from __future__ import annotations

import pytest

from mlsys_lint import Contraction, NodeStatus, OpCost
from mlsys_lint.testing import estimate_text


def cost_of(text: str, opset: int = 23) -> OpCost:
    """The cost of the only node."""
    (found,) = estimate_text(text, opset=opset)
    assert found.status is NodeStatus.EXACT, found.reason
    assert found.cost is not None
    return found.cost


def test_matmul_counts_batch_rows_columns_depth_and_each_byte_once() -> None:
    # 3 * 5 results of 4 products each; (3*4 + 4*5) floats read, 3*5 written.
    cost = cost_of("g (float[3,4] a) => (float[?,?] y) <float[4,5] b> { y = MatMul(a, b) }")
    assert cost.contractions == (Contraction(m=3, n=5, k=4, dtype="float"),)
    assert cost.macs == 60
    assert cost.flops == 120
    assert (cost.bytes_read, cost.bytes_written, cost.weight_bytes) == (128, 60, 80)
    assert cost.kernel_class == "gemm"


def test_a_weight_is_shared_by_the_batch_which_joins_the_rows() -> None:
    cost = cost_of("g (float[2,3,4] a, float[4,5] b) => (float[?,?,?] y) { y = MatMul(a, b) }")
    assert cost.contractions == (Contraction(m=6, n=5, k=4, dtype="float"),)
    # One matrix with leading ones is as shared as one without.
    cost = cost_of("g (float[2,3,4] a, float[1,4,5] b) => (float[?,?,?] y) { y = MatMul(a, b) }")
    assert cost.contractions == (Contraction(m=6, n=5, k=4, dtype="float"),)


def test_batches_broadcast_on_both_sides() -> None:
    # [2,1,3,4] x [1,7,4,5]: 2 * 7 products of 3 * 4 * 5; each stored element moves once.
    text = "g (float[2,1,3,4] a, float[1,7,4,5] b) => (float[?,?,?,?] y) { y = MatMul(a, b) }"
    cost = cost_of(text)
    assert cost.contractions == (Contraction(batch=14, m=3, n=5, k=4, dtype="float"),)
    assert cost.bytes_read == 4 * (2 * 3 * 4 + 7 * 4 * 5)
    assert cost.bytes_written == 4 * 14 * 15
    assert cost.kernel_class == "batched_matmul"


@pytest.mark.parametrize(
    ("inputs", "output", "macs", "kernel_class"),
    [
        ("float[4] a, float[4,5] b", "float[?]", 20, "gemv"),
        ("float[2,3,4] a, float[4] b", "float[?,?]", 24, "gemv"),
        ("float[4] a, float[4] b", "float", 4, "gemv"),
        ("float[4] a, float[7,4,5] b", "float[?,?]", 140, "batched_matmul"),
    ],
)
def test_one_dimensional_operands(inputs: str, output: str, macs: int, kernel_class: str) -> None:
    cost = cost_of(f"g ({inputs}) => ({output} y) {{ y = MatMul(a, b) }}")
    assert cost.macs == macs
    assert cost.kernel_class == kernel_class


def test_a_scalar_result_has_bytes() -> None:
    cost = cost_of("g (float[4] a, float[4] b) => (float y) { y = MatMul(a, b) }")
    assert (cost.bytes_read, cost.bytes_written) == (32, 4)


@pytest.mark.parametrize(("dtype", "width"), [("bfloat16", 2), ("float16", 2), ("double", 8)])
def test_element_sizes(dtype: str, width: int) -> None:
    text = f"g ({dtype}[3,4] a, {dtype}[4,5] b) => ({dtype}[?,?] y) {{ y = MatMul(a, b) }}"
    cost = cost_of(text)
    assert cost.contractions[0].dtype == dtype
    assert (cost.bytes_read, cost.bytes_written) == (32 * width, 15 * width)


def test_the_same_name_in_another_domain_is_another_operator() -> None:
    text = "g (float[3,4] a, float[4,5] b) => (float[?,?] y) { y = acme.MatMul(a, b) }"
    (found,) = estimate_text(text)
    assert found.status is NodeStatus.UNSUPPORTED
    assert found.cost is None


def test_gemm_as_torch_exports_linear() -> None:
    # transB: W is stored [out, in]: 8 * 256 * 128 MACs, a bias per result.
    text = "g (float[8,128] x, float[256,128] w, float[256] b) => (float[?,?] y) { y = Gemm<transB=1>(x, w, b) }"
    cost = cost_of(text)
    assert cost.contractions == (Contraction(m=8, n=256, k=128, dtype="float"),)
    assert cost.macs == 262_144
    assert cost.vector_ops == 2048


def test_gemm_scales_count_unless_they_are_one() -> None:
    # A is stored [4, 3]. alpha and C: 15 each; beta scales the 5 elements of C.
    text = "g (float[4,3] a, float[4,5] b, float[5] c) => (float[?,?] y) {{ y = Gemm<transA=1{}>(a, b, c) }}"
    assert cost_of(text.format("")).vector_ops == 15
    assert cost_of(text.format(", alpha=0.5, beta=2.0")).vector_ops == 15 + 15 + 5
    assert cost_of(text.format("")).macs == 60


def test_integer_products_count_their_zero_points() -> None:
    # 3 * 4 elements of a and 4 * 5 of b are shifted.
    inputs = "uint8[3,4] a, int8[4,5] b, uint8 az, int8 bz"
    plain = cost_of(f"g ({inputs}) => (int32[?,?] y) {{ y = MatMulInteger(a, b) }}")
    shifted = cost_of(f"g ({inputs}) => (int32[?,?] y) {{ y = MatMulInteger(a, b, az, bz) }}")
    assert plain.contractions == (Contraction(m=3, n=5, k=4, dtype="uint8"),)
    assert (plain.vector_ops, shifted.vector_ops) == (0, 12 + 20)
    assert plain.bytes_written == 60


def test_qlinear_matmul_requantizes_every_result() -> None:
    # Zero points 12 + 20; per result scale, round, shift, min, max: 5 * 15.
    scales = ", ".join(f"float {side}s, uint8 {side}z" for side in "aby")
    text = f"g (uint8[3,4] a, uint8[4,5] b, {scales}) => (uint8[?,?] y) {{ y = QLinearMatMul(a, as, az, b, bs, bz, ys, yz) }}"
    cost = cost_of(text)
    assert (cost.macs, cost.vector_ops) == (60, 12 + 20 + 75)


EINSUMS = [
    # equation, operands' shapes, contractions (batch, m, n, k)
    ("ij,jk->ik", ["3,4", "4,5"], [(1, 3, 5, 4)]),
    ("ij,jk", ["3,4", "4,5"], [(1, 3, 5, 4)]),
    ("bhid,bhjd->bhij", ["2,6,3,8", "2,6,5,8"], [(12, 3, 5, 8)]),
    ("bihd,bjhd->bhij", ["2,3,6,8", "2,5,6,8"], [(12, 3, 5, 8)]),
    ("bi,ib->b", ["2,3", "3,2"], [(2, 1, 1, 3)]),
    ("i,j->ij", ["3", "4"], [(1, 3, 4, 1)]),
    ("i,i->i", ["3", "3"], [(3, 1, 1, 1)]),
    ("...ij,jk->...ik", ["2,7,3,4", "4,5"], [(1, 42, 5, 4)]),
    ("...ij,...jk", ["2,7,3,4", "2,7,4,5"], [(14, 3, 5, 4)]),
    # A size of 1 stretches: the right matrix is shared.
    ("...ij,...jk->...ik", ["2,3,4", "1,4,5"], [(1, 6, 5, 4)]),
    # A diagonal: i occurs twice in one operand.
    ("ii,ij->j", ["3,3", "3,4"], [(1, 1, 4, 3)]),
    # From the left: (3x4)(4x5) -> 3x5, then (3x5)(5x6) -> 3x6.
    ("ij,jk,kl->il", ["3,4", "4,5", "5,6"], [(1, 3, 5, 4), (1, 3, 6, 5)]),
    # i stays for the third operand although the result lacks it.
    ("ij,jk,i->k", ["3,4", "4,5", "3"], [(1, 3, 5, 4), (1, 5, 1, 3)]),
    # Written with blanks, summed to a scalar.
    (" i j , i j -> ", ["3,4", "3,4"], [(1, 1, 1, 12)]),
]


@pytest.mark.parametrize(("equation", "shapes", "expected"), EINSUMS)
def test_einsum(
    equation: str, shapes: list[str], expected: list[tuple[int, int, int, int]]
) -> None:
    names = "abc"[: len(shapes)]
    inputs = ", ".join(f"float[{shape}] {name}" for shape, name in zip(shapes, names, strict=True))
    text = (
        f'g ({inputs}) => (float[N] y) {{ y = Einsum<equation="{equation}">({", ".join(names)}) }}'
    )
    (found,) = estimate_text(text)
    assert found.cost is not None, found.reason
    shapes_found = [(one.batch, one.m, one.n, one.k) for one in found.cost.contractions]
    assert shapes_found == expected


def test_einsum_of_one_operand_contracts_nothing() -> None:
    # bij -> b: 2 * 12 elements become 2: 22 additions; a permutation and a diagonal compute nothing.
    summed = cost_of('g (float[2,3,4] a) => (float[?] y) { y = Einsum<equation="bij->b">(a) }')
    turned = cost_of('g (float[3,4] a) => (float[?,?] y) { y = Einsum<equation="ij->ji">(a) }')
    diagonal = cost_of('g (float[3,3] a) => (float[?] y) { y = Einsum<equation="ii->i">(a) }')
    assert (summed.macs, summed.vector_ops, summed.kernel_class) == (0, 22, "reduction")
    assert (turned.macs, turned.vector_ops, turned.kernel_class) == (0, 0, "transpose")
    assert (diagonal.macs, diagonal.vector_ops) == (0, 0)


def test_an_equation_that_does_not_fit_is_declined() -> None:
    from mlsys_lint import NodeView, TensorInfo
    from mlsys_lint_plugins.ops.einsum import einsum

    operand = TensorInfo(name="a", dtype="float", shape=(2, 3))
    for equation in ("ijk->i", "i->i", "ij,jk->ik"):
        node = NodeView(
            index=0,
            op_type="Einsum",
            opset=12,
            inputs=(operand,),
            outputs=(operand,),
            attributes={"equation": equation},
        )
        assert not isinstance(einsum(node), OpCost)


def test_einsum_reads_the_diagonal_of_a_repeated_label() -> None:
    # 3 of 9 floats are copied, or summed: 2 additions.
    copied = cost_of('g (float[3,3] a) => (float[?] y) { y = Einsum<equation="ii->i">(a) }')
    traced = cost_of('g (float[3,3] a) => (float y) { y = Einsum<equation="ii">(a) }')
    assert (copied.bytes_read, traced.bytes_read) == (12, 12)
    assert (copied.vector_ops, traced.vector_ops) == (0, 2)
    # The same tensor twice, once its diagonal: all of it is read. a_ij a_jj: 9 products.
    twice = cost_of('g (float[3,3] a) => (float[?,?] y) { y = Einsum<equation="jj,ij->ij">(a, a) }')
    assert (twice.macs, twice.bytes_read) == (9, 36)


def test_ellipses_of_different_lengths() -> None:
    # The longer one has an axis of 4 more: 4 rows of 2 products, as numpy.einsum has it.
    text = 'g (float[4,2] a, float[2] b) => (float[?] y) { y = Einsum<equation="...i,...i->...">(a, b) }'
    (found,) = estimate_text(text)
    output = found.node.outputs[0]
    assert output is not None
    assert (output.dtype, output.shape) == ("float", (4,))
    assert found.cost is not None
    assert (found.cost.macs, found.cost.bytes_read, found.cost.bytes_written) == (8, 40, 16)
