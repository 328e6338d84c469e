"""Members of a kernel: the nodes of the earlier graph between its tensors and those before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlsys_lint.joining.anchors import VIEWS, Anchors
from mlsys_lint.joining.classes import Classes
from mlsys_lint.joining.graph import Graph, Node


def members_of(classes: Classes, later: Graph, anchors: Anchors) -> dict[int, frozenset[int]]:
    """Kernel -> indexes of the earlier nodes it stands for; none where it was inserted.

    Kernels linked by tensors that the earlier graph does not have share their members: those that
    compute get all of them, as the parts of an inlined function do.
    """
    cut = _Cut(classes, frozenset(anchors.values()))
    found: dict[int, frozenset[int]] = {}
    for cluster in _clusters(later, anchors):
        members = cut.between(cluster, anchors)
        workers = [node for node in cluster if node.op_type not in VIEWS] or cluster[-1:]
        for node in cluster:
            found[node.index] = members if node in workers else frozenset()
    return found


@dataclass(frozen=True, slots=True)
class _Cut:
    classes: Classes
    stops: frozenset[str]

    def between(self, cluster: Sequence[Node], anchors: Anchors) -> frozenset[int]:
        """Nodes met from what the cluster makes back to any tensor that the later graph has."""
        made = [name for node in cluster for name in node.writes]
        read = {anchors.get(name) for node in cluster for name in node.reads if name not in made}
        starts = {anchors[name] for name in made if name in anchors}
        found = self._walk(starts - read)
        return found or self._copies(cluster)

    def _copies(self, cluster: Sequence[Node]) -> frozenset[int]:
        """A copy that the runtime did not remove."""
        writers = (
            (node, self.classes.writer.get(name)) for node in cluster for name in node.writes
        )
        return frozenset(
            writer.index
            for node, writer in writers
            if writer is not None
            and writer.index in self.classes.copies
            and writer.op_type == node.op_type
        )

    def _walk(self, starts: set[str]) -> frozenset[int]:
        classes = self.classes
        in_shapes = any(one in classes.shape for one in starts)
        ends = self.stops | classes.constant | (frozenset() if in_shapes else classes.shape)
        found: set[int] = set()
        pending = [one for one in starts if one in classes.maker]
        seen = set(pending)
        while pending:
            node = classes.maker[pending.pop()]
            found.add(node.index)
            for one in classes.reads(node):
                if one not in ends and one not in seen and one in classes.maker:
                    seen.add(one)
                    pending.append(one)
        return frozenset(found)


def _clusters(later: Graph, anchors: Anchors) -> list[list[Node]]:
    """Kernels linked by tensors that the earlier graph does not have, in saved order."""
    home = {node.index: node.index for node in later.nodes}

    def root(at: int) -> int:
        while home[at] != at:
            home[at] = home[home[at]]
            at = home[at]
        return at

    maker = {name: node for node in later.nodes for name in node.writes}
    for node in later.nodes:
        for name in node.reads:
            if name not in anchors and name in maker:
                first, second = sorted((root(maker[name].index), root(node.index)))
                home[second] = first
    found: dict[int, list[Node]] = {}
    for node in later.nodes:
        found.setdefault(root(node.index), []).append(node)
    return list(found.values())
