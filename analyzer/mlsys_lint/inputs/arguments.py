"""Values of arguments: axes, extents, thresholds, scales, and the lengths of sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias

from mlsys_lint.inputs.flow import Use
from mlsys_lint.inputs.lengths import LENGTHS

_Rule: TypeAlias = Callable[[Use, int], str | None]
"""(use, elements of the graph input) -> recipe; None: this use tells nothing."""

SCALE: Final = "0.02"
"""Of a quantization: N(0, 1) then covers most of an 8-bit range, as calibrated scales make it."""


def argument_recipe(uses: Sequence[Use], elements: int, *, integer: bool) -> str | None:
    """What the nearest operator that takes a graph input as an argument asks for.

    Extents that a caller chooses are the largest that fit, as the analysis counts them; shapes are
    those of the data.

    Args:
        uses: Where the values of the input arrive.
        elements: Number of elements of the input.
        integer: The input holds integers.
    """
    for one in uses:
        rule = _rule(one, integer=integer)
        recipe = rule(one, elements) if rule is not None else None
        if recipe is not None:
            return recipe
    return None


def is_count(uses: Sequence[Use]) -> bool:
    """True for extents that nothing bounds."""
    return any((one.node.op_type, one.position) in _COUNTS for one in uses)


def _rule(use: Use, *, integer: bool) -> _Rule | None:
    domain, kind = use.operator
    place = (kind, use.position)
    if kind.startswith("Reduce") and use.position == 1:
        return _first_axes
    if integer and place in _DIVISORS:  # ONNX Runtime refuses to divide an integer by 0
        return partial(_fixed, "1")
    if place in _FIXED:
        return partial(_fixed, _FIXED[place])
    length = LENGTHS.get((domain, *place))
    return length if length is not None else _SIZED.get(place)


def _fixed(recipe: str, _use: Use, _elements: int) -> str:
    return recipe


def _first_axes(_use: Use, elements: int) -> str:
    """As many axes as the argument has elements, from the first."""
    return _listed(range(elements))


def _squeezed_axes(use: Use, elements: int) -> str | None:
    """The first axes of size 1."""
    ones = [axis for axis, size in enumerate(use.shapes[0] or ()) if size == 1]
    return _listed(ones[:elements]) if len(ones) >= elements else None


def _reshaped(use: Use, elements: int) -> str | None:
    """The data's own shape; [-1, 1, ...] where the rank changes."""
    if not use.whole:
        return None
    data = use.shapes[0]
    if data is not None and len(data) == elements:
        return _listed(data)
    return _listed([-1, *[1] * (elements - 1)])


def _resized(use: Use, elements: int) -> str | None:
    """The data's own sizes."""
    data = use.shapes[0]
    return _listed(data) if use.whole and data is not None and len(data) == elements else None


def _grid_of_points(use: Use, elements: int) -> str | None:
    """One point for each transformation: [batch, channels, height, width] are [batch, 1, 1, 1]."""
    theta = use.shapes[0]
    return _listed([theta[0], *[1] * (elements - 1)]) if use.whole and theta else None


def _slice_end(use: Use, _elements: int) -> str | None:
    """The end of the data: a Slice clamps what lies beyond."""
    data = use.shapes[0]
    return str(max(data)) if data else None


def _top_count(use: Use, _elements: int) -> str | None:
    """All elements of the axis that a TopK sorts."""
    data, axis = use.shapes[0], use.integer("axis", -1)
    return str(data[axis]) if data and -len(data) <= axis < len(data) else None


def _box_count(use: Use, _elements: int) -> str | None:
    """All boxes of an image; boxes are [batches, boxes, 4]."""
    boxes = use.shapes[0]
    return str(boxes[1]) if boxes and len(boxes) == 3 else None


def _whole_map(use: Use, _elements: int) -> str | None:
    """Regions [x1, y1, x2, y2] that cover the whole map, as the analysis counts them."""
    data = use.shapes[0]
    if not data or len(data) != 4:
        return None
    scale = next((one.f for one in use.node.attribute if one.name == "spatial_scale"), 1.0)
    if scale <= 0:
        return None
    corner = f"0,0,{data[3] / scale:g},{data[2] / scale:g}"
    return f"0,{corner}" if use.node.op_type == "MaxRoiPool" else corner


def _even_parts(use: Use, elements: int) -> str | None:
    """Sizes of a Split into parts that are as equal as they can be."""
    data, axis = use.shapes[0], use.integer("axis", 0)
    if not use.whole or not data or not -len(data) <= axis < len(data) or not elements:
        return None
    least, longer = divmod(data[axis], elements)
    return _listed(least + (part < longer) for part in range(elements))


def _listed(values: Iterable[int]) -> str:
    return ",".join(map(str, values))


_COUNTS: Final = frozenset([("ConstantOfShape", 0), ("Expand", 1), ("Range", 1), ("Tile", 1)])
_POSITIVE: Final = "0.1..1"
"""For logarithms and roots: what is no number takes other ways through comparisons and sorting."""
_DIVISORS: Final = frozenset([("Div", 1), ("Mod", 1)])
_FIXED: Final[Mapping[tuple[str, int], str]] = {
    ("BatchNormalization", 4): "1",  # a variance
    ("CropAndResize", 1): "0,0,1,1",  # the whole image, whose sides are 1
    ("CumProd", 1): "0",
    ("CumSum", 1): "0",
    ("DequantizeLinear", 1): SCALE,
    ("DequantizeLinear", 2): "0",
    ("Dropout", 1): "0.5",
    ("Dropout", 2): "0",  # inference, not training
    ("GridSample", 1): "-1..1",  # from one edge of the image to the other
    ("Loop", 0): "1",  # what the analysis counts where nothing tells
    ("Log", 0): _POSITIVE,
    ("NonMaxSuppression", 3): "0.5",
    ("NonMaxSuppression", 4): "0",
    ("Pad", 1): "0",
    ("QuantizeLinear", 1): SCALE,
    ("QuantizeLinear", 2): "0",
    ("Range", 0): "0",
    ("Range", 2): "1",
    ("Resize", 1): "1",
    ("Resize", 2): "1",
    ("Slice", 1): "0",
    ("Sqrt", 0): _POSITIVE,
    ("Slice", 4): "1",
    ("Trilu", 1): "0",
    ("Upsample", 1): "1",
}
_SIZED: Final[Mapping[tuple[str, int], _Rule]] = {
    ("AffineGrid", 1): _grid_of_points,
    ("MaxRoiPool", 1): _whole_map,
    ("NonMaxSuppression", 2): _box_count,
    ("Reshape", 1): _reshaped,
    ("Resize", 3): _resized,
    ("RoiAlign", 1): _whole_map,
    ("Slice", 2): _slice_end,
    ("Slice", 3): _first_axes,
    ("Split", 1): _even_parts,
    ("SplitToSequence", 1): _even_parts,
    ("Squeeze", 1): _squeezed_axes,
    ("TopK", 1): _top_count,
    ("Unsqueeze", 1): _first_axes,
}
