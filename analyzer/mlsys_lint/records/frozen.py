"""`record`: a frozen, slotted, keyword-only dataclass that is quick to make.

A frozen dataclass sets each field through `object.__setattr__`, which takes most of the time that
the analysis of a node takes. A record is filled in while it is an instance of a mutable twin with
the same slots, and then becomes what it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def record(cls: type[T]) -> type[T]:
    """`dataclass(frozen=True, slots=True, kw_only=True)` with a quicker constructor."""
    made: Any = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    made.__init__ = _constructor(made)
    return made  # type: ignore[no-any-return]


def _constructor(made: Any) -> Callable[..., None]:
    known = fields(made)
    twin = type(f"_Unfrozen{made.__name__}", (), {"__slots__": tuple(one.name for one in known)})
    scope: dict[str, Any] = {"become": object.__setattr__, "twin": twin, "made": made}
    parameters = []
    lines = ["become(self, '__class__', twin)"]
    for one in known:
        default = ""
        if one.default is not MISSING:
            scope[f"default_{one.name}"] = one.default
            default = f" = default_{one.name}"
        elif one.default_factory is not MISSING:
            scope[f"factory_{one.name}"] = one.default_factory
            scope["absent"] = MISSING
            default = " = absent"
            lines.append(f"if {one.name} is absent: {one.name} = factory_{one.name}()")
        parameters.append(f"{one.name}{default}")
        lines.append(f"self.{one.name} = {one.name}")
    lines.append("self.__class__ = made")
    if hasattr(made, "__post_init__"):
        lines.append("self.__post_init__()")
    body = "\n".join(f"    {line}" for line in lines)
    exec(f"def __init__(self, *, {', '.join(parameters)}):\n{body}", scope)  # noqa: S102  as dataclasses do
    constructor: Callable[..., None] = scope["__init__"]
    constructor.__qualname__ = f"{made.__qualname__}.__init__"
    return constructor
