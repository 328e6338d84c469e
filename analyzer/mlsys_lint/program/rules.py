"""Rules that rewrite a program, and the levels in which a runtime applies them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from mlsys_lint.program.graph import Program
from mlsys_lint.program.ops import Op

Rewrite: TypeAlias = Callable[[Program, Op], bool]
"""Rewrites the program around an operator where its pattern matches; True when it did."""

_MOST_SWEEPS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rewrite that starts at operators of certain types.

    Attributes:
        name: As ONNX Runtime calls the optimizer, where it has a name.
        anchors: Types of the operators at which `apply` is tried, whatever their domain.
        apply: The rewrite.
    """

    name: str
    anchors: frozenset[str]
    apply: Rewrite


def rule(name: str, *anchors: str) -> Callable[[Rewrite], Rule]:
    """Decorator: a rule of this name that is tried at operators of these types."""

    def made(apply: Rewrite) -> Rule:
        return Rule(name=name, anchors=frozenset(anchors), apply=apply)

    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Rules tried at each operator, in execution order, one operator after the other.

    Attributes:
        rules: Tried in this order; the first that removes the operator ends its turn.
        once: Only in the first sweep of its level.
    """

    rules: tuple[Rule, ...]
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A pass that looks at the whole program at once; True when it changed something."""

    name: str
    run: Callable[[Program], bool]
    once: bool = False


Step: TypeAlias = Pass | Sweep | Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Steps applied from first to last, again and again until a round changes nothing."""

    name: str
    steps: Sequence[Step]
    rounds: int = _MOST_SWEEPS


def optimize(program: Program, levels: Sequence[Level]) -> None:
    """Apply levels to a program and, first, to the bodies inside it."""
    for level in levels:
        for round_ in range(level.rounds):
            changed = [_step(program, one) for one in level.steps if not (round_ and _once(one))]
            if not any(changed):
                break


def _once(step: Step) -> bool:
    return not isinstance(step, Rule) and step.once


def _step(program: Program, step: Step) -> bool:
    """Apply a step to the program, then to its bodies."""
    if isinstance(step, Sweep):
        changed = step.run(program)
    else:
        changed = _pass(program, step.rules if isinstance(step, Pass) else (step,))
    for op in [op for op in program.ops.values() if op.bodies]:
        for body in op.bodies.values():
            changed |= _step(body, step)
    return changed


def _pass(program: Program, rules: tuple[Rule, ...]) -> bool:
    anchors = frozenset().union(*(one.anchors for one in rules))
    if not any(program.types[name] > 0 for name in anchors):
        return False
    changed = False
    for op in [one for one in program.order() if one.op_type in anchors]:
        for one in rules:
            if op.program is not program:
                break
            if op.op_type in one.anchors:
                changed |= one.apply(program, op)
    return changed
