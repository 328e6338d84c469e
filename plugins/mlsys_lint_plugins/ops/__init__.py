"""Operators that mlsys-lint knows, one family a module; each module lists its OPERATORS."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from mlsys_lint import OperatorSpec, hookimpl

FAMILIES: Final = (
    "activation",
    "attention",
    "conv",
    "elementwise",
    "indexing",
    "linear",
    "ml",
    "ml_trees",
    "movement",
    "msft",
    "msft_attention",
    "msft_group_query",
    "msft_multi_head",
    "msft_normalization",
    "msft_quantized",
    "normalization",
    "pooling",
    "quantization",
    "recurrent",
    "reduction",
    "sequence",
    "spectral",
)


@hookimpl
def register_operators() -> list[OperatorSpec]:
    """The specs of every family."""
    return [spec for family in FAMILIES for spec in import_module(f"{__name__}.{family}").OPERATORS]
