"""Optimizers that mlsys-lint knows: what each keeps for a weight, and what an update computes."""

from __future__ import annotations

from mlsys_lint import Optimizer, hookimpl


@hookimpl
def register_optimizers() -> list[Optimizer]:
    """Those that treat each weight by itself, and those that save memory."""
    from mlsys_lint_plugins.optimizers import compact, plain

    return [*plain.OPTIMIZERS, *compact.OPTIMIZERS]
