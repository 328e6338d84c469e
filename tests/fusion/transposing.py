"""Models around Transposes, and what is left of those."""

from __future__ import annotations

from typing import Final

from mlsys_lint.program import Program

LAST: Final = "Transpose<perm = [0,2,3,1]>"
"""To channels last: float[2,3,4,5] becomes float[2,4,5,3]."""
FIRST: Final = "Transpose<perm = [0,3,1,2]>"
"""Back to channels first, the inverse."""
SWAP: Final = "Transpose<perm = [1,0,2,3]>"


def graph(
    body: str, weights: str = "", outputs: str = "float y", inputs: str = "float[2,3,4,5] x"
) -> str:
    """A graph as text."""
    return f"g ({inputs}) => ({outputs}) {f'<{weights}>' if weights else ''} {{ {body} }}"


def perms(program: Program) -> list[tuple[int, ...] | None]:
    """Permutations of the Transposes that are left, in execution order."""
    return [op.integers("perm") for op in program.order() if op.op_type == "Transpose"]
