"""MatMul, Gemm, Einsum and their integer forms."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Final

from mlsys_lint import Contraction, NodeView, OpCost, OperatorSpec, TensorInfo, cost
from mlsys_lint_plugins.ops.einsum import contraction_class, einsum, infer_einsum
from mlsys_lint_plugins.ops.first_versions import first_version
from mlsys_lint_plugins.ops.ranks import Fault, Formula, ranked

__all__ = [
    "OPERATORS",
    "REQUANTIZE_OPS",
    "broadcast",
    "contraction_class",
    "gemm_contraction",
    "gemm_vector_ops",
    "matmul_contraction",
    "shift_ops",
]

REQUANTIZE_OPS: Final = 5
"""Per element of a quantized result: scale, round, shift, and a clamp (min and max)."""


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that all shapes broadcast to: axes align at the end, size 1 stretches."""
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(
        next((size for size in sizes if size != 1), 1) for sizes in zip(*padded, strict=True)
    )


def matmul_contraction(
    left: tuple[int, ...], right: tuple[int, ...], dtype: str, *, foldable: bool = True
) -> Contraction:
    """[..., M, K] x [..., K, N] by numpy.matmul's rules.

    A 1-D operand gets an axis of 1; batches broadcast. A right side of one matrix is shared by the
    whole batch of the left one, which therefore joins M, unless its rows do not lie one after the
    other (`foldable` is false for a left side that is stored transposed).
    """
    left = (1, *left) if len(left) == 1 else left
    right = (*right, 1) if len(right) == 1 else right
    batch = prod(broadcast(left[:-2], right[:-2]))
    m, k, n = left[-2], left[-1], right[-1]
    if foldable and prod(right[:-2]) == 1:
        return Contraction(m=batch * m, n=n, k=k, dtype=dtype)
    return Contraction(batch=batch, m=m, n=n, k=k, dtype=dtype)


def shift_ops(node: NodeView, *sides: tuple[int, int]) -> int:
    """One subtraction per element of each side that has a zero point: (data, zero point) positions."""
    return sum(
        node.input(data).numel for data, zero in sides if node.optional_input(zero) is not None
    )


def matmul(node: NodeView) -> OpCost:
    """Y[..., m, n] = sum_k A[..., m, k] B[..., k, n]: batch * m * n * k MACs."""
    return _product(node, 0, 1)


def _product(node: NodeView, left: int, right: int, vector_ops: int = 0) -> OpCost:
    a, b = node.input(left), node.input(right)
    contraction = matmul_contraction(a.dims, b.dims, a.type_name)
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=vector_ops,
    )


def matmul_integer(node: NodeView) -> OpCost:
    """Y = (A - a_zero_point)(B - b_zero_point) in int32: the MACs of MatMul.

    Subtracting zero points counts 1 operation per element of each side that has one.
    """
    return _product(node, 0, 1, vector_ops=shift_ops(node, (0, 2), (1, 3)))


def qlinear_matmul(node: NodeView) -> OpCost:
    """Y = saturate(round((A - a_zero)(B - b_zero) * scale) + y_zero): the MACs of MatMul.

    The zero points of A and B count 1 per element, every result a scale, round, shift and clamp (2).
    The product of the three scales is not counted.
    """
    shifts = shift_ops(node, (0, 2), (3, 5))
    return _product(node, 0, 3, vector_ops=shifts + REQUANTIZE_OPS * node.output().numel)


def gemm(node: NodeView) -> OpCost:
    """Y = alpha A' B' + beta C with A' of [M, K] and B' of [K, N]: M * N * K MACs.

    Vector operations: M * N for each of alpha (unless 1) and the addition of C; beta (unless 1)
    scales C's own elements.
    """
    contraction = gemm_contraction(node, node.input(0), node.input(1))
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=gemm_vector_ops(node, node.optional_input(2)),
    )


def gemm_contraction(node: NodeView, a: TensorInfo, b: TensorInfo) -> Contraction:
    """Shape of Gemm's product; transA and transB say how the operands are stored."""
    k, m = a.dims if node.integer("transA", 0) else a.dims[::-1]
    n = b.dims[0] if node.integer("transB", 0) else b.dims[1]
    return Contraction(m=m, n=n, k=k, dtype=a.type_name)


def gemm_vector_ops(node: NodeView, c: TensorInfo | None) -> int:
    """alpha, beta and the addition of C."""
    elements = node.output().numel
    count = elements if node.attributes.get("alpha", 1.0) != 1.0 else 0
    if c is not None:
        count += elements
        count += c.numel if node.attributes.get("beta", 1.0) != 1.0 else 0
    return count


def _depths(left: int, right: int) -> Fault:
    """The last axis of one operand is summed with the last but one of the other, its only one, too."""

    def fault(node: NodeView) -> str | None:
        depth, other = node.input(left).dims[-1], node.input(right).dims[-2:][0]
        return None if depth == other else f"depths {depth} and {other} of a product differ"

    return fault


def _gemm_depths(node: NodeView) -> str | None:
    a, b = node.input(0).dims, node.input(1).dims
    depth, other = a[not node.integer("transA", 0)], b[bool(node.integer("transB", 0))]
    return None if depth == other else f"depths {depth} and {other} of a product differ"


def _spec(name: str, since_version: int, estimate: Formula) -> OperatorSpec:
    return OperatorSpec(domain="", op_type=name, since_version=since_version, estimate=estimate)


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    _spec("MatMul", 1, ranked(matmul, least={0: 1, 1: 1}, fault=_depths(0, 1))),
    *first_version(_spec("Gemm", 1, ranked(gemm, exactly={0: 2, 1: 2}, fault=_gemm_depths)), 6),
    replace(_spec("Einsum", 12, einsum), infer=infer_einsum),
    _spec("MatMulInteger", 10, ranked(matmul_integer, least={0: 1, 1: 1}, fault=_depths(0, 1))),
    _spec("QLinearMatMul", 10, ranked(qlinear_matmul, least={0: 1, 3: 1}, fault=_depths(0, 3))),
)
