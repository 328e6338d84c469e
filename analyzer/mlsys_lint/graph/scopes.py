"""Values by name, scope by scope, and their conversion into records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import onnx

from mlsys_lint import dtypes
from mlsys_lint.onnx_types import symbols_of
from mlsys_lint.records import TensorInfo
from mlsys_lint.worlds import World


class Value:
    """A value while the graph is walked: its record and its two worlds (see worlds.py).

    Args:
        info: The record.
        main: The world of maxima; None for a plain tensor of which the record says all: its world
            is made when it is needed.
        alt: The other world, None where it is the same.
        as_whole: True where onnx's whole-model inference (model_types.py) says nothing else.
    """

    __slots__ = ("_main", "alt", "as_whole", "info")

    def __init__(
        self,
        info: TensorInfo,
        main: World | None,
        alt: World | None = None,
        *,
        as_whole: bool = False,
    ) -> None:
        self.info = info
        self._main = main
        self.alt = alt
        self.as_whole = as_whole

    @property
    def main(self) -> World:
        """The world of maxima."""
        if self._main is None:
            info = self.info
            self._main = World(dense=(dtypes.NUMBERS[info.type_name], info.dims), array=info.value)
        return self._main


@dataclass(slots=True)
class Scope:
    """Values visible in one graph; names that it does not hold are looked up outside."""

    path: str
    outer: Scope | None = None
    values: dict[str, Value] = field(default_factory=dict)
    captured: dict[int, TensorInfo] = field(default_factory=dict)
    """Outer values that were read from within."""

    def find(self, name: str) -> Value | None:
        """The value of a name, and a note in every scope that it was fetched through."""
        found = self.values.get(name)
        if found is None and self.outer is not None:
            found = self.outer.find(name)
            if found is not None:
                self.captured[found.info.uid] = found.info
        return found

    def names(self) -> set[str]:
        """All names that are visible here."""
        outer = self.outer.names() if self.outer is not None else set()
        return outer | set(self.values)


_NONE: Final[frozenset[int]] = frozenset()


def describe(
    name: str,
    main: World,
    alt: World | None,
    uid: int,
    *,
    constant: bool = False,
    origin: str | None = None,
    stored_elements: int | None = None,
) -> TensorInfo:
    """The record of a value in its two worlds."""
    number, shape = main.elem_type, main.shape
    bounded: frozenset[int] = _NONE
    if alt is not None and shape is not None:
        pairs = zip(shape, alt.shape or shape, strict=False)
        bounded = frozenset(axis for axis, (one, other) in enumerate(pairs) if one != other)
    return TensorInfo(
        name=name,
        dtype=None if number is None else dtypes.name_of(number),
        shape=shape,
        bounded=bounded,
        symbols=symbols_of(main.type) if shape is not None and None in shape else (),
        kind="tensor" if main.is_dense else kind_of(main.type),
        uid=uid,
        constant=constant,
        origin=origin,
        stored_elements=stored_elements,
        value=main.array if main.is_known and _is_certain(main, alt) else None,
    )


def _is_certain(main: World, alt: World | None) -> bool:
    """False where the elements depend on data: the main world then holds the greatest ones."""
    if alt is None:
        return True
    least = alt.array
    return least is not None and main.array is not None and np.array_equal(main.array, least)


def kind_of(kind: onnx.TypeProto | None) -> str:
    """`tensor`, `sparse`, `sequence`, `optional` or `map`."""
    which = kind.WhichOneof("value") if kind is not None else None
    names = {
        "sparse_tensor_type": "sparse",
        "sequence_type": "sequence",
        "optional_type": "optional",
        "map_type": "map",
    }
    return names.get(which or "", "tensor")
