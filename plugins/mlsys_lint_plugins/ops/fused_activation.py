"""Activations that another operator applies, named by an attribute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlsys_lint_plugins.ops.activation import ACTIVATIONS

_COUNTS: Final[Mapping[str, tuple[int, int]]] = {
    **{name.lower(): counts for name, counts in ACTIVATIONS.items()},
    "affine": (2, 0),  # alpha, beta
    "scaledtanh": (2, 1),  # beta, tanh, alpha
}


def activation_counts(name: str) -> tuple[int, int] | None:
    """(vector operations, transcendentals) per element; none at all for an empty name.

    Names are those of onnx's operators, and of RNN's list, in any case. None: it has no formula.
    """
    return _COUNTS.get(name.lower()) if name else (0, 0)
