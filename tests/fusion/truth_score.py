"""How much of what ONNX Runtime executes a prediction has, kernel by kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mlsys_lint.joining.reduction import Key, Reduction


class Predicted(NamedTuple):
    """A kernel as an emulation has it.

    Attributes:
        members: Indexes of nodes of the file, Constants counted.
        anchor: For an inserted kernel the tensor of the file that it acts on.
    """

    op_type: str
    domain: str
    members: frozenset[int]
    anchor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Kernels found, not found, and predicted in vain."""

    hits: int
    missed: int
    false: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A comparison of multisets.

    Attributes:
        matched: Kernels with the same members (or, inserted ones, at the same tensor).
        same_op: Those of them with the same operator.
        truth: Kernels that ONNX Runtime executes.
        predicted: Kernels of the prediction.
        by_op: `DOMAIN::TYPE` -> kernels of the same members and operator.
        by_rule: `Conv+Relu -> DOMAIN::TYPE` -> the same, by what the members are.
    """

    matched: int
    same_op: int
    truth: int
    predicted: int
    by_op: Mapping[str, Tally]
    by_rule: Mapping[str, Tally]

    @property
    def recall(self) -> float:
        """Share of the executed kernels that were predicted."""
        return self.matched / self.truth if self.truth else 1.0

    @property
    def precision(self) -> float:
        """Share of the predicted kernels that are executed."""
        return self.matched / self.predicted if self.predicted else 1.0


def compare(
    reduction: Reduction, truth: Iterable[Predicted], predicted: Iterable[Predicted]
) -> Score:
    """Score a prediction against the kernels that were executed, in any order."""
    ran = [_Entry.of(reduction, kernel) for kernel in truth]
    said = [_Entry.of(reduction, kernel) for kernel in predicted]
    matched = Counter(one.key for one in ran) & Counter(one.key for one in said)
    exact = Counter((one.key, one.op) for one in ran) & Counter((one.key, one.op) for one in said)
    return Score(
        matched=matched.total(),
        same_op=exact.total(),
        truth=len(ran),
        predicted=len(said),
        by_op=_tallies([(one, one.op) for one in ran], [(one, one.op) for one in said]),
        by_rule=_tallies([(one, one.rule) for one in ran], [(one, one.rule) for one in said]),
    )


class _Entry(NamedTuple):
    key: Key
    op: str
    rule: str

    @staticmethod
    def of(reduction: Reduction, kernel: Predicted) -> _Entry:
        domain = "" if kernel.domain == "ai.onnx" else kernel.domain
        op = f"{domain}::{kernel.op_type}".removeprefix("::")
        core = sorted(reduction.core(kernel.op_type, kernel.members))
        made_of = "+".join(reduction.op_types.get(index, "?") for index in core) or "inserted"
        return _Entry(
            reduction.key(kernel.op_type, kernel.members, kernel.anchor), op, f"{made_of} -> {op}"
        )


def _tallies(ran: list[tuple[_Entry, str]], said: list[tuple[_Entry, str]]) -> Mapping[str, Tally]:
    """By a label: an entry is found where key, operator and label are the same."""
    truth = Counter((one.key, one.op, label) for one, label in ran)
    guess = Counter((one.key, one.op, label) for one, label in said)
    sums = [Counter[str]() for _ in ("hits", "missed", "false")]
    for total, part in zip(sums, (truth & guess, truth - guess, guess - truth), strict=True):
        for (_, _, label), times in part.items():
            total[label] += times
    hits, missed, false = sums
    labels = sorted({*hits, *missed, *false})
    return {one: Tally(hits=hits[one], missed=missed[one], false=false[one]) for one in labels}
