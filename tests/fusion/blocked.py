"""Models in the blocked layout: as ONNX Runtime runs them here, and by hand for a given block."""

from __future__ import annotations

import pytest

from fusion.emulation import assert_same, optimized, vector_block
from mlsys_lint.program import Op, Program

_SHORT = {"ReorderInput": "in", "ReorderOutput": "out"}


def blocks(text: str, *, opset: int = 17, ordered: bool = True) -> list[str]:
    """What becomes of a model where a block holds 16 channels, as `listed` writes it."""
    needs_16()
    assert_same(text, opset=opset, ordered=ordered)
    return listed(optimized(text, opset=opset, block=16))


def needs_16() -> None:
    """Skip a comparison where ONNX Runtime's blocks hold another number of channels, or none."""
    if vector_block() != 16:
        pytest.skip("ONNX Runtime has blocks of 16 channels with AVX-512 only")


def listed(program: Program) -> list[str]:
    """Operators in execution order: `Conv* 0 1` is blocked and stands for nodes 0 and 1.

    `in` and `out` are ReorderInput and ReorderOutput.
    """
    return [" ".join([_name(op), *map(str, sorted(op.members))]) for op in program.order()]


def _name(op: Op) -> str:
    star = "*" if op.domain == "com.microsoft.nchwc" else ""
    return _SHORT.get(op.op_type, op.op_type + star)


def dims(program: Program) -> list[tuple[int | str | None, ...] | None]:
    """Sizes as known at load of what each operator writes, in execution order."""
    return [op.output.dims for op in program.order()]


def shapes(program: Program) -> list[tuple[int, ...] | None]:
    """Sizes as executed, likewise."""
    return [op.output.shape for op in program.order()]
