"""Sequences whose tensors are known one by one: torch's tensor lists, and how they are taken apart.

onnx's types say of a sequence only what all its tensors share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
import onnx

from mlsys_lint.onnx_types import resized
from mlsys_lint.worlds import World, named

Inputs: TypeAlias = Sequence[World | None]


def refine(node: onnx.NodeProto, inputs: Inputs, outputs: Sequence[World]) -> None:
    """Add to a node's outputs what the single tensors of its sequences tell."""
    rule = _RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if rule is not None:
        for _, world in named(node, outputs[:1]):
            rule(node, inputs, world)


def _elements(world: World | None) -> tuple[World, ...] | None:
    return None if world is None else world.elements


def _position(inputs: Inputs, count: int, default: int) -> int | None:
    """A position in a sequence, counted from its end where it is negative."""
    if len(inputs) < 2 or (world := inputs[-1]) is None:
        return default
    array = world.array
    if array is None or array.size != 1:
        return None
    position = int(array.reshape(-1)[0])
    return position + count if position < 0 else position


def _empty(_: onnx.NodeProto, __: Inputs, output: World) -> None:
    output.elements = ()


def _construct(_: onnx.NodeProto, inputs: Inputs, output: World) -> None:
    output.elements = tuple(one for one in inputs if one is not None)


def _insert(_: onnx.NodeProto, inputs: Inputs, output: World) -> None:
    known, tensor = _elements(inputs[0]), inputs[1]
    if known is None or tensor is None:
        return
    at = _position(inputs[1:], len(known), len(known))
    if at is not None:
        output.elements = (*known[:at], tensor, *known[at:])


def _erase(_: onnx.NodeProto, inputs: Inputs, output: World) -> None:
    known = _elements(inputs[0])
    at = None if not known else _position(inputs, len(known), len(known) - 1)
    if known and at is not None and 0 <= at < len(known):
        output.elements = (*known[:at], *known[at + 1 :])


def _at(_: onnx.NodeProto, inputs: Inputs, output: World) -> None:
    known = _elements(inputs[0])
    at = None if not known else _position(inputs, len(known), 0)
    if known and at is not None and 0 <= at < len(known):
        output.type = known[at].type


def _length(_: onnx.NodeProto, inputs: Inputs, output: World) -> None:
    known = _elements(inputs[0])
    if known is not None:
        output.set_array(np.asarray(len(known), np.int64))


def _same(_: onnx.NodeProto, inputs: Inputs, output: World) -> None:
    output.elements = _elements(inputs[0]) if inputs else None  # an Optional may be empty


def _concat(node: onnx.NodeProto, inputs: Inputs, output: World) -> None:
    known = _elements(inputs[0])
    shapes = [one.shape for one in known or ()]
    first = shapes[0] if shapes else None
    if not known or first is None or any(one is None for one in shapes):
        return
    numbers = {one.name: one.i for one in node.attribute}
    axis, stacks = numbers.get("axis", 0), bool(numbers.get("new_axis", 0))
    axis %= len(first) + stacks
    if stacks:
        shape = (*first[:axis], len(known), *first[axis:])
    else:
        sizes = [one[axis] for one in shapes if one is not None]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        shape = (*first[:axis], total, *first[axis + 1 :])
    output.type = resized(known[0].type, shape)


def _split(node: onnx.NodeProto, inputs: Inputs, output: World) -> None:
    tensor = inputs[0]
    shape = tensor.shape if tensor is not None else None
    if tensor is None or not shape:
        return
    numbers = {one.name: one.i for one in node.attribute}
    axis = numbers.get("axis", 0) % len(shape)
    sizes = _parts(shape[axis], inputs[1] if len(inputs) > 1 else None, given=len(inputs) > 1)
    if sizes is None:
        return
    keeps = len(inputs) > 1 or bool(numbers.get("keepdims", 1))
    output.elements = tuple(
        World(
            type=resized(
                tensor.type, (*shape[:axis], *([size] if keeps else []), *shape[axis + 1 :])
            )
        )
        for size in sizes
    )


_MOST_PARTS: Final = 4096


def _parts(extent: int | None, split: World | None, *, given: bool) -> list[int] | None:
    """Sizes along the axis that is split: of one, as listed, or in chunks of one size."""
    if extent is None or extent > _MOST_PARTS:
        return None
    if not given or split is None:
        return [1] * extent
    array = split.array
    if array is None:
        return None
    if array.ndim:
        return [int(size) for size in array]
    chunk = int(array)
    return None if chunk < 1 else [min(chunk, extent - at) for at in range(0, extent, chunk)]


_RULES: Final[Mapping[str, Callable[[onnx.NodeProto, Inputs, World], None]]] = {
    "ConcatFromSequence": _concat,
    "Identity": _same,
    "Optional": _same,
    "OptionalGetElement": _same,
    "SequenceAt": _at,
    "SequenceConstruct": _construct,
    "SequenceEmpty": _empty,
    "SequenceErase": _erase,
    "SequenceInsert": _insert,
    "SequenceLength": _length,
    "SplitToSequence": _split,
}
