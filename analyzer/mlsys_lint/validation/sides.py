"""Executed and predicted kernels in the same terms: what they are joined by."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlsys_lint.joining import ExecutedKernel, Joined
from mlsys_lint.records import KernelReport
from mlsys_lint.records.validation import KernelTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A kernel as grouping sees it.

    Attributes:
        at: Position in its own list.
        op: `DOMAIN::TYPE`.
        key: Indexes of the nodes of the file that make it what it is; none for a kernel that the
            runtime inserted, or of which only the place is known (a Transpose that has moved).
        members: All nodes of the file that it stands for.
        tensor: The tensor of the file that a kernel without a key acts on, whatever its layout.
    """

    at: int
    op: str
    key: frozenset[int]
    members: frozenset[int]
    tensor: str | None = None


def predicted_sides(
    kernels: Sequence[KernelReport], joined: Joined, in_file: Mapping[int, int]
) -> list[Side]:
    """The prediction's kernels, in their order."""
    found = []
    for at, one in enumerate(kernels):
        members = frozenset(in_file[index] for index in one.kernel.nodes if index in in_file)
        op_type = one.kernel.op.rpartition("::")[2]
        key = joined.reduction.core(op_type, members) if members else members
        tensor = None if key else _tensor(one, joined.reduction.tensors)
        found.append(Side(at=at, op=one.kernel.op, key=key, members=members, tensor=tensor))
    return found


def _tensor(one: KernelReport, tensors: Mapping[str, str]) -> str | None:
    """The first of what an inserted kernel reads and makes that the file has.

    The emulation calls a tensor X in another layout `X~7`.
    """
    view = one.kernel.view
    values = (*view.inputs[:1], *view.outputs[:1]) if view is not None else ()
    names = (value.name.partition("~")[0] for value in values if value is not None)
    return next((tensors[name] for name in names if name in tensors), None)


def executed_sides(
    kernels: Sequence[KernelTimes], joined: Joined
) -> tuple[list[Side], list[int], dict[int, ExecutedKernel]]:
    """The profile's kernels in their order, those that nothing is known of, and what is known."""
    known = dict(_known(kernels, joined))
    sides = [
        Side(
            at=at,
            op=f"{known[at].domain or 'ai.onnx'}::{known[at].op_type}",
            key=known[at].core,
            members=known[at].members,
            tensor=joined.reduction.tensors.get(known[at].anchor or ""),
        )
        for at in range(len(kernels))
        if at in known
    ]
    return sides, [at for at in range(len(kernels)) if at not in known], known


def _known(kernels: Sequence[KernelTimes], joined: Joined) -> Iterator[tuple[int, ExecutedKernel]]:
    """Position in the profile -> kernel of the saved graph; several of one name in their order.

    The profile calls a node without a name by its operator and number: `Sin_2`.
    """
    named: defaultdict[tuple[str, str], deque[ExecutedKernel]] = defaultdict(deque)
    for kernel in joined.kernels:
        named[kernel.name, kernel.op_type].append(kernel)
    for at, one in enumerate(kernels):
        same = named[one.name, one.op_type]
        if not same and one.name == f"{one.op_type}_{one.node_index}":
            same = named["", one.op_type]
        if same:
            yield at, same.popleft()
