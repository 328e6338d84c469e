"""What the name of an input says, where no operator says more."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import onnx

from mlsys_lint.inputs.constants import Shape

SAMPLE_RATE: Final = 16_000
"""Hz; what speech models are trained for, and a branch that models with several rates have."""

_MASK: Final = re.compile(r"mask", re.IGNORECASE)
_RATE: Final = re.compile(r"^sr$|sample_?rate|sampling_?rate", re.IGNORECASE)
_LENGTH: Final = re.compile(r"^(?P<stem>.*?)_?len(gth)?s?$", re.IGNORECASE)
_POSITION: Final = re.compile(r"position", re.IGNORECASE)
_SIDE: Final = re.compile(
    r"(im|img|image|orig|original|target)_?(target_?)?(shape|size)s?$", re.IGNORECASE
)
_SCALE: Final = re.compile(r"(^|_)scale(_?factor)?s?$", re.IGNORECASE)
_SEQUENCE_DIM: Final = re.compile(r"seq|time|frame|token|len", re.IGNORECASE)


def is_mask(name: str) -> bool:
    """True for `attention_mask`, `mask_index` and the like."""
    return bool(_MASK.search(name))


def named_recipe(
    value: onnx.ValueInfoProto,
    inputs: Sequence[onnx.ValueInfoProto],
    shapes: Mapping[str, Shape],
    *,
    integer: bool,
) -> str | None:
    """The recipe that an input's name suggests: sample rates, lengths, positions, sizes, scales."""
    name = value.name
    if _RATE.search(name):
        return str(SAMPLE_RATE)
    if _SIDE.search(name):
        return _image_side(inputs, shapes)
    if _SCALE.search(name):
        return "1"
    if integer and (found := _LENGTH.match(name)):
        return str(_full_length(value, found["stem"], inputs, shapes))
    if integer and _POSITION.search(name) and shapes[name]:
        return f"0..{max(1, shapes[name][-1])}"
    return None


def _image_side(inputs: Sequence[onnx.ValueInfoProto], shapes: Mapping[str, Shape]) -> str | None:
    """The longer side of the first image among the inputs, channels first or last."""
    images = (shapes[one.name] for one in inputs if len(shapes.get(one.name, ())) == 4)
    for _, *sizes in images:
        sides = sizes[:2] if sizes[2] <= 4 < sizes[0] else sizes[1:]
        return str(max(sides))
    return None


def _full_length(
    value: onnx.ValueInfoProto,
    stem: str,
    inputs: Sequence[onnx.ValueInfoProto],
    shapes: Mapping[str, Shape],
) -> int:
    """Size of the axis that lengths count.

    In the input that the name begins with (`text_lengths`: text), else in all others: an axis
    named like a sequence, else one whose size the file leaves open (after the batch), else axis 1.
    """
    others = [one for one in inputs if one.name != value.name and one.name in shapes]
    own = [one for one in others if stem and stem.lower().startswith(one.name.lower())]
    for group in (own, others):
        named = [size for dim, size in _axes(group, shapes) if _SEQUENCE_DIM.search(dim.dim_param)]
        dynamic = [size for dim, size in _axes(group, shapes) if not dim.HasField("dim_value")]
        second = [shapes[one.name][1] for one in group if len(shapes[one.name]) > 1]
        if found := named or dynamic or second[:1]:
            return max(found)
    return 1


def _axes(
    group: Sequence[onnx.ValueInfoProto], shapes: Mapping[str, Shape]
) -> Iterator[tuple[onnx.TensorShapeProto.Dimension, int]]:
    """Declared and bound size of every axis after the first; a sequence may also lie on axis 0."""
    for one in group:
        for axis, pair in enumerate(
            zip(one.type.tensor_type.shape.dim, shapes[one.name], strict=False)
        ):
            if axis or _SEQUENCE_DIM.search(pair[0].dim_param):
                yield pair
