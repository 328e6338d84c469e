"""Peak activations by liveness, and the memory of a model on a runtime.

A value lives from the node that writes it to its last reader. Views live in their input's buffer;
in-place kernels write into an input that dies there. Graph inputs and constants belong to others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mlsys_lint.errors import UnknownSizeError
from mlsys_lint.graph import Graph
from mlsys_lint.parameters import Parameter
from mlsys_lint.records import Interval, Kernel, NodeCost, Runtime, TensorInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """Most activation bytes alive at once, and the node at which that is."""

    nbytes: int
    node: int | None


def peak_activations(
    graph: Graph, costs: Sequence[NodeCost], executed: frozenset[int], runtime: Runtime
) -> Peak | None:
    """Peak of a run in the graph's order; None when a live value's size is not known.

    Args:
        graph: The model.
        costs: Of all nodes, by index.
        executed: Indexes of the nodes that run; results of the others are constants or unused.
        runtime: Whose in-place kernels count.
    """
    try:
        return _Frame(graph, costs, executed, runtime, "").replay()
    except UnknownSizeError:
        return None


@dataclass(slots=True)
class _Frame:
    """Liveness in one scope; bodies are frames of their own on top of what the owner holds."""

    graph: Graph
    costs: Sequence[NodeCost]
    executed: frozenset[int]
    runtime: Runtime
    scope: str
    uses: dict[int, int] = field(default_factory=dict)
    """root -> readers to come of any value in its buffer"""
    roots: dict[int, int] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    readers: dict[int, int] = field(default_factory=dict)

    def replay(self) -> Peak:
        frame = self.graph.frames[self.scope]
        order = [index for index in frame.order if self._runs(index)]
        for index in order:
            for tensor in self._reads(index):
                self.readers[tensor.uid] = self.readers.get(tensor.uid, 0) + 1
        results = set(frame.outputs)
        held, peak = 0, Peak(nbytes=0, node=None)
        for index in order:
            held += self._allocate(index, results)
            inner = self._inner_peak(index)
            if held + inner > peak.nbytes:
                peak = Peak(nbytes=held + inner, node=index)
            held -= self._release(index)
        return peak

    def _runs(self, index: int) -> bool:
        return index in self.executed or self.costs[index].node.container

    def _reads(self, index: int) -> Iterable[TensorInfo]:
        node = self.costs[index].node
        return [tensor for tensor in (*node.inputs, *node.implicit) if tensor is not None]

    def _allocate(self, index: int, results: set[int]) -> int:
        """Bytes of the outputs that need a buffer of their own."""
        one, added = self.costs[index], 0
        for position, tensor in enumerate(one.node.outputs):
            if tensor is None or tensor.constant:
                continue
            root = None if tensor.uid in results else self._shared_root(one, position, tensor)
            if root is None:
                root = tensor.uid
                self.sizes[root] = size_of(tensor)
                added += self.sizes[root]
                if tensor.uid in results:
                    self.uses[root] = 1  # held to the end
            self.roots[tensor.uid] = root
            self.uses[root] = self.uses.get(root, 0) + self.readers.get(tensor.uid, 0)
        return added

    def _shared_root(self, one: NodeCost, position: int, tensor: TensorInfo) -> int | None:
        """The buffer that an output takes over: its view's, or a dying input's; else None."""
        for source, target in one.cost.aliases if one.cost else ():
            if target == position and (origin := one.node.optional_input(source)) is not None:
                return self.roots.get(origin.uid, origin.uid)
        key = (one.node.domain, one.node.op_type)
        for source, target in self.runtime.in_place.get(key, ()):
            origin = one.node.optional_input(source)
            if target == position and origin is not None and self._dies(origin, tensor):
                return self.roots[origin.uid]
        return None

    def _dies(self, origin: TensorInfo, tensor: TensorInfo) -> bool:
        """True when this node is the last reader of the input's whole buffer, and it fits."""
        root = self.roots.get(origin.uid)
        if root is None or root not in self.sizes:
            return False  # a graph input or an outer value
        return self.uses[root] == 1 and size_of(origin) == size_of(tensor) == self.sizes[root]

    def _release(self, index: int) -> int:
        """Bytes of the buffers that nobody reads after this node."""
        freed = 0
        for tensor in self._reads(index):
            root = self.roots.get(tensor.uid)
            if root is None or root not in self.sizes:
                continue
            self.uses[root] -= 1
            if not self.uses[root]:
                freed += self.sizes.pop(root)
        for output in self.costs[index].node.outputs:
            if output is not None and output.uid in self.sizes and not self.uses[output.uid]:
                freed += self.sizes.pop(output.uid)
        return freed

    def _inner_peak(self, index: int) -> int:
        """Peak of the largest body of a container, on top of what its owner holds."""
        node = self.costs[index].node
        if not node.container:
            return 0
        prefix = f"{node.scope}/{index}." if node.scope else f"{index}."
        inner = [
            _Frame(self.graph, self.costs, self.executed, self.runtime, scope).replay().nbytes
            for scope in self.graph.frames
            if scope.startswith(prefix) and "/" not in scope[len(prefix) :]
        ]
        return max(inner, default=0)


def size_of(tensor: TensorInfo) -> int:
    """Bytes of a value's buffer; UnknownSizeError where they are not static."""
    if tensor.kind != "tensor":
        raise UnknownSizeError(f"{tensor.name!r} is a {tensor.kind}, whose length is not static")
    return tensor.nbytes


def memory_of(
    kernels: Sequence[Kernel],
    parameters: Iterable[Parameter],
    inputs: Iterable[TensorInfo],
    peak: Peak | None,
    runtime: Runtime,
) -> tuple[Interval | None, Mapping[str, int]]:
    """Memory that a model takes on a runtime, and the items that its expected figure adds up from.

    The floor is the weights as stored and the largest set that one kernel reads and writes.
    """
    weights = sum(one.nbytes for one in parameters)
    workspace = max((kernel.cost.workspace_bytes for kernel in kernels), default=0)
    working_set = max((_working_set(kernel) for kernel in kernels), default=0)
    try:
        fed = sum(size_of(tensor) for tensor in inputs)
    except UnknownSizeError:
        return None, {}
    if peak is None:
        return None, {}
    slack = [round(peak.nbytes * (factor - 1)) for factor in runtime.activation_slack]
    copies = [round(weights * factor) for factor in runtime.weight_copies]
    low, expected, high = (
        copies[at] + fed + peak.nbytes + workspace + slack[at] + runtime.base_bytes[at]
        for at in range(3)
    )
    items = {
        "weights": copies[1],
        "graph_inputs": fed,
        "peak_activations": peak.nbytes,
        "workspace": workspace,
        "allocator_slack": slack[1],
        "runtime": runtime.base_bytes[1],
    }
    floor = min(weights + working_set, low)
    return Interval(floor=floor, low=low, expected=expected, high=high), items


def _working_set(kernel: Kernel) -> int:
    """Bytes that one kernel surely holds at once; what is no contraction may work in place."""
    if not kernel.certain:
        return 0
    cost = kernel.cost
    read = cost.bytes_read - cost.weight_bytes
    return read + cost.bytes_written if cost.contractions else max(read, cost.bytes_written)
