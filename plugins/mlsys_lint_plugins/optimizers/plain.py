"""Optimizers that treat each weight by itself, from their published update rules.

Operations are counted as the rule is written, one for each sum, difference, product and quotient of
a weight's own numbers; corrections of rates (1 - b^t) are one number a step.
"""

from __future__ import annotations

from typing import Final

from mlsys_lint import Optimizer
from mlsys_lint.records import State, Weight, Work


def elementwise(
    name: str, source: str, *, states: int, operations: int, roots: int = 0
) -> Optimizer:
    """So many states, operations and roots for each weight."""

    def kept(weight: Weight, rank: int) -> tuple[State, ...]:
        del rank
        return (State(elements=weight.elements),) * states

    def update(weight: Weight, rank: int) -> Work:
        del rank
        return Work(
            vector_ops=operations * weight.elements, transcendentals=roots * weight.elements
        )

    return Optimizer(name=name, states=kept, update=update, source=source)


# w - r g (2)
SGD: Final = elementwise("sgd", "Robbins and Monro 1951", states=0, operations=2)

# v = a v + g (2); w - r v (2)
MOMENTUM: Final = elementwise(
    "momentum", "Polyak 1964, as torch.optim.SGD writes it", states=1, operations=4
)

# v = a v + g (2); w - r (g + a v) (4)
NESTEROV: Final = elementwise(
    "nesterov",
    "Sutskever et al. 2013, as torch.optim.SGD writes it",
    states=1,
    operations=6,
)

# h = h + g g (2); w - r g / (sqrt h + e) (4)
ADAGRAD: Final = elementwise("adagrad", "Duchi et al. 2011", states=1, operations=6, roots=1)

# v = a v + (1 - a) g g (4); w - r g / (sqrt v + e) (4)
RMSPROP: Final = elementwise(
    "rmsprop", "Tieleman and Hinton 2012, lecture 6e", states=1, operations=8, roots=1
)

# m = b m + (1 - b) g (3); v = c v + (1 - c) g g (4); m and v over 1 - b^t and 1 - c^t (2);
# w - r m / (sqrt v + e) (4)
ADAM: Final = elementwise("adam", "arXiv:1412.6980, algorithm 1", states=2, operations=13, roots=1)

# m, v and their corrections as Adam (9); w - s (r m / (sqrt v + e) + d w) (7)
ADAMW: Final = elementwise(
    "adamw", "arXiv:1711.05101, algorithm 2", states=2, operations=16, roots=1
)

# c = b m + (1 - b) g (3); w - r (sign c + d w) (5); m = b' m + (1 - b') g (3)
LION: Final = elementwise("lion", "arXiv:2302.06675, algorithm 2", states=1, operations=11)

OPTIMIZERS: Final = (SGD, MOMENTUM, NESTEROV, ADAGRAD, RMSPROP, ADAM, ADAMW, LION)
