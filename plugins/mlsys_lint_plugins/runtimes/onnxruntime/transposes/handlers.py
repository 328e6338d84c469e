"""How a Transpose moves through an operator: which axes and attributes change with it.

Each function changes the program and returns True, or changes nothing and returns False.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from mlsys_lint_plugins.runtimes.onnxruntime.transposes.edits import (
    cancel,
    unsqueeze_input,
)
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.permutations import (
    Permutation,
    channels_first,
    channels_last,
    doubled,
    moved,
    normal_axes,
    permuted,
    with_axes,
    without_axes,
)
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.pushing import Push
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.reading import axes_of, elements
from mlsys_lint_plugins.runtimes.onnxruntime.transposes.writing import (
    integers,
    write_to,
)

Handler: TypeAlias = Callable[[Push], bool]


def elementwise(push: Push) -> bool:
    """Every axis is alike."""
    return push.through()


def broadcast(push: Push) -> bool:
    """Elementwise with broadcasting: the inputs get the rank of the Transpose first."""
    ranks = {}
    for position in push.inputs:
        value = push.op.input(position)
        rank = None if value is None else value.rank
        if rank is None or rank > push.rank:
            return False
        ranks[position] = rank
    for position, rank in ranks.items():
        if rank < push.rank:
            unsqueeze_input(push.program, push.op, position, tuple(range(push.rank - rank)))
    return push.through()


def along_axis(default: int | None = None) -> Handler:
    """Works along the axis of an attribute; `default` is its default, None where it must be set."""

    def handle(push: Push) -> bool:
        axis = _axis(push, default)
        if axis is None:
            return False
        push.through()
        push.set("axis", push.perm[axis])
        return True

    return handle


def _axis(push: Push, default: int | None) -> int | None:
    axis = push.op.attributes.get("axis", default)
    axes = normal_axes([axis], push.rank) if isinstance(axis, int) else None
    return None if axes is None else axes[0]


def softmax(push: Push) -> bool:
    """Along an axis; before opset 13, over all axes from one on, which must stay together."""
    if push.program.opset >= 13:
        return along_axis(-1)(push)
    axis = _axis(push, 1)
    if axis is None or set(push.perm[:axis]) != set(range(axis)):
        return False
    return push.through()


def reduction(push: Push) -> bool:
    """Over axes of an attribute or, newer, of an input."""
    since = 13 if push.op.op_type == "ReduceSum" else 18
    kept = push.op.integer("keepdims", 1) != 0
    if push.program.opset < since:
        axes = push.op.integers("axes")
    else:
        stated = push.op.input(1)
        axes = elements(stated)
        if stated is not None and axes is None:
            return False
        if not axes:
            kept |= push.op.integer("noop_with_empty_axes", 0) != 0
            axes = None
    if axes is None:
        return push.through(push.perm if kept else ())
    found = normal_axes(axes, push.rank)
    if found is None:
        return False
    gone = tuple(sorted(moved(found, push.perm)))
    _set_axes(push, gone, since)
    return push.through(push.perm if kept else without_axes(push.perm, gone))


def _set_axes(push: Push, axes: tuple[int, ...], since: int) -> None:
    """Write new axes to the attribute or, since an opset, to the second input."""
    if push.program.opset < since:
        push.set("axes", axes)
    else:
        _set_integers(push, 1, axes)


def _set_integers(push: Push, position: int, numbers: tuple[int, ...]) -> None:
    old = push.op.input(position) or push.op.input(1)
    like = push.op.output if old is None else old
    push.program.set_input(
        push.op, position, integers(push.program, like, numbers, like.dtype or "int64")
    )


def arg_reduction(push: Push) -> bool:
    """ArgMax and ArgMin."""
    axis = _axis(push, 0)
    if axis is None:
        return False
    gone = push.perm[axis]
    push.set("axis", gone)
    kept = push.op.integer("keepdims", 1) != 0
    return push.through(push.perm if kept else without_axes(push.perm, (gone,)))


def gather(push: Push) -> bool:
    """One constant index, which removes the axis; longer lists stop a Transpose (observed)."""
    index, axis = push.op.input(1), _axis(push, 0)
    if axis is None or index is None or not index.constant or index.dims != ():
        return False
    gone = push.perm[axis]
    push.set("axis", gone)
    return push.through(without_axes(push.perm, (gone,)))


def squeeze(push: Push) -> bool:
    """Of stated axes."""
    axes = axes_of(push.program, push.op)
    found = None if axes is None else normal_axes(axes, push.rank)
    if found is None:
        return False
    gone = tuple(sorted(moved(found, push.perm)))
    _set_axes(push, gone, 13)
    return push.through(without_axes(push.perm, gone))


def unsqueeze(push: Push) -> bool:
    """The new axes stay where they are."""
    axes = axes_of(push.program, push.op)
    found = None if axes is None else normal_axes(axes, push.rank + len(axes))
    return found is not None and push.through(with_axes(push.perm, found))


def take_slice(push: Push) -> bool:
    """Of stated axes, or of the first ones."""
    axes = _slice_axes(push)
    found = None if axes is None else normal_axes(axes, push.rank)
    if found is None:
        return False
    if push.program.opset < 10:
        push.set("axes", moved(found, push.perm))
    else:
        _set_integers(push, 3, moved(found, push.perm))
    return push.through()


def _slice_axes(push: Push) -> tuple[int, ...] | None:
    op = push.op
    if push.program.opset < 10:
        return op.integers("axes") or tuple(range(len(op.integers("starts") or ())))
    if op.input(3) is not None:
        return elements(op.input(3))
    starts = op.input(1)
    count = None if starts is None else starts.static
    return tuple(range(count[0])) if count is not None and len(count) == 1 else None


def pad(push: Push) -> bool:
    """Pads of all axes; a list that names its axes is permuted all the same (observed)."""
    order = doubled(push.inverse)
    if push.program.opset >= 11:
        _permute_input(push, 1, order)
        return push.through()
    pads = push.op.integers("pads")
    if pads is None or len(pads) != len(order):
        return False
    push.set("pads", permuted(pads, order))
    return push.through()


def tile(push: Push) -> bool:
    """Repeats of all axes."""
    _permute_input(push, 1, push.inverse)
    return push.through()


def resize(push: Push) -> bool:
    """On the CPU, between channels first and last; RoI, scales and sizes of all axes."""
    if not push.cpu or push.perm not in {(0, 2, 3, 1), (0, 3, 1, 2)}:
        return False
    opset = push.program.opset
    for position, value in enumerate(push.op.inputs[1:], start=1):
        if value is not None:
            both = opset >= 11 and position == 1
            _permute_input(push, position, doubled(push.inverse) if both else push.inverse)
    return push.through()


def _permute_input(push: Push, position: int, order: Permutation) -> None:
    """Permute a list with an element for each axis; a Gather does where it is not known."""
    program, op = push.program, push.op
    source = op.input(position)
    if source is None:
        return
    if source.constant and source.static in {(len(order),), (0,)}:
        permuted_list = program.value(source, constant=True)
        if source.array is not None and source.array.size:
            permuted_list.array = source.array[list(order)]
        program.set_input(op, position, permuted_list)
        return
    gather = program.add(
        "Gather",
        [source, integers(program, source, order)],
        [program.value(source)],
        attributes={"axis": 0},
    )
    program.set_input(op, position, gather.output)


def shape(push: Push) -> bool:
    """The sizes before the Transpose, picked in its order."""
    program, op = push.program, push.op
    picked = push.perm
    if program.opset >= 15:
        end = op.attributes.get("end")
        picked = picked[op.integer("start", 0) : end if isinstance(end, int) else None]
    cancel(program, push.lift())
    kept = {name: one for name, one in op.attributes.items() if name not in {"start", "end"}}
    program.retype(op, op.op_type, op.domain, kept)
    result = op.output
    sizes = program.value(result, shape=(push.rank,))
    write_to(op, 0, sizes)
    order = integers(program, result, picked)
    program.add("Gather", [sizes, order], [result], attributes={"axis": 0})
    return True


def quantize(push: Push) -> bool:
    """Scales of one axis move with it; operators before opset 13 have one scale."""
    scale = push.op.input(1)
    if (push.program.opset >= 13 or push.op.domain) and (scale is None or scale.dims != ()):
        axis = _axis(push, 1)
        if axis is None:
            return False
        push.set("axis", push.perm[axis])
    return push.through()


def quantized_pool(push: Push) -> bool:
    """The kernel has both layouts: the Transpose flips `channels_last`."""
    last = push.op.integer("channels_last", 0)
    if push.rank < 2 or push.perm != (channels_last if last else channels_first)(push.rank):
        return False
    push.set("channels_last", 1 - last)
    return push.through()


def max_pool(push: Push) -> bool:
    """8-bit pooling has a kernel with channels last on the CPU."""
    op = push.op
    fits = op.only_output is not None and op.output.dtype in {"int8", "uint8"}
    if not push.cpu or not fits or push.perm != channels_first(push.rank):
        return False
    kept = {name: one for name, one in op.attributes.items() if name != "storage_order"}
    new = push.program.fuse([op], "NhwcMaxPool", op.inputs, domain="com.microsoft", attributes=kept)
    return replace(push, op=new).through()
