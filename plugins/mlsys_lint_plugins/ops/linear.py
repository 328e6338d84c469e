"""MatMul, Gemm, Einsum and their integer forms."""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Final

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, TensorInfo, cost


def contraction_class(contraction: Contraction) -> str:
    """Gemv where one side is a vector, batched_matmul where many products run, else gemm."""
    if contraction.batch > 1:
        return "batched_matmul"
    return "gemv" if 1 in (contraction.m, contraction.n) else "gemm"


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that all shapes broadcast to: axes align at the end, size 1 stretches."""
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(
        next((size for size in sizes if size != 1), 1) for sizes in zip(*padded, strict=True)
    )


def matmul_contraction(left: tuple[int, ...], right: tuple[int, ...], dtype: str) -> Contraction:
    """[..., M, K] x [..., K, N] by numpy.matmul's rules.

    A 1-D operand gets an axis of 1; batches broadcast. A right side of rank 2 is shared by the whole
    batch of the left one, which therefore joins M.
    """
    left = (1, *left) if len(left) == 1 else left
    right = (*right, 1) if len(right) == 1 else right
    m, k, n = left[-2], left[-1], right[-1]
    if len(right) == 2:
        return Contraction(m=prod(left[:-1]), n=n, k=k, dtype=dtype)
    batch = prod(broadcast(left[:-2], right[:-2]))
    return Contraction(batch=batch, m=m, n=n, k=k, dtype=dtype)


def matmul(node: NodeView) -> OpCost:
    """Y[..., m, n] = sum_k A[..., m, k] B[..., k, n]: batch * m * n * k MACs."""
    a, b = node.input(0), node.input(1)
    contraction = matmul_contraction(a.dims, b.dims, a.type_name)
    return cost(node, kernel_class=contraction_class(contraction), contractions=(contraction,))


def matmul_integer(node: NodeView) -> OpCost:
    """Y = (A - a_zero)(B - b_zero) in int32: the MACs of MatMul.

    Subtracting zero points counts 1 operation per element of each side that has one.
    """
    a, b = node.input(0), node.input(1)
    contraction = matmul_contraction(a.dims, b.dims, a.type_name)
    shifted = sum(
        side.numel
        for side, zero in ((a, node.optional_input(2)), (b, node.optional_input(3)))
        if zero is not None
    )
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=shifted,
    )


def qlinear_matmul(node: NodeView) -> OpCost:
    """Y = saturate(round(A B * scale) + y_zero): per output a scale, round, shift and clamp (2)."""
    a, b = node.input(0), node.input(3)
    contraction = matmul_contraction(a.dims, b.dims, a.type_name)
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=REQUANTIZE_OPS * node.output().numel,
    )


REQUANTIZE_OPS: Final = 5
"""Per element of a quantized result: scale, round, shift, and a clamp (min and max)."""


def gemm(node: NodeView) -> OpCost:
    """Y = alpha A' B' + beta C with A' of [M, K] and B' of [K, N]: M * N * K MACs.

    Vector operations: M * N for each of alpha (unless 1), the addition of C, and beta (unless 1;
    it scales C's own elements).
    """
    contraction = gemm_contraction(node)
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=gemm_vector_ops(node, node.optional_input(2)),
    )


def gemm_contraction(node: NodeView) -> Contraction:
    """Shape of Gemm's product; transA and transB say how the operands are stored."""
    a, b = node.input(0), node.input(1)
    (m, k) = reversed(a.dims) if node.integer("transA", 0) else a.dims
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


def einsum(node: NodeView) -> OpCost | Declined:
    """A MAC for each point of the product of all labels where two operands or more meet.

    With one operand there is none: sums count n - 1 operations per result. With three or more, each
    operand after the second costs one more multiplication per point, as the equation is written;
    a runtime may contract in a better order.
    """
    operands = [node.input(position) for position in range(len(node.inputs))]
    terms, result = parse_equation(node.text("equation"), [one.rank for one in operands])
    sizes: dict[str, int] = {}
    for term, operand in zip(terms, operands, strict=True):
        if len(term) != operand.rank:
            return Declined(f"equation {node.text('equation')!r} does not fit the operands' ranks")
        for label, size in zip(term, operand.dims, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
    points, outputs = prod(sizes.values()), node.output().numel
    if len(operands) == 1:
        summed = max(0, points - outputs)
        return cost(node, kernel_class="reduction" if summed else "transpose", vector_ops=summed)
    contraction = _einsum_contraction(terms, result, sizes, operands[0].type_name)
    return cost(
        node,
        kernel_class=contraction_class(contraction),
        contractions=(contraction,),
        vector_ops=points * (len(operands) - 2),
    )


def parse_equation(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """Labels of each operand and of the result; an ellipsis becomes capital digits-free labels.

    An implicit result holds the ellipsis, then the labels that occur once, in order.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    raw = left.split(",")
    widths = [rank - len(term.replace("...", "")) for term, rank in zip(raw, ranks, strict=False)]
    width = max((w for w, term in zip(widths, raw, strict=False) if "..." in term), default=0)
    dots = "".join(chr(0x2460 + position) for position in range(width))
    terms = [
        term.replace("...", dots[width - max(w, 0) :] if w else "")
        for term, w in zip(raw, widths, strict=False)
    ]
    if arrow:
        return terms, right.replace("...", dots)
    counts = Counter("".join(terms))
    once = sorted(label for label, n in counts.items() if n == 1 and label not in dots)
    return terms, dots + "".join(once)


def _einsum_contraction(
    terms: list[str], result: str, sizes: dict[str, int], dtype: str
) -> Contraction:
    """Batch: labels of both sides that stay; m and n: of one side; k: labels summed over."""
    left, right = set(terms[0]), set("".join(terms[1:]))
    kept = set(result)

    def extent(labels: set[str]) -> int:
        return prod(sizes[label] for label in labels)

    return Contraction(
        batch=extent(kept & left & right),
        m=extent((kept & left) - right),
        n=extent((kept & right) - left),
        k=extent((left | right) - kept),
        dtype=dtype,
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    OperatorSpec(domain="", op_type="MatMul", since_version=1, estimate=matmul),
    OperatorSpec(domain="", op_type="Gemm", since_version=1, estimate=gemm),
    OperatorSpec(domain="", op_type="Einsum", since_version=12, estimate=einsum),
    OperatorSpec(domain="", op_type="MatMulInteger", since_version=10, estimate=matmul_integer),
    OperatorSpec(domain="", op_type="QLinearMatMul", since_version=10, estimate=qlinear_matmul),
)
