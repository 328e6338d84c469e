"""What ONNX Runtime 1.32.0 really executes, kernel by kernel, in terms of the nodes of the file.

`truth_of(path)` lets ONNX Runtime save its optimized graphs, maps the kernels of the last back to
the nodes of the file, and says why every other node does not run. `score(truth, predicted)`
compares an emulation's kernels with them. A truth can be kept as JSON.

Kernels are in the order of the saved graph, and that is the order of execution: profiles of some
fifty models named the same kernels one after the other.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import onnx

from fusion.truth_anchors import VIEWS
from fusion.truth_classes import Classes
from fusion.truth_core import Reduction, reduction_of, with_classes
from fusion.truth_graph import Graph, Node, name_nodes, read_graph
from fusion.truth_inline import inlined
from fusion.truth_runtime import LEVELS, save_graphs
from fusion.truth_score import Predicted, Score, compare
from fusion.truth_stages import Trace, follow, start_of

__all__ = ["Kernel", "Predicted", "Score", "Truth", "from_json", "score", "to_json", "truth_of"]

_FLOAT16_ISLAND: Final = "InsertedPrecisionFreeCast_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A kernel that ONNX Runtime executes.

    Attributes:
        scope: `""`, or the body it stands in: `7.then_branch`.
        members: Indexes of the nodes of the file that it stands for, Constants counted; nodes of
            bodies follow those of the top level, in the order in which the bodies are met.
        core: The members that make it what it is; none for an inserted kernel.
        anchor: The tensor of the file that an inserted kernel acts on.
        side: Whether it reads that tensor (`input`) or makes it (`output`).
    """

    scope: str
    op_type: str
    domain: str
    name: str
    outputs: tuple[str, ...]
    members: frozenset[int]
    core: frozenset[int]
    anchor: str | None
    side: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """All kernels of a model, and the reasons of the nodes that are in none.

    Attributes:
        unclaimed: Node -> `constant`, `folded`, `duplicate`, `identity`, `shape`, `cancelled`,
            `unused` (by what runs), `outside` (of a body, or an If, that is gone) or `unexplained`.
    """

    kernels: tuple[Kernel, ...]
    unclaimed: Mapping[int, str]
    reduction: Reduction

    def only(self, scope: str) -> Truth:
        """The kernels of one scope."""
        return replace(self, kernels=tuple(one for one in self.kernels if one.scope == scope))


def truth_of(model: Path, graphs: Path | None = None) -> Truth:
    """The kernels of a model.

    Args:
        graphs: Folder with graphs that were saved before as `MODEL.LEVEL.onnx`; None to save them.
    """
    if graphs is not None:
        return _truth(model, {level: graphs / f"{model.name}.{level}.onnx" for level in LEVELS})
    with tempfile.TemporaryDirectory() as folder:
        return _truth(model, save_graphs(model, Path(folder)))


def score(truth: Truth, predicted: Iterable[Predicted]) -> Score:
    """Compare a prediction with the kernels that ONNX Runtime executes."""
    ran = [Predicted(one.op_type, one.domain, one.members, one.anchor) for one in truth.kernels]
    return compare(truth.reduction, ran, predicted)


def to_json(truth: Truth) -> str:
    """One object; sets are sorted lists."""
    return json.dumps(asdict(truth), default=sorted)


def from_json(text: str) -> Truth:
    """The truth that `to_json` wrote."""
    raw = json.loads(text)
    return Truth(
        kernels=tuple(_kernel_from(one) for one in raw["kernels"]),
        unclaimed=_by_index(raw["unclaimed"]),
        reduction=Reduction(**_restored(raw["reduction"])),
    )


def _truth(model: Path, paths: Mapping[str, Path]) -> Truth:
    stages = [read_graph(onnx.load(path, load_external_data=False)) for path in paths.values()]
    proto = onnx.load(model)
    name_nodes(proto)
    file = read_graph(proto)
    graph = inlined(file, stages[0])
    if _has_float16_islands(stages[-1]):
        del stages[1]  # Casts come after the last level, and EXTENDED is saved with its own
    trace = start_of(graph)
    for stage in stages:
        trace = follow(trace, stage)
    reduction = reduction_of(graph)
    kernels = tuple(one for scope in trace.scopes() for one in _kernels(scope, reduction))
    claimed = frozenset[int]().union(*(one.members for one in kernels))
    unclaimed = dict(_unclaimed(graph, trace, claimed))
    present = claimed | unclaimed.keys()
    left = (node.index for scope in file.scopes() for node in scope.nodes)
    outside = {index: "outside" for index in left if index not in present}
    return Truth(kernels=kernels, unclaimed=unclaimed | outside, reduction=reduction)


def _has_float16_islands(graph: Graph) -> bool:
    return any(name.startswith(_FLOAT16_ISLAND) for node in graph.nodes for name in node.outputs)


def _kernels(trace: Trace, reduction: Reduction) -> Iterator[Kernel]:
    for node in trace.graph.nodes:
        members = trace.members[node.index]
        core = reduction.core(node.op_type, members)
        anchor = None if core else trace.anchor(node)
        yield Kernel(
            scope=trace.scope,
            op_type=node.op_type,
            domain=node.domain,
            name=node.name,
            outputs=node.outputs,
            members=members,
            core=core,
            anchor=anchor.tensor if anchor else None,
            side=anchor.side if anchor else None,
        )


def _unclaimed(graph: Graph, trace: Trace, claimed: frozenset[int]) -> Iterator[tuple[int, str]]:
    """Nodes of the scopes that still execute."""
    live = {scope.scope for scope in trace.scopes()}
    for body, classes in with_classes(graph):
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


def _restored(raw: Mapping[str, Any]) -> dict[str, Any]:
    sets = {name: frozenset(value) for name, value in raw.items() if isinstance(value, list)}
    tables = {name: _by_index(raw[name]) for name in ("leader", "reads", "op_types")}
    return {**raw, **sets, **tables}


def _by_index(raw: Mapping[str, Any]) -> dict[int, Any]:
    return {int(index): value for index, value in raw.items()}


def _kernel_from(raw: Mapping[str, Any]) -> Kernel:
    sets = {name: frozenset(raw[name]) for name in ("members", "core")}
    return Kernel(**{**raw, **sets, "outputs": tuple(raw["outputs"])})
