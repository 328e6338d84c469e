"""Sizes that depend on data, in both worlds (worlds.py): marks, and how they are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from mlsys_lint.onnx_types import MAXIMUM, resized, size_of, tensor_type
from mlsys_lint.worlds import World


def settle_maxima(
    node: onnx.NodeProto, outputs: list[World], extents: Mapping[tuple[str, int], int]
) -> dict[int, World]:
    """Turn `max:N` dimensions into N, or into what the user gave; return their twins in the other world."""
    twins: dict[int, World] = {}
    for position, (name, world) in enumerate(zip(node.output, outputs, strict=True)):
        tensor = None if world.is_settled else tensor_type(world.type)
        if world.type is None or tensor is None:
            continue
        if all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            continue
        twin = onnx.TypeProto()
        twin.CopyFrom(world.type)
        dims = zip(tensor.shape.dim, tensor_type(twin).shape.dim, strict=True)
        for axis, (dim, other) in enumerate(dims):
            given = extents.get((name, axis))
            if not dim.HasField("dim_value") and given is not None:
                dim.dim_value = other.dim_value = given
            elif dim.dim_param.startswith(MAXIMUM):
                size = size_of(dim) or 0
                dim.dim_value, other.dim_value = size, other_size(size)
                twins[position] = World(type=twin)
        world.type = world.type  # sizes were set in place
    return twins


def other_size(size: int) -> int:
    """The other world's size of an extent that is at most `size`."""
    return 0 if size else 1


def marked_like(world: World, mains: Sequence[World | None], alts: Sequence[World | None]) -> World:
    """A twin where the other world is inconsistent (a reshape whose sizes do not work out there).

    Marked are the axes as long as a data-dependent input axis; all, where there are none.
    """
    moving: set[int | None] = set()
    for main, alt in zip(mains, alts, strict=True):
        if main is not None and alt is not None:
            pairs = zip(main.shape or (), alt.shape or (), strict=False)
            moving |= {one for one, other in pairs if one != other}
    twin = onnx.TypeProto()
    if world.type is not None:
        twin.CopyFrom(world.type)
    tensor = tensor_type(twin)
    dims = list(tensor.shape.dim) if tensor is not None else []
    for dim in [dim for dim in dims if size_of(dim) in moving] or dims:
        if dim.HasField("dim_value"):
            dim.dim_value = other_size(dim.dim_value)
    return World(type=twin)


def differing(world: World, main: World, twin: World) -> World:
    """A world that differs from the main one wherever its twin does."""
    shape, one, other = world.shape, main.shape, twin.shape
    if shape is None or one is None or other is None or not len(shape) == len(one) == len(other):
        return twin
    sizes = [
        marked if size == first and first != marked else size
        for size, first, marked in zip(shape, one, other, strict=True)
    ]
    return World(type=resized(world.type, tuple(sizes)))
