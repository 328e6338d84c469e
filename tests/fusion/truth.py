"""What ONNX Runtime 1.32.0 really executes, kernel by kernel, in terms of the nodes of the file.

`truth_of(path)` lets ONNX Runtime save its optimized graphs, maps the kernels of the last back to
the nodes of the file, and says why every other node does not run. `score(truth, predicted)`
compares an emulation's kernels with them.

Kernels are in the order of the saved graph, which is nearly always that of execution.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from fusion.truth_runtime import save_graphs
from fusion.truth_score import Predicted, Score, compare
from mlsys_lint.joining import ExecutedKernel, Joined, join
from mlsys_lint.joining.anchors import VIEWS
from mlsys_lint.joining.classes import Classes
from mlsys_lint.joining.graph import Node, name_nodes
from mlsys_lint.joining.reduction import Reduction, with_classes

__all__ = ["Predicted", "Score", "Truth", "score", "truth_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """All kernels of a model, and the reasons of the nodes that are in none.

    Attributes:
        unclaimed: Node -> `constant`, `folded`, `duplicate`, `identity`, `shape`, `cancelled`,
            `unused` (by what runs), `outside` (of a body, or an If, that is gone) or `unexplained`.
    """

    kernels: tuple[ExecutedKernel, ...]
    unclaimed: Mapping[int, str]
    reduction: Reduction

    def only(self, scope: str) -> Truth:
        """The kernels of one scope."""
        return replace(self, kernels=tuple(one for one in self.kernels if one.scope == scope))


def truth_of(model: Path) -> Truth:
    """The kernels of a model."""
    with tempfile.TemporaryDirectory() as folder:
        paths = save_graphs(model, Path(folder))
        saved = [onnx.load(path, load_external_data=False) for path in paths]
    proto = onnx.load(model)
    name_nodes(proto)
    joined = join(proto, saved)
    return Truth(kernels=joined.kernels, unclaimed=_reasons(joined), reduction=joined.reduction)


def score(truth: Truth, predicted: Iterable[Predicted]) -> Score:
    """Compare a prediction with the kernels that ONNX Runtime executes."""
    ran = [Predicted(one.op_type, one.domain, one.members, one.anchor) for one in truth.kernels]
    return compare(truth.reduction, ran, predicted)


def _reasons(joined: Joined) -> dict[int, str]:
    claimed = frozenset[int]().union(*(one.members for one in joined.kernels))
    unclaimed = dict(_unclaimed(joined, claimed))
    present = claimed | unclaimed.keys()
    left = (node.index for scope in joined.file.scopes() for node in scope.nodes)
    return unclaimed | {index: "outside" for index in left if index not in present}


def _unclaimed(joined: Joined, claimed: frozenset[int]) -> Iterator[tuple[int, str]]:
    """Nodes of the scopes that still execute."""
    live = {scope.scope for scope in joined.trace.scopes()}
    for body, classes in with_classes(joined.inlined):
        running = (node for node in body.nodes if node.index in claimed)
        needed = {*body.outputs, *(name for node in running for name in node.reads)}
        for node in body.nodes:
            if body.scope in live and node.index not in claimed:
                yield node.index, _reason(node, classes, needed)


def _reason(node: Node, classes: Classes, needed: set[str]) -> str:
    """The first that fits."""
    writes = classes.writes(node)
    reasons = {
        "constant": node.is_a("Constant"),
        "folded": classes.constant.issuperset(writes),
        "identity": node.index in classes.copies,
        "duplicate": classes.leader.get(node.index) != node.index,
        "shape": bool(classes.shape & {*writes}),
        "unused": not needed & {*node.writes},
        "cancelled": node.op_type in VIEWS,
    }
    return next((reason for reason, fits in reasons.items() if fits), "unexplained")
