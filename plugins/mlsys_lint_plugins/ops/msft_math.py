"""com.microsoft: complex products, distances, inverses, warping, sparse products."""

from __future__ import annotations

from math import prod
from typing import Final

from onnx import TensorProto
from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, TensorInfo, cost
from mlsys_lint_plugins.ops.inference import (
    Sizes,
    broadcast,
    element_type,
    integer,
    put,
    same_as,
    sizes,
)
from mlsys_lint_plugins.ops.linear import contraction_class
from mlsys_lint_plugins.ops.msft_spec import contrib, factor


def complex_product(node: NodeView) -> OpCost:
    """(a + bi)(c + di), or by the conjugate: 4 products and 2 sums per pair of output elements."""
    return cost(node, kernel_class="elementwise", vector_ops=3 * node.output().numel)


def infer_complex_product(context: InferenceContext) -> None:
    """Operands broadcast; the last axis holds real and imaginary part."""
    left, right = sizes(context, 0), sizes(context, 1)
    if left is not None and right is not None:
        put(context, 0, element_type(context, 0), broadcast(left, right))


def is_all_finite(node: NodeView) -> OpCost:
    """A test per element of all inputs, n - 1 operations to join the answers."""
    elements = sum(tensor.numel for tensor in node.inputs if tensor is not None)
    return cost(
        node,
        kernel_class="reduction",
        vector_ops=max(0, 2 * elements - 1),
        dtype=node.input(0).dtype,
    )


def infer_flag(context: InferenceContext) -> None:
    """One boolean."""
    put(context, 0, TensorProto.BOOL, ())


def inverse(node: NodeView) -> OpCost:
    """Gauss-Jordan elimination in place: 2 n^3 - 2 n^2 + n operations for an n x n matrix.

    For each of n pivots a reciprocal, n - 1 products in its row, and in every other row 2 (n - 1)
    for the update and 1 for the pivot's column. Search for pivots is not counted.
    """
    x = node.input(0)
    n = x.dims[-1]
    matrices = prod(x.dims[:-2])
    return cost(node, kernel_class="reduction", vector_ops=matrices * (2 * n**3 - 2 * n**2 + n))


def distances(node: NodeView) -> OpCost | Declined:
    """|a|^2 + |b|^2 - 2 a . b for every pair: m * n * k MACs, as ONNX Runtime computes it.

    Norms take k products and k - 1 sums a row of either side; a pair takes the factor, two sums and
    an absolute value, the Euclidean distance a root.
    """
    a, b = node.input(0), node.input(1)
    metric = node.text("metric", "sqeuclidean")
    if metric not in ("sqeuclidean", "euclidean"):
        return Declined(f"metric {metric!r} has no formula")
    (m, k), n = a.dims, b.dims[0]
    product = Contraction(m=m, n=n, k=k, dtype=a.type_name)
    return cost(
        node,
        kernel_class=contraction_class(product),
        contractions=(product,),
        vector_ops=(m + n) * max(0, 2 * k - 1) + 4 * m * n,
        transcendentals=m * n if metric == "euclidean" else 0,
    )


def infer_distances(context: InferenceContext) -> None:
    """[rows of A, rows of B]."""
    a, b = sizes(context, 0), sizes(context, 1)
    if a and b:
        put(context, 0, element_type(context, 0), (a[0], b[0]))


def time_warping(node: NodeView) -> OpCost:
    """Each cell adds its cost to the least of three neighbours: 3 operations. Tracing is not counted."""
    return cost(
        node,
        kernel_class="reduction",
        vector_ops=3 * node.input(0).numel,
        dtype=node.input(0).dtype,
    )


def infer_time_warping(context: InferenceContext) -> None:
    """int32 [2, at most rows + columns - 1]: the path from corner to corner."""
    shape = sizes(context, 0)
    if shape is None or len(shape) < 2:
        return
    rows, columns = shape[-2:]
    if rows is not None and columns is not None:
        put(context, 0, TensorProto.INT32, (2, f"max:{max(0, rows + columns - 1)}"))


def sparse_product(node: NodeView) -> OpCost:
    """A column of B for each element that A stores: stored * N MACs; alpha, unless 1, per result.

    A moves its values and an int64 index for each. How much a graph input stores is not known: all.
    """
    a, b, y = node.input(0), node.input(1), node.output()
    stored = a.numel if a.stored_elements is None else a.stored_elements
    columns = y.dims[-1]
    product = Contraction(m=stored, n=columns, k=1, dtype=b.type_name)
    read = _sparse_bytes(a, stored)
    return cost(
        node,
        kernel_class="gather",
        contractions=(product,),
        vector_ops=y.numel if factor(node, "alpha") != 1.0 else 0,
        bytes_read=read + b.nbytes,
        weight_bytes=a.constant * read + b.constant * b.nbytes,
        assumptions=("data-dependent: no element of A is zero",)
        if a.stored_elements is None
        else (),
    )


def _sparse_bytes(a: TensorInfo, stored: int) -> int:
    return stored * 8 + (a.nbytes * stored // a.numel if a.numel else 0)


def infer_sparse_product(context: InferenceContext) -> None:
    """[M, N] of the operands, turned where the attributes say so."""
    a, b = _sparse_sizes(context), sizes(context, 1)
    if a is None or b is None or len(a) != 2 or len(b) != 2:
        return
    m = a[1] if integer(context, "transA") else a[0]
    n = b[0] if integer(context, "transB") else b[1]
    put(context, 0, element_type(context, 1), (m, n))


def _sparse_sizes(context: InferenceContext) -> Sizes | None:
    kind = context.get_input_type(0)
    if kind is None or not kind.HasField("sparse_tensor_type"):
        return sizes(context, 0)
    return tuple(
        dim.dim_value if dim.HasField("dim_value") else None
        for dim in kind.sparse_tensor_type.shape.dim
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    contrib("ComplexMul", complex_product, infer_complex_product),
    contrib("ComplexMulConj", complex_product, infer_complex_product),
    contrib("IsAllFinite", is_all_finite, infer_flag),
    contrib("Inverse", inverse, same_as(0)),
    contrib("CDist", distances, infer_distances),
    contrib("DynamicTimeWarping", time_warping, infer_time_warping),
    contrib("SparseToDenseMatMul", sparse_product, infer_sparse_product),
)
