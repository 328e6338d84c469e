"""Backward passes: rules by kernel class, and those that an operator may name instead.

What is kept follows from the derivative alone: a product keeps the other operand of the one whose
gradient is wanted, ReLU, exp, tanh and softmax keep their output, sums and views keep nothing. A
stored weight is no activation, and nothing is kept for a gradient that nobody wants.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mlsys_lint.records import (
    Backward,
    Contraction,
    Kept,
    NodeCost,
    NodeView,
    OpCost,
    Saves,
    TensorInfo,
    Wanted,
    Work,
)

_FACTORS: Final = (0, 1)
"""Positions of a contraction's operands; what follows them is a bias."""


def gradient_of(one: NodeCost, wanted: Wanted) -> Work | None:
    """Work of a node's backward pass; None where its cost is not known.

    Raises:
        UnknownSizeError: a size is missing.
    """
    if one.cost is None:
        return None
    named = one.spec.backward if one.spec is not None else None
    return (named or _by_class(one.cost).backward)(one.node, one.cost, wanted)


def is_bound(one: NodeCost) -> bool:
    """True where `gradient_of` is an upper bound: see both_sides."""
    if one.cost is None:
        return False
    named = one.spec.backward if one.spec is not None else None
    return (named or _by_class(one.cost).backward) is both_sides


def kept_of(one: NodeCost, wanted: Wanted) -> Kept | None:
    """What a node's backward pass reads besides gradients; None where its cost is not known."""
    if one.cost is None:
        return None
    named = one.spec.saves if one.spec is not None else None
    return (named or _by_class(one.cost).saves)(one.node, one.cost, wanted)


# -- what is computed -----------------------------------------------------------------------


def gradient_products(one: Contraction, *, left: bool, right: bool) -> tuple[Contraction, ...]:
    """Of Y = A B: dA = dY B' of [m, n] by [n, k], dB = A' dY of [k, m] by [m, n]; MACs as Y."""
    found = []
    if left:
        found.append(Contraction(batch=one.batch, m=one.m, n=one.k, k=one.n, dtype=one.dtype))
    if right:
        found.append(Contraction(batch=one.batch, m=one.k, n=one.n, k=one.m, dtype=one.dtype))
    return tuple(found)


