"""com.microsoft: weights of a few bits in blocks, in other formats and fusions than MatMulNBits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Final

from onnx.shape_inference import InferenceContext

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.conv import per_output
from mlsys_lint_plugins.ops.fused_activation import activation_counts
from mlsys_lint_plugins.ops.inference import (
    Infer,
    element_type,
    integer,
    integers,
    put,
    sizes,
)
from mlsys_lint_plugins.ops.linear import contraction_class
from mlsys_lint_plugins.ops.normalization import rms_norm_cost

_UNPACK_OPS: Final = 2
"""Per weight: zero point (or the fixed middle of the range), scale."""
_SILU: Final = (1, 1)
"""Product with the sigmoid; unlike Swish it has no factor alpha."""


def nbits_cost(
    node: NodeView,
    contractions: Sequence[Contraction],
    *,
    bits: int,
    vector_ops: int,
    transcendentals: int = 0,
) -> OpCost:
    """Products in A's type of weights that are unpacked first."""
    a = node.input(0)
    return cost(
        node,
        kernel_class=f"nbits_{contraction_class(contractions[0])}",
        contractions=contractions,
        vector_ops=vector_ops,
        transcendentals=transcendentals,
        assumptions=(f"weights of {bits} bits are unpacked to {a.dtype}",),
    )


def _projection(node: NodeView, n: int, k: int) -> Contraction:
    """A [.., K] times [K, N]."""
    a = node.input(0)
    return Contraction(m=prod(a.dims[:-1]), n=n, k=k, dtype=a.type_name)


def _weights(contractions: Sequence[Contraction]) -> int:
    return sum(one.n * one.k for one in contractions)


def infer_columns(*names: str) -> Infer:
    """Outputs [.., N], N an attribute for each; the one after them has the first input's shape."""

    def infer(context: InferenceContext) -> None:
        a = sizes(context, 0)
        if not a:
            return
        for position, name in enumerate(names):
            put(context, position, element_type(context, 0), (*a[:-1], integer(context, name)))
        put(context, len(names), element_type(context, 0), a)

    return infer


# -- MatMulBnb4, MatMulFpQ4 ------------------------------------------------------------------------


def matmul_bnb4(node: NodeView) -> OpCost | Declined:
    """A [.., K] times a K x N weight of 4 bits; with transB = 0, A [.., N] times its transpose.

    A code is looked up in a table of 16 values and takes the product with its block's absmax (1).
    """
    n, k = node.integer("N", 0), node.integer("K", 0)
    if not n or not k:
        return Declined("K and N are required")
    product = _projection(node, *((n, k) if node.integer("transB", 1) else (k, n)))
    return nbits_cost(node, (product,), bits=4, vector_ops=n * k)


def infer_bnb4(context: InferenceContext) -> None:
    """[.., N]; [.., K] with transB = 0."""
    infer_columns("N" if integer(context, "transB", 1) else "K")(context)


def named_elements(*positions: int) -> Callable[[NodeView, int], int]:
    """N * K logical weights at these positions."""

    def elements(node: NodeView, position: int) -> int:
        named = node.integer("N", 0) * node.integer("K", 0)
        return named if position in positions else node.input(position).numel

    return elements


def matmul_fp_q4(node: NodeView) -> OpCost | Declined:
    """A [.., K] times a blob whose shape [K, N] is input 2; unpacking as MatMulNBits (2 per weight)."""
    shape = _blob_shape(node)
    if shape is None:
        return Declined("the shape of the packed weight is not known")
    product = _projection(node, shape[1], shape[0])
    return nbits_cost(node, (product,), bits=4, vector_ops=_UNPACK_OPS * prod(shape))


def _blob_shape(node: NodeView) -> tuple[int, int] | None:
    value = node.input(2).value
    return (int(value[0]), int(value[1])) if value is not None and value.shape == (2,) else None


def blob_elements(node: NodeView, position: int) -> int:
    """K * N logical weights, without the scales and zero points in the blob."""
    shape = _blob_shape(node)
    return prod(shape) if position == 1 and shape else node.input(position).numel


def infer_fp_q4(context: InferenceContext) -> None:
    """[.., N], N from input 2."""
    a, shape = sizes(context, 0), integers(context, 2)
    if a:
        columns = shape[1] if shape and len(shape) == 2 else None
        put(context, 0, element_type(context, 0), (*a[:-1], columns))


# -- fusions of MatMulNBits ------------------------------------------------------------------------


def _normalization(node: NodeView) -> tuple[int, int]:
    """(operations, transcendentals) of the RMS normalization before the products, if there is one.

    The sum with a skip is one more operation per element.
    """
    if node.optional_input(2) is None:
        return 0, 0
    skip = node.optional_input(1) is not None
    found = rms_norm_cost(node, node.input(0), extra=int(skip))
    return found.vector_ops, found.transcendentals


