"""Where the sizes of a blocked value come from: how ONNX Runtime shows that two of them are equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from mlsys_lint.program import Op, Value

Origins: TypeAlias = tuple[tuple[Value, int], ...]
"""Per axis (N, C, H, W): the plain value whose size it has, and how often that was halved."""

_SPATIAL: Final = 2
_SAME: Final = ("SAME_UPPER", "SAME_LOWER")


def own_origins(value: Value) -> Origins:
    """All sizes are the value's own."""
    return ((value, 0),) * (2 + _SPATIAL)


def window_origins(
    op: Op, source: Origins | None, value: Value, kernel: Sequence[int] | None
) -> Origins:
    """Those of what a convolution or a pool makes of a blocked value; all its own of a plain one.

    The batch is the source's. So is an axis that padding keeps at its size before the stride, which
    then halves it or leaves it; not where the window is dilated.
    """
    own = own_origins(value)
    if source is None:
        return own
    strides, dilations = (op.integers(name) or (1, 1) for name in ("strides", "dilations"))
    automatic = op.text("auto_pad", "NOTSET")
    pads = (automatic == "NOTSET" and op.integers("pads")) or (0, 0, 0, 0)
    if kernel is None or not len(kernel) == len(strides) == len(dilations) == len(pads) // 2 == 2:
        return (source[0], *own[1:])
    spatial = []
    for axis in range(_SPATIAL):
        keeps = automatic in _SAME or pads[axis] + pads[axis + _SPATIAL] + 1 == kernel[axis]
        if keeps and dilations[axis] == 1 and strides[axis] in (1, 2):
            root, halved = source[2 + axis]
            spatial.append((root, halved + strides[axis] - 1))
        else:
            spatial.append(own[2 + axis])
    return (source[0], own[1], *spatial)


def same_size(values: tuple[Value, Value], origins: tuple[Origins, Origins], axis: int) -> bool:
    """Whether two plain values have an axis of one origin, of one known size, or of one symbol."""
    if origins[0][axis] == origins[1][axis]:
        return True
    first, second = (value.dims[axis] if value.dims else None for value in values)
    return first == second and bool(first)
