"""Names of open sizes, carried through inference functions that know numbers only.

A plugin's `infer` computes sizes; where one is open (`batch`), so are those that follow from it.
Asked twice with a number in the name's place, it shows which of its sizes are that very size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

import onnx

from mlsys_lint.onnx_types import symbols_of, tensor_type

Types: TypeAlias = Mapping[str, onnx.TypeProto]

_NUMBERS: Final = ((1_000_003, 1009), (2_000_003, 2003))
"""(first, step) of the sizes that stand for names, which nothing else is likely to give."""


def name_sizes(infer: Callable[[Types], Types], types: Types, found: Types) -> None:
    """Name the open sizes in `found` that are named sizes of an input; may raise what `infer` does.

    Args:
        infer: Types of a node's inputs -> of its outputs.
        types: The inputs, some of whose sizes are open.
        found: What `infer` gave for them; changed in place.
    """
    names = sorted({name for kind in types.values() for name in symbols_of(kind)} - {""})
    if not names or not any(map(_is_open, found.values())):
        return
    stand_ins = [
        {name: first + at * step for at, name in enumerate(names)} for first, step in _NUMBERS
    ]
    answers = [
        infer({value: _numbered(kind, numbers) for value, kind in types.items()})
        for numbers in stand_ins
    ]
    meanings = {tuple(numbers[name] for numbers in stand_ins): name for name in names}
    for value, kind in found.items():
        _name(kind, [answer.get(value) for answer in answers], meanings)


def _is_open(kind: onnx.TypeProto) -> bool:
    tensor = tensor_type(kind)
    return tensor is not None and any(map(_is_unnamed, tensor.shape.dim))


def _is_unnamed(dim: onnx.TensorShapeProto.Dimension) -> bool:
    return not dim.HasField("dim_value") and not dim.dim_param


def _numbered(kind: onnx.TypeProto, numbers: Mapping[str, int]) -> onnx.TypeProto:
    copy = onnx.TypeProto()
    copy.CopyFrom(kind)
    tensor = tensor_type(copy)
    for dim in tensor.shape.dim if tensor is not None else ():
        if dim.dim_param in numbers:
            dim.dim_value = numbers[dim.dim_param]
    return copy


def _name(
    kind: onnx.TypeProto,
    answers: Iterable[onnx.TypeProto | None],
    meanings: Mapping[tuple[int, ...], str],
) -> None:
    tensors = [tensor_type(one) for one in (kind, *answers)]
    if None in tensors or len({len(one.shape.dim) for one in tensors}) != 1:
        return
    for dim, *others in zip(*(one.shape.dim for one in tensors), strict=True):
        meaning = meanings.get(tuple(other.dim_value for other in others))
        if _is_unnamed(dim) and meaning is not None:
            dim.dim_param = meaning
