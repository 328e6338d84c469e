"""com.microsoft: weights in the block formats of GGUF files."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Final, NamedTuple

from mlsys_lint import Contraction, Declined, NodeView, OpCost, OperatorSpec, cost
from mlsys_lint_plugins.ops.linear import contraction_class
from mlsys_lint_plugins.ops.msft_qnbits import infer_columns, named_elements


class Format(NamedTuple):
    """How a format stores weights.

    Attributes:
        group: Weights that share a scale.
        per_group: Operations that make a group's scale (and minimum).
        per_weight: Operations that make a weight of its code.
    """

    group: int
    per_group: int
    per_weight: int


_PLAIN: Final = Format(1, 0, 0)
FORMATS: Final[Mapping[int, Format]] = {
    # GGML's numbers; scale d, code q
    **dict.fromkeys((0, 1, 30), _PLAIN),  # F32, F16, BF16
    **dict.fromkeys((2, 6), Format(32, 0, 2)),  # Q4_0, Q5_0: (q - middle) d
    **dict.fromkeys((3, 7), Format(32, 0, 2)),  # Q4_1, Q5_1: q d + minimum
    8: Format(32, 0, 1),  # Q8_0: q d
    10: Format(16, 2, 2),  # Q2_K: scale and minimum of a group; q scale - minimum
    11: Format(16, 2, 2),  # Q3_K: d (s - 32); (q - 4) scale
    **dict.fromkeys((12, 13), Format(32, 2, 2)),  # Q4_K, Q5_K: as Q2_K
    14: Format(16, 1, 2),  # Q6_K: d s; (q - 32) scale
    **dict.fromkeys((16, 18), Format(32, 3, 2)),  # IQ2_XXS, IQ3_XXS: d (s + 0.5) c; table, sign
    **dict.fromkeys((17, 22), Format(16, 3, 2)),  # IQ2_XS, IQ2_S: likewise
    20: Format(32, 0, 1),  # IQ4_NL: table value times d
    23: Format(32, 2, 1),  # IQ4_XS: d (s - 32); table value times scale
    40: Format(16, 0, 1),  # NVFP4: value times the block's scale
}
_ACTIVATIONS: Final = {
    "none": (0, 0),
    "relu2": (2, 0),  # max, square
    "relu_squared": (2, 0),
    "silu": (1, 1),  # product with the sigmoid
}


def unpack_ops(packed_type: int, weights: int) -> int | None:
    """Operations that unpack weights of a format; None for an unknown one."""
    form = FORMATS.get(packed_type)
    if form is None:
        return None
    return form.per_weight * weights + form.per_group * (weights // form.group)


def matmul_packed(node: NodeView) -> OpCost | Declined:
    """A [.., K] times B [N, row bytes] transposed: M * N * K MACs in A's type.

    Unpacking by the table FORMATS; a global scale and the activation count per output.
    """
    a, n, k = node.input(0), node.integer("N", 0), node.integer("K", 0)
    packed_type = node.integer("packed_type", -1)
    unpacking = unpack_ops(packed_type, n * k)
    counts = _ACTIVATIONS.get(node.text("activation_type", "none"))
    if not n or not k:
        return Declined("K and N are required")
    if unpacking is None:
        return Declined(f"packed format {packed_type} has no formula")
    if counts is None:
        return Declined(f"activation {node.text('activation_type')!r} has no formula")
    contraction = Contraction(m=prod(a.dims[:-1]), n=n, k=k, dtype=a.type_name)
    elements = node.output().numel
    scaled = node.optional_input(2) is not None
    return cost(
        node,
        kernel_class=f"nbits_{contraction_class(contraction)}",
        contractions=(contraction,),
        vector_ops=unpacking + (scaled + counts[0]) * elements,
        transcendentals=counts[1] * elements,
        assumptions=(f"packed weights are unpacked to {a.dtype}",),
    )


OPERATORS: Final[tuple[OperatorSpec, ...]] = (
    OperatorSpec(
        domain="com.microsoft",
        op_type="MatMulPacked",
        since_version=1,
        estimate=matmul_packed,
        infer=infer_columns("N"),
        elements=named_elements(1),
    ),
)
