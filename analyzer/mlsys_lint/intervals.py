"""Values that depend on data, as intervals: the shape arithmetic of sizes that are only bounded.

Of a value that is computed from a data-dependent size, the greatest elements stand in the main
world and the least ones in the other (worlds.py). Each operator here keeps that true whatever its
inputs have to do with each other; what is not here makes the value unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, Final, TypeAlias

import numpy as np
import onnx

from mlsys_lint.values import evaluate
from mlsys_lint.worlds import World

Bounds: TypeAlias = tuple[Any, Any]
"""(greatest, least) elements"""

_ALL: Final = -1
_INCREASING: Final[Mapping[str, tuple[int, ...]]] = {
    # operator -> the inputs in which every element of the result is non-decreasing, or copied
    **dict.fromkeys(("Add", "And", "Or", "Max", "Min", "Sum", "Concat", "Clip"), (_ALL,)),
    **dict.fromkeys(("Cast", "Ceil", "Floor", "Identity", "Relu", "Sign", "CumSum"), (0,)),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"), (0,)),
    **dict.fromkeys(("Slice", "Split", "Expand", "Tile", "Gather", "GatherElements"), (0,)),
    **dict.fromkeys(("GatherND", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean"), (0,)),
}
_NON_NEGATIVE: Final = ("ReduceProd", "Sqrt")
"""Non-decreasing where no element is negative."""


def _sub(a: Bounds, b: Bounds) -> tuple[Any, Any]:
    return a[0] - b[1], a[1] - b[0]


def _neg(a: Bounds) -> tuple[Any, Any]:
    return -a[1], -a[0]


def _not(a: Bounds) -> tuple[Any, Any]:
    return np.logical_not(a[1]), np.logical_not(a[0])


def _abs(a: Bounds) -> tuple[Any, Any]:
    spans = (a[1] <= 0) & (a[0] >= 0)
    greatest = np.maximum(np.abs(a[0]), np.abs(a[1]))
    return greatest, np.where(spans, 0, np.minimum(np.abs(a[0]), np.abs(a[1])))


def _corners(function: Callable[[Any, Any], Any], a: Bounds, b: Bounds) -> tuple[Any, Any]:
    """Extremes of a function that is monotone in each argument: at the corners of the box."""
    found = [function(one, other) for one, other in product(a, b)]
    return np.maximum.reduce(found), np.minimum.reduce(found)


def _mul(a: Bounds, b: Bounds) -> tuple[Any, Any]:
    return _corners(np.multiply, a, b)


def _div(a: Bounds, b: Bounds) -> tuple[Any, Any] | None:
    if np.any((b[1] <= 0) & (b[0] >= 0)):
        return None
    if np.issubdtype(a[0].dtype, np.integer):
        return _corners(_truncated, a, b)
    return _corners(np.divide, a, b)


def _truncated(a: Any, b: Any) -> Any:
    return np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))


def _mod(a: Bounds, b: Bounds) -> tuple[Any, Any] | None:
    """Of non-negative numbers: below the divisor, and not above the dividend."""
    if np.any(a[1] < 0) or np.any(b[1] <= 0) or not np.issubdtype(a[0].dtype, np.integer):
        return None
    return np.minimum(a[0], b[0] - 1), np.zeros(np.broadcast_shapes(a[0].shape, b[0].shape))


def _less(a: Bounds, b: Bounds) -> tuple[Any, Any]:
    return a[1] < b[0], a[0] < b[1]


def _less_or_equal(a: Bounds, b: Bounds) -> tuple[Any, Any]:
    return a[1] <= b[0], a[0] <= b[1]


def _equal(a: Bounds, b: Bounds) -> tuple[Any, Any]:
    sure = (a[0] == a[1]) & (b[0] == b[1]) & (a[0] == b[0])
    return (a[1] <= b[0]) & (b[1] <= a[0]), sure


def _xor(a: Bounds, b: Bounds) -> tuple[Any, Any]:
    sure = (a[0] == a[1]) & (b[0] == b[1])
    differ = np.not_equal(a[0], b[0])
    return np.where(sure, differ, True), np.where(sure, differ, False)


def _where(choice: Bounds, a: Bounds, b: Bounds) -> tuple[Any, Any]:
    greatest = np.where(choice[1], a[0], np.where(choice[0], np.maximum(a[0], b[0]), b[0]))
    return greatest, np.where(choice[1], a[1], np.where(choice[0], np.minimum(a[1], b[1]), b[1]))


_RULES: Final[Mapping[str, Callable[..., tuple[Any, Any] | None]]] = {
    "Abs": _abs,
    "Div": _div,
    "Equal": _equal,
    "Greater": lambda a, b: _less(b, a),
    "GreaterOrEqual": lambda a, b: _less_or_equal(b, a),
    "Less": _less,
    "LessOrEqual": _less_or_equal,
    "Mod": _mod,
    "Mul": _mul,
    "Neg": _neg,
    "Not": _not,
    "Sub": _sub,
    "Where": _where,
    "Xor": _xor,
}


def interval(
    node: onnx.NodeProto, mains: Sequence[World | None], alts: Sequence[World | None], opset: int
) -> list[Bounds] | None:
    """Bounds of a node's outputs, from those of its inputs; None where they are not known."""
    if node.domain not in ("", "ai.onnx") or not node.input:
        return None
    if node.op_type in ("Shape", "Size"):
        return _of_sizes(node, mains[0], alts[0])
    pairs = [_bounds(main, alt) for main, alt in zip(mains, alts, strict=True)]
    if any(pair is None and name for pair, name in zip(pairs, node.input, strict=True)):
        return None
    known = [pair for pair in pairs if pair is not None]
    if node.op_type in _RULES:
        found = _RULES[node.op_type](*known)
        kind = known[-1][0].dtype if node.op_type not in _BOOLEAN else np.dtype(bool)
        return None if found is None else [_as(found, kind)]
    return _monotone(node, pairs, opset)


