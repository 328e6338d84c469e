"""The analysed graph as one list of steps, bodies included, for passes over it in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlsys_lint import dtypes
from mlsys_lint.graph import Graph
from mlsys_lint.records import NodeCost, NodeView, TensorInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A node without bodies; or a link, by which values enter or leave a body.

    Attributes:
        one: The node's cost; None for a link, whose outputs depend on all of its inputs.
        place: Position of the node, or of the one that owns it, in the top level's order.
    """

    one: NodeCost | None
    inputs: tuple[TensorInfo | None, ...]
    outputs: tuple[TensorInfo | None, ...]
    place: int

    @property
    def repeat(self) -> int:
        """How often the step runs."""
        return self.one.node.repeat if self.one is not None else 1

    @property
    def is_constant(self) -> bool:
        """True when its results are known before the run."""
        made = [tensor for tensor in self.outputs if tensor is not None]
        return bool(made) and all(tensor.constant for tensor in made)

    def slots(self) -> tuple[int, ...]:
        """Positions of the inputs that a gradient can reach."""
        spec = self.one.spec if self.one is not None else None
        if spec is not None and not spec.differentiable:
            return ()
        skipped = spec.shape_inputs if spec is not None else ()
        return tuple(
            position
            for position, tensor in enumerate(self.inputs)
            if is_real(tensor) and position not in skipped
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Steps in executable order.

    Attributes:
        results: Uids of what the graph hands out.
        roots: Uid of a view -> uid of the value whose buffer it is.
        stored: Uids of the tensors that the file stores.
        has_loops: Marks must go around until nothing changes.
    """

    steps: tuple[Step, ...]
    results: frozenset[int]
    roots: Mapping[int, int]
    stored: frozenset[int]
    has_loops: bool = False

    def root(self, tensor: TensorInfo) -> int:
        """The value whose buffer a value is."""
        return self.roots.get(tensor.uid, tensor.uid)

    def is_view(self, step: Step) -> bool:
        """True when a step makes no buffer."""
        return all(tensor is None or tensor.uid in self.roots for tensor in step.outputs)


def is_real(tensor: TensorInfo | None) -> bool:
    """True for values that have gradients: floating-point numbers of at least 16 bits."""
    if tensor is None or tensor.dtype is None:
        return False
    dtype = dtypes.lookup(tensor.dtype)
    return dtype.kind in ("float", "complex") and dtype.bits >= 16


def flow_of(graph: Graph, costs: Sequence[NodeCost]) -> Flow:
    """All steps that run, in order."""
    builder = _Builder(graph, costs)
    steps = tuple(builder.walk("", None))
    return Flow(
        steps=steps,
        results=frozenset(graph.frames[""].outputs),
        roots=builder.roots,
        stored=frozenset(builder.stored),
        has_loops=builder.has_loops,
    )


@dataclass(slots=True)
class _Builder:
    graph: Graph
    costs: Sequence[NodeCost]
    roots: dict[int, int] = field(default_factory=dict)
    stored: set[int] = field(default_factory=set)
    has_loops: bool = False
    bodies: dict[int, list[str]] = field(default_factory=dict)
    infos: dict[int, TensorInfo] = field(default_factory=dict)
    made: set[int] = field(default_factory=set)
    """Uids of values that a node, a caller or the file gives, or that have been linked."""

    def __post_init__(self) -> None:
        for path in self.graph.frames:
            if path:  # `7.then_branch/23.body`
                owner = path.rpartition("/")[2].partition(".")[0]
                self.bodies.setdefault(int(owner), []).append(path)
        self.made.update(tensor.uid for tensor in self.graph.inputs)
        for one in self.costs:
            for tensor in (*one.node.inputs, *one.node.implicit, *one.node.outputs):
                if tensor is not None:
                    self.infos[tensor.uid] = tensor
                    if tensor.constant:
                        self.made.add(tensor.uid)
                    if tensor.origin is not None:
                        self.stored.add(tensor.uid)
            self.made.update(tensor.uid for tensor in one.node.outputs if tensor is not None)

    def walk(self, scope: str, place: int | None) -> Iterator[Step]:
        for position, index in enumerate(self.graph.frames[scope].order):
            one = self.costs[index]
            at = position if place is None else place
            if one.node.container:
                yield from self._enter(one.node, at)
            elif one.node.repeat:
                self._note_views(one)
                yield Step(one=one, inputs=one.node.inputs, outputs=one.node.outputs, place=at)

    def _note_views(self, one: NodeCost) -> None:
        """A Transpose is a view with other strides: kernels read it in place."""
        aliases = one.cost.aliases if one.cost is not None else ()
        if one.node.domain == "" and one.node.op_type == "Transpose":
            aliases = ((0, 0),)
        for source, result in aliases:
            tensor, seen = one.node.optional_input(source), one.node.outputs[result]
            if tensor is not None and seen is not None:
                self.roots[seen.uid] = self.roots.get(tensor.uid, tensor.uid)

    def _enter(self, node: NodeView, place: int) -> Iterator[Step]:
        loop = node.op_type in ("Loop", "Scan") and node.domain == ""
        first = (
            1 if node.op_type == "Loop" and loop else 0
        )  # a Loop's first result is its condition
        for path in self.bodies.get(node.index, ()):
            frame = self.graph.frames[path]
            if frame.order and not self.costs[frame.order[0]].node.repeat:
                continue
            results = [self.infos.get(uid) for uid in frame.outputs[first:]]
            if loop:
                self.has_loops = True
                yield Step(
                    one=None,
                    inputs=(*node.inputs, *results),
                    outputs=tuple(self._body_inputs(path)),
                    place=place,
                )
            yield from self.walk(path, place)
            for result, outer in zip(results, node.outputs, strict=False):
                if result is not None and outer is not None:
                    yield Step(one=None, inputs=(result,), outputs=(outer,), place=place)
                    if not loop:
                        self.roots[outer.uid] = self.roots.get(result.uid, result.uid)

    def _body_inputs(self, path: str) -> Iterator[TensorInfo]:
        """What a loop hands its body: values that nothing else gives."""
        for index in self.graph.frames[path].order:
            node = self.costs[index].node
            for tensor in (*node.inputs, *node.implicit):
                if tensor is not None and tensor.uid not in self.made:
                    self.made.add(tensor.uid)
                    yield tensor
