"""The file and the graphs that the runtime saved, level by level -> the kernels of the last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnx

from mlsys_lint.joining.graph import Graph, name_nodes, read_graph
from mlsys_lint.joining.inlining import inlined
from mlsys_lint.joining.reduction import Reduction, reduction_of
from mlsys_lint.joining.stages import Trace, follow, start_of
from mlsys_lint.records import Problem

_FLOAT16_ISLAND: Final = "InsertedPrecisionFreeCast_"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutedKernel:
    """A kernel that the runtime executes.

    Attributes:
        scope: `""`, or the body of the file that it stands in: `7.then_branch`.
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
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    members: frozenset[int]
    core: frozenset[int]
    anchor: str | None
    side: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """All kernels of a model in the order in which the runtime saved them.

    Attributes:
        owners: Name of a kernel in a body -> name of the kernel that runs the body.
        file: The graph of the file.
        inlined: Likewise, with the branches that the runtime chose at load in the place of their If.
        trace: Of the last graph.
        reduction: What is left out where kernels are compared.
    """

    kernels: tuple[ExecutedKernel, ...]
    owners: Mapping[str, str]
    file: Graph
    inlined: Graph
    trace: Trace
    reduction: Reduction


def join_saved(path: Path, graphs: Sequence[bytes]) -> Joined | Problem | None:
    """Kernels of a model file and of its saved graphs; None without graphs.

    A graph that the algorithm can't follow costs the kernels, not the validation: that is a problem.
    """
    if not graphs:
        return None
    try:
        file = onnx.load(path, load_external_data=False)
        name_nodes(file)
        return join(file, [onnx.load_model_from_string(one) for one in graphs])
    except Exception as error:  # noqa: BLE001  a fault here must not hide what was measured
        return Problem(
            plugin="mlsys_lint",
            stage="joining",
            message=f"kernels were not joined to nodes: {type(error).__name__}: {error}",
        )


def join(file: onnx.ModelProto, saved: Sequence[onnx.ModelProto]) -> Joined:
    """Map kernels to nodes.

    Args:
        file: The model with a name for every node, as `name_nodes` gives them.
        saved: Graphs that the runtime saved of it at BASIC, EXTENDED and ALL; large weights may be
            missing.
    """
    stages = [read_graph(one) for one in saved]
    graph = read_graph(file)
    start = inlined(graph, stages[0])
    if _has_float16_islands(stages[-1]):
        del stages[1]  # Casts come after the last level, and EXTENDED is saved with its own
    trace = start_of(start)
    for stage in stages:
        trace = follow(trace, stage)
    reduction = reduction_of(start)
    return Joined(
        kernels=tuple(one for scope in trace.scopes() for one in _kernels(scope, reduction)),
        owners=dict(_owners(stages[-1])),
        file=graph,
        inlined=start,
        trace=trace,
        reduction=reduction,
    )


def _has_float16_islands(graph: Graph) -> bool:
    return any(name.startswith(_FLOAT16_ISLAND) for node in graph.nodes for name in node.outputs)


def _owners(graph: Graph) -> Iterator[tuple[str, str]]:
    for node in graph.nodes:
        for body in node.bodies.values():
            yield from ((inner.name, node.name) for inner in body.nodes)
            yield from _owners(body)


def _kernels(trace: Trace, reduction: Reduction) -> Iterator[ExecutedKernel]:
    for node in trace.graph.nodes:
        members = trace.members[node.index]
        core = reduction.core(node.op_type, members)
        anchor = None if core else trace.anchor(node)
        yield ExecutedKernel(
            scope=trace.scope,
            op_type=node.op_type,
            domain=node.domain,
            name=node.name,
            inputs=tuple(node.reads),
            outputs=node.outputs,
            members=members,
            core=core,
            anchor=anchor.tensor if anchor else None,
            side=anchor.side if anchor else None,
        )
