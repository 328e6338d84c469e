"""Losses of a model whose file ends at its predictions: mean squared error, softmax cross-entropy.

n is the number of predictions (elements of the first floating-point output), r that of the rows
along its last axis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mlsys_lint.errors import OptionError
from mlsys_lint.records import TensorInfo, Work
from mlsys_lint.training.options import NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Tally of a loss and of its gradient; `kept` are elements of the predictions' type."""

    forward: Work
    backward: Work
    kept: int


def mean_squared_error(predictions: TensorInfo) -> Loss:
    """Mean of (p - t)^2: difference, square, mean (3 n); 2 / n (p - t) dL takes a product each.

    The difference is kept.
    """
    n = predictions.numel
    return Loss(forward=Work(vector_ops=3 * n), backward=Work(vector_ops=n), kept=n)


def softmax_cross_entropy(predictions: TensorInfo) -> Loss:
    """Mean over rows of -log softmax(z) at the label.

    log softmax is (z - max z) - log sum exp(z - max z): 4 n - 2 r operations, n exp, r log (as
    LogSoftmax counts); the label's entry changes its sign (r), the mean takes r. The gradient
    (softmax(z) - one-hot) / r is an exp and a product each, and a difference at the label. The log
    probabilities are kept.
    """
    n = predictions.numel
    r = n // max(1, predictions.dims[-1] if predictions.dims else 1)
    return Loss(
        forward=Work(vector_ops=4 * n - 2 * r + 2 * r, transcendentals=n + r),
        backward=Work(vector_ops=n + r, transcendentals=n),
        kept=n,
    )


LOSSES: Final[Mapping[str, Callable[[TensorInfo], Loss]]] = {
    "mse": mean_squared_error,
    "cross-entropy": softmax_cross_entropy,
}


def loss_of(name: str, predictions: TensorInfo | None) -> Loss | None:
    """The loss with a name; None for `none`.

    Raises:
        OptionError: there is no such loss, or nothing to apply it to.
    """
    if name == NONE:
        return None
    if name not in LOSSES:
        raise OptionError(f"--loss {name}: unknown; known losses: {', '.join(sorted(LOSSES))}")
    if predictions is None:
        raise OptionError(f"--loss {name}: the model has no floating-point output")
    return LOSSES[name](predictions)
