"""Which rows an index may name: the bounds of the tables that the values of an input address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mlsys_lint.inputs.constants import Shape
from mlsys_lint.inputs.flow import Use

_TABLES: Final[Mapping[str, Mapping[int, int]]] = {
    # operator -> index input -> the input that it indexes (ONNX and com.microsoft operators)
    "ArrayFeatureExtractor": {1: 0},
    "CropAndResize": {2: 0},
    "Gather": {1: 0},
    "GatherElements": {1: 0},
    "GatherND": {1: 0},
    "GatherBlockQuantized": {1: 0},
    "MaxUnpool": {1: 0},
    "NegativeLogLikelihoodLoss": {1: 0},
    "OneHot": {0: 1},
    "RoiAlign": {2: 0},
    "ScatterElements": {1: 0},
    "Scatter": {1: 0},
    "ScatterND": {1: 0},
    "SequenceAt": {1: 0},
    "SequenceErase": {1: 0},
    "SequenceInsert": {2: 0},
    "SoftmaxCrossEntropyLoss": {1: 0},
    "TensorScatter": {2: 0},
    "EmbedLayerNormalization": {0: 2, 1: 4, 8: 3},
    "QEmbedLayerNormalization": {0: 2, 1: 4},
}
_ROTARY_TABLE: Final[Mapping[str, tuple[int, int]]] = {"com.microsoft": (1, 2), "": (3, 1)}
"""RotaryEmbedding by domain: (position_ids, cos_cache)."""
_CLASS_AXIS: Final[Mapping[str, int]] = {
    # operators without an attribute that names the indexed axis
    "ArrayFeatureExtractor": -1,
    "NegativeLogLikelihoodLoss": 1,
    "SoftmaxCrossEntropyLoss": 1,
}
_UNKNOWN_SIZE: Final = frozenset(["MaxUnpool", "SequenceAt", "SequenceErase", "SequenceInsert"])
"""Operators that index a sequence, or an output that is not computed yet."""


def index_recipe(uses: Sequence[Use], largest: int) -> str | None:
    """LOW..HIGH inside every table that an input indexes, up to `largest`; None: it indexes none.

    Only 0 is a safe index into a table of unknown size. Constants that are added on the way narrow
    the range: `Gather(table, ids + 2)` takes ids up to two below the end of the table.
    """
    places = [(one, table) for one in uses if (table := _table(one)) is not None]
    if not places:
        return None
    known = [(one, size) for one, table in places if (size := _rows(one, table))]
    if not known:
        return "0"
    low = max(0, *(-one.shift[0] for one, _ in known))
    high = min(largest + 1, *(size - one.shift[1] for one, size in known))
    return f"{low}..{high}" if low < high else str(low)


def _table(use: Use) -> int | None:
    """The input that holds the table, where this use is an index."""
    domain, kind = use.operator
    if kind == "RotaryEmbedding":
        positions, table = _ROTARY_TABLE.get(domain, (-1, -1))
        return table if use.position == positions else None
    return _TABLES.get(kind, {}).get(use.position)


def _rows(use: Use, table: int) -> int | None:
    """Number of the valid indices; None where the table's size is not known."""
    kind, shape = use.node.op_type, use.shapes[table] if table < len(use.shapes) else None
    if kind == "OneHot":
        depth = use.constants[table]
        return int(depth.flat[0]) if depth is not None and depth.size else None
    if not shape or kind in _UNKNOWN_SIZE:
        return None
    if kind in ("GatherND", "ScatterND"):  # an index has several parts: the least of their axes
        return min(shape[use.integer("batch_dims", 0) :], default=None)
    if kind == "TensorScatter":
        return _room(use, shape)
    if kind == "RotaryEmbedding" and use.operator[0] == "com.microsoft":
        return _first_positions(use, shape)
    axis = _CLASS_AXIS.get(kind, use.integer("axis", use.integer("gather_axis", 0)))
    return shape[axis] if -len(shape) <= axis < len(shape) else None


def _room(use: Use, cache: Shape) -> int | None:
    """First rows at which a TensorScatter's update fits into its cache."""
    update, axis = use.shapes[1], use.integer("axis", -2)
    if update is None or not -len(cache) <= axis < len(cache) or len(update) != len(cache):
        return None
    return cache[axis] - update[axis] + 1


def _first_positions(use: Use, table: Shape) -> int:
    """Rows of the table; a position of shape [1] is only the first of the sequence's positions."""
    positions, x = use.shapes[1], use.shapes[0]
    if positions == (1,) and x is not None and len(x) > 2:
        return table[0] - x[-2] + 1
    return table[0]
