"""Small rewrites of arithmetic: Div and Mul, Relu and Clip, Not and Where."""

from __future__ import annotations

from typing import Final

from mlsys_lint.program import Op, Program, Rule, rule


@rule("DivMulFusion", "Div")
def div_mul(program: Program, op: Op) -> bool:
    """(1 / x) * y, in either order, becomes y / x; Div keeps its place in the node list."""
    one, follower = op.input(0), op.output.only_reader
    if one is None or one.number() != 1 or follower is None or not follower.is_a("Mul"):
        return False
    other = follower.inputs[0] if follower.inputs[1] is op.output else follower.inputs[1]
    program.set_input(op, 0, other)
    program.extend(op, [follower])
    return True


@rule("FuseReluClip", "Relu")
def relu_clip(program: Program, op: Op) -> bool:
    """Relu before a Clip whose lower bound is constant, or absent: the bound becomes 0 or more."""
    clip, source = op.output.only_reader, op.input(0)
    if clip is None or source is None or not clip.is_a("Clip") or clip.input(0) is not op.output:
        return False
    lower = clip.input(1)
    if lower is not None and lower.number() is None:
        return False
    program.remove(op)
    clip.members |= op.members
    program.set_input(clip, 0, source)
    return True


@rule("NotWhereFusion", "Where")
def not_where(program: Program, op: Op) -> bool:
    """Where of a negated condition swaps its branches, if only Wheres read the negation."""
    condition = op.input(0)
    negation = condition.producer if condition is not None else None
    if condition is None or negation is None or not negation.is_a("Not") or condition.is_result:
        return False
    readers = list(condition.readers)
    if not all(one.is_a("Where") and one.input(0) is condition for one in readers):
        return False
    program.remove(negation)
    op.members |= negation.members
    for one in readers:
        chosen, other = one.inputs[1], one.inputs[2]
        program.set_input(one, 0, negation.input(0))
        program.set_input(one, 1, other)
        program.set_input(one, 2, chosen)
    return True


RULES: Final[tuple[Rule, ...]] = (div_mul, relu_clip, not_where)
"""DivMulFusion, FuseReluClip, NotWhereFusion."""
