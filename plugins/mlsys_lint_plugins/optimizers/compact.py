"""Optimizers that keep less than two full states: factored, in 8 bits, of low rank."""

from __future__ import annotations

from math import prod
from typing import Final

from mlsys_lint import Contraction, Optimizer
from mlsys_lint.records import State, Weight, Work
from mlsys_lint_plugins.optimizers.plain import ADAM

# -- Adafactor ------------------------------------------------------------------------------


def adafactor_states(weight: Weight, rank: int) -> tuple[State, ...]:
    """A number for each row and each column of the last two axes; of a vector one for each weight."""
    del rank
    if len(weight.shape) < 2:
        return (State(elements=weight.elements),)
    rows, columns = _rows_and_columns(weight)
    return State(elements=rows), State(elements=columns)


def adafactor_update(weight: Weight, rank: int) -> Work:
    """Algorithm 4 (5 for vectors) with relative step sizes, for n rows and m columns.

    Each weight: the rate's RMS (2), g g + e (2), sums of rows and columns (2), R C / sum R (2), g over
    its root (1), the update's RMS (2), its clipping (1), w - a u (2): 14 and a root. R and C take 3
    each, the sum of R one. A vector's average takes 3 where rows, columns and R C take 4: 13.
    """
    del rank
    if len(weight.shape) < 2:
        return Work(vector_ops=13 * weight.elements, transcendentals=weight.elements)
    rows, columns = _rows_and_columns(weight)
    return Work(
        vector_ops=14 * weight.elements + 4 * rows + 3 * columns, transcendentals=weight.elements
    )


def _rows_and_columns(weight: Weight) -> tuple[int, int]:
    """Over all matrices that the axes before the last two make."""
    return prod(weight.shape[:-1]), prod(weight.shape[:-2]) * weight.shape[-1]


# -- Adam in 8 bits -------------------------------------------------------------------------

_BLOCK: Final = 2048
_LEAST: Final = 4096


def adam_8bit_states(weight: Weight, rank: int) -> tuple[State, ...]:
    """Two states of a byte and a 32-bit scale for each block; small tensors keep 32 bits."""
    del rank
    if weight.elements < _LEAST:
        return (State(elements=weight.elements, dtype="float"),) * 2
    blocks = -(-weight.elements // _BLOCK)
    state = (State(elements=weight.elements, dtype="int8"), State(elements=blocks, dtype="float"))
    return state * 2


def adam_8bit_update(weight: Weight, rank: int) -> Work:
    """Adam; for each state a product to unpack it, and abs, max, division and rounding to pack it."""
    adam = ADAM.update(weight, rank)
    packing = 10 * weight.elements if weight.elements >= _LEAST else 0
    return Work(vector_ops=adam.vector_ops + packing, transcendentals=adam.transcendentals)


# -- GaLore ---------------------------------------------------------------------------------


def _projected(weight: Weight, rank: int) -> bool:
    return weight.is_matrix and min(weight.shape) > rank


def galore_states(weight: Weight, rank: int) -> tuple[State, ...]:
    """Of an m x n matrix, m <= n: the projection [m, r] and two states [r, n]; else Adam's."""
    if not _projected(weight, rank):
        return ADAM.states(weight, rank)
    short, long = sorted(weight.shape)
    return (State(elements=short * rank), *(State(elements=rank * long),) * 2)


def galore_update(weight: Weight, rank: int) -> Work:
    """R = P' G and P N are a contraction each; w - r a P N takes 3 operations for each weight.

    N is Adam's direction, 11 operations and a root for each of r n numbers.
    """
    if not _projected(weight, rank):
        return ADAM.update(weight, rank)
    short, long = sorted(weight.shape)
    projected = rank * long
    return Work(
        contractions=(
            Contraction(m=rank, n=long, k=short, dtype=weight.dtype),
            Contraction(m=short, n=long, k=rank, dtype=weight.dtype),
        ),
        vector_ops=11 * projected + 3 * weight.elements,
        transcendentals=projected,
    )


OPTIMIZERS: Final = (
    Optimizer(
        name="adafactor",
        states=adafactor_states,
        update=adafactor_update,
        source="arXiv:1804.04235, algorithms 4 and 5, without momentum; factored over the last two axes",
    ),
    Optimizer(
        name="adam-8bit",
        states=adam_8bit_states,
        update=adam_8bit_update,
        source="arXiv:2110.02861: blocks of 2,048; 32 bits below 4,096 weights, as bitsandbytes has it",
    ),
    Optimizer(
        name="galore",
        states=galore_states,
        update=galore_update,
        rank=128,
        source="arXiv:2403.03507, algorithm 2 and table 1: matrices of contractions, Adam for the rest",
        note="the decomposition that renews the projections every few hundred steps is not counted",
    ),
    Optimizer(
        name="lora",
        states=ADAM.states,
        update=ADAM.update,
        rank=8,
        adapters=True,
        source="arXiv:2106.09685: every matrix of a product, everything else frozen; Adam",
    ),
)
