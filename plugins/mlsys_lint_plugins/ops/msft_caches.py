"""Caches of keys and values [.., sequence, size] that a kernel reads in part and may change in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mlsys_lint import NodeView, OpCost, TensorInfo

FULL_CACHE: Final = "data-dependent: the cache is full"


def known_scalar(tensor: TensorInfo | None) -> int | None:
    """The only element of a small constant."""
    if tensor is None or tensor.value is None or tensor.value.size != 1:
        return None
    return int(tensor.value.reshape(-1)[0].item())


def in_place(
    base: OpCost, node: NodeView, caches: Sequence[tuple[int, int]], held: int, fresh: int
) -> OpCost:
    """The cost where caches (past, present) are one buffer each: what is held is read, what is new written.

    The sequence is the last axis but one.
    """
    presents = [at for _, at in caches if at < len(node.outputs) and node.outputs[at] is not None]
    unwritten = sum(_rows(node.output(at), node.output(at).dims[-2] - fresh) for at in presents)
    read = base.bytes_read - unread(node, [past for past, _ in caches], held)
    return replace(
        base,
        bytes_read=read,
        weight_bytes=min(base.weight_bytes, read),
        bytes_written=base.bytes_written - unwritten,
        aliases=tuple((past, present) for past, present in caches if present in presents),
    )


def unread(node: NodeView, caches: Sequence[int], held: int) -> int:
    """Bytes of the distinct caches at these positions behind the first `held` rows of a sequence."""
    given_ones = (node.optional_input(at) for at in caches)
    distinct = {one.uid: one for one in given_ones if one is not None}.values()
    return sum(_rows(one, one.dims[-2] - held) for one in distinct)


def _rows(cache: TensorInfo, rows: int) -> int:
    """Bytes of that many rows of a sequence."""
    length = cache.dims[-2]
    return cache.nbytes * max(0, min(rows, length)) // length if length else 0