def matmul_nbits_mlp(node: NodeView) -> OpCost | Declined:
    """activation(A gate + bias) * (A up + bias): two products of M * N * K MACs, a product per output.

    Unpacking takes 2 per weight, the normalization before them what RMSNormalization takes.
    """
    n, k, name = node.integer("N", 0), node.integer("K", 0), node.text("activation")
    counts = _SILU if name.lower() == "silu" else activation_counts(name)
    if not n or not k:
        return Declined("K and N are required")
    if counts is None:
        return Declined(f"activation {name!r} has no formula")
    products = (_projection(node, n, k),) * 2
    before, roots = _normalization(node)
    elements = node.output().numel
    return nbits_cost(
        node,
        products,
        bits=node.integer("bits", 4),
        vector_ops=before
        + _UNPACK_OPS * _weights(products)
        + per_output(node, 5, 8)
        + (counts[0] + 1) * elements,
        transcendentals=roots + counts[1] * elements,
    )


def matmul_nbits_qkv(node: NodeView) -> OpCost | Declined:
    """Q, K and V from one normalized input: M * K * (Nq + 2 Nkv) MACs; unpacking and bias as above."""
    k, columns = node.integer("K", 0), _columns(node)
    if not k or not all(columns):
        return Declined("K, Nq and Nkv are required")
    products = tuple(_projection(node, n, k) for n in columns)
    before, roots = _normalization(node)
    biases = sum(
        one.m * one.n
        for at, one in zip((5, 8, 11), products, strict=True)
        if node.optional_input(at) is not None
    )
    return nbits_cost(
        node,
        products,
        bits=node.integer("bits", 4),
        vector_ops=before + _UNPACK_OPS * _weights(products) + biases,
        transcendentals=roots,
    )


def _columns(node: NodeView) -> tuple[int, int, int]:
    return node.integer("Nq", 0), node.integer("Nkv", 0), node.integer("Nkv", 0)


def qkv_elements(node: NodeView, position: int) -> int:
    """Logical weights: K times the columns of each projection."""
    packed = dict(zip((3, 6, 9), _columns(node), strict=True))
    columns = packed.get(position)
    return node.input(position).numel if columns is None else columns * node.integer("K", 0)


def matmul_nbits_qlora(node: NodeView) -> OpCost | Declined:
    """X W + (X A) B with adapters of rank R: M N K + M R K + M N R MACs, a sum per output.

    Unpacking takes 2 per weight. Without B there is no adapter, without A its product is zero.
    """
    n, k = node.integer("N", 0), node.integer("K", 0)
    if not n or not k:
        return Declined("K and N are required")
    products = [_projection(node, n, k)]
    down, up = node.input(3).numel, node.input(5).numel
    rank = _rank(node)
    if down and up:
        products.append(_projection(node, rank, k))
    if up:
        products.append(_projection(node, n, rank))
    return nbits_cost(
        node,
        products,
        bits=node.integer("bits", 4),
        vector_ops=_UNPACK_OPS * _weights(products) + (node.output().numel if up else 0),
    )


def _rank(node: NodeView) -> int:
    """R: rows of lora_A, or of its scales, which stay when it is empty."""
    return node.input(3).dims[0] or node.input(4).dims[0]


def qlora_elements(node: NodeView, position: int) -> int:
    """Logical weights of the base and of both adapters; an empty one has none."""
    n, k = node.integer("N", 0), node.integer("K", 0)
    stored = node.input(position).numel
    logical = {1: n * k, 3: k * _rank(node), 5: n * _rank(node)}
    return logical.get(position, stored) if stored else 0


_TABLE: Final[
    tuple[
        tuple[
            str,
            Callable[[NodeView], OpCost | Declined],
            Infer,
            Callable[[NodeView, int], int],
            tuple[int, ...],
        ],
        ...,
    ]
] = (
    ("MatMulBnb4", matmul_bnb4, infer_bnb4, named_elements(1), ()),
    ("MatMulFpQ4", matmul_fp_q4, infer_fp_q4, blob_elements, (2,)),
    ("MatMulNBitsMlp", matmul_nbits_mlp, infer_columns("N"), named_elements(3, 6), ()),
    ("MatMulNBitsQkv", matmul_nbits_qkv, infer_columns("Nq", "Nkv", "Nkv"), qkv_elements, ()),
    ("MatMulNBitsQLoRA", matmul_nbits_qlora, infer_columns("N"), qlora_elements, ()),
)

OPERATORS: Final[tuple[OperatorSpec, ...]] = tuple(
    OperatorSpec(
        domain="com.microsoft",
        op_type=name,
        since_version=1,
        estimate=estimate,
        infer=infer,
        shape_inputs=shape_inputs,
        elements=elements,
    )
    for name, estimate, infer, elements, shape_inputs in _TABLE
)
