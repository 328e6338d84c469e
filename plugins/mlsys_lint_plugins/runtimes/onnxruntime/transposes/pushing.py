"""One attempt to move a Transpose from an operator's inputs to its outputs."""

from __future__ import annotations

from dataclasses import dataclass

from mlsys_lint.program import Op, Program
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.edits import (
    NO_MEMBERS,
    transpose_input,
    transpose_outputs,
)
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.permutations import Permutation, inverse
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.writing import set_attribute


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """What is known before the move.

    Attributes:
        program: The graph.
        transpose: The Transpose before an input.
        op: The operator that reads it.
        perm: The Transpose's permutation.
        inputs: Positions of the inputs that must be transposed together.
        cpu: The operators have their kernels already, those of the CPU.
    """

    program: Program
    transpose: Op
    op: Op
    perm: Permutation
    inputs: tuple[int, ...]
    cpu: bool

    @property
    def inverse(self) -> Permutation:
        """The permutation that undoes the Transpose."""
        return inverse(self.perm)

    @property
    def rank(self) -> int:
        """Number of axes that the Transpose moves."""
        return len(self.perm)

    def lift(self) -> frozenset[int]:
        """Undo the Transpose on all its inputs; the members that are free then."""
        freed = [
            transpose_input(self.program, self.op, position, self.inverse)
            for position in self.inputs
        ]
        return NO_MEMBERS.union(*freed)

    def through(self, after: Permutation | None = None) -> bool:
        """Undo the Transpose on the inputs and do it on the outputs instead.

        Args:
            after: The permutation of the outputs; None: that of the inputs.
        """
        perm = self.perm if after is None else after
        transpose_outputs(self.program, self.op, perm, self.lift())
        return True

    def set(self, name: str, value: int | tuple[int, ...]) -> None:
        """Change an attribute of the operator."""
        set_attribute(self.program, self.op, name, value)
