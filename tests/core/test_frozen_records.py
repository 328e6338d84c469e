"""Records are frozen dataclasses like any other, only quicker to make."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, field, replace

import pytest

from mlsys_lint.records import OpCost, TensorInfo
from mlsys_lint.records.frozen import record


@record
class Point:
    x: int
    tags: list[str] = field(default_factory=list)
    y: int = 2

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x must not be negative")


def test_defaults_and_factories() -> None:
    one, other = Point(x=1), Point(x=1)
    assert (one.x, one.y, one.tags) == (1, 2, [])
    assert one.tags is not other.tags
    assert one == other
    assert repr(one) == "Point(x=1, tags=[], y=2)"


def test_nothing_is_set_twice() -> None:
    point = Point(x=1)
    with pytest.raises(FrozenInstanceError):
        point.x = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        Point(1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="z"):
        Point(x=1, z=2)  # type: ignore[call-arg]
    assert not hasattr(point, "__dict__")


def test_checks_run() -> None:
    with pytest.raises(ValueError, match="negative"):
        Point(x=-1)
    with pytest.raises(ValueError, match=r"OpCost\.bytes_read"):
        OpCost(bytes_read=-1)
    with pytest.raises(ValueError, match=r"OpCost\.vector_ops"):
        OpCost(vector_ops=1.5)  # type: ignore[arg-type]


def test_copies() -> None:
    info = TensorInfo(name="a", dtype="float", shape=(1, 2))
    assert replace(info, name="b").name == "b"
    assert pickle.loads(pickle.dumps(info)) == info  # noqa: S301  our own bytes
    assert copy.deepcopy(info) == info
    assert hash(info) == hash(TensorInfo(name="a", dtype="float", shape=(1, 2)))
