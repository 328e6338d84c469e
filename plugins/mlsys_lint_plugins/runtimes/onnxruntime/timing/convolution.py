"""Terms of convolutions in blocked layout, after the loops of mlas.

Source: microsoft/onnxruntime, core/mlas/lib/snchwc.cpp and x86_64/SconvKernelAvx512F.S. A kernel
computes blocks of up to 4 filter vectors x 6 output positions in registers; what is left of a row is
computed in blocks of 3, 2 and 1, and positions whose window meets the padding one by one. Dense
kernels add up over blocks of input channels in memory, pointwise ones over 128 channels at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, prod
from typing import Final

from mlsys_lint.records import Kernel, NodeView
from mlsys_lint.records.calibration import Terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine
from mlsys_lint_plugins.runtimes.onnxruntime.timing.threads import by_rows, divided

_FILTERS: Final = 4
_POINTWISE_CHANNELS: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Sizes of a convolution or pooling of any rank; the last axis is the row."""

    batch: int
    groups: int
    inputs: int
    outputs: int
    size: tuple[int, ...]
    out: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Output rows of one image and filter."""
        return prod(self.out[:-1])

    def taps(self) -> float:
        """Mean number of filter rows inside the image, for one output row."""
        return prod(
            sum(self._inside(axis, place) for place in range(self.out[axis])) / self.out[axis]
            for axis in range(len(self.out) - 1)
        )

    def edges(self) -> tuple[int, int, float]:
        """(whole windows, windows that meet the padding, mean taps of those) along a row."""
        axis = len(self.out) - 1
        taps = [self._inside(axis, place) for place in range(self.out[axis])]
        whole = sum(one == self.kernel[axis] for one in taps)
        if self.before[axis] and whole == len(taps):
            whole -= 1
        rest = len(taps) - whole
        partly = [one for one in taps if one < self.kernel[axis]] or [self.kernel[axis]]
        return whole, rest, sum(partly) / len(partly)

    def _inside(self, axis: int, place: int) -> int:
        start = place * self.stride[axis] - self.before[axis]
        positions = (start + tap * self.dilation[axis] for tap in range(self.kernel[axis]))
        return sum(0 <= one < self.size[axis] for one in positions)


def window_of(view: NodeView) -> Window:
    """Sizes of a Conv or pooling operator."""
    x, y = view.input(0).dims, view.output().dims
    weight = view.optional_input(1)
    rank = len(x) - 2
    kernel = view.integers("kernel_shape") or (weight.dims[2:] if weight is not None else x[2:])
    ones = (1,) * rank
    pads = view.integers("pads") or (0,) * 2 * rank
    if view.text("auto_pad") in ("SAME_UPPER", "SAME_LOWER"):
        pads = tuple((size - 1) // 2 for size in kernel) * 2
    return Window(
        batch=x[0],
        groups=view.integer("group", 1),
        inputs=x[1],
        outputs=y[1],
        size=x[2:],
        out=y[2:],
        kernel=kernel,
        stride=view.integers("strides") or ones,
        dilation=view.integers("dilations") or ones,
        before=pads[:rank],
    )


def blocks_of(count: int) -> Iterator[tuple[int, int]]:
    """(width, how many) of the register blocks that a run of output positions is cut into."""
    if count >= 6:
        yield 6, count // 6
    left = count % 6
    for width in (3, 2, 1):
        if left >= width:
            yield width, 1
            left -= width


def filter_sets(vectors: int) -> Iterator[tuple[int, int]]:
    """(filter vectors, how many sets) of the outputs."""
    if vectors >= _FILTERS:
        yield _FILTERS, vectors // _FILTERS
    if vectors % _FILTERS:
        yield vectors % _FILTERS, 1


def terms(kernel: Kernel, machine: Machine) -> Terms | None:
    """Class and terms of a convolution in blocked layout."""
    view = kernel.view
    if view is None or kernel.op != "com.microsoft.nchwc::Conv":
        return None
    window = window_of(view)
    depth = window.inputs // window.groups
    if depth == 1 and window.groups > 1:
        return "conv_depthwise", _depthwise(kernel, window, machine)
    if depth < machine.lanes or view.input(0).dims[1] < machine.lanes:
        return "conv_stem", _dense(kernel, window, machine, channels=1)
    if prod(window.kernel) == 1 and not any(window.before):
        return "conv_pointwise", _pointwise(kernel, window, machine)
    return "conv", _dense(kernel, window, machine, channels=machine.lanes)


def _dense(kernel: Kernel, window: Window, machine: Machine, channels: int) -> dict[str, float]:
    """Input channels are taken `channels` at a time; each pass reads and writes the outputs."""
    depth = window.inputs // window.groups
    passes = ceil(depth / channels) if channels > 1 else 1
    inner = channels if channels > 1 else depth
    vectors = ceil(window.outputs / window.groups / machine.lanes)
    whole, partial, taps = window.edges()
    rows = window.batch * window.groups * window.rows
    tall = window.taps()
    width = window.kernel[-1]
    fma = loads = stalled = stored = 0.0
    for filters, sets in filter_sets(vectors):
        for block, count in blocks_of(whole):
            steps = rows * sets * count * passes * tall * width * inner
            fma += steps * filters * block
            loads += steps * (filters + block)
            stalled += steps * max(0, 8 - filters * block)
        steps = rows * sets * partial * passes * tall * taps * inner
        fma += steps * filters
        loads += steps * (filters + 1)
        stalled += steps * max(0, 8 - filters)
        stored += rows * sets * filters * (whole + partial) * passes
    sets_count = ceil(vectors / _FILTERS)
    set_bytes = min(vectors, _FILTERS) * machine.lanes * depth * prod(window.kernel) * 4
    amounts = {
        "flop": 2 * fma * machine.lanes,
        "load": loads,
        "stall": stalled,
        "output": stored,
        **_activation(kernel, stored / passes),
        "call": rows * sets_count * passes,
        **_filters(set_bytes, rows * sets_count, machine),
    }
    return _shared(amounts, kernel, machine, rows * sets_count)


def _pointwise(kernel: Kernel, window: Window, machine: Machine) -> dict[str, float]:
    depth = window.inputs // window.groups
    passes = ceil(depth / _POINTWISE_CHANNELS)
    vectors = ceil(window.outputs / window.groups / machine.lanes)
    merged = prod(window.stride) == 1
    rows = window.batch * window.groups * (1 if merged else window.rows)
    row = prod(window.out) if merged else window.out[-1]
    fma = loads = stalled = stored = 0.0
    for filters, sets in filter_sets(vectors):
        for block, count in blocks_of(row):
            steps = rows * sets * count * depth
            fma += steps * filters * block
            loads += steps * (filters + block)
            stalled += steps * max(0, 8 - filters * block)
        stored += rows * sets * filters * row * passes
    sets_count = ceil(vectors / _FILTERS)
    amounts = {
        "flop": 2 * fma * machine.lanes,
        "load": loads,
        "stall": stalled,
        "output": stored,
        **_activation(kernel, stored / passes),
        "call": rows * sets_count * passes,
    }
    work = window.batch * window.groups * window.rows * sets_count
    return _shared(amounts, kernel, machine, work)


def _depthwise(kernel: Kernel, window: Window, machine: Machine) -> dict[str, float]:
    """One filter vector a block of channels: every tap is an operand from memory."""
    vectors = ceil(window.outputs / machine.lanes)
    rows = window.batch * vectors * window.rows
    whole, partial, taps = window.edges()
    tall, width = window.taps(), window.kernel[-1]
    blocks = list(blocks_of(whole))
    amounts = {
        "tap": rows * tall * sum(count * width * (1 + block) for block, count in blocks),
        "edge_tap": rows * tall * taps * partial,
        "block": rows * (sum(count for _, count in blocks) + partial),
        "block_row": rows * tall * (sum(count for _, count in blocks) + partial),
        "output": rows * (whole + partial),
        **_activation(kernel, rows * (whole + partial)),
    }
    return _shared(amounts, kernel, machine, rows)


def _shared(
    amounts: dict[str, float], kernel: Kernel, machine: Machine, work: int
) -> dict[str, float]:
    """What the thread with most work does: threads take as many rows of filter sets each.

    Source: the `Threaded` functions of snchwc.cpp; they start all threads whatever the work.
    """
    amounts |= machine.beyond(kernel.touches)
    return {**divided(amounts, by_rows(machine, work)), "kernel": 1.0}


def _activation(kernel: Kernel, outputs: float) -> dict[str, float]:
    """An activation other than Relu is a pass of its own over what was written."""
    view = kernel.view
    name = view.text("activation") if view is not None else ""
    return {f"activation_{name.lower()}": outputs} if name not in ("", "Relu") else {}


def _filters(set_bytes: float, times: float, machine: Machine) -> dict[str, float]:
    """Filters of one set are read again for every row: bytes beyond the nearest cache."""
    shares = machine.shares(set_bytes)
    return {
        f"filter_{level}": times * set_bytes * share
        for level, share in shares.items()
        if level != "l1" and share
    }