_BOOLEAN: Final = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Xor")


def _as(found: tuple[Any, Any], kind: np.dtype[Any]) -> Bounds:
    return np.asarray(found[0]).astype(kind), np.asarray(found[1]).astype(kind)


def _bounds(main: World | None, alt: World | None) -> Bounds | None:
    high = main.array if main is not None else None
    low = alt.array if alt is not None else None
    return None if high is None or low is None or high.shape != low.shape else (high, low)


def _monotone(
    node: onnx.NodeProto, pairs: Sequence[Bounds | None], opset: int
) -> list[Bounds] | None:
    moving = [at for at, pair in enumerate(pairs) if pair and not np.array_equal(*pair)]
    allowed = _INCREASING.get(node.op_type, ())
    if node.op_type in _NON_NEGATIVE and pairs[0] is not None and np.all(pairs[0][1] >= 0):
        allowed = (0,)
    if moving and _ALL not in allowed and not set(moving) <= set(allowed):
        return None
    if node.op_type == "Cast" and pairs[0] is not None and np.any(pairs[0][1] < 0):
        return None  # to bool, or to an unsigned type, a negative number is no smaller one
    highs, lows = (
        evaluate(node, [pair[side] if pair else None for pair in pairs], opset) for side in (0, 1)
    )
    found = [
        (high, low)
        for high, low in zip(highs, lows, strict=True)
        if high is not None and low is not None and high.shape == low.shape
    ]
    return found if len(found) == len(node.output) else None


def _of_sizes(node: onnx.NodeProto, main: World | None, alt: World | None) -> list[Bounds] | None:
    """Sizes that depend on data are at least 0."""
    most = main.shape if main is not None else None
    if most is None or None in most:
        return None
    other = alt.shape if alt is not None else None
    same = other if other is not None and len(other) == len(most) else (None,) * len(most)
    least = [size if size == one else 0 for size, one in zip(most, same, strict=True)]
    highs, lows = np.asarray(most, np.int64), np.asarray(least, np.int64)
    if node.op_type == "Size":
        return [(np.prod(highs), np.prod(lows))]
    bounds = {one.name: one.i for one in node.attribute}
    part = slice(bounds.get("start", 0), bounds.get("end"))
    return [(highs[part], lows[part])]


def facing(
    node: onnx.NodeProto, worlds: Sequence[World | None], others: Sequence[World | None]
) -> list[World | None]:
    """Inputs that give the extreme sizes: where a value shortens a result, the other extreme.

    A Slice is longest from the least start to the greatest end, a Range likewise. Where a bound
    may count from either end of an axis, or a step is not positive, it is left out.
    """
    chosen = list(worlds)
    if node.op_type == "Slice" and len(worlds) > 2:
        chosen[1] = others[1]
        step = worlds[4] if len(worlds) > 4 else None
        turned = step is not None and not _is_positive(step)
        for at in (1, 2):
            if worlds[at] is not others[at] and (turned or _may_wrap(worlds[at], others[at])):
                chosen[at] = _unknown(worlds[at])
    if node.op_type == "Range" and len(worlds) == 3:
        delta = worlds[2]
        if delta is None or not _is_positive(delta):
            return [_unknown(world) for world in worlds]
        chosen[0] = others[0]
    return chosen


def _may_wrap(one: World | None, other: World | None) -> bool:
    arrays: list[Any] = [world.array for world in (one, other) if world is not None]
    return any(array is None or bool(np.any(array < 0)) for array in arrays)


def _is_positive(world: World) -> bool:
    array: Any = world.array
    return array is not None and bool(np.all(array > 0))


def _unknown(world: World | None) -> World | None:
    return None if world is None else World(type=world.type)
