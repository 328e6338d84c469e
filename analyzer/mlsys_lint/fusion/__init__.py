"""Nodes -> kernels: the model as a program, and an optimized program as kernels."""

from __future__ import annotations

from mlsys_lint.fusion.building import program_of
from mlsys_lint.fusion.kernels import certain_nodes, kernels_of

__all__ = ["certain_nodes", "kernels_of", "program_of"]
