"""The graph that a runtime optimizes, and the rules that rewrite it. Public for runtime plugins."""

from __future__ import annotations

from mlsys_lint.program.graph import Program
from mlsys_lint.program.ops import Op
from mlsys_lint.program.order import execution_order, listed_order
from mlsys_lint.program.removing import absorb, bypass
from mlsys_lint.program.rules import Level, Pass, Rewrite, Rule, Step, Sweep, optimize, rule
from mlsys_lint.program.values import Dim, Value

__all__ = [
    "Dim",
    "Level",
    "Op",
    "Pass",
    "Program",
    "Rewrite",
    "Rule",
    "Step",
    "Sweep",
    "Value",
    "absorb",
    "bypass",
    "execution_order",
    "listed_order",
    "optimize",
    "rule",
]
