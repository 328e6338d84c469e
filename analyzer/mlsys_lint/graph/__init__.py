"""ModelProto -> NodeViews: types, small values, subgraphs, functions, repeat counts.

One topological pass. Subgraphs and function bodies are walked where they are owned, so that every
node of every body appears once, with its scope and repeat count.
"""

from __future__ import annotations

from mlsys_lint.graph.structure import Frame, Graph
from mlsys_lint.graph.walker import build

__all__ = ["Frame", "Graph", "build"]
