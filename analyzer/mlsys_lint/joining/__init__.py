"""What a runtime executes, kernel by kernel, in terms of the nodes of the file.

ONNX Runtime keeps no record of which nodes a kernel stands for. It does save the graph that each
level of its optimizers makes, and most tensors keep their names from one level to the next: the
nodes between the tensors of a kernel are its members.
"""

from __future__ import annotations

from mlsys_lint.joining.joined import ExecutedKernel, Joined, join, join_saved

__all__ = ["ExecutedKernel", "Joined", "join", "join_saved"]