def products(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """A contraction for each operand that needs a gradient; a bias sums its gradient's rows.

    Of several contractions in a row (an Einsum of three operands) each takes the result of the one
    before as its left operand.
    """
    found: list[Contraction] = []
    for at, one in enumerate(cost.contractions):
        left = any(position <= at for position in wanted)
        found.extend(gradient_products(one, left=left, right=at + 1 in wanted))
    biases = [position for position in wanted if position > len(cost.contractions)]
    return Work(contractions=tuple(found), vector_ops=broadcast_sums(node, biases))


def fused_products(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """As `products`, and an activation's derivative: as many operations as the forward pass."""
    return Work(
        contractions=products(node, cost, wanted).contractions,
        vector_ops=cost.vector_ops,
        transcendentals=cost.transcendentals,
    )


def broadcast_sums(node: NodeView, positions: Iterable[int]) -> int:
    """Sums over the axes along which an input was stretched: output less input elements."""
    result = node.output().numel
    return sum(max(0, result - node.input(position).numel) for position in positions)


def elementwise(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """As many operations as the forward pass for each operand; stretched operands sum over rows."""
    return Work(
        vector_ops=cost.vector_ops * len(wanted) + broadcast_sums(node, wanted),
        transcendentals=cost.transcendentals,
    )


def chained(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """A function's derivative, as dear as the function, times the gradient of the result."""
    del wanted
    return Work(
        vector_ops=cost.vector_ops + node.output().numel, transcendentals=cost.transcendentals
    )


def free(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """Gradients move, nothing is computed."""
    del node, cost, wanted
    return Work()


def once(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """As much vector work as the forward pass."""
    del node, wanted
    return Work(vector_ops=cost.vector_ops, transcendentals=cost.transcendentals)


def twice(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """Two operations for each of the forward pass: a normalization reduces twice on its way back."""
    del node, wanted
    return Work(vector_ops=2 * cost.vector_ops)


def without_functions(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """The gradient y (dy - sum y dy): as many operations as softmax; the exponentials are kept."""
    del node, wanted
    return Work(vector_ops=cost.vector_ops)


def both_sides(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """Two contractions for each of an operator that holds several: an upper bound."""
    del node, wanted
    pairs = [gradient_products(one, left=True, right=True) for one in cost.contractions]
    return Work(
        contractions=tuple(one for pair in pairs for one in pair),
        vector_ops=cost.vector_ops,
        transcendentals=cost.transcendentals,
    )


def attention(node: NodeView, cost: OpCost, wanted: Wanted) -> Work:
    """The last two contractions are S = Q K' and P V; before them stand projections of the input.

    dP = dY V' where Q or K is wanted, dV = P' dY; dQ = dS K, dK = dS' Q. Where K and V come with Q,
    or are projected by the operator itself, they are wanted when it is.
    """
    *before, scores, values = cost.contractions
    found: list[Contraction] = []
    for one in before:
        found.extend(gradient_products(one, left=0 in wanted, right=1 in wanted))
    query, key, value = _attended(node, wanted, projects=bool(before))
    found.extend(gradient_products(scores, left=query, right=key))
    found.extend(gradient_products(values, left=query or key, right=value))
    return Work(contractions=tuple(found), vector_ops=cost.vector_ops)


def _attended(node: NodeView, wanted: Wanted, *, projects: bool) -> tuple[bool, bool, bool]:
    """Whether Q, K and V need a gradient."""
    if projects:
        return (bool(wanted & {0, 1}),) * 3
    query = 0 in wanted
    packed = [node.optional_input(position) is None for position in (1, 2)]
    return query, 1 in wanted or (packed[0] and query), 2 in wanted or (packed[1] and query)


# -- what is kept ---------------------------------------------------------------------------


def keep_nothing(node: NodeView, cost: OpCost, wanted: Wanted) -> Kept:
    """Sums, views, copies: the gradient of the result says all."""
    del node, cost, wanted
    return Kept()


def keep_input(node: NodeView, cost: OpCost, wanted: Wanted) -> Kept:
    """The first input."""
    del cost, wanted
    return Kept(tensors=(node.input(0),))


def keep_output(node: NodeView, cost: OpCost, wanted: Wanted) -> Kept:
    """The first output, which tells the derivative."""
    del cost, wanted
    return Kept(tensors=(node.output(),))


def keep_factors(node: NodeView, cost: OpCost, wanted: Wanted) -> Kept:
    """Of a contraction the operands besides one that is wanted."""
    return Kept(tensors=_partners(node, wanted, range(len(cost.contractions) + 1)))


def keep_partners(node: NodeView, cost: OpCost, wanted: Wanted) -> Kept:
    """The operands besides one that is wanted; the only operand of a function."""
    del cost
    if len(node.inputs) == 1:
        return Kept(tensors=(node.input(0),))
    return Kept(tensors=_partners(node, wanted, range(len(node.inputs))))


def _partners(node: NodeView, wanted: Wanted, factors: Iterable[int]) -> tuple[TensorInfo, ...]:
    positions = list(factors)
    found = (
        node.optional_input(position)
        for position in positions
        if any(other in wanted for other in positions if other != position)
    )
    return tuple(tensor for tensor in found if tensor is not None)


def keep_normalized(node: NodeView, cost: OpCost, wanted: Wanted) -> Kept:
    """The input, and mean and deviation of each row; the forward pass takes a root for each."""
    del wanted
    return Kept(tensors=(node.input(0),), statistics=2 * cost.transcendentals)


def keep_attended(node: NodeView, cost: OpCost, wanted: Wanted) -> Kept:
    """Q, K, V and the probabilities; kernels that recompute these keep a number for each row."""
    *before, scores, _ = cost.contractions
    probabilities = TensorInfo(
        name="probabilities", dtype=scores.dtype, shape=(scores.batch, scores.m, scores.n)
    )
    operands = [node.optional_input(position) for position in range(3)]
    if before:
        projected = [
            TensorInfo(name="projection", dtype=one.dtype, shape=(one.batch, one.m, one.n))
            for one in before
        ]
        operands = [*keep_factors(node, cost, wanted).tensors[:2], *projected]
    return Kept(tensors=(*(one for one in operands if one is not None), probabilities))


# -- by kernel class ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rule:
    backward: Backward
    saves: Saves


_PRODUCTS: Final = _Rule(products, keep_factors)
_FREE: Final = _Rule(free, keep_nothing)
_MOVES: Final = _Rule(once, keep_nothing)
_OTHER: Final = _Rule(once, keep_input)
_SEVERAL: Final = _Rule(both_sides, keep_input)
_CLASSES: Final[Mapping[str, _Rule]] = {
    "gemm": _PRODUCTS,
    "gemv": _PRODUCTS,
    "batched_matmul": _PRODUCTS,
    "conv": _PRODUCTS,
    "nbits": _PRODUCTS,
    "attention": _Rule(attention, keep_attended),
    "recurrent": _SEVERAL,
    "elementwise": _Rule(elementwise, keep_partners),
    "unary": _Rule(chained, keep_input),
    "norm": _Rule(twice, keep_normalized),
    "softmax": _Rule(without_functions, keep_output),
    "view": _FREE,
    "copy": _FREE,
    "transpose": _FREE,
    "concat": _FREE,
    "split": _FREE,
    "fill": _FREE,
    "slice": _FREE,
    "pad": _FREE,
    "fft": _MOVES,
    "cast": _MOVES,
    "gather": _MOVES,
    "scatter": _MOVES,
    "resize": _MOVES,
}


def _by_class(cost: OpCost) -> _Rule:
    """By the class, or its first part: conv for conv_depthwise, unary for unary:tanh."""
    name = cost.kernel_class
    found = _CLASSES.get(name) or _CLASSES.get(name.partition(":")[0].partition("_")[0])
    if found is not None:
        return found
    return _SEVERAL if cost.contractions else _OTHER
