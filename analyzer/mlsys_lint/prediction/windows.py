"""How a convolution's window lies on its input: what padding adds, what transforms apply to."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final

from mlsys_lint.errors import UnknownSizeError
from mlsys_lint.records import NodeView

_WEIGHT: Final = {"QLinearConv": 3}
"""Position of W where it is not 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Sizes along each spatial axis; `covered` is the side that the window slides over.

    A convolution slides over its padded input; a transposed one over its output, before pads crop
    it: there `positions` are those of the input.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    covered: tuple[int, ...]
    positions: tuple[int, ...]
    group: int

    @property
    def useful(self) -> float:
        """Share of the products that meet the data, not padding: axes are independent."""
        met = prod(self._met(axis) for axis in range(len(self.kernel)))
        return met / max(1, prod(self.kernel) * prod(self.positions))

    def _met(self, axis: int) -> int:
        """Pairs of position p and tap t with 0 <= p * stride + t * dilation - before < covered."""
        stride, dilation = self.strides[axis], self.dilations[axis]
        before, covered = self.before[axis], self.covered[axis]
        found = 0
        for tap in range(self.kernel[axis]):
            shift = tap * dilation - before
            first = max(0, -(shift // stride))
            last = min(self.positions[axis] - 1, (covered - 1 - shift) // stride)
            found += max(0, last - first + 1)
        return found

    @property
    def is_plain(self) -> bool:
        """Stride 1, no dilation, one group: minimal filtering and transforms apply."""
        return {*self.strides, *self.dilations, self.group} == {1}


def window_of(view: NodeView) -> Window | None:
    """The window of a convolution; None where sizes or attributes don't tell."""
    try:
        return _window(view)
    except UnknownSizeError:
        return None


def _window(view: NodeView) -> Window | None:
    transposed = view.op_type.startswith("ConvTranspose")
    weight = view.input(_WEIGHT.get(view.op_type, 1)).dims
    kernel = view.integers("kernel_shape") or weight[2:]
    rank = len(kernel)
    inner = slice(1, -1) if view.integer("channels_last", 0) else slice(2, None)
    read, written = view.input(0).dims[inner], view.output().dims[inner]
    covered, positions = (written, read) if transposed else (read, written)
    strides = view.integers("strides") or (1,) * rank
    dilations = view.integers("dilations") or (1,) * rank
    if {len(read), len(written), len(strides), len(dilations)} != {rank}:
        return None
    missing = tuple(
        max(0, (at - 1) * stride + (size - 1) * dilation + 1 - length)
        for at, stride, size, dilation, length in zip(
            positions, strides, kernel, dilations, covered, strict=True
        )
    )
    return Window(
        kernel=kernel,
        strides=strides,
        dilations=dilations,
        before=_before(view, missing),
        covered=covered,
        positions=positions,
        group=view.integer("group", 1),
    )


def _before(view: NodeView, missing: tuple[int, ...]) -> tuple[int, ...]:
    """Padding before each axis; `missing` is what the window exceeds the data by, on both sides."""
    pad = view.text("auto_pad", "NOTSET")
    if pad == "SAME_UPPER":
        return tuple(one // 2 for one in missing)
    if pad == "SAME_LOWER":
        return tuple(one - one // 2 for one in missing)
    if pad == "VALID":
        return (0,) * len(missing)
    return (view.integers("pads") or (0,) * len(missing))[: len(missing)]
