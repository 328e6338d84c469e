"""Terms of pools, in blocked and in plain layout.

Source: microsoft/onnxruntime, core/mlas/lib/snchwc.cpp and x86_64/SpoolKernelAvx512F.S (blocked),
pooling.cpp (plain: rows are reduced upright in vectors, then along; strides above 2 and sequences
one by one), core/providers/cpu/nn/pool_functors.h (with dilations or indices, and AveragePool since
opset 19: one by one).
"""

from __future__ import annotations

from math import ceil, prod
from typing import Final

from mlsys_lint.records import Kernel, NodeView
from mlsys_lint.records.calibration import Terms
from mlsys_lint_plugins.runtimes.onnxruntime.timing.convolution import Window, window_of
from mlsys_lint_plugins.runtimes.onnxruntime.timing.machine import Machine

_POOLS: Final = frozenset({"MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"})
_BLOCKED: Final = "com.microsoft.nchwc"
_DILATED_AVERAGE: Final = 19
"""Opset from which on AveragePool has dilations, and a kernel without vectors."""
_VECTOR: Final = 4
_LARGEST_STRIDE: Final = 2
_LARGEST_KERNEL: Final = 32
"""Limits of the kernel that takes whole rows."""


def terms(kernel: Kernel, machine: Machine) -> Terms | None:
    """(class, terms) of a pool of floats; None for other operators."""
    view = kernel.view
    if view is None or view.input(0).dtype != "float":
        return None
    if view.domain == _BLOCKED and view.op_type in _POOLS:
        found = _blocked(view, window_of(view), machine)
        return "pool_blocked", {**found, **machine.far(kernel.touches), "kernel": 1}
    if not view.domain and view.op_type in _POOLS:
        kind, found = _plain(view, window_of(view), machine)
        return kind, {**found, **machine.far(kernel.touches), "kernel": 1}
    return None


def _blocked(view: NodeView, window: Window, machine: Machine) -> dict[str, float]:
    """A block of channels at a time; outputs of a row in blocks of up to 6 as in convolutions."""
    blocks = window.batch * ceil(window.outputs / machine.lanes)
    rows = ceil(blocks * window.rows / machine.threads)
    whole, partial, taps = window.edges()
    area = window.taps() * window.kernel[-1]
    if window.kernel == window.size:  # one chain of operations, each waiting for the one before
        chain = "maximum_chain" if "Max" in view.op_type else "sum_chain"
        return {chain: rows * area, **_fork(machine, blocks)}
    return {
        "tap": rows * area * whole,
        "edge_tap": rows * window.taps() * taps * partial,
        "output": rows * (whole + partial),
        "call": rows,
        **_fork(machine, blocks * window.rows),
    }


def _plain(view: NodeView, window: Window, machine: Machine) -> tuple[str, dict[str, float]]:
    """A channel at a time, by threads. Kernels of one position each differ by number of axes."""
    images = window.batch * window.outputs
    channels = ceil(images / machine.threads)
    found = {"channel": channels, **_fork(machine, images)}
    outputs = channels * prod(window.out)
    if "Global" in view.op_type or _is_global(window):
        return "pool_plain", {**found, "global": channels * prod(window.size)}
    kind = _positions(view, window)
    if kind:
        axes = len(window.out)
        taps = outputs * _area(window)
        return "pool_positions", {**found, f"{kind}_tap_{axes}d": taps, f"{kind}_output": outputs}
    if _takes_rows(window):
        return "pool_plain", {**found, **_by_rows(channels, window)}
    return "pool_plain", {**found, "tap": outputs * _area(window), "output": outputs}


def _positions(view: NodeView, window: Window) -> str | None:
    """The kernel that takes window after window, with dilations or indices; None for others."""
    if view.op_type == "AveragePool":
        return "average" if view.opset >= _DILATED_AVERAGE else None
    return "index" if len(view.outputs) > 1 or max(window.dilation) > 1 else None


def _is_global(window: Window) -> bool:
    return window.kernel == window.size and max(window.stride) == 1 and not any(window.before)


def _takes_rows(window: Window) -> bool:
    return (
        len(window.out) > 1
        and window.stride[-1] <= _LARGEST_STRIDE
        and max(window.kernel) <= _LARGEST_KERNEL
    )


def _by_rows(channels: int, window: Window) -> dict[str, float]:
    """Filter rows are reduced over the whole width; then positions four, or with a stride two."""
    rows = channels * window.rows
    each = _VECTOR // window.stride[-1]
    vectors, left = divmod(window.size[-1], _VECTOR)
    return {
        "upright": rows * window.taps() * (vectors + left),
        "along": rows * window.kernel[-1] * ceil(window.out[-1] / each),
        "row": rows,
    }


def _area(window: Window) -> float:
    """Mean number of positions of a window that lie inside the image."""
    whole, partial, taps = window.edges()
    along = (whole * window.kernel[-1] + partial * taps) / max(window.out[-1], 1)
    return window.taps() * along


def _fork(machine: Machine, pieces: int) -> dict[str, float]:
    return {"fork": 1} if min(machine.threads, pieces) > 1 else {}
